"""langchain-openai, langchain-anthropic and pydantic-ai as their users write them; run in an environment of their own.

usage: script.py CASE      with TOLLWAY_URL and TOLLWAY_KEY; ends with exit code 0 when all went as it should
"""

import asyncio
import os
import sys
from typing import Any

SENTENCE = "Tollway carries every word of this answer from the provider to the client unharmed."
URL, KEY = os.environ["TOLLWAY_URL"], os.environ["TOLLWAY_KEY"]


def langchain(dialect: str, model: str) -> Any:
    if dialect == "openai":
        from langchain_openai import ChatOpenAI

        return ChatOpenAI(model=model, base_url=f"{URL}/v1", api_key=KEY, max_retries=0, timeout=20, stream_usage=True)
    from langchain_anthropic import ChatAnthropic

    return ChatAnthropic(model=model, base_url=URL, api_key=KEY, max_retries=0, timeout=20, max_tokens=100)


def run_langchain(dialect: str) -> None:
    from langchain_core.messages import HumanMessage, ToolMessage
    from langchain_core.tools import tool

    @tool
    def look_up(q: str) -> str:
        """Look something up."""
        return f"found {q}"

    for protocol in ("o", "a"):
        plain = langchain(dialect, f"{protocol}-ok").invoke("hi")
        assert plain.text == SENTENCE, plain
        assert plain.usage_metadata["total_tokens"] > 0
        chunks = list(langchain(dialect, f"{protocol}-ok").stream("hi"))
        whole = chunks[0]
        for chunk in chunks[1:]:
            whole += chunk
        assert whole.text == SENTENCE, whole
        assert whole.usage_metadata["output_tokens"] > 0
        chat = langchain(dialect, f"{protocol}-tool").bind_tools([look_up])
        asked = HumanMessage('{"q": "toll"}')
        turn = chat.invoke([asked])
        (call,) = turn.tool_calls
        assert call["args"] == {"q": "toll"}, turn
        result = ToolMessage(look_up.invoke(call["args"]), tool_call_id=call["id"])
        assert chat.invoke([asked, turn, result]).text == "tool said: found toll"
        expect_failures(dialect, protocol)


def expect_failures(dialect: str, protocol: str) -> None:
    import anthropic
    import openai

    sdk: Any = openai if dialect == "openai" else anthropic
    for behaviour, kind in (("s429", sdk.RateLimitError), ("s500", sdk.InternalServerError)):
        try:
            langchain(dialect, f"{protocol}-{behaviour}").invoke("hi")
        except kind:
            continue
        raise AssertionError(behaviour)
    try:
        list(langchain(dialect, f"{protocol}-cut").stream("hi"))
    except (sdk.APIError, ValueError):
        return
    raise AssertionError("a cut stream looked complete")


def pydantic_model(dialect: str, name: str) -> Any:
    if dialect == "openai":
        from pydantic_ai.models.openai import OpenAIChatModel
        from pydantic_ai.providers.openai import OpenAIProvider

        return OpenAIChatModel(name, provider=OpenAIProvider(base_url=f"{URL}/v1", api_key=KEY))
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.providers.anthropic import AnthropicProvider

    return AnthropicModel(name, provider=AnthropicProvider(base_url=URL, api_key=KEY))


async def run_pydantic_ai() -> None:
    from pydantic import BaseModel
    from pydantic_ai import Agent, ModelHTTPError, NativeOutput

    class Toll(BaseModel):
        road: str

    for dialect in ("openai", "anthropic"):
        for protocol in ("o", "a"):
            agent = Agent(pydantic_model(dialect, f"{protocol}-ok"))
            assert (await agent.run("hi")).output == SENTENCE
            async with agent.run_stream("hi") as stream:
                assert await stream.get_output() == SENTENCE
            teller = Agent(pydantic_model(dialect, f"{protocol}-tool"))

            @teller.tool_plain
            def look_up(q: str) -> str:
                """Look something up."""
                return f"found {q}"

            told = (await teller.run('{"q": "toll"}')).output
            assert "found toll" in told, told
            status = 0
            try:
                await Agent(pydantic_model(dialect, "nobody")).run("hi")
            except ModelHTTPError as error:
                status = error.status_code
            assert status == 404
    parsed = Agent(pydantic_model("openai", "o-echo"), output_type=NativeOutput(Toll))
    assert (await parsed.run('{"road": "A1"}')).output == Toll(road="A1")


CASES: dict[str, Any] = {
    "langchain-openai": lambda: run_langchain("openai"),
    "langchain-anthropic": lambda: run_langchain("anthropic"),
    "pydantic-ai": lambda: asyncio.run(run_pydantic_ai()),
}

if __name__ == "__main__":
    CASES[sys.argv[1]]()
