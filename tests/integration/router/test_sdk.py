"""The SDKs on providers of the other dialect read what the native provider would have told them."""

import json
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from shared.messages.gateway import Call
from tests.integration.router.conftest import Bench
from tests.integration.router.test_wire import served

ASK = [{"role": "user", "content": '{"q": "toll"}'}]
SCHEMA = {"type": "object", "properties": {"q": {"type": "string"}}}
OPENAI_TOOLS: Any = [{"type": "function", "function": {"name": n, "parameters": SCHEMA}} for n in ("look_up", "other")]
ANTHROPIC_TOOLS: Any = [{"name": name, "input_schema": SCHEMA} for name in ("look_up", "other")]
TEXTS = ["ok", "utf8", "think", "cachedw", "crlf"]
TOOLS = ["tool", "tools2", "texttool", "toolvoid", "toolmess", "toolstop"]
FORMS = [("whole", True), ("flow", False)]
ERRORS = [("s400", 400), ("s404", 404), ("s429", 429), ("s500", 500), ("s529", 529), ("ctx", 400), ("hang", 504)]


class Front:
    """As much of a gateway as an SDK needs."""

    def __init__(self, router: Any) -> None:
        self._router = router

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        request = json.loads(body)
        dialect: Any = "anthropic" if scope["path"].endswith("/messages") else "openai"
        usage = bool((request.get("stream_options") or {}).get("include_usage"))
        stream = bool(request.get("stream"))
        answer = await self._router.call(
            Call(request_id="r", dialect=dialect, model=request["model"], body=body, stream=stream, include_usage=usage)
        )
        headers = [(name.encode(), value.encode()) for name, value in answer.headers.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        async for chunk in answer.chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


class Clients:
    """Both SDKs on one address."""

    def __init__(self, url: str) -> None:
        # Without certificates to load, which is most of what a client's making costs.
        plain: Any = [httpx2.AsyncClient(verify=False) for _ in range(2)]
        self.openai = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0, http_client=plain[0])
        self.anthropic = anthropic.AsyncAnthropic(base_url=url, api_key="k", max_retries=0, http_client=plain[1])


@pytest.fixture
async def clients(bench: Bench) -> AsyncIterator[Clients]:
    names = [*TEXTS, *TOOLS, *(name for name, _ in ERRORS)]
    names += [f"{form}:{name}" for form, _ in FORMS for name in (*TEXTS, *TOOLS)]
    bench.configure(
        {f"{p}-{name}": f"{p}/{name}" for p in "oa" for name in names},
        routing={"retries": 0, "timeouts": {"first_byte": 2}},
    )
    async with served(Front(bench.part.router)) as url:
        made = Clients(url)
        async with made.openai, made.anthropic:
            yield made


async def as_openai(clients: Clients, model: str, *, stream: bool) -> dict[str, Any]:
    tools: Any = OPENAI_TOOLS if "tool" in model else openai.NOT_GIVEN
    ask = clients.openai.chat.completions
    if not stream:
        choice = (await ask.create(model=model, messages=ASK, tools=tools)).choices[0]
    else:
        async with ask.stream(model=model, messages=ASK, tools=tools) as events:
            async for _ in events:
                pass
            choice = (await events.get_final_completion()).choices[0]
    calls = choice.message.tool_calls or []
    return {
        "text": choice.message.content or "",
        "thinking": getattr(choice.message, "reasoning_content", None) or "",
        "calls": [(call.function.name, json.loads(call.function.arguments or "{}")) for call in calls],
        "finish": {"tool_calls": "tools", "stop": "end"}.get(str(choice.finish_reason), choice.finish_reason),
    }


async def as_anthropic(clients: Clients, model: str, *, stream: bool) -> dict[str, Any]:
    tools: Any = ANTHROPIC_TOOLS if "tool" in model else anthropic.NOT_GIVEN
    ask = clients.anthropic.messages
    if not stream:
        message = await ask.create(model=model, max_tokens=99, messages=ASK, tools=tools)
    else:
        async with ask.stream(model=model, max_tokens=99, messages=ASK, tools=tools) as events:
            message = await events.get_final_message()
    blocks = message.content
    finish = {"tool_use": "tools", "end_turn": "end", "max_tokens": "length"}
    return {
        "text": "".join(block.text for block in blocks if block.type == "text"),
        "thinking": "".join(block.thinking for block in blocks if block.type == "thinking"),
        "calls": [(block.name, block.input) for block in blocks if block.type == "tool_use"],
        "finish": finish.get(str(message.stop_reason), message.stop_reason),
    }


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", [*TEXTS, *TOOLS])
async def test_both_sdks_read_the_same_from_both_kinds_of_provider(clients: Clients, name: str, stream: bool) -> None:
    wanted = await as_anthropic(clients, f"a-{name}", stream=stream)
    assert wanted["text"] or wanted["calls"]
    for ask, provider in ((as_openai, "o"), (as_openai, "a"), (as_anthropic, "o")):
        assert await ask(clients, f"{provider}-{name}", stream=stream) == wanted


@pytest.mark.parametrize(("form", "stream"), FORMS)
@pytest.mark.parametrize("name", [*TEXTS, *TOOLS])
async def test_an_answer_comes_in_the_form_asked_for_whatever_the_provider_does(
    clients: Clients, name: str, form: str, stream: bool
) -> None:
    for ask in (as_openai, as_anthropic):
        for provider in "oa":
            wanted = await ask(clients, f"{provider}-{name}", stream=stream)
            assert await ask(clients, f"{provider}-{form}:{name}", stream=stream) == wanted


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("name", "status"), ERRORS)
async def test_both_sdks_get_the_providers_own_status(clients: Clients, name: str, status: int, stream: bool) -> None:
    for provider in "oa":
        with pytest.raises(openai.APIStatusError) as told:
            await as_openai(clients, f"{provider}-{name}", stream=stream)
        assert told.value.status_code == status
        with pytest.raises(anthropic.APIStatusError) as also:
            await as_anthropic(clients, f"{provider}-{name}", stream=stream)
        assert also.value.status_code == status
