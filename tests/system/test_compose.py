"""The full stack in containers: up from nothing, used, restarted under load, down and up again with all data there.

Builds five images, which takes minutes: it runs when TOLLWAY_TEST_COMPOSE=1 (and `make test` says so when it does not).
"""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator

import anthropic
import openai
import pytest
import yaml

from chaos.load import Load
from tests import conftest
from tests.system.stack import free_port, wait_for

ROOT = pathlib.Path(__file__).parents[2]
TOKEN, ADMIN = "compose-test-token", "compose-test-admin"
HELLO = [{"role": "user", "content": "Hello!"}]
SERVICES = ("gateway", "router", "tools", "usage", "reports")
pytestmark = pytest.mark.timeout(1200)


class Compose:
    """The stack under a project name of its own, on ports of its own, with its own configuration folder."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.port, self.usage_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.folder = folder
        for name in ("docker-compose.yml", "Dockerfile", ".dockerignore", "pyproject.toml", "uv.lock", "README.md"):
            shutil.copy(ROOT / name, folder / name)
        for name in ("services", "shared", "deploy"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(ROOT / "sdk" / "src", folder / "sdk" / "src", ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "README.md"):
            shutil.copy(ROOT / "sdk" / name, folder / "sdk" / name)
        (folder / "config").mkdir()
        (folder / "config" / "tollway.yaml").write_text(yaml.safe_dump(self._config()))
        self.environ = {
            **{key: value for key, value in os.environ.items() if not key.startswith("TOLLWAY_")},
            "COMPOSE_PROJECT_NAME": "tollway-test",
            "TOKEN": TOKEN,
            "TOLLWAY_ADMIN_TOKEN": ADMIN,
            "TOLLWAY_GATEWAY_PORT": str(self.port),
            "TOLLWAY_USAGE_PORT": str(self.usage_port),
            "TOLLWAY_CONTAINER_CONFIG": "/etc/tollway/tollway.yaml",
        }

    @staticmethod
    def _config() -> dict:
        names = ("ok", "echo", "tool", "slow-20", "cut")
        models = {
            f"{kind[0]}-{name}": {"targets": [{"provider": kind, "model": name}]}
            for kind in ("openai", "anthropic")
            for name in names
        }
        return {
            "providers": {
                "openai": {"protocol": "openai", "base_url": "http://provider:9000/v1", "api_key": "x"},
                "anthropic": {"protocol": "anthropic", "base_url": "http://provider:9000", "api_key": "x"},
            },
            "models": models,
            "routing": {"cooldown_seconds": 2},
            "tools": {"mcp": {"fake": {"url": "http://provider:9100/mcp"}}},
        }

    def run(self, *arguments: str, seconds: float = 600) -> str:
        done = subprocess.run(
            ["docker", "compose", *arguments],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
        return done.stdout

    def up(self) -> None:
        self.run("up", "--detach", "--wait")

    def start_provider(self) -> None:
        """The scripted provider, in the stack's own network, from an image that has what it needs."""
        subprocess.run(["docker", "rm", "-f", "tollway-test-provider"], capture_output=True, check=False)
        subprocess.run(
            ["docker", "run", "-d", "--name", "tollway-test-provider", "--network", "tollway-test_outside", "--network-alias", "provider",
             "-v", f"{ROOT / 'tests'}:/fakes/tests:ro", "--entrypoint", "python", "-e", "PYTHONPATH=/fakes:/app", "-e", "HOST=0.0.0.0",
             "tollway-router", "/fakes/tests/fakes/model_provider.py", "9000"],
            check=True, capture_output=True,
        )  # fmt: skip

    def ask(self, path: str, body: object = None, method: str | None = None) -> object:
        data = None if body is None else json.dumps(body).encode()
        headers = {"authorization": f"Bearer {ADMIN}", "content-type": "application/json"}
        with urllib.request.urlopen(
            urllib.request.Request(self.url + path, data, headers, method=method), timeout=30
        ) as answer:
            return json.loads(answer.read())

    def down(self, *more: str) -> None:
        self.run("down", "--timeout", "20", *more)


