"""One streamed answer that uses every kind of tool: MCP over stdio and HTTP, Python that streams, UnifAI."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from services.gateway.tool_loop.client import ToolsClient
from services.tools.app import compose
from shared.config import LiveConfig
from shared.config.schema import Config
from shared.service import open_resources
from shared.settings import Settings
from tests.fakes.unifai import FakeUnifAI
from tests.ports import free_port
from tests.unit.gateway_tools.conftest import Bench, Handlers, Seen
from tests.unit.gateway_tools.scripted_model import Say, ScriptedModel

FAKE = str(Path(__file__).parents[2] / "fakes" / "mcp_server.py")
COUNT = '''
async def count(n: int):
    """Counts aloud."""
    for number in range(n):
        yield f"{number} "
'''


@pytest.fixture
def mcp_port() -> Iterator[int]:
    port = free_port()
    process = subprocess.Popen([sys.executable, FAKE, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield port
    process.kill()
    process.wait()


@pytest.fixture
async def bench(tmp_path: Path, mcp_port: int, eventually) -> AsyncIterator[Bench]:
    (tmp_path / "counting_tools.py").write_text(COUNT)
    (tmp_path / "tollway.yaml").write_text("{}")
    unifai = await FakeUnifAI().start()
    tools = {
        "python": ["counting_tools:count"],
        "mcp": {
            "time": {"command": [sys.executable, "-m", "mcp_server_time"]},
            "web": {"url": f"http://127.0.0.1:{mcp_port}/mcp"},
        },
        "unifai": {"api_key": "k", "base_url": unifai.url},
    }
    settings = Settings(data=tmp_path, config=tmp_path / "tollway.yaml")
    config = LiveConfig(Config.model_validate({"tools": tools}))
    async with open_resources(settings, config, database=False) as (resources, _):
        part, client = await compose(resources), ToolsClient(resources)
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(worker()) for worker in part.workers.values()]
            running.append(group.create_task(client.run()))
            await eventually(lambda: {"time", "web"} <= {tool.server for tool in client.catalogue.all()}, 30)
            yield Bench(resources, client, Handlers())
            for task in running:
                task.cancel()
    await unifai.stop()
    sys.path.remove(str(tmp_path))


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
@pytest.mark.timeout(60)
async def test_every_kind_of_tool_in_one_streamed_answer_of_two_rounds(bench: Bench, dialect: str) -> None:
    seen = Seen()
    model = ScriptedModel(
        Say("First. ", [("time__get_current_time", {"timezone": "Asia/Tokyo"}), ("web__echo", {"text": "over http"})]),
        Say("Then. ", [("python__count", {"n": 2}), ("unifai__search_services", {"query": "weather"})]),
        Say("The end."),
    )
    answer, body = await bench.ask(model, dialect, stream=True, observer=seen)
    results = [event[2] for event in seen.events if event[0] == "result"]
    assert "Asia/Tokyo" in results[0]
    assert results[1:3] == ["over http", "0 1 "]
    assert "Weather--1--today" in results[3]
    text = (
        body["choices"][0]["message"]["content"] if dialect == "openai" else "".join(b["text"] for b in body["content"])
    )
    assert text == "First. Then. The end."
    assert answer.ending.attempts == 7
    events = bench.tool_events()
    assert {event.provider for event in events} == {"time", "web", "python", "unifai"}
    assert {event.status for event in events} == {"ok"}


def images_in(body: dict) -> list[str]:
    """What a model would see, wherever the dialect has it."""
    found = []
    for message in body["messages"]:
        for part in message["content"] if isinstance(message["content"], list) else []:
            inner = part.get("content") if isinstance(part.get("content"), list) else [part]
            found += [
                f"{item['source']['media_type']} {item['source']['data']}"
                if item["type"] == "image"
                else item["image_url"]["url"]
                for item in inner
                if item["type"] in ("image", "image_url")
            ]
    return found


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.timeout(60)
async def test_a_picture_that_a_tool_answers_reaches_the_model_and_what_cannot_is_named(
    bench: Bench, dialect: str, stream: bool
) -> None:
    seen = Seen()
    model = ScriptedModel(Say("", [("web__pictures", {}), ("web__echo", {"text": "x"})]), Say("Seen."))
    await bench.ask(model, dialect, stream=stream, observer=seen)
    prefix = "image/png " if dialect == "anthropic" else "data:image/png;base64,"
    assert images_in(model.bodies[1]) == [f"{prefix}iVBORw0KGgo="]
    said = json.dumps(model.bodies[1]["messages"])
    assert "[image 1: image/png, 9 bytes]" in said
    assert "[image image/svg+xml, 6 bytes: left out" in said
    assert "[audio audio/wav" in said
    roles = [message["role"] for message in model.bodies[1]["messages"]]
    assert roles == ["user", "assistant", *(["user"] if dialect == "anthropic" else ["tool", "tool", "user"])]
    if stream:
        assert [len(event) - 3 for event in seen.events if event[0] == "result"] == [1, 0]


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
@pytest.mark.timeout(60)
async def test_a_model_that_refuses_pictures_is_told_of_them_in_words(bench: Bench, dialect: str) -> None:
    model = ScriptedModel(Say("", [("web__pictures", {})]), Say(status=400), Say("Blind."))
    answer, _ = await bench.ask(model, dialect)
    assert answer.status == 200
    assert images_in(model.bodies[1]) != []
    assert images_in(model.bodies[2]) == []
    assert "did not accept it" in json.dumps(model.bodies[2]["messages"])
    assert answer.ending.attempts == 4
