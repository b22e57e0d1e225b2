"""A thousand sessions at once: nothing leaks from one to another, and memory stays flat."""

import asyncio
import gc
import json
import os
import threading
from pathlib import Path

import httpx2
import pytest
from tollway.agent import BaseAgent
from tollway.models import OpenAILike
from tollway.server import APIPublisherConfig, OpenAIRequest, publish_agent_api


class Rememberer(BaseAgent):
    """Tells what it was told in this session, and what this very instance was asked."""

    def __init__(self):
        super().__init__()
        self.asked = []
        self.state = {"lock": threading.Lock(), "seen": []}

    async def run(self, request: OpenAIRequest):
        query = request.get_user_query()
        self.asked.append(query)
        self.state["seen"].append(query)
        self.memory.add_user(query)
        await asyncio.sleep(0)
        said = [message["content"] for message in self.memory.build_history()]
        told = {"memory": said, "asked": self.asked, "seen": self.state["seen"]}
        await self.stream.send("text", json.dumps(told))
        await self.stream.stop()


def text_of(response, *, streamed):
    if not streamed:
        return response.json()["choices"][0]["message"]["content"]
    frames = [json.loads(line[6:]) for line in response.text.splitlines() if line.startswith("data: {")]
    return "".join(frame["choices"][0]["delta"]["content"] for frame in frames)


async def converse(http, number, turn):
    said, streamed = f"{number}/{turn}", number % 2 == 0
    body = {"messages": [{"role": "user", "content": said}], "session_id": f"s{number}", "stream": streamed}
    response = await http.post("/alphadata/chat/completions", json=body)
    told = json.loads(text_of(response, streamed=streamed))
    assert told["asked"] == [said]
    assert told["seen"] == [said]
    assert told["memory"] == [f"{number}/{past}" for past in range(turn + 1)]


def resident_kib():
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGESIZE") // 1024 if statm.exists() else 0


async def round_of(http, turn):
    await asyncio.gather(*(converse(http, number, turn) for number in range(1000)))


@pytest.mark.slow
async def test_a_thousand_concurrent_sessions_leak_nothing_and_memory_stays_flat():
    app = publish_agent_api(Rememberer(), "run", APIPublisherConfig(max_memory_items=1000))
    pool = app.state.memory_pool
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://agent") as http:
        alive = []
        for turn in (0, 1, 0):
            if turn == 0:
                pool._kept.clear()
            await round_of(http, turn)
            assert pool.size == 1000
            gc.collect()
            alive.append((len(gc.get_objects()), resident_kib()))
    print(f"objects and resident KiB after each thousand sessions: {alive}")
    assert alive[2][0] - alive[1][0] < 100
    assert alive[2][1] - alive[1][1] < 4096


async def test_beyond_the_bound_the_least_recently_used_sessions_go():
    app = publish_agent_api(Rememberer(), "run", APIPublisherConfig(max_memory_items=50))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://agent") as http:
        for number in range(60):
            await converse(http, number, 0)
        assert app.state.memory_pool.size == 50
        await converse(http, 59, 1)
        await converse(http, 0, 0)


async def test_more_calls_than_a_pool_usually_holds_run_at_once():
    together = asyncio.Barrier(150)

    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        # nobody is answered before all have asked
        await together.wait()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n")
        writer.write(b'{"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}')
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    llm = OpenAILike(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", "m", max_retries=0)
    async with asyncio.timeout(60), server:
        answers = await asyncio.gather(*(llm.acall("hi", stream=False) for _ in range(150)))
    assert {found.response for found in answers} == {"hi"}
    await llm.aclose()
