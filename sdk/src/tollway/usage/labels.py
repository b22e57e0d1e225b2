"""Whom the calls in a block of code are made for, carried by context instead of arguments."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import ContextVar
from typing import TypeVar

from tollway.usage.record import Labels

T = TypeVar("T")
NOBODY = Labels()
_labels: ContextVar[Labels] = ContextVar("tollway_usage_labels", default=NOBODY)


def current_labels() -> Labels:
    """The labels in force here."""
    return _labels.get()


@contextmanager
def usage_labels(
    *, user_id: str | None = None, anchor_id: str | None = None, session_id: str | None = None
) -> Iterator[Labels]:
    """Labels every call recorded inside the block; inner blocks add to and override outer ones."""
    outer = _labels.get()
    labels = Labels(user_id or outer.user_id, anchor_id or outer.anchor_id, session_id or outer.session_id)
    with within(_labels, labels):
        yield labels


def labelled(labels: Labels) -> AbstractContextManager[None]:
    """Exactly these labels for a block of code."""
    return within(_labels, labels)


@contextmanager
def within(variable: ContextVar[T], value: T) -> Iterator[None]:
    """Sets a context variable for a block of code."""
    token = variable.set(value)
    try:
        yield
    finally:
        # a generator that is closed by the garbage collector ends in another context than it began in
        with suppress(ValueError):
            variable.reset(token)
