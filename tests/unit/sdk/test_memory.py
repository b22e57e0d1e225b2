"""What an agent remembers, in the shape models take it."""

from types import SimpleNamespace

from tollway.memory import MemoryManager
from tollway.tools import ToolCall, ToolResult


def answer(text, *calls):
    return SimpleNamespace(response=text, tool_calls=list(calls))


def test_a_conversation_with_tools_is_a_valid_history():
    memory = MemoryManager()
    memory.add_system("be kind")
    memory.add_user("weather?")
    memory.add_assistant(answer("", ToolCall("c1", "look", "{}"), ToolCall("c2", "see", "{}")))
    memory.add_tool_result([ToolResult("c1", "look", "sunny"), ToolResult("c2", "see", "warm")])
    memory.add_assistant("Sunny and warm.")
    assert memory.build_history() == [
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": "weather?"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}},
                {"id": "c2", "type": "function", "function": {"name": "see", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "name": "look", "content": "sunny"},
        {"role": "tool", "tool_call_id": "c2", "name": "see", "content": "warm"},
        {"role": "assistant", "content": "Sunny and warm."},
    ]


def test_results_can_be_given_one_by_one_or_in_parts():
    memory = MemoryManager()
    memory.add_tool_result(ToolResult("c", "t", "said"))
    memory.add_tool_result(tool_call_id="d", name="t", content="also")
    assert [message["content"] for message in memory.messages] == ["said", "also"]


def test_a_cut_history_begins_with_a_question_and_keeps_the_system_message():
    memory = MemoryManager()
    memory.add_system("s")
    for number in range(3):
        memory.add_user(f"q{number}")
        memory.add_assistant(answer("", ToolCall("c", "t", "{}")))
        memory.add_tool_result(ToolResult("c", "t", "r"))
        memory.add_assistant(f"a{number}")
    cut = memory.build_history(max_messages=6)
    assert [message["role"] for message in cut] == ["system", "user", "assistant", "tool", "assistant"]
    assert cut[1]["content"] == "q2"


def test_old_exchanges_are_forgotten_beyond_the_bound():
    memory = MemoryManager(max_messages=10)
    for number in range(100):
        memory.add_user(f"q{number}")
        memory.add_assistant(f"a{number}")
    assert len(memory) <= 10
    assert memory.messages[0]["role"] == "user"
    assert memory.messages[-1]["content"] == "a99"


def test_one_long_exchange_is_never_torn_apart():
    memory = MemoryManager(max_messages=4)
    memory.add_user("q")
    for number in range(8):
        memory.add_assistant(answer("", ToolCall(f"c{number}", "t", "{}")))
        memory.add_tool_result(ToolResult(f"c{number}", "t", "r"))
    assert memory.messages[0] == {"role": "user", "content": "q"}
    assert len(memory) == 17


def test_what_is_given_out_is_a_copy():
    memory = MemoryManager()
    memory.add_user("q")
    memory.build_history()[0]["content"] = "changed"
    assert memory.messages[0]["content"] == "q"
    memory.clear()
    assert len(memory) == 0
