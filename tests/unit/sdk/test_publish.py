"""A published agent answers in the seed's shape, or OpenAI's own, and keeps requests and sessions apart."""

import asyncio
import json
import threading
from xml.etree import ElementTree

import httpx2
import pytest
from tollway.agent import BaseAgent
from tollway.memory import MemoryManager
from tollway.server import AgentValidationError, APIPublisherConfig, OpenAIRequest, publish_agent_api


class Teller(BaseAgent):
    """Thinks, speaks and shows code."""

    async def run(self, request: OpenAIRequest):
        await self.stream.send("thinking", "用户在打招呼")
        await self.stream.send("text", "你好！")
        await self.stream.send("text", '1 < 2 & "x"')
        await self.stream.send("code", "print('Hello')")
        await self.stream.stop()


class Rememberer(BaseAgent):
    """Tells what it was told in this session, and how often this very instance was asked."""

    def __init__(self, llm=None):
        super().__init__(llm=llm)
        self.asked = []
        self.lock = threading.Lock()
        self.state = {"lock": self.lock, "seen": []}

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


class Failing(BaseAgent):
    async def run(self, request: OpenAIRequest):
        await self.stream.send("text", "so far so good")
        raise RuntimeError("a secret detail")


class Silent(BaseAgent):
    entered: asyncio.Event
    cancelled: asyncio.Event

    async def run(self, request: OpenAIRequest):
        await self.stream.send("text", "wait")
        type(self).entered.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            type(self).cancelled.set()
            raise


def client(app):
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://agent")


async def post(app, path="/alphadata", headers=None, **body):
    body.setdefault("messages", [{"role": "user", "content": "你好"}])
    async with client(app) as http:
        return await http.post(f"{path}/chat/completions", json=body, headers=headers)


def frames(response):
    assert response.headers["content-type"].startswith("text/event-stream")
    return [json.loads(line[6:]) for line in response.text.splitlines() if line.startswith("data: {")]


async def test_a_streamed_answer_has_the_seeds_frames():
    response = await post(publish_agent_api(Teller(), "run"))
    told = frames(response)
    assert [list(frame) for frame in told] == [["id", "object", "created", "model", "choices"]] * 5
    assert len({frame["id"] for frame in told}) == 1
    assert told[0]["id"].startswith("cmpl-")
    assert (told[0]["object"], told[0]["model"]) == ("chat.completion.chunk", "AlphaData")
    assert told[0]["choices"] == [
        {"index": 0, "delta": {"content": "用户在打招呼", "content_type": "thinking"}, "finish_reason": None}
    ]
    assert told[-1]["choices"] == [
        {"index": 0, "delta": {"content": "", "content_type": "stop"}, "finish_reason": "stop"}
    ]
    assert "[DONE]" not in response.text


async def test_a_whole_answer_is_the_seeds_mixed_xml_escaped():
    body = (await post(publish_agent_api(Teller(), "run"), stream=False)).json()
    choice = body["choices"][0]
    assert choice["delta"] == {
        "content": '<content type="thinking">用户在打招呼</content>'
        '<content type="text">你好！1 &lt; 2 &amp; "x"</content>'
        "<content type=\"code\">print('Hello')</content>",
        "content_type": "mixed-xml",
    }
    assert choice["finish_reason"] == "stop"
    assert choice["message"]["content"] == '你好！1 < 2 & "x"'
    assert body["object"] == "chat.completion"


async def test_whatever_an_agent_says_a_whole_answer_can_be_read():
    class Odd(BaseAgent):
        async def run(self, request: OpenAIRequest):
            await self.stream.send("code", "\x1b[31mred\x1b[0m\r\n\x00<&>")
            await self.stream.send('o"dd\x00', "\ud800 half a character")

    response = await post(publish_agent_api(Odd(), "run"), stream=False)
    xml = response.json()["choices"][0]["delta"]["content"]
    contents = ElementTree.fromstring(f"<answer>{xml}</answer>")
    assert [(content.get("type"), content.text) for content in contents] == [
        ("code", "\ufffd[31mred\ufffd[0m\r\n\ufffd<&>"),
        ('o"dd\ufffd', "\ufffd half a character"),
    ]


