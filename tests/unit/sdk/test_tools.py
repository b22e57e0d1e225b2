"""Tools of functions, the registry that offers them, and what becomes of calls."""

import asyncio
import threading
from typing import Literal

import pytest
from pydantic import BaseModel
from tollway import TollwayError
from tollway.tools import McpToolExecute, ToolCall, ToolExecutor, ToolInfo, ToolRegistry, tool


class Place(BaseModel):
    city: str
    zip: int = 0


@tool
def weather(place: Place, unit: Literal["c", "f"] = "c") -> dict:
    """Tells the weather."""
    return {"city": place.city, "unit": unit}


@tool(name="slow-one", description="Takes its time", idempotent=True)
async def slow():
    await asyncio.Event().wait()


@tool
def broken():
    raise RuntimeError("out of order")


@tool
async def counting(to: int):
    for number in range(to):
        yield f"{number} "


def executor(*tools, **options):
    return ToolExecutor(ToolRegistry(*tools), **options)


def call(name, arguments="{}", call_id="c1"):
    return ToolCall(call_id, name, arguments)


def test_a_tool_describes_itself_and_is_still_a_function():
    assert weather.schema["function"]["name"] == "weather"
    assert weather.schema["function"]["description"] == "Tells the weather."
    schema = weather.input_schema
    assert schema["required"] == ["place"]
    assert schema["properties"]["unit"]["enum"] == ["c", "f"]
    assert weather(Place(city="x")) == {"city": "x", "unit": "c"}
    assert (slow.name, slow.description, slow.idempotent) == ("slow-one", "Takes its time", True)


@pytest.mark.parametrize("made", [lambda *args: None, lambda x, /: None])
def test_functions_a_model_cannot_call_are_refused(made):
    made.__name__ = "made"
    with pytest.raises(TollwayError):
        tool(made)


def test_a_name_belongs_to_one_tool():
    registry = ToolRegistry(weather)
    registry.register(weather)
    with pytest.raises(TollwayError, match="already a tool"):
        registry.register(tool(name="weather")(broken.function))
    assert registry.get_all_tools() == [weather.schema]
    assert "weather" in registry
    registry.unregister("weather")
    assert len(registry) == 0


def test_plain_functions_become_tools():
    def add(a: int, b: int = 1) -> int:
        return a + b

    assert ToolRegistry(add).get("add").input_schema["required"] == ["a"]


async def test_calls_are_answered_in_order_and_side_by_side():
    both = asyncio.Barrier(2)

    async def meet():
        """Returns only when two are here at once."""
        await both.wait()
        return "met"

    results = await executor(meet, weather).execute(
        [call("meet", "{}", "a"), call("meet", "{}", "b"), call("weather", '{"place": {"city": "成都"}}', "c")]
    )
    assert [(result.tool_call_id, result.content) for result in results] == [
        ("a", "met"),
        ("b", "met"),
        ("c", '{"city": "成都", "unit": "c"}'),
    ]
    assert results[0].as_message() == {"role": "tool", "tool_call_id": "a", "name": "meet", "content": "met"}


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (call("nobody"), "no tool named 'nobody'"),
        (call("weather"), "arguments do not fit"),
        (call("weather", '{"place": {"city": "x"}, "extra": 1}'), "arguments do not fit"),
        (call("weather", "{"), "arguments do not fit"),
        (call("broken"), "RuntimeError: out of order"),
    ],
)
async def test_a_failure_is_an_answer_too(made, reason):
    (result,) = await executor(weather, broken).execute([made])
    assert result.is_error
    assert reason in result.content


async def test_a_tools_own_timeout_is_told_as_its_own():
    def ask_a_host():
        raise TimeoutError("the host is silent")

    (result,) = await executor(ask_a_host).execute([call("ask_a_host")])
    assert result.content == "Error: TimeoutError: the host is silent"


async def test_misfits_are_told_in_few_words():
    (result,) = await executor(weather).execute([call("weather", '{"place": 1}')])
    assert result.content.startswith("Error: the arguments do not fit: place: ")
    assert "pydantic" not in result.content


async def test_a_method_is_a_tool_of_its_object():
    class Shelf:
        def __init__(self, book):
            self.book = book

        @tool(idempotent=True)
        def find(self, title: str) -> str:
            """Finds a book."""
            return f"{title}: {self.book}"

    found = Shelf("red").find
    assert (found.name, found.description, found.idempotent) == ("find", "Finds a book.", True)
    assert list(found.input_schema["properties"]) == ["title"]
    assert found("a") == "a: red"
    (result,) = await executor(Shelf("blue").find).execute([call("find", '{"title": "b"}')])
    assert result.content == "b: blue"


async def test_a_tool_that_takes_too_long_is_given_up():
    (result,) = await executor(slow, timeout_seconds=0.01).execute([call("slow-one")])
    assert result.content == "Error: slow-one took longer than 0.01 s"


async def test_calls_are_read_from_every_usual_form():
    message = {"id": "c", "type": "function", "function": {"name": "weather", "arguments": '{"place": {"city": "x"}}'}}
    running = executor(weather)
    for told in ([message], message, type("Answer", (), {"tool_calls": [message]})()):
        (result,) = await running.execute(told)
        assert result.content == '{"city": "x", "unit": "c"}'


