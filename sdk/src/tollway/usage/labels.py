"""Whom the calls in a block of code are made for, carried by context instead of arguments."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from tollway.usage.record import Labels

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
    token = _labels.set(labels)
    try:
        yield labels
    finally:
        _labels.reset(token)
