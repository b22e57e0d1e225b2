"""Every example of the publishing document runs with only its import lines changed, and gives what is said there.

The models of the examples are a running Tollway's demo model.
"""

import inspect
import json
import socket
import sys
from types import ModuleType

import httpx2
import pytest
import requests
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient
from tollway.agent import BaseAgent
from tollway.memory import MemoryManager
from tollway.models import OpenAILike
from tollway.server import APIPublisherConfig, DataStreamer, OpenAIRequest, publish_agent_api

from tests.integration.sdk.seed import as_method, block, blocks, run, run_async
from tests.integration.sdk.serve import Served

DOCUMENT = "publishing.txt"


def example(containing):
    return block(DOCUMENT, containing)


class Echo(BaseAgent):
    """Says what it heard."""

    async def run(self, request: OpenAIRequest):
        await self.stream.send("thinking", "正在分析问题...")
        await self.stream.send("text", f"收到：{request.get_user_query()}")
        await self.stream.stop()


class Rerouted(httpx2.AsyncHTTPTransport):
    """Takes requests for api.openai.com to a Tollway, so that not even the example's address and key need be changed."""

    def __init__(self, url):
        super().__init__()
        self._url = httpx2.URL(url)

    async def handle_async_request(self, request):
        assert request.url.host == "api.openai.com"
        assert request.headers["authorization"] == "Bearer your-api-key"
        request.url = request.url.copy_with(scheme="http", host=self._url.host, port=self._url.port)
        return await super().handle_async_request(request)


@pytest.fixture
def openai_api(live, monkeypatch):
    real = httpx2.AsyncClient

    def client(**options):
        return real(**{**options, "transport": Rerouted(live.url)})

    monkeypatch.setattr("tollway.models.openai_like.httpx2.AsyncClient", client)


@pytest.fixture
def my_agent():
    """The module my_agent.py of the document."""
    module = ModuleType("my_agent")
    sys.modules["my_agent"] = module
    exec(compile(example("# my_agent.py"), "my_agent.py", "exec"), module.__dict__)
    yield module
    del sys.modules["my_agent"]


@pytest.fixture
def llm(as_client):
    return OpenAILike(model_name="demo")


@pytest.fixture
def on_port_8000(monkeypatch):
    """Serves an app where the document says http://localhost:8000."""
    real = socket.getaddrinfo
    running = []

    def serve(app):
        running.append(Served(app).__enter__())

        def resolve(host, port, *args, **kwargs):
            if host in ("localhost", b"localhost") and port == 8000:
                return real("127.0.0.1", running[0].port, *args, **kwargs)
            return real(host, port, *args, **kwargs)

        monkeypatch.setattr(socket, "getaddrinfo", resolve)

    yield serve
    for served in running:
        served.__exit__()


def ask(app, text, path="/alphadata", **body):
    with TestClient(app) as client:
        messages = [{"role": "user", "content": text}]
        return client.post(f"{path}/chat/completions", json={"messages": messages, **body})


def text_of(response):
    return response.json()["choices"][0]["message"]["content"]


def test_every_python_block_of_the_document_is_known():
    assert len(blocks(DOCUMENT)) == 21


@pytest.mark.usefixtures("openai_api")
def test_quick_start(my_agent):
    scope = run(example("# 4. 启动服务"), MyAgent=my_agent.MyAgent)
    assert isinstance(scope["app"], FastAPI)
    content = ask(scope["app"], "你好", stream=False).json()["choices"][0]["delta"]["content"]
    assert content.startswith('<content type="text">[demo]')
    assert content.endswith("You said: 你好</content>")


def test_publishing_with_and_without_options():
    config = run(example('api_description="Agent API"'), agent=Echo(), publish_agent_api=publish_agent_api)
    assert ask(config["app"], "x", stream=False).status_code == 200
    assert config["app"].title == "My Agent API"
    text = example("# 要暴露的异步方法名")
    app = run(text, agent=Echo(), config=APIPublisherConfig(path="/x"))["app"]
    assert ask(app, "x", "/x", stream=False).status_code == 200


def test_starting_the_server(monkeypatch):
    started = []
    monkeypatch.setattr(uvicorn, "run", lambda app, **options: started.append(options))
    run(example("# 方式 1：直接运行"), app=publish_agent_api(Echo(), "run"))
    assert started == [{"host": "0.0.0.0", "port": 8000}]


def test_titles_with_placeholders():
    config = run(example('api_title="{agent_name} API Service"'), APIPublisherConfig=APIPublisherConfig)["config"]
    app = publish_agent_api(Echo(), "run", config)
    assert (app.title, app.description) == ("Echo API Service", "Echo.run API")


def test_the_message_format_is_accepted():
    message = eval(example("# system / user / assistant"))
    assert OpenAIRequest(messages=[message]).get_user_query() == "你好"


def test_calling_with_requests(on_port_8000, capsys):
    on_port_8000(publish_agent_api(Echo(), "run"))
    run(example("import requests"))
    printed = capsys.readouterr().out.splitlines()
    whole = eval(printed[0])
    assert whole["object"] == "chat.completion"
    assert whole["choices"][0]["delta"]["content_type"] == "mixed-xml"
    frames = [json.loads(line.removeprefix("data: ")) for line in printed[1:]]
    assert [frame["choices"][0]["delta"]["content_type"] for frame in frames] == ["thinking", "text", "stop"]


