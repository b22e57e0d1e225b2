"""The operator's Python: registries, executors with callbacks and plain functions, recognised by their shape."""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tollway import TollwayError
from tollway.tools import McpToolExecute, ToolExecutor, ToolInfo, ToolRegistry, tool

from services.tools.errors import ArgumentsInvalid
from services.tools.providers.base import Context, tool_name
from services.tools.providers.python import PythonProvider, handlers_of
from shared.config import LiveConfig
from shared.config.schema import Config


def provider_of(*things: Any, monkeypatch: pytest.MonkeyPatch) -> PythonProvider:
    names = tuple(f"m:{index}" for index in range(len(things)))
    monkeypatch.setattr("services.tools.providers.python._attribute", lambda name: things[int(name[2:])])
    return PythonProvider(LiveConfig(Config.model_validate({"tools": {"python": names}})), [])


async def run(provider: PythonProvider, name: str, arguments: dict[str, Any] | None = None) -> tuple[str, list[str]]:
    said: list[str] = []
    spec = next(spec for spec in provider.tools() if spec.name == f"python__{name}")
    outcome = await provider.run(spec, arguments or {}, Context("c", None, 5, 1000, said.append))
    return outcome.text, said


@tool
def add(a: int, b: int = 2) -> int:
    """Adds."""
    return a + b


@tool(idempotent=True)
async def look(q: str) -> dict[str, str]:
    """Looks."""
    return {"found": q}


