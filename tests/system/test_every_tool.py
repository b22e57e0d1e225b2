"""One conversation that uses every kind of tool, streamed through both SDKs and the chat surface."""

import asyncio
import json
import pathlib
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator

import aiohttp
import anthropic
import openai
import pytest

from tests.fakes.unifai import FakeUnifAI
from tests.ports import free_port
from tests.system.stack import ADMIN, ROOT, Stack, get, running, wait_for

COUNT = '''
async def count(n: int):
    """Counts aloud."""
    for number in range(n):
        yield f"{number} "
'''
ROUNDS = [
    [["time__get_current_time", {"timezone": "Asia/Tokyo"}], ["web__echo", {"text": "over http"}]],
    [["python__count", {"n": 3}], ["unifai__search_services", {"query": "weather"}]],
]
NAMES = [name for calls in ROUNDS for name, _ in calls]
QUESTION = [{"role": "user", "content": json.dumps(ROUNDS)}]
HEARD = ("Asia/Tokyo", "over http", "0 1 2", "Weather--1--today")


@pytest.fixture
def web_server() -> Iterator[int]:
    port = free_port()
    server = [sys.executable, str(ROOT / "tests/fakes/mcp_server.py"), str(port)]
    process = subprocess.Popen(server, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield port
    process.kill()
    process.wait()


@pytest.fixture
async def stack(tmp_path: pathlib.Path, web_server: int) -> AsyncIterator[Stack]:
    (tmp_path / "counting_tools.py").write_text(COUNT)
    unifai = await FakeUnifAI().start()
    tools = {
        "python": ["counting_tools:count"],
        "mcp": {
            "time": {"command": [sys.executable, "-m", "mcp_server_time"]},
            "web": {"url": f"http://127.0.0.1:{web_server}/mcp"},
        },
        "unifai": {"api_key": "k", "base_url": unifai.url},
    }
    with running(Stack(tmp_path, config={"tools": tools})) as stack:
        await asyncio.to_thread(wait_for, lambda: set(NAMES) <= offered(stack), 60, "all tools are offered")
        yield stack
    await unifai.stop()


def offered(stack: Stack) -> set[str]:
    return {tool["name"] for tool in get(f"{stack.url}/api/tools")["tools"]}


def booked(stack: Stack, request_id: str) -> list[str]:
    """The tools of a request in the ledger's order, after its three model calls were checked."""
    events = sorted(stack.events(7, request_id=request_id), key=lambda event: event["attempt"])
    assert [event["attempt"] for event in events] == list(range(1, 8))
    assert {event["status"] for event in events} == {"ok"}
    return [event["model"] for event in events if event["kind"] == "tool"]


@pytest.mark.timeout(180)
async def test_two_rounds_with_mcp_python_and_unifai_through_every_client(stack: Stack) -> None:
    for model in ("o-rounds", "a-rounds"):
        for ask in (by_openai, by_anthropic, by_chat):
            text, request_id = await ask(stack, model)
            assert text.startswith("Round 1. Round 2. tools said: ")
            assert all(word in text for word in HEARD)
            assert sorted(await asyncio.to_thread(booked, stack, request_id)) == sorted(NAMES)


async def by_openai(stack: Stack, model: str) -> tuple[str, str]:
    async with openai.AsyncOpenAI(base_url=f"{stack.url}/v1", api_key=ADMIN, max_retries=0) as client:
        raw = await client.chat.completions.with_raw_response.create(
            model=model, messages=QUESTION, stream=True, extra_body={"tollway": {"tools": NAMES}}
        )
        chunks = [chunk async for chunk in raw.parse()]
    ends = [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason]
    assert ends == ["stop"]
    said = [choice.delta.content or "" for chunk in chunks for choice in chunk.choices]
    return "".join(said), raw.headers["x-request-id"]


async def by_anthropic(stack: Stack, model: str) -> tuple[str, str]:
    asked = {"model": model, "max_tokens": 500, "messages": QUESTION, "extra_body": {"tollway": {"tools": NAMES}}}
    client = anthropic.AsyncAnthropic(base_url=stack.url, api_key=ADMIN, max_retries=0)
    async with client, client.messages.stream(**asked) as stream:
        message = await stream.get_final_message()
        request_id = stream.response.headers["x-request-id"]
    assert message.stop_reason == "end_turn"
    return "".join(block.text for block in message.content), request_id


async def by_chat(stack: Stack, model: str) -> tuple[str, str]:
    body = {"session_id": f"every-{model}", "content": QUESTION[0]["content"], "model_config": {"model_name": model}}
    headers = {"authorization": f"Bearer {ADMIN}"}
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{stack.url}/api/chat/stream", json=body, headers=headers) as answer,
    ):
        lines = (await answer.text()).splitlines()
        request_id = answer.headers["x-request-id"]
    events = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
    assert [event["data"]["tool_name"] for event in events if event["type"] == "tool_call"] == NAMES
    streamed = [event["data"]["content"] for event in events if event["type"] == "tool_stream_chunk"]
    assert "".join(streamed).startswith("0 1 2")
    assert events[-1]["type"] == "complete"
    return events[-1]["data"]["message"]["content"], request_id
