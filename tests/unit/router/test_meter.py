"""What is noted of an answer while it flows, so that a crash leaves nearly all of it in the books."""

import pytest

from services.router.catalog import Target
from services.router.estimate import Tokenizer
from services.router.meter import Meter
from shared.messages.gateway import Call
from shared.translate.progress import Progress
from tests.fakes.spool import SpoolInMemory


def test_a_young_answer_is_noted_often_and_an_old_one_about_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("shared.clock.monotonic", lambda: now)
    spool, progress = SpoolInMemory(), Progress()
    call = Call(request_id="r", dialect="openai", model="m", body=b"{}")
    meter = Meter(spool, call, 1, Target(provider="p", model="m"), Tokenizer())  # type: ignore[arg-type]
    progress.started_content = True
    meter.content(progress)
    noted = []
    for _ in range(500):  # ten seconds of a token every 20 ms
        now += 0.02
        progress.count_text("tok ")
        meter.flowing(progress)
        noted.append(len(spool.noted))
    assert noted[14] >= 4, "after 0.3 s most of it is known"
    assert noted[-1] <= 25, "later the spool is left alone"
