"""Reading the configuration: YAML with `${VAR}` and `${VAR:-default}`, seed aliases, and every fault with its place."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from shared.config.alias import with_aliases
from shared.config.schema import Config

# Parts of a validator's place that name a kind of value, not a place in the file.
_KIND = re.compile(r"str|float|(?:function-|union\[|list\[|dict\[).*")
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")


@dataclass(frozen=True)
class Fault:
    """One thing wrong with a configuration: where and what."""

    place: str
    message: str
    line: int | None = None

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line else ""
        return f"{where}{self.place}: {self.message}" if self.place else f"{where}{self.message}"


class ConfigFault(Exception):
    """A configuration that cannot be used, with all of its faults."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = faults
        super().__init__("; ".join(str(fault) for fault in faults))


def load_config(path: Path | None, environ: Mapping[str, str]) -> Config:
    """The configuration of a file (or the built-in defaults), with the environment's variables and aliases applied."""
    if path is None:
        return parse_config("", environ)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigFault([Fault(str(path), f"cannot be read: {error}")]) from error
    return parse_config(text, environ)


def parse_config(text: str, environ: Mapping[str, str]) -> Config:
    """The configuration a text describes; raises ConfigFault with every fault there is."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.load(text, Loader=yaml.SafeLoader) or {}
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise ConfigFault([Fault("", f"not YAML: {problem}", mark.line + 1 if mark else None)]) from error
    if not isinstance(data, dict):
        raise ConfigFault([Fault("", "the file must be a mapping of sections")])
    faults: list[Fault] = [Fault(place, "is given twice", line) for place, line in _doubles(node)]
    filled = _interpolate(data, environ, "", node, faults)
    if faults:
        raise ConfigFault(faults)
    try:
        config = Config.model_validate(with_aliases(filled, environ))
    except ValidationError as error:
        found = [_fault(item, node) for item in error.errors()]
        raise ConfigFault([*found, *_crossed_all_the_same(filled, found, node)]) from error
    if crossed := config.faults():
        raise ConfigFault([_crossed(text, node) for text in crossed])
    return config


def _crossed_all_the_same(filled: dict[str, Any], found: list[Fault], node: Any) -> list[Fault]:
    """Names that nothing defines, where other sections alone are broken: whoever mends a file wants to know all."""
    broken = {fault.place.split(".")[0] for fault in found}
    needed = {name: filled[name] for name in ("providers", "models", "demo") if name in filled}
    if broken & needed.keys():
        return []
    return [_crossed(text, node) for text in Config.model_validate(needed).faults()]


def _interpolate(value: Any, environ: Mapping[str, str], place: str, node: Any, faults: list[Fault]) -> Any:
    if isinstance(value, dict):
        return {
            key: _interpolate(item, environ, f"{place}.{key}".lstrip("."), node, faults) for key, item in value.items()
        }
    if isinstance(value, list):
        return [_interpolate(item, environ, f"{place}.{index}", node, faults) for index, item in enumerate(value)]
    if not isinstance(value, str) or "${" not in value:
        return value

    def fill(match: re.Match[str]) -> str:
        name, default = match[1], match[2]
        found = environ.get(name)
        if found:
            return found
        if default is None:
            faults.append(Fault(place, f"the variable {name} is not set", _line(node, place.split("."))))
            return ""
        return default

    return _VARIABLE.sub(fill, value)


def _fault(item: Any, node: Any) -> Fault:
    steps = [str(step) for step in item["loc"] if not _KIND.fullmatch(str(step))]
    message = str(item["msg"]).removeprefix("Value error, ")
    return Fault(
        ".".join(steps), message if message[1:2].isupper() else message[:1].lower() + message[1:], _line(node, steps)
    )


def _crossed(text: str, node: Any) -> Fault:
    place, _, message = text.partition(": ")
    return Fault(place, message, _line(node, place.split(".")))


def _line(node: Any, steps: list[str]) -> int | None:
    """The line of the deepest part of the place that the file really has."""
    line: int | None = None
    rest = list(steps)
    while node is not None and rest:
        if isinstance(node, yaml.MappingNode):
            found = _member(node, rest)
            if found is None:
                break
            key, node, rest = found
            line = key.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode) and rest[0].isdigit() and int(rest[0]) < len(node.value):
            node, rest = node.value[int(rest[0])], rest[1:]
            line = node.start_mark.line + 1
        else:
            break
    return line


def _member(node: yaml.MappingNode, steps: list[str]) -> tuple[Any, Any, list[str]] | None:
    """The member that the steps begin with; a key may itself hold dots."""
    for key, value in node.value:
        parts = str(key.value).split(".")
        if steps[: len(parts)] == parts:
            return key, value, steps[len(parts) :]
    return None


def _doubles(node: Any, place: str = "") -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = f"{place}.{key.value}".lstrip(".")
            if name in seen:
                found.append((name, key.start_mark.line + 1))
            seen.add(name)
            found += _doubles(value, name)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            found += _doubles(value, f"{place}.{index}")
    return found
