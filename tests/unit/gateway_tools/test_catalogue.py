"""The catalogue of tools: what living workers announce, for those who may see it."""

from typing import Any

import pytest

from services.gateway.tool_loop.catalogue import Catalogue
from services.gateway.tool_loop.selection import ToolSelection, select
from shared.errors import BadRequest, Unavailable
from shared.messages.tools import Announce, ServerStatus, ToolSpec


def spec(name: str, **fields: Any) -> ToolSpec:
    return ToolSpec(
        name=name, server=name.split("__")[0], description="d", input_schema={}, source="mcp", pool="mcp", **fields
    )


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_tools_of_a_silent_worker_are_forgotten() -> None:
    clock = Clock()
    catalogue = Catalogue(clock)
    catalogue.hear(Announce(worker="a", revision=1, tools=[spec("s__one")]))
    catalogue.hear(Announce(worker="b", revision=1, tools=[spec("s__two")]))
    clock.now = 5
    assert catalogue.hear(Announce(worker="a", revision=1))
    clock.now = 9
    assert catalogue.forget_silent() == ["b"]
    assert [tool.name for tool in catalogue.all()] == ["s__one"]


def test_a_worker_that_is_not_known_or_has_changed_is_asked() -> None:
    catalogue = Catalogue()
    assert not catalogue.hear(Announce(worker="a", revision=1))
    catalogue.hear(Announce(worker="a", revision=1, tools=[]))
    assert not catalogue.hear(Announce(worker="a", revision=2))


def test_a_worker_that_leaves_takes_its_tools_along() -> None:
    catalogue = Catalogue()
    catalogue.hear(Announce(worker="a", revision=1, tools=[spec("s__one")]))
    catalogue.hear(Announce(worker="a", revision=1, leaving=True))
    assert catalogue.find("s__one") is None


def test_a_key_sees_its_own_tools_and_their_servers() -> None:
    catalogue = Catalogue()
    servers = [ServerStatus(name="s", kind="mcp", state="down"), ServerStatus(name="t", kind="mcp", state="ready")]
    catalogue.hear(
        Announce(worker="a", revision=1, servers=servers, tools=[spec("t__x"), spec("s__one"), spec("s__two")])
    )
    better = [ServerStatus(name="s", kind="mcp", state="ready", version="1")]
    catalogue.hear(Announce(worker="b", revision=1, servers=better, tools=[spec("s__one")]))
    assert [tool["name"] for tool in catalogue.tools_body(None)] == ["s__one", "s__two", "t__x"]
    assert [tool["name"] for tool in catalogue.tools_body(["s__one"])] == ["s__one"]
    (server,) = catalogue.servers_body(["s__one"])
    assert (server["name"], server["state"], server["tool_count"]) == ("s", "ready", 1)
    assert {"name", "state", "version", "tool_count", "last_error"} <= set(server)


def test_a_tool_that_may_come_yet_is_not_called_unknown() -> None:
    catalogue = Catalogue()
    with pytest.raises(Unavailable):  # no worker at all
        select(catalogue, ToolSelection(("s__one",)))
    servers = [ServerStatus(name="s", kind="mcp", state="starting"), ServerStatus(name="t", kind="mcp", state="down")]
    catalogue.hear(Announce(worker="a", revision=1, servers=servers, tools=[spec("t__x")]))
    with pytest.raises(Unavailable, match="s__one"):
        select(catalogue, ToolSelection(("s__one",)))
    for unknown in ("t__y", "u__z", "plain"):
        with pytest.raises(BadRequest, match=unknown):
            select(catalogue, ToolSelection((unknown,)))
    assert select(catalogue, ToolSelection(("s__*", "t__x"))) == [spec("t__x")]