async def test_the_librarys_registry_brings_schema_and_idempotence(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = provider_of(ToolRegistry(add, look), monkeypatch=monkeypatch)
    first, second = provider.tools()
    assert (first.name, first.idempotent, second.name, second.idempotent) == (
        "python__add",
        False,
        "python__look",
        True,
    )
    assert first.input_schema["required"] == ["a"]
    assert (await run(provider, "add", {"a": 1}))[0] == "3"
    assert (await run(provider, "look", {"q": "x"}))[0] == '{"found":"x"}'


async def test_handlers_with_callbacks_stream_their_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    executor = McpToolExecute()

    async def my_tool_handler(
        arguments: dict, on_chunk: Any = None, on_complete: Any = None, on_error: Any = None
    ) -> str:
        result = f"处理参数: {arguments.get('param')}"
        if on_chunk:
            on_chunk(result)
        if on_complete:
            on_complete(result)
        return result

    info = ToolInfo(name="my_tool", description="工具描述", supports_streaming=True)
    executor.register_tool_handler("my_tool", my_tool_handler, info)
    provider = provider_of(executor, monkeypatch=monkeypatch)
    assert provider.tools()[0].supports_streaming
    assert await run(provider, "my_tool", {"param": "p"}) == ("处理参数: p", ["处理参数: p"])


async def test_an_executor_offers_its_registry_and_its_handlers(monkeypatch: pytest.MonkeyPatch) -> None:
    @tool(idempotent=True)
    def twice(text: str) -> str:
        """Says it twice."""
        return text * 2

    def blocking(arguments: dict, on_chunk: Any = None, on_complete: Any = None) -> None:
        on_chunk("a ")
        on_complete("done")

    def complaining(arguments: dict, on_error: Any = None) -> None:
        on_error("no")

    executor = ToolExecutor(ToolRegistry(twice))
    executor.register_tool_handler("blocking", blocking, ToolInfo(name="blocking", supports_streaming=True))
    executor.register_tool_handler("complaining", complaining)
    provider = provider_of(executor, monkeypatch=monkeypatch)
    assert [(spec.name, spec.idempotent) for spec in provider.tools()] == [
        ("python__blocking", False),
        ("python__complaining", False),
        ("python__twice", True),
    ]
    assert (await run(provider, "twice", {"text": "x"}))[0] == "xx"
    assert await run(provider, "blocking", {}) == ("done", ["a "])
    with pytest.raises(TollwayError, match="no"):
        await run(provider, "complaining", {})


async def test_generators_stream_and_their_pieces_are_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    async def count(n: int) -> AsyncIterator[str]:
        """Counts."""
        for number in range(n):
            yield f"{number} "

    def old(n: int) -> Iterator[str]:
        """Counts in a thread."""
        yield from ("x" if number else None for number in range(n))

    provider = provider_of(count, old, monkeypatch=monkeypatch)
    assert all(spec.supports_streaming for spec in provider.tools())
    assert await run(provider, "count", {"n": 2}) == ("0 1 ", ["0 ", "1 "])
    assert await run(provider, "old", {"n": 3}) == ("xx", ["x", "x"])


async def test_a_plain_function_may_take_the_callback_and_runs_beside_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    def says(word: str, on_chunk: Any = None) -> str:
        """Says a word."""
        on_chunk(word)
        return word.upper()

    provider = provider_of([says], monkeypatch=monkeypatch)
    assert "on_chunk" not in provider.tools()[0].input_schema["properties"]
    assert await run(provider, "says", {"word": "hi"}) == ("HI", ["hi"])
    with pytest.raises(ArgumentsInvalid):
        await run(provider, "says", {"word": []})


async def test_what_a_thread_says_is_told_in_the_loop_and_not_after_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[tuple[int, str]] = []
    speaking, go_on = threading.Event(), threading.Event()

    def says(on_chunk: Any = None) -> str:
        """Speaks on when nobody listens any more."""
        on_chunk("early")
        speaking.set()
        go_on.wait(5)
        on_chunk("late")
        return "done"

    def handler(arguments: dict[str, Any], on_chunk: Any = None) -> str:
        on_chunk("handled")
        return "ok"

    executor = ToolExecutor(ToolRegistry())
    executor.register_tool(ToolInfo(name="handled"), handler)
    provider = provider_of([says, executor], monkeypatch=monkeypatch)
    context = Context("c", None, 5, 1000, lambda piece: heard.append((threading.get_ident(), piece)))
    specs = {spec.name: spec for spec in provider.tools()}
    assert (await provider.run(specs["python__handled"], {}, context)).text == "ok"
    running = asyncio.ensure_future(provider.run(specs["python__says"], {}, context))
    await asyncio.to_thread(speaking.wait, 5)
    running.cancel()
    await asyncio.wait({running})
    go_on.set()
    await asyncio.to_thread(lambda: None)
    assert heard == [(threading.get_ident(), "handled"), (threading.get_ident(), "early")]


async def test_an_async_generator_is_closed_when_the_call_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    closed, started = asyncio.Event(), asyncio.Event()

    async def endless() -> AsyncIterator[str]:
        """Goes on."""
        try:
            while True:
                started.set()
                await asyncio.sleep(60)
                yield "x"
        finally:
            closed.set()

    provider = provider_of(endless, monkeypatch=monkeypatch)
    running = asyncio.ensure_future(run(provider, "endless"))
    await asyncio.wait_for(started.wait(), 1)
    running.cancel()
    await asyncio.wait_for(closed.wait(), 1)
    with pytest.raises(asyncio.CancelledError):
        await running


def test_code_that_cannot_be_loaded_is_a_state_and_the_rest_still_works(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = provider_of(add, 5, monkeypatch=monkeypatch)
    (server,) = provider.servers()
    assert (server.state, server.tool_count) == ("degraded", 1)
    assert "neither a registry nor a tool" in str(server.last_error)


def test_a_module_beside_the_configuration_is_found_and_a_change_is_taken_up(tmp_path: Path) -> None:
    (tmp_path / "operators_own_tools.py").write_text("def hello() -> str:\n    '''Greets.'''\n    return 'hi'\n")
    config = LiveConfig(Config())
    provider = PythonProvider(config, [tmp_path])
    told: list[str] = []
    asyncio.run(provider.serve(lambda: told.append("changed")))
    config.replace(Config.model_validate({"tools": {"python": ["operators_own_tools:hello"]}}))
    assert [spec.name for spec in provider.tools()] == ["python__hello"]
    assert told == ["changed"]
    sys.path.remove(str(tmp_path))


def test_tools_are_known_by_their_shape_alone() -> None:
    shaped = SimpleNamespace(name="shape", description="d", input_schema={"type": "object"}, run=lambda arguments: "x")
    (handler,) = handlers_of({"any": shaped})
    assert (handler.name, handler.idempotent) == ("shape", False)


def test_names_fit_what_providers_allow() -> None:
    assert tool_name("my server", "a.b/c") == "my_server__a_b_c"
    long = tool_name("server", "x" * 100)
    assert len(long) == 64
    assert long != tool_name("server", "x" * 101)
    assert tool_name("s", "a.b", {"s__a_b"}) not in ("s__a_b", tool_name("s", "a/b", {"s__a_b"}))
