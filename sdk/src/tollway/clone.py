"""A deep copy that shares what refuses to be copied: locks, connections and their like."""

import copy
from typing import Any


def clone(value: Any, memo: dict[int, Any]) -> Any:
    """A copy of the value that has no state in common with it, except for uncopyable leaves."""
    if id(value) in memo:
        return memo[id(value)]
    # a failed attempt leaves half-made copies behind, which must not be found again
    trial = dict(memo)
    try:
        copied = copy.deepcopy(value, trial)
    except Exception:  # noqa: BLE001 - whatever says no to being copied is taken apart instead
        return _piecewise(value, memo)
    # what a memo keeps alive is listed under its own id, which another object may get once the trial is gone
    kept_alive = trial.pop(id(trial), [])
    memo.update(trial)
    memo.setdefault(id(memo), []).extend(kept_alive)
    return copied


def _piecewise(value: Any, memo: dict[int, Any]) -> Any:
    if type(value) is dict:
        copied: Any = {}
        memo[id(value)] = copied
        copied.update((key, clone(each, memo)) for key, each in value.items())
    elif type(value) is list:
        copied = []
        memo[id(value)] = copied
        copied.extend(clone(each, memo) for each in value)
    elif type(value) is tuple:
        copied = tuple(clone(each, memo) for each in value)
        memo[id(value)] = copied
    else:
        memo[id(value)] = copied = value
    return copied
