"""The full stack in containers: up from nothing, used, restarted under load, down and up again with all data there.

Builds five images, which takes minutes: it runs when TOLLWAY_TEST_COMPOSE=1 (and `make test` says so when it does not).
"""

import threading

import anthropic
import openai
import pytest

from chaos.load import Load
from tests.system.compose import SERVERS, SERVICES, TOKEN, docker, stack
from tests.system.stack import wait_for

HELLO = [{"role": "user", "content": "Hello!"}]
pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def compose():
    with stack() as made:
        yield made


def test_the_vendors_clients_work_against_the_stack(compose):
    with openai.OpenAI(base_url=f"{compose.url}/v1", api_key=TOKEN) as client:
        assert client.chat.completions.create(model="demo", messages=HELLO).choices[0].message.content
        said = client.chat.completions.create(model="o-ok", messages=HELLO).choices[0].message.content
        assert client.chat.completions.create(model="a-ok", messages=HELLO).choices[0].message.content == said
        chunks = client.chat.completions.create(model="a-ok", messages=HELLO, stream=True)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == said
    with anthropic.Anthropic(base_url=compose.url, api_key=TOKEN) as client:
        assert client.messages.create(model="o-ok", max_tokens=50, messages=HELLO).content[0].text == said
        with client.messages.stream(model="a-ok", max_tokens=50, messages=HELLO) as stream:
            assert stream.get_final_text() == said


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("builtin__get_current_time", '{"timezone": "Asia/Tokyo"}', "Tokyo"),
        ("fake__echo", '{"text": "hello mcp"}', "hello mcp"),
    ],
)
def test_a_tool_runs_on_a_worker_be_it_built_in_or_of_an_mcp_server(compose, tool, arguments, said):
    wait_for(lambda: tool in [each["name"] for each in compose.ask("/api/tools")["tools"]], 240, f"{tool} is offered")
    body = {"model": "o-tool", "messages": [{"role": "user", "content": arguments}], "tollway": {"tools": [tool]}}
    assert said in compose.ask("/v1/chat/completions", body)["choices"][0]["message"]["content"]


def test_usage_is_what_the_provider_booked_to_the_token(compose):
    theirs, ours = compose.balanced()
    assert len(theirs) == len(ours) > 0
    for name in ("input_tokens", "output_tokens"):
        assert sorted(call[name] for call in theirs) == sorted(event[name] for event in ours)
    assert {event["usage_source"] for event in ours} == {"provider"}
    day = compose.ask("/api/ai_usage/stats/daily?days_ago=0")
    assert sum(event["total_tokens"] for event in ours) <= day["total_tokens"]  # the demo model is in the sums, too


def test_a_report_is_made_with_a_pdf_that_can_write_chinese(compose):
    asked = {"type": "token", "token": "usd-coin", "address": "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48", "sample": True,
             "insight": False, "formats": ["html", "pdf"]}  # fmt: skip
    job = compose.ask("/v1/reports", asked)

    def ended():
        found = compose.ask(f"/v1/reports/{job['id']}")
        return found if found["status"] not in ("queued", "running") else None

    made = wait_for(ended, 180, "the report is made")
    assert made["status"] == "succeeded", made
    assert {artifact["format"] for artifact in made["artifacts"]} == {"html", "pdf"}
    assert docker("exec", f"{compose.project}-reports-1", "fc-list", ":lang=zh", "family")


def test_a_changed_file_is_in_force_in_every_container_without_a_restart(compose):
    before = [docker("inspect", "-f", "{{.State.StartedAt}}", f"{compose.project}-{name}-1") for name in SERVICES]
    compose.config["models"]["fresh"] = {"targets": [{"provider": "openai", "model": "ok"}]}
    compose.config["providers"]["openai"]["api_key"] = "${LATER_KEY}"
    (compose.folder / "config" / ".env").write_text("LATER_KEY=a-later-key\n")
    compose.write_config()

    def answered():
        names = [model["id"] for model in compose.ask("/v1/models")["data"]]
        return "fresh" in names and compose.ask("/v1/chat/completions", {"model": "fresh", "messages": HELLO})

    wait_for(answered, 30, "the new model answers")
    wait_for(lambda: compose.provider_books()[-1]["api_key"] == "Bearer a-later-key", 10, "the new key is used")
    assert compose.ask("/health")["config"] == "current"
    assert before == [
        docker("inspect", "-f", "{{.State.StartedAt}}", f"{compose.project}-{name}-1") for name in SERVICES
    ]


