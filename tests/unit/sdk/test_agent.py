"""Copies of an agent share what cannot be copied, and nothing else."""

import threading
from types import SimpleNamespace

from tollway.agent import BaseAgent, Stream
from tollway.memory import MemoryManager
from tollway.tools import ToolExecutor, ToolRegistry


class Busy(BaseAgent):
    shared = BaseAgent.shared | {"index"}

    def __init__(self, llm=None):
        super().__init__(llm=llm)
        self.notes = {"seen": [], "lock": threading.Lock()}
        self.index = [1, 2, 3]
        self.registry = ToolRegistry(self.look)
        self.executor = ToolExecutor(self.registry)

    def look(self) -> str:
        """Looks."""
        return str(id(self))


async def test_a_copy_shares_locks_models_and_what_is_named_only():
    original = Busy(llm=SimpleNamespace())
    original.late = ["set after construction"]
    copied = original.for_request(MemoryManager(), Stream())
    assert copied.llm is original.llm
    assert copied.index is original.index
    assert copied.notes["lock"] is original.notes["lock"]
    assert copied.notes["seen"] is not original.notes["seen"]
    assert copied.late == original.late
    assert copied.late is not original.late
    assert copied.executor.registry is copied.registry
    (said,) = await copied.executor.execute({"id": "c", "function": {"name": "look", "arguments": "{}"}})
    assert said.content == str(id(copied))


async def test_without_a_request_the_stream_keeps_what_was_said():
    agent = BaseAgent()
    await agent.stream.send("text", "hello")
    await agent.stream.send("text", "")
    await agent.stream.stop()
    assert [(part.content_type, part.content) for part in agent.stream.parts] == [("text", "hello")]
    assert agent.stream.stop_reason == "stop"
