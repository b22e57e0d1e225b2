"""Rules that gateway and tool workers both apply: which names a pattern permits, which arguments a schema does.

Schemas come from strangers: remote references are refused and patterns run on an engine that cannot be made to hang.
"""

import importlib
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

MAX_SCHEMA_DEPTH = 64
MAX_FAULTS = 8
_compiled: dict[str, Any] = {}
_COMPILED_BOUND = 2048


class SchemaUnusable(ValueError):
    """The tool's schema cannot be used to check arguments."""


def permits(patterns: Sequence[str] | None, name: str) -> bool:
    """Whether patterns (`*`, a name, `server__*`; None: everything) permit a tool."""
    return patterns is None or any(fnmatchcase(name, pattern) for pattern in patterns)


def argument_faults(schema: dict[str, Any], arguments: dict[str, Any], *, fingerprint: str = "") -> list[str]:
    """What is wrong with the arguments, each fault with its path; empty when they fit. Raises SchemaUnusable."""
    validator = _compiled.get(fingerprint) if fingerprint else None
    if validator is None:
        validator = _compile(schema)
        if fingerprint:
            if len(_compiled) >= _COMPILED_BOUND:
                _compiled.clear()
            _compiled[fingerprint] = validator
    faults = []
    for error in validator.iter_errors(arguments):
        path = "/".join(str(part) for part in error.instance_path)
        faults.append(f"{path or '(arguments)'}: {error.message[:300]}")
        if len(faults) == MAX_FAULTS:
            break
    return faults


def _compile(schema: dict[str, Any]) -> Any:
    if _depth(schema) > MAX_SCHEMA_DEPTH:
        raise SchemaUnusable("the schema is nested too deeply")
    rules = importlib.import_module("jsonschema_rs")  # 8 MB that a process without tool calls does not pay
    reason = ""
    # Linear-time patterns first; look-around needs the other engine, which is kept on a short leash.
    for patterns in (rules.RegexOptions(), rules.FancyRegexOptions(backtrack_limit=10_000)):
        try:
            return rules.validator_for(schema, offline=True, pattern_options=patterns)
        except ValueError as error:
            reason = str(error).splitlines()[0][:300]
    raise SchemaUnusable(reason)


def _depth(value: Any, level: int = 0) -> int:
    if level > MAX_SCHEMA_DEPTH:
        return level
    if isinstance(value, dict):
        return max((_depth(item, level + 1) for item in value.values()), default=level)
    if isinstance(value, list):
        return max((_depth(item, level + 1) for item in value), default=level)
    return level
