"""The API document as a page to read: plain HTML without scripts, fonts or anything from elsewhere. Pure."""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any

STYLE = (Path(__file__).parent / "static" / "docs.css").read_text()
_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS = {
    "content-security-policy": (
        f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
GROUPS = {
    "openai": "OpenAI's protocol",
    "anthropic": "Anthropic's protocol",
    "chat": "Chat with sessions and tools",
    "models": "Models and tools",
    "reports": "Report jobs",
    "usage": "Usage",
    "admin": "Administration",
    "operations": "Operations",
}

Json = Mapping[str, Any]
Door = tuple[str, str, Json, list[str]]  # method, path, operation, the other paths of the same


def page(document: Json, origin: str) -> str:
    """The whole page; `origin` is where the reader found it."""
    groups = _grouped(document)
    info = document["info"]
    ways = "".join(
        f'<li><a href="#{tag}">{escape(GROUPS.get(tag, tag))}</a> <small>{len(doors)}</small></li>'
        for tag, doors in groups.items()
    )
    schemas = document.get("components", {}).get("schemas", {})
    body = "".join(_group(tag, doors, schemas, origin) for tag, doors in groups.items())
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><title>Tollway API</title>'
        f"<style>{STYLE}</style></head><body>"
        f'<nav aria-label="Parts"><p class="brand">Tollway <small>{escape(info["version"])}</small></p><ul>{ways}'
        '<li><a href="#schemas">Shapes</a></li></ul><ul class="beside">'
        '<li><a href="/static/ai_usage_monitor.html">Dashboard</a></li><li><a href="/api/chat/page">Chat page</a></li>'
        '<li><a href="/openapi.json">openapi.json</a></li></ul></nav>'
        f"<main><h1>API</h1>{_paragraphs(info.get('description', ''))}{body}{_schemas(schemas)}</main></body></html>"
    )


def _grouped(document: Json) -> dict[str, list[Door]]:
    """Doors by their first tag; the same operation at several paths is one door."""
    found: dict[str, list[Door]] = {tag: [] for tag in GROUPS}
    seen: dict[tuple[str, str, str], Door] = {}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            tag = (operation.get("tags") or [path.split("/")[2]])[0]
            mark = (tag, method, json.dumps([operation.get("summary"), operation.get("requestBody")]))
            twin = seen.get(mark)
            if twin is not None and path.endswith(twin[1].rsplit("/", 1)[1]):
                twin[3].append(path)
                continue
            seen[mark] = (method, path, operation, [])
            found.setdefault(tag, []).append(seen[mark])
    return {tag: doors for tag, doors in found.items() if doors}


def _group(tag: str, doors: Iterable[Door], schemas: Json, origin: str) -> str:
    inner = "".join(_door(door, schemas, origin) for door in doors)
    return f'<section id="{escape(tag)}"><h2>{escape(GROUPS.get(tag, tag))}</h2>{inner}</section>'


def _door(door: Door, schemas: Json, origin: str) -> str:
    method, path, operation, others = door
    said, _, more = operation.get("description", "").partition("\n")
    title = said or operation.get("summary", "")
    also = ", ".join(f"<code>{escape(other)}</code>" for other in others)
    content = _body_of(operation)
    return (
        f'<details><summary><b class="{method}">{method.upper()}</b> <code>{_path(path)}</code> '
        f"<span>{escape(title)}</span></summary>{_paragraphs(more)}"
        + (f'<p class="small">Also at {also}</p>' if also else "")
        + _table("Parameters", [_parameter(one) for one in operation.get("parameters", [])])
        + _table("Body", _properties(content, schemas))
        + _answers(operation, schemas)
        + f"<h3>Try it</h3><pre><code>{escape(_curl(door, content, schemas, origin))}</code></pre></details>"
    )


def _path(path: str) -> str:
    return escape(path).replace("/", "/<wbr>").replace("{", "<i>{").replace("}", "}</i>")


def _body_of(operation: Json) -> Json:
    content = operation.get("requestBody", {}).get("content", {})
    schema: Json = content.get("application/json", {}).get("schema", {})
    return schema


def _parameter(one: Json) -> list[str]:
    schema = one.get("schema", {})
    standard = f" = {json.dumps(schema['default'])}" if schema.get("default") not in (None, "") else ""
    return [_name(one["name"], needed=one.get("required", False)), _type(schema) + escape(standard), _words(one)]


def _properties(schema: Json, schemas: Json) -> list[list[str]]:
    whole = _resolved(schema, schemas)
    needed = whole.get("required", ())
    return [
        [_name(name, needed=name in needed), _type(one), _words(one)]
        for name, one in whole.get("properties", {}).items()
    ]


def _resolved(schema: Json, schemas: Json) -> Json:
    reference = schema.get("$ref", "")
    found: Json = schemas.get(reference.rsplit("/", 1)[-1], {}) if reference else schema
    return found


def _name(name: str, *, needed: bool) -> str:
    return f"<code>{escape(name)}</code>" + (' <small class="needed">required</small>' if needed else "")


def _words(one: Json) -> str:
    return escape(one.get("description", ""))


def _type(schema: Json) -> str:
    """A type in few words; a shape of its own is a link."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rsplit("/", 1)[-1])
        return f'<a href="#shape-{name}">{name}</a>'
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(_type(one) for one in schema[several]))
    if "enum" in schema:
        return " · ".join(f"<code>{escape(str(one))}</code>" for one in schema["enum"])
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return escape(" or ".join(kind) if isinstance(kind, list) else str(kind))


def _answers(operation: Json, schemas: Json) -> str:
    good, refused = [], []
    for status, one in sorted(operation.get("responses", {}).items()):
        if not status.startswith("2"):
            refused.append(f"<code>{escape(status)}</code>")
            continue
        kinds = one.get("content", {})
        schema = kinds.get("application/json", {}).get("schema", {})
        shape = _type(schema) if "$ref" in schema else escape(", ".join(kinds) or "nothing")
        good.append([f"<code>{escape(status)}</code>", shape, escape(one.get("description", ""))])
    rest = f'<p class="small">Refused with {" ".join(refused)}</p>' if refused else ""
    return _table("Answer", good) + rest


def _table(title: str, rows: list[list[str]]) -> str:
    if not rows:
        return ""
    lines = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<h3>{title}</h3><div class="table"><table>{lines}</table></div>'


def _curl(door: Door, content: Json, schemas: Json, origin: str) -> str:
    method, path, operation, _ = door
    lines = [f"curl {origin}{path}" if method == "get" else f"curl -X {method.upper()} {origin}{path}"]
    if operation.get("security"):
        lines.append('-H "authorization: Bearer $TOLLWAY_KEY"')
    if content:
        lines += ['-H "content-type: application/json"', f"-d '{json.dumps(_example(content, schemas))}'"]
    return " \\\n  ".join(lines)


def _example(schema: Json, schemas: Json) -> Any:
    """A body with what is required, and the smallest conversation where there are messages."""
    whole = _resolved(schema, schemas)
    given = {"model": "auto", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 256, "input": "Hello"}
    made = {name: given.get(name, _sample(one)) for name, one in whole.get("properties", {}).items()}
    return {name: made[name] for name in whole.get("required", ()) if name in made}


def _sample(schema: Json) -> Any:
    samples = {"integer": 1, "number": 1.0, "boolean": True, "array": [], "object": {}}
    kind = schema.get("type", "string")
    return schema.get("default", samples.get(kind if isinstance(kind, str) else kind[0], "…"))


def _schemas(schemas: Json) -> str:
    inner = "".join(
        f'<details id="shape-{escape(name)}"><summary><code>{escape(name)}</code></summary>'
        f"{_paragraphs(one.get('description', ''))}{_table('Fields', _properties(one, schemas))}</details>"
        for name, one in sorted(schemas.items())
        if "ValidationError" not in name
    )
    return f'<section id="schemas"><h2>Shapes</h2>{inner}</section>'


def _paragraphs(text: str) -> str:
    parts = [part.strip() for part in text.split("\n\n")]
    return "".join(f"<p>{_marked(part)}</p>" for part in parts if part)


def _marked(text: str) -> str:
    """Code between backticks."""
    pieces = escape(text).split("`")
    return "".join(f"<code>{piece}</code>" if place % 2 else piece for place, piece in enumerate(pieces))
