"""Two gateways on one Redis and one ledger: what a client may rely on whichever of them it reaches."""

import concurrent.futures
import http.client
import json
import pathlib
import signal
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from shared.ids import uuid7
from tests.system.conftest import real_servers
from tests.system.stack import ADMIN, Stack, get, running, wait_for

PRICED = ("o-ok", "o-slow-500", "o-history")
PRICES = {"prices": {name: {"input": 1, "output": 1} for name in PRICED}}  # a token is 0.001
SENTENCE = "Tollway carries every word of this answer from the provider to the client unharmed."


@dataclass
class Told:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def said(self) -> str:
        return str(self.json["choices"][0]["message"]["content"])


class Replica:
    """One of the gateways, as a client sees it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, path: str, body: dict[str, Any], key: str = ADMIN) -> Told:
        connection = self.open(path, body, key)
        try:
            answer = connection.getresponse()
            return Told(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def open(self, path: str, body: dict[str, Any], key: str = ADMIN) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("POST", path, json.dumps(body), {"authorization": f"Bearer {key}"})
        return connection

    def chat(self, text: str = "hi", model: str = "o-ok", key: str = ADMIN, **fields: Any) -> Told:
        body = {"model": model, "messages": [{"role": "user", "content": text}], **fields}
        return self.ask("/v1/chat/completions", body, key)


@dataclass
class Pair:
    stack: Stack
    one: Replica
    two: Replica

    def make_key(self, **fields: Any) -> tuple[str, str]:
        made = get(f"{self.one.url}/admin/keys", body={"name": "test", **fields})
        # Keys travel to the other replica within two seconds.
        wait_for(lambda: self.two.chat(model="none", key=made["key"]).status != 401, 2, "the other replica knows a key")
        return made["id"], made["key"]


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with tempfile.TemporaryDirectory(prefix="tollway-replicas-", ignore_cleanup_errors=True) as folder:
        config = {"cache": {"enabled": True}, "usage": PRICES, "tools": {}}
        stack = Stack(pathlib.Path(folder), real_servers(), config, replicas=("gateway2",))
        with running(stack):
            pair = Pair(stack, Replica(stack.ports["gateway"]), Replica(stack.ports["gateway2"]))
            # The first key closes both: until then any key is taken.
            pair.make_key()
            wait_for(lambda: pair.two.chat(model="none", key="wrong").status == 401, 2, "the other replica is closed")
            yield pair


def test_a_session_goes_on_at_the_other_replica(pair: Pair) -> None:
    session = uuid7().hex
    pair.one.chat("first", model="o-history", session_id=session)
    pair.two.chat("second", model="o-history", session_id=session)
    told = json.loads(pair.one.chat("third", model="o-history", session_id=session).said)
    assert told["roles"] == ["user", "assistant", "user", "assistant", "user"]


def test_a_kept_answer_is_the_others_too_in_either_dialect(pair: Pair) -> None:
    question = uuid7().hex
    assert pair.one.chat(question, model="a-ok", max_tokens=50).headers["x-tollway-cache"] == "miss"
    body = {"model": "a-ok", "max_tokens": 50, "messages": [{"role": "user", "content": question}]}
    hit = pair.two.ask("/v1/messages", body)
    assert (hit.headers["x-tollway-cache"], hit.json["content"][0]["text"]) == ("hit", SENTENCE)
    (event,) = pair.stack.events(1, request_id=hit.headers["x-request-id"])
    assert (event["kind"], event["cost"]) == ("cache", 0)


def test_a_rate_is_one_for_both(pair: Pair) -> None:
    _, key = pair.make_key(requests_per_minute=50)
    with concurrent.futures.ThreadPoolExecutor(40) as threads:
        turns = [(pair.one, pair.two)[number % 2] for number in range(120)]
        statuses = [told.status for told in threads.map(lambda replica: replica.chat(key=key), turns)]
    # The look-up that told of the key counted, too, when the key was there at the first look.
    assert statuses.count(200) in (49, 50)
    assert statuses.count(429) == 120 - statuses.count(200)


def test_a_revoked_key_is_refused_by_the_other_within_two_seconds(pair: Pair) -> None:
    key_id, key = pair.make_key()
    assert pair.two.chat(key=key).status == 200
    get(f"{pair.one.url}/admin/keys/{key_id}", method="DELETE")
    assert pair.one.chat(key=key).status == 401
    wait_for(lambda: pair.two.chat(key=key).status == 401, 2, "the other replica refuses the key")


def test_200_at_once_with_money_for_50_are_never_more_than_50_and_the_ledger_agrees(pair: Pair) -> None:
    sample = pair.one.chat(max_tokens=20)
    cost = sample.json["usage"]["total_tokens"] / 1000
    key_id, key = pair.make_key(budget_per_day=cost * 50)
    with concurrent.futures.ThreadPoolExecutor(60) as threads:
        turns = [(pair.one, pair.two)[number % 2] for number in range(200)]
        told = list(threads.map(lambda replica: replica.chat(key=key, max_tokens=20), turns))
    admitted = [answer for answer in told if answer.status == 200]
    assert 0 < len(admitted) <= 50
    assert {answer.status for answer in told} == {200, 402}
    booked = wait_for(lambda: _spent(pair, key_id, len(admitted)), 20, "every admitted call is booked")
    standing = get(f"{pair.two.url}/admin/keys/{key_id}")["standing"]
    assert standing["reserved"] == 0
    assert standing["spent_today"] == pytest.approx(booked) == pytest.approx(cost * len(admitted))


def _spent(pair: Pair, key_id: str, calls: int) -> float | None:
    rows = [event for event in pair.stack.usage("events?limit=500")["events"] if event["key_id"] == key_id]
    return sum(event["cost"] or 0 for event in rows) if len(rows) == calls else None


@pytest.mark.timeout(180)
def test_a_killed_replica_loses_its_own_streams_and_nothing_else(pair: Pair) -> None:
    key_id, key = pair.make_key(budget_per_day=1000)
    session = uuid7().hex
    pair.one.chat("first", model="o-history", session_id=session, key=key)
    body = {"model": "o-slow-500", "stream": True, "messages": [{"role": "user", "content": "x"}], "max_tokens": 500}
    with concurrent.futures.ThreadPoolExecutor(20) as threads:
        running_streams = {
            replica: [threads.submit(_stream, replica, body, key) for _ in range(8)] for replica in (pair.one, pair.two)
        }
        wait_for(lambda: _open_calls(pair) == 16, 20, "all streams run")
        pair.stack.kill("gateway2", signal.SIGKILL)
        killed = time.monotonic()
        answers = [pair.one.chat(key=key, max_tokens=20).status for _ in range(10)]
        assert answers == [200] * 10
        ends = {replica: [stream.result() for stream in streams] for replica, streams in running_streams.items()}
    assert ends[pair.one] == ["whole"] * 8
    assert ends[pair.two] == ["cut"] * 8
    told = pair.one.chat("second", model="o-history", session_id=session, key=key)
    assert json.loads(told.said)["n"] == 3
    # What the dead one held is free again when its reservations expire; what it had used is in the books.
    wait_for(lambda: _standing(pair, key_id)["reserved"] == 0, 45, "the orphaned reservations have expired")
    assert time.monotonic() - killed < 45
    rows = wait_for(lambda: _booked(pair, key_id, 28), 20, "every call is booked")
    statuses = sorted(event["status"] for event in rows if event["requested_model"] == "o-slow-500")
    assert statuses == ["aborted"] * 8 + ["ok"] * 8
    assert len({event["request_id"] for event in rows}) == 28
    spent = sum(event["cost"] or 0 for event in rows)
    wait_for(
        lambda: _standing(pair, key_id)["spent_today"] == pytest.approx(spent), 15, "the count and the ledger agree"
    )
    pair.stack.start_service("gateway2")
    pair.stack.wait_ready()
    assert pair.two.chat(key=key, max_tokens=20).status == 200


def _stream(replica: Replica, body: dict[str, Any], key: str) -> str:
    connection = replica.open("/v1/chat/completions", body, key)
    try:
        text = connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return "cut"
    finally:
        connection.close()
    return "whole" if text.endswith(b"data: [DONE]\n\n") else "cut"


def _open_calls(pair: Pair) -> int:
    calls = pair.stack.provider_books()
    return sum(call["model"] == "slow-500" and not call["finished"] and not call["cut"] for call in calls)


def _standing(pair: Pair, key_id: str) -> dict[str, float]:
    standing: dict[str, float] = get(f"{pair.one.url}/admin/keys/{key_id}")["standing"]
    return standing


def _booked(pair: Pair, key_id: str, count: int) -> list[dict[str, Any]] | None:
    rows = [event for event in pair.stack.usage("events?limit=500")["events"] if event["key_id"] == key_id]
    return rows if len(rows) >= count else None