@pytest.mark.parametrize("strict", [False, True])
def test_calling_with_the_openai_sdk(on_port_8000, capsys, strict):
    on_port_8000(publish_agent_api(Echo(), "run", strict_openai=strict))
    scope = run(example("from openai import OpenAI"))
    assert capsys.readouterr().out.endswith("收到：你好")
    whole = scope["client"].chat.completions.create(model="agent", messages=[{"role": "user", "content": "你好"}])
    assert whole.choices[0].message.content == "收到：你好"
    assert whole.choices[0].finish_reason == "stop"
    scope["stream"].close()
    scope["client"].close()


def test_sessions_remember_names(on_port_8000, llm, my_agent):
    app = publish_agent_api(
        my_agent.MyAgent(llm=llm),
        "run",
        run(example("# 会话 1 小时后过期"), APIPublisherConfig=APIPublisherConfig)["config"],
    )
    on_port_8000(app)
    answers = []

    class Noting:
        @staticmethod
        def post(*args, **kwargs):
            answers.append(requests.post(*args, **kwargs))

    url = "http://localhost:8000/alphadata/chat/completions"
    run(example("# 第二轮对话（同一会话）"), url=url, requests=Noting)
    assert answers[0].ok
    frames = [json.loads(line[6:]) for line in answers[1].text.splitlines() if line.startswith("data: {")]
    # the demo model repeats what it was told before, so the answer holds the name exactly when the agent remembered it
    assert "张三" in "".join(frame["choices"][0]["delta"]["content"] for frame in frames)


def test_a_custom_memory_class():
    scope = run(example("default_memory_cls = MemoryManager"), OpenAIRequest=OpenAIRequest)
    agent = scope["MyAgent"]()
    assert isinstance(agent.memory, MemoryManager)
    assert ask(publish_agent_api(agent, "run"), "x", session_id="s").status_code == 200


def test_the_method_signature():
    scope = run(example("只有一个参数"), BaseAgent=BaseAgent)
    response = ask(publish_agent_api(scope["MyAgent"](), "run"), "x")
    assert json.loads(response.text.splitlines()[0][6:])["choices"][0]["finish_reason"] == "stop"


def test_using_the_request():
    method = as_method(example("auth_header = request.get_header"))
    seen = {}

    async def traced(self, request: OpenAIRequest):
        def keep(frame, event, _):
            if event == "return" and frame.f_code is method.__code__:
                seen.update(frame.f_locals)
            return keep

        sys.setprofile(keep)
        try:
            await method(self, request)
        finally:
            sys.setprofile(None)

    agent = type("Looker", (BaseAgent,), {"run": traced})()
    with TestClient(publish_agent_api(agent, "run")) as client:
        body = {"messages": [{"role": "user", "content": "你好"}], "session_id": "s", "custom_field": 7}
        client.post("/alphadata/chat/completions", json=body, headers={"Authorization": "Bearer k"})
    assert (seen["user_query"], seen["session_id"], seen["is_stream"]) == ("你好", "s", True)
    assert (seen["auth_header"], seen["custom_field"]) == ("Bearer k", 7)
    assert seen["all_headers"]["authorization"] == "Bearer k"


def test_sending_contents_of_several_types():
    method = as_method(example("\"print('Hello')\""))
    agent = type("Teller", (BaseAgent,), {"run": method})()
    delta = ask(publish_agent_api(agent, "run"), "x", stream=False).json()["choices"][0]["delta"]
    assert delta["content"] == (
        '<content type="thinking">正在分析问题...</content>'
        '<content type="text">这是回答的内容</content>'
        "<content type=\"code\">print('Hello')</content>"
    )


async def test_the_data_streamer():
    scope = await run_async(example('streamer = DataStreamer(timeout=300, model_name="MyModel")'))
    body = json.loads(scope["response"].body)
    assert body["model"] == "MyModel"
    assert body["choices"][0]["delta"]["content"] == '<content type="text">Hello</content>'
    assert run(example("# 1 分钟超时"), DataStreamer=DataStreamer)["streamer"].timeout == 60


@pytest.mark.usefixtures("openai_api", "my_agent")
def test_the_whole_example():
    scope = run(example("# api_server.py"))
    app = scope["app"]
    assert (app.title, app.description) == ("My Agent API", "智能助手 API 服务")
    with TestClient(app) as client:
        for session, name in (("a", "李四"), ("b", "王五")):
            for said in (f"我叫{name}", "我叫什么名字？"):
                body = {"messages": [{"role": "user", "content": said}], "session_id": session, "stream": False}
                told = text_of(client.post("/api/v1/chat/completions", json=body))
            assert name in told
            assert ("李四" in told) == (session == "a")


def test_the_agent_with_tools(llm):
    agent = run(example("class ToolAgent"))["ToolAgent"](llm)
    app = publish_agent_api(agent, "run")
    content = ask(app, "search_web 天气", stream=False).json()["choices"][0]["delta"]["content"]
    assert content == (
        '<content type="thinking">正在调用工具...</content>'
        '<content type="text">[demo] The tool said: 搜索结果: 天气</content>'
    )
    without = ask(app, "你好", stream=False).json()["choices"][0]["delta"]["content"]
    assert without.endswith("You said: 你好</content>")
    assert "thinking" not in without


def test_the_production_configuration():
    app = run(example("# 使用 Gunicorn 部署"), agent=Echo())["app"]
    assert app.title == "Production Agent API"
    assert app.state.memory_pool.max_items == 10000


def test_the_documented_signatures():
    documented = example("config: Optional[APIPublisherConfig] = None")
    names = [line.split(":")[0].strip() for line in documented.splitlines()[1:4]]
    assert list(inspect.signature(publish_agent_api).parameters)[:3] == names
    for name in ("send_data", "stop", "start_streaming_openai", "start_non_streaming_openai"):
        assert callable(getattr(DataStreamer, name))
