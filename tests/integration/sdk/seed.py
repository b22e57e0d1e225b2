"""The seed documents' Python blocks, ready to run: only their import lines are changed."""

import ast
import asyncio
import inspect
import re
from pathlib import Path

HOMES = {
    "alphora.server.quick_api": "tollway.server",
    "alphora.server.openai_request_body": "tollway.server",
    "alphora.server.stream_responser": "tollway.server",
    "alphora.agent": "tollway.agent",
    "alphora.memory": "tollway.memory",
    "alphora.models.llms": "tollway.models",
    "alphora.tools": "tollway.tools",
    "server.utils.ai_tracking_decorator": "tollway",
    "server.utils.ai_usage_monitor": "tollway",
}


def blocks(document):
    """Every Python block of a document, in order."""
    text = (Path(__file__).parent / "seeds" / document).read_text()
    return re.findall(r"```python\n(.*?)```", text, re.S)


def block(document, containing):
    """The one block that holds a line, with its imports pointing to the library."""
    found = [text for text in blocks(document) if containing in text]
    assert found, f"no block of {document} holds {containing!r}"
    return with_our_imports(found[0])


def with_our_imports(text):
    lines = text.splitlines()
    for place, line in enumerate(lines):
        imported = re.match(r"\s*from (\S+) import", line)
        if imported and imported[1] in HOMES:
            lines[place] = line.replace(imported[1], HOMES[imported[1]], 1)
    return "\n".join(lines)


def run(text, **names):
    """Runs a block with what it takes for granted; returns all names it left."""
    scope = {"__name__": "example", **names}
    exec(compile(text, "example", "exec"), scope)
    return scope


async def run_async(text, **names):
    """The same for a block that awaits on its top level."""
    scope = {"__name__": "example", **names}
    code = compile(text, "example", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = eval(code, scope)
    if inspect.isawaitable(result):
        await result
    return scope


def as_method(text, name="run"):
    """A block that is one method, as a function for a class body."""
    scope = run("from tollway.server import OpenAIRequest\n" + text)
    return scope[name]


def run_blocking(coroutine):
    return asyncio.run(coroutine)