@pytest.fixture(scope="module")
def compose() -> Iterator[Compose]:
    if os.environ.get("TOLLWAY_TEST_COMPOSE") != "1":
        conftest.UNUSED["compose"] = "set TOLLWAY_TEST_COMPOSE=1"
        pytest.skip("set TOLLWAY_TEST_COMPOSE=1")
    if not conftest.servers.docker_answers():
        conftest.missing("docker", "no engine answers")
    with tempfile.TemporaryDirectory(prefix="tollway-compose-", ignore_cleanup_errors=True) as folder:
        stack = Compose(pathlib.Path(folder))
        try:
            stack.run("build", "--quiet", seconds=900)
            stack.up()
            stack.start_provider()
            yield stack
        finally:
            subprocess.run(["docker", "rm", "-f", "tollway-test-provider"], capture_output=True, check=False)
            stack.down("--volumes")


def test_the_vendors_clients_work_against_the_stack(compose):
    with openai.OpenAI(base_url=f"{compose.url}/v1", api_key=TOKEN) as client:
        assert client.chat.completions.create(model="demo", messages=HELLO).choices[0].message.content
        said = client.chat.completions.create(model="o-ok", messages=HELLO).choices[0].message.content
        assert client.chat.completions.create(model="a-ok", messages=HELLO).choices[0].message.content == said
    with anthropic.Anthropic(base_url=compose.url, api_key=TOKEN) as client:
        assert client.messages.create(model="o-ok", max_tokens=50, messages=HELLO).content[0].text == said


def test_a_tool_runs_and_a_report_is_made(compose):
    body = {
        "model": "o-tool",
        "messages": [{"role": "user", "content": '{"timezone": "Asia/Tokyo"}'}],
        "tollway": {"tools": ["builtin__get_current_time"]},
    }
    assert "Tokyo" in compose.ask("/v1/chat/completions", body)["choices"][0]["message"]["content"]
    job = compose.ask(
        "/v1/reports",
        {
            "type": "token",
            "token": "usd-coin",
            "address": "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48",
            "sample": True,
            "insight": False,
            "formats": ["html", "pdf"],
        },
    )

    def ended():
        found = compose.ask(f"/v1/reports/{job['id']}")
        return found if found["status"] not in ("queued", "running") else None

    assert wait_for(ended, 90, "the report is made")["status"] == "succeeded"


def events_total(compose: Compose) -> int:
    return int(compose.ask("/api/ai_usage/stats/daily?days_ago=0")["total_calls"])


def settled(compose: Compose) -> int:
    last = -1
    for _ in range(30):
        now = events_total(compose)
        if now == last:
            return now
        last = now
        time.sleep(2)
    return last


def provider_calls() -> int:
    done = subprocess.run(
        [
            "docker",
            "exec",
            "tollway-test-provider",
            "python",
            "-c",
            "import urllib.request,json;print(len(json.load(urllib.request.urlopen('http://127.0.0.1:9000/ledger'))['calls']))",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


def test_restarting_every_service_under_load_loses_no_event(compose):
    before_events, before_calls = settled(compose), provider_calls()
    load = Load(compose.url, 3, seed=3)
    load.token = TOKEN
    load.start()
    for name in SERVICES:
        compose.run("restart", "--timeout", "40", name)
        compose.up()
    load.stop()
    booked, called = settled(compose) - before_events, provider_calls() - before_calls
    assert called > 20
    # A restarted process drains: nothing is cut before the provider hears of it, so the books are equal.
    assert booked == called


def test_down_and_up_again_keeps_all_data(compose):
    total = settled(compose)
    made = compose.ask("/admin/keys", {"name": "kept"})
    compose.down()
    compose.up()
    assert events_total(compose) == total
    assert made["id"] in [key["id"] for key in compose.ask("/admin/keys")["keys"]]


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_has_no_root_no_secret_and_no_build_tool(compose, service):
    script = "id -u; command -v gcc cc make pip uv || true; env | grep -ciE 'secret|password' || true; find / -xdev -name '*.pem' -path '*tollway*' 2>/dev/null | head -1"
    done = subprocess.run(
        ["docker", "run", "--rm", "--entrypoint", "sh", f"tollway-{service}", "-c", script],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.split()
    assert lines[0] == "10001"
    assert not [line for line in lines if line.endswith(("gcc", "/cc", "make", "/uv"))]
