"""UnifAI through its two endpoints: nothing is sent twice, no payment leaves, the list of actions counts."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.tools.errors import ToolFailed, ToolForbidden
from services.tools.providers.base import Context, Outcome
from services.tools.providers.unifai import INVOKE, SEARCH, UnifAIProvider
from shared.config import LiveConfig
from shared.config.schema import Config
from shared.http_client import HttpClient
from tests.fakes.unifai import FakeUnifAI


@pytest.fixture
async def fake() -> AsyncIterator[FakeUnifAI]:
    server = await FakeUnifAI().start()
    yield server
    await server.stop()


@pytest.fixture
async def http() -> AsyncIterator[HttpClient]:
    client = HttpClient()
    yield client
    await client.close()


async def call(
    fake: FakeUnifAI, http: HttpClient, name: str, arguments: dict[str, Any], seconds: float = 5, **settings: Any
) -> Outcome:
    unifai = {"api_key": "agent-key", "base_url": fake.url, **settings}
    provider = UnifAIProvider(LiveConfig(Config.model_validate({"tools": {"unifai": unifai}})), http)
    tool = next(tool for tool in provider.tools() if tool.name == name)
    return await provider.run(tool, arguments, Context("c", None, seconds, 1 << 20, lambda piece: None))


async def test_without_a_key_there_is_nothing(http: HttpClient) -> None:
    provider = UnifAIProvider(LiveConfig(Config()), http)
    assert (provider.tools(), provider.servers()) == ([], [])


@pytest.mark.parametrize("mode", ["plain", "wrapped"])
async def test_a_search_shows_the_actions_that_are_allowed(fake: FakeUnifAI, http: HttpClient, mode: str) -> None:
    fake.mode = mode
    outcome = await call(fake, http, SEARCH, {"query": "weather"}, allow_actions=("Weather--*",))
    assert [row["action"] for row in json.loads(outcome.text)] == ["Weather--1--today"]
    assert fake.asked == [{"query": {"query": "weather", "limit": "10"}, "key": "agent-key"}]


async def test_an_action_is_invoked_with_its_payload_and_without_a_payment(fake: FakeUnifAI, http: HttpClient) -> None:
    arguments = {"action": "Weather--1--today", "payload": {"city": "Oslo"}, "payment": 5}
    outcome = await call(fake, http, INVOKE, arguments)
    assert json.loads(outcome.text)["payload"] == {"done": "Weather--1--today"}
    assert fake.asked[0]["body"] == {"action": "Weather--1--today", "payload": {"city": "Oslo"}}


async def test_a_payment_leaves_only_when_the_operator_allows_it(fake: FakeUnifAI, http: HttpClient) -> None:
    await call(fake, http, INVOKE, {"action": "A", "payment": 5}, allow_payments=True)
    assert fake.asked[0]["body"]["payment"] == 5


async def test_an_action_that_is_not_on_the_list_never_leaves(fake: FakeUnifAI, http: HttpClient) -> None:
    with pytest.raises(ToolForbidden):
        await call(fake, http, INVOKE, {"action": "Money--2--send"}, allow_actions=("Weather--*",))
    assert fake.asked == []


@pytest.mark.parametrize("mode", ["402", "429", "500"])
async def test_a_failure_is_told_and_nothing_is_sent_again(fake: FakeUnifAI, http: HttpClient, mode: str) -> None:
    fake.mode = mode
    with pytest.raises(ToolFailed) as failed:
        await call(fake, http, INVOKE, {"action": "A"})
    assert failed.value.error_code == f"http_{mode}"
    assert f"scripted {mode}" in failed.value.message
    assert len(fake.asked) == 1


async def test_slow_huge_and_odd_answers_end(fake: FakeUnifAI, http: HttpClient) -> None:
    fake.mode = "slow"
    with pytest.raises(ToolFailed) as failed:
        await call(fake, http, SEARCH, {"query": "q"}, seconds=0.2)
    assert failed.value.error_code == "timeout"
    fake.mode = "huge"
    with pytest.raises(ToolFailed):
        await call(fake, http, SEARCH, {"query": "q"})
    fake.mode = "text"
    assert (await call(fake, http, SEARCH, {"query": "q"})).text == "not JSON at all"


async def test_fixed_actions_are_tools_of_their_own(fake: FakeUnifAI, http: HttpClient) -> None:
    await call(
        fake, http, "unifai__Fixed--3--run", {"payload": "{}"}, static_actions=("Fixed--3--run",), allow_actions=()
    )
    assert fake.asked[0]["body"] == {"action": "Fixed--3--run", "payload": "{}"}
