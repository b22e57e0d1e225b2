"""What the router named as lost at the end of a turn's stream stays named when several turns become one answer."""

import json
from typing import Any

import pytest

from services.gateway.tool_loop.stream import weaver
from shared.wire.sse import SseReader
from tests.unit.translate.streams import chunk, event


def openai_turn(loss: str) -> bytes:
    return chunk({"content": "x"}) + chunk({}, "stop", tollway={"lossy": [loss]})


def anthropic_turn(loss: str) -> bytes:
    end = event("message_delta", delta={"stop_reason": "end_turn"}, usage={}, tollway={"lossy": [loss]})
    return event("message_start", message={"id": "m", "usage": {}}) + end


@pytest.mark.parametrize(("dialect", "turn_of"), [("openai", openai_turn), ("anthropic", anthropic_turn)])
def test_losses_of_all_turns_are_named_at_the_end(dialect: Any, turn_of: Any) -> None:
    made = weaver(dialect, lambda _: False, include_usage=False)
    for loss in ("citations", "n"):
        made.begin()
        for told in SseReader().feed(turn_of(loss)):
            made.feed(told)
        made.turn()
    ends = [
        json.loads(told.data) for told in SseReader().feed(made.end("stop", "rounds", {})) if told.data != b"[DONE]"
    ]
    assert ends[0]["tollway"] == {"lossy": ["citations", "n"], "limit_reached": "rounds"}