async def test_blocking_functions_do_not_block_the_loop():
    names = []

    def where() -> str:
        names.append(threading.current_thread().name)
        return "there"

    await executor(where).execute(call("where"))
    assert names != [threading.main_thread().name]


async def test_a_plain_generator_streams_as_well():
    @tool
    def count(to: int):
        """Counts."""
        for number in range(to):
            yield f"{number} "

    running, heard = executor(count), []
    (result,) = await running.execute([call("count", '{"to": 3}')])
    assert result.content == "0 1 2 "
    assert await running.execute_tool("count", {"to": 2}, on_chunk=heard.append) == "0 1 "
    assert heard == ["0 ", "1 "]
    assert running.get_tools()[0].supports_streaming


async def test_a_streaming_tool_is_joined():
    assert counting.supports_streaming
    (result,) = await executor(counting).execute(call("counting", '{"to": 3}'))
    assert result.content == "0 1 2 "


async def test_the_chat_servers_example_runs():
    executor = McpToolExecute()
    tool_info = ToolInfo(
        name="my_tool",
        description="工具描述",
        input_schema={"type": "object", "properties": {"param": {"type": "string"}}},
        supports_streaming=True,
    )

    async def my_tool_handler(arguments, on_chunk=None, on_complete=None, on_error=None):
        result = f"处理参数: {arguments.get('param')}"
        if on_chunk:
            on_chunk(result)
        if on_complete:
            on_complete(result)
        return result

    executor.register_tool_handler("my_tool", my_tool_handler, tool_info)
    said = []

    async def completed(text):
        said.append(("complete", text))

    result = await executor.execute_tool(
        "my_tool", {"param": "x"}, on_chunk=lambda text: said.append(("chunk", text)), on_complete=completed
    )
    assert result == "处理参数: x"
    assert said == [("chunk", "处理参数: x"), ("complete", "处理参数: x")]
    assert executor.get_tools() == [tool_info]


async def test_a_failing_handler_tells_once_and_raises():
    executor = McpToolExecute()
    said = []

    def handler(arguments, on_chunk=None, on_complete=None, on_error=None):
        on_error("about to fail")
        raise ValueError("failed")

    executor.register_tool_handler("bad", handler)
    with pytest.raises(ValueError, match="failed"):
        await executor.execute_tool("bad", on_error=said.append, on_complete=said.append)
    assert said == ["about to fail"]
    with pytest.raises(TollwayError, match="no tool named"):
        await executor.execute_tool("unknown", on_error=said.append)
    assert len(said) == 2


async def test_a_slow_listener_is_waited_for():
    executor = McpToolExecute()
    heard = []

    async def listen(text):
        for _ in range(5):
            await asyncio.sleep(0)
        heard.append(text)

    async def handler(arguments, on_chunk=None, **_):
        on_chunk("a")
        on_chunk("b")

    executor.register_tool_handler("t", handler)
    assert await executor.execute_tool("t", on_chunk=listen) == "ab"
    assert heard == ["a", "b"]


async def test_handlers_of_every_kind_run_and_take_only_the_callbacks_they_want():
    def plain(arguments):
        return {"got": arguments["a"]}

    def blocking(arguments, on_chunk=None, on_complete=None):
        on_chunk(threading.current_thread().name)
        on_complete("all said")

    async def counting(arguments):
        for number in range(2):
            yield f"{number} "

    def old(arguments):
        yield from "xy"

    executor, heard = McpToolExecute(), []
    for handler in (plain, blocking, counting, old):
        executor.register_tool_handler(handler.__name__, handler)

    async def run(name):
        heard.clear()
        return await executor.execute_tool(name, {"a": 1}, on_chunk=heard.append, on_complete=heard.append)

    assert await run("plain") == '{"got": 1}'
    assert await run("counting") == "0 1 "
    assert heard == ["0 ", "1 ", "0 1 "]
    assert await run("old") == "xy"
    assert await run("blocking") == "all said"
    assert heard[0] != threading.main_thread().name
    assert heard[1:] == ["all said"]


async def test_a_handler_that_only_reports_an_error_has_failed():
    def handler(arguments, on_error=None):
        on_error("no such city")

    executor, said = McpToolExecute(), []
    executor.register_tool_handler("weather", handler)
    with pytest.raises(TollwayError, match="no such city"):
        await executor.execute_tool("weather", on_error=said.append, on_complete=said.append)
    assert said == ["no such city"]


async def test_an_executor_runs_handlers_beside_its_registry():
    def look(arguments, on_chunk=None):
        on_chunk("looking ")
        return f"found {arguments['q']}"

    both = ToolExecutor(ToolRegistry(counting))
    both.register_tool_handler("look", look, ToolInfo(name="look", supports_streaming=True, idempotent=True))
    assert [(each.name, each.supports_streaming, each.idempotent) for each in both.get_tools()] == [
        ("counting", True, False),
        ("look", True, True),
    ]
    found, counted = await both.execute([call("look", '{"q": "x"}'), call("counting", '{"to": 2}')])
    assert (found.content, counted.content) == ("found x", "0 1 ")
    heard = []
    assert await both.execute_tool("counting", {"to": 2}, on_chunk=heard.append) == "0 1 "
    assert heard == ["0 ", "1 "]
    assert ToolExecutor().get_tools() == []