def test_stopping_the_gateway_lets_a_stream_finish(compose):
    with openai.OpenAI(base_url=f"{compose.url}/v1", api_key=TOKEN, max_retries=0) as client:
        chunks = iter(client.chat.completions.create(model="o-slow-100", messages=HELLO, stream=True))
        next(chunks)
        stopping = threading.Thread(target=compose.run, args=("stop", "gateway"))
        stopping.start()
        assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
        stopping.join()
    # 0: it drained and left by itself; 137 would say that it had to be killed.
    assert docker("inspect", "-f", "{{.State.ExitCode}}", f"{compose.project}-gateway-1") == "0"
    compose.up()


def test_restarting_everything_one_by_one_under_load_loses_no_event(compose):
    before = len(compose.balanced()[0])
    load = Load(compose.url, 3, seed=3)
    load.token = TOKEN
    load.start()
    for name in (*SERVICES, *SERVERS):
        compose.run("restart", "--timeout", "40", name)
        compose.up()
    load.stop()
    theirs, ours = compose.balanced(120)
    print("outcomes", dict(load.outcomes), "calls", len(theirs) - before)
    assert len(theirs) - before > 20
    # A restarted process drains: nothing is cut before the provider hears of it, so the books are equal.
    assert len(ours) == len(theirs)
    assert len({event["event_id"] for event in ours}) == len(ours)


def test_down_and_up_again_keeps_all_data(compose):
    total = len(compose.balanced()[1])
    made = compose.ask("/admin/keys", {"name": "kept"})
    reports = compose.ask("/v1/reports")
    compose.down()
    compose.up()
    assert len(compose.booked()) == total
    assert made["id"] in [key["id"] for key in compose.ask("/admin/keys")["keys"]]
    assert compose.ask("/v1/reports") == reports


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_has_no_root_no_secret_and_no_build_tool(compose, service):
    def inside(script, user="10001"):
        return docker("run", "--rm", "--user", user, "--entrypoint", "sh", f"tollway-{service}", "-c", script)

    secrets = " -o ".join(f"-name '{name}'" for name in (".env*", "*.key", "id_rsa*", ".netrc", ".pypirc"))
    assert docker("image", "inspect", "-f", "{{.Config.User}}", f"tollway-{service}") == "10001:10001"
    assert (
        inside("for each in gcc cc g++ make pip pip3 uv git curl cargo go npm; do command -v $each; done; true") == ""
    )
    assert inside("python -c 'import pip' 2>&1 | tail -1").startswith("ModuleNotFoundError")
    assert inside("env | grep -iE 'secret|password|token|_key'; true") == ""
    # As root, who sees everything.
    assert inside(f"find / -xdev \\( {secrets} \\)", user="0") == ""
    assert inside("find / -xdev -type d -path '*/.cache/*'", user="0") == ""


def test_a_container_can_write_nowhere_but_where_its_data_is(compose):
    for service in SERVICES:
        script = "for each in / /app /etc /opt/venv /usr /etc/tollway /root; do touch $each/x 2>/dev/null && echo $each; done; touch /data/x /tmp/x"
        assert docker("exec", f"{compose.project}-{service}-1", "sh", "-c", script) == ""
        assert "0000000000000000" in docker(
            "exec", f"{compose.project}-{service}-1", "grep", "CapBnd", "/proc/1/status"
        )


def test_the_gateways_image_is_small(compose):
    base = int(docker("image", "inspect", "-f", "{{.Size}}", "python:3.13-slim"))
    assert int(docker("image", "inspect", "-f", "{{.Size}}", "tollway-gateway")) - base <= 150_000_000