async def test_strict_answers_are_openais():
    app = publish_agent_api(Teller(), "run", strict_openai=True)
    whole = (await post(app)).json()
    assert whole["choices"][0]["message"]["content"] == "你好！1 < 2 & \"x\"print('Hello')"
    assert whole["choices"][0]["message"]["reasoning_content"] == "用户在打招呼"
    assert "delta" not in whole["choices"][0]
    streamed = await post(app, stream=True)
    assert streamed.text.endswith("data: [DONE]\n\n")
    assert frames(streamed)[-1]["choices"][0]["finish_reason"] == "stop"


async def test_without_stream_the_seed_streams_unless_the_client_asks_for_json():
    app = publish_agent_api(Teller(), "run")
    assert "event-stream" in (await post(app)).headers["content-type"]
    whole = await post(app, headers={"accept": "application/json"})
    assert whole.json()["object"] == "chat.completion"


async def test_sessions_remember_and_requests_do_not_share_an_instance():
    agent = Rememberer()
    app = publish_agent_api(agent, "run")
    for said, expected in (("one", ["one"]), ("two", ["one", "two"])):
        messages = [{"role": "user", "content": said}]
        body = (await post(app, messages=messages, session_id="s", stream=False)).json()
        told = json.loads(body["choices"][0]["message"]["content"])
        assert told == {"memory": expected, "asked": [said], "seen": [said]}
    other = (await post(app, session_id="other", stream=False)).json()
    assert json.loads(other["choices"][0]["message"]["content"])["memory"] == ["你好"]
    assert agent.asked == []
    assert app.state.memory_pool.size == 2


async def test_a_request_without_a_session_leaves_nothing_behind():
    app = publish_agent_api(Rememberer(), "run")
    await post(app, stream=False)
    assert app.state.memory_pool.size == 0


async def test_an_agents_own_memory_class_is_used():
    class Notebook(MemoryManager):
        pass

    class Scholar(BaseAgent):
        default_memory_cls = Notebook

        async def run(self, request: OpenAIRequest):
            await self.stream.send("text", type(self.memory).__name__)

    body = (await post(publish_agent_api(Scholar(), "run"), session_id="s", stream=False)).json()
    assert body["choices"][0]["message"]["content"] == "Notebook"


async def test_the_agent_sees_headers_and_extra_fields():
    class Looker(BaseAgent):
        async def run(self, request: OpenAIRequest):
            seen = [request.get_header("AUTHORIZATION"), request.get_header("nope"), request.custom_field]
            seen += [request.model, request.user, request.stream, "content-type" in request.get_header()]
            await self.stream.send("text", json.dumps(seen))

    app = publish_agent_api(Looker(), "run")
    response = await post(
        app, headers={"authorization": "Bearer x"}, custom_field={"a": 1}, user="u", model="m", stream=False
    )
    told = json.loads(response.json()["choices"][0]["message"]["content"])
    assert told == ["Bearer x", None, {"a": 1}, "m", "u", False, True]


async def test_a_failing_agent_is_a_failed_answer_without_its_secrets(caplog):
    app = publish_agent_api(Failing(), "run")
    whole = await post(app, stream=False)
    assert whole.status_code == 500
    assert whole.json()["error"]["code"] == "agent_error"
    last = frames(await post(app))[-1]
    assert last["choices"][0]["finish_reason"] == "error"
    assert last["error"]["message"] == "the agent failed"
    strict = await post(publish_agent_api(Failing(), "run", strict_openai=True), stream=True)
    assert "[DONE]" not in strict.text
    assert "a secret detail" not in whole.text + strict.text
    assert "a secret detail" in caplog.text


@pytest.fixture
def silent():
    Silent.entered, Silent.cancelled = asyncio.Event(), asyncio.Event()
    return Silent()


