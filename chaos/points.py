"""The labelled points at which processes and servers are killed: where books could be lost or doubled, if anywhere.

A point is a moment in a service's code: before, after or during a call of one function. Nothing in the services knows
of it; `chaos.trap` puts it there when the suite starts a service.
"""

import importlib
from dataclasses import dataclass
from typing import Any, Literal

Victim = Literal["itself", "postgres", "rabbitmq"]


@dataclass(frozen=True)
class Point:
    """A moment of a service, and who dies at it."""

    label: str
    service: str
    target: str  # module:qualified name
    edge: Literal["before", "during", "after"]
    victim: Victim = "itself"
    at_start: bool = False  # only a process that has just started comes by

    @property
    def name(self) -> str:
        """As it is printed and armed."""
        return f"{self.service}: {self.label}" + ("" if self.victim == "itself" else f" ({self.victim} dies)")

    def owner(self) -> tuple[Any, str]:
        """The class or module that holds the function, and the function's name."""
        module, _, path = self.target.partition(":")
        *outer, name = path.split(".")
        found: Any = importlib.import_module(module)
        for part in outer:
            found = getattr(found, part)
        getattr(found, name)
        return found, name


_SPOOL, _PUBLISHER, _INTAKE = "shared.spool:Spool", "shared.spool_publisher:SpoolPublisher", "services.usage.consumers"
_BOOK, _STORE, _RUNNER = "services.usage.book:Book", "services.usage.store.ledger", "services.tools.run:Runner"

POINTS = (
    Point("attempt noted, provider not asked", "router", f"{_SPOOL}.start", "after"),
    Point("content began", "router", f"{_SPOOL}.progress", "after"),
    Point("answered, end not written", "router", f"{_SPOOL}.end", "before"),
    Point("end written, not published", "router", f"{_SPOOL}.end", "after"),
    Point("published, not confirmed", "router", f"{_PUBLISHER}._send_one", "during"),
    Point("confirmed, cursor not moved", "router", f"{_SPOOL}.published", "before"),
    Point("cursor moved", "router", f"{_SPOOL}.published", "after"),
    Point("dead log taken over, not removed", "router", "shared.spool:_remove", "before", at_start=True),
    Point("tool call noted, not sent", "gateway", f"{_SPOOL}.start", "after"),
    Point("tool answered, end not written", "gateway", f"{_SPOOL}.end", "before"),
    Point("tool's end written, not published", "gateway", f"{_SPOOL}.end", "after"),
    Point("call claimed, not acknowledged", "tools", f"{_RUNNER}._claim", "after"),
    Point("call acknowledged, not run", "tools", f"{_RUNNER}._outcome", "before"),
    Point("call run, not told", "tools", f"{_RUNNER}._outcome", "after"),
    Point("batch taken", "usage", f"{_INTAKE}:Intake._take", "before"),
    Point("events inserted", "usage", f"{_STORE}:insert_events", "after"),
    Point("sums added", "usage", f"{_STORE}:roll_up", "after"),
    Point("all written, not committed", "usage", f"{_BOOK}._remember", "after"),
    Point("committed, not acknowledged", "usage", f"{_BOOK}._once", "after"),
    Point("one of a batch acknowledged", "usage", "shared.bus_rabbitmq_consume:Received.ack", "after"),
    Point("events inserted", "usage", f"{_STORE}:insert_events", "after", "postgres"),
    Point("all written, not committed", "usage", f"{_BOOK}._remember", "after", "postgres"),
    Point("committed, not acknowledged", "usage", f"{_BOOK}._once", "after", "postgres"),
    Point("published, not confirmed", "router", f"{_PUBLISHER}._send_one", "during", "rabbitmq"),
    Point("batch taken", "usage", f"{_INTAKE}:Intake._take", "before", "rabbitmq"),
    Point("committed, not acknowledged", "usage", f"{_BOOK}._once", "after", "rabbitmq"),
)
