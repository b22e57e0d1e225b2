"""Which tool call a streamed fragment belongs to, by whatever the provider tells of it."""

from typing import Any

_NOT_AN_ID = frozenset({"", "null", "None"})


class _Call:
    __slots__ = ("call_id", "has_arguments", "has_name")

    def __init__(self) -> None:
        self.call_id = ""
        self.has_name = False
        self.has_arguments = False


class CallTracker:
    """Numbers the calls of one choice from 0 in order of appearance.

    Providers omit the index, begin it at 1, give every call the same one, or repeat id and name in each fragment;
    OpenAI's own rule is that the index decides and that only the first fragment has id and name.
    """

    __slots__ = ("_by_id", "_by_index", "_calls", "_last")

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._by_index: dict[int | str, int] = {}
        self._by_id: dict[str, int] = {}
        self._last = -1

    @property
    def count(self) -> int:
        """The number of calls seen so far."""
        return len(self._calls)

    def without_arguments(self) -> list[int]:
        """The positions of the calls whose arguments never came, each told once."""
        bare = [position for position, call in enumerate(self._calls) if not call.has_arguments]
        for position in bare:
            self._calls[position].has_arguments = True
        return bare

    def place(self, index: Any, call_id: Any, name: Any, arguments: Any) -> tuple[int, bool]:
        """The position of the call that a fragment belongs to, and whether the fragment begins it."""
        key = index if isinstance(index, int | str) else None
        told_id = call_id if isinstance(call_id, str) and call_id not in _NOT_AN_ID else ""
        position = self._known(key, told_id, arguments, named=bool(name))
        begins = position is None
        if position is None:
            position = len(self._calls)
            self._calls.append(_Call())
        if key is not None:
            self._by_index[key] = position
        if told_id:
            self._by_id[told_id] = position
        call = self._calls[position]
        call.call_id = call.call_id or told_id
        call.has_name = call.has_name or bool(name)
        call.has_arguments = call.has_arguments or not _is_blank(arguments)
        self._last = position
        return position, begins

    def _known(self, key: int | str | None, call_id: str, arguments: Any, *, named: bool) -> int | None:
        if key is not None:
            position = self._by_index.get(key)
            if position is None:
                return None
            known_id = self._calls[position].call_id
            # Another id under the same index, with a name of its own, is another call.
            is_another = named and call_id and known_id and call_id != known_id
            return self._by_id.get(call_id) if is_another else position
        if call_id:
            return self._by_id.get(call_id)
        if self._last < 0:
            return None
        last = self._calls[self._last]
        whole_call = named and isinstance(arguments, str) and arguments.startswith("{")
        return None if whole_call and last.has_arguments else self._last


def _is_blank(arguments: Any) -> bool:
    return not arguments or (isinstance(arguments, str) and arguments.isspace())