async def test_a_silent_agent_times_out_and_is_stopped(silent):
    app = publish_agent_api(silent, "run", APIPublisherConfig(timeout=0.3))
    told = frames(await post(app))
    assert told[-1]["choices"][0]["finish_reason"] == "timeout"
    async with asyncio.timeout(5):
        await Silent.cancelled.wait()
    whole = (await post(app, stream=False)).json()
    assert whole["choices"][0]["finish_reason"] == "timeout"
    assert '<content type="text">wait</content>' in whole["choices"][0]["delta"]["content"]
    strict = publish_agent_api(silent, "run", APIPublisherConfig(timeout=0.05), strict_openai=True)
    assert (await post(strict)).status_code == 504


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_stops_the_agent(silent, stream):
    app = publish_agent_api(silent, "run")
    body = json.dumps({"stream": stream, "messages": []}).encode()
    inbox = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive():
        if inbox:
            return inbox.pop()
        await Silent.entered.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        return None

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "path": "/alphadata/chat/completions",
        "raw_path": b"/alphadata/chat/completions",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"content-type", b"application/json")],
    }
    async with asyncio.timeout(5):
        await app(scope, receive, send)
        await Silent.cancelled.wait()


async def test_the_agent_may_finish_its_work_after_its_answer():
    done = asyncio.Event()

    class Tidy(BaseAgent):
        async def run(self, request: OpenAIRequest):
            await self.stream.stop()
            for _ in range(50):
                await asyncio.sleep(0)
            done.set()

    await post(publish_agent_api(Tidy(), "run"))
    async with asyncio.timeout(5):
        await done.wait()


@pytest.mark.parametrize(
    ("content", "status"),
    [(b"[", 400), (b"\xff", 400), (b"[]", 422), (b'{"messages": 3}', 422), (b'{"stream": "x"}', 422)],
)
async def test_bad_input_is_refused_in_openais_words(content, status):
    async with client(publish_agent_api(Teller(), "run")) as http:
        response = await http.post("/alphadata/chat/completions", content=content)
    assert response.status_code == status
    assert response.json()["error"]["type"] == "invalid_request_error"


async def test_titles_paths_and_docs_follow_the_configuration():
    config = APIPublisherConfig(
        path="api/v1/", api_title="{agent_name} API Service", api_description="{agent_name}.{method_name} {x} API"
    )
    app = publish_agent_api(Teller(), "run", config=config)
    assert (app.title, app.description) == ("Teller API Service", "Teller.run {x} API")
    assert (await post(app, "/api/v1")).status_code == 200
    async with client(app) as http:
        paths = (await http.get("/openapi.json")).json()["paths"]
        models = (await http.get("/api/v1/models")).json()
    assert "/api/v1/chat/completions" in paths
    assert models["data"][0]["id"] == "AlphaData"


def test_the_defaults_are_the_seeds():
    config = APIPublisherConfig()
    assert (config.path, config.memory_ttl, config.max_memory_items) == ("/alphadata", 3600, 1000)
    assert (config.auto_clean_interval, config.api_title) == (600, "Alphora Agent API Service")
    assert config.api_description.startswith("Auto-generated API")


class Wrong(BaseAgent):
    attribute = 1

    def plain(self, request: OpenAIRequest): ...

    async def nothing(self): ...

    async def two(self, request: OpenAIRequest, more): ...

    async def unannotated(self, request): ...

    async def other(self, request: dict): ...

    async def generator(self, request: OpenAIRequest):
        yield 1

    async def keyword(self, *, request: OpenAIRequest): ...

    async def several(self, *request: OpenAIRequest): ...


WRONG = ["missing", "attribute", "plain", "nothing", "two", "unannotated", "other", "generator", "keyword", "several"]


@pytest.mark.parametrize("method", [*WRONG, None])
def test_wrong_methods_are_refused_when_publishing(method):
    with pytest.raises(AgentValidationError):
        publish_agent_api(Wrong(), method)


@pytest.mark.parametrize("agent", [Teller, object(), None])
def test_what_is_no_agent_is_refused(agent):
    with pytest.raises(AgentValidationError):
        publish_agent_api(agent, "run")


async def test_an_annotation_that_is_text_is_understood():
    class Later(BaseAgent):
        async def run(self, request: "OpenAIRequest"):
            await self.stream.send("text", "ok")

    assert (await post(publish_agent_api(Later(), "run"))).status_code == 200
