"""Keys: made, used, changed, revoked; open and closed gateways."""

from pathlib import Path

import pytest

from services.gateway.auth import shown_secret
from shared import clock
from tests.fakes.gateway import ADMIN, Gateway, opened


async def test_without_token_and_keys_any_key_is_taken_but_admin_wants_its_token(gateway: Gateway) -> None:
    assert (await gateway.chat(key="whatever")).status == 200
    assert (await gateway.ask("/admin/keys", {"name": "x"}, authorization="Bearer whatever")).status == 401
    assert (await gateway.ask("/admin/keys", {"name": "x"})).status == 401


async def test_the_first_key_closes_the_gateway_and_revoking_it_does_not_open_it(gateway: Gateway) -> None:
    key_id, secret = await gateway.make_key()
    assert (await gateway.chat(key=secret)).status == 200
    refused = await gateway.chat(key="whatever")
    assert refused.status == 401
    assert refused.json()["error"]["code"] == "invalid_api_key"
    assert (await gateway.admin("DELETE", f"keys/{key_id}")).status == 204
    assert (await gateway.chat(key=secret)).status == 401
    assert (await gateway.chat(key="whatever")).status == 401
    assert (await gateway.chat(key=ADMIN)).status == 200
    assert (await gateway.admin("DELETE", f"keys/{key_id}")).status == 404


async def test_a_key_is_told_once_and_stored_by_its_hash(gateway: Gateway, tmp_path: Path) -> None:
    _, secret = await gateway.make_key(owner="me")
    listed = await gateway.admin("GET", "keys")
    assert listed.json()["keys"][0]["owner"] == "me"
    assert secret.encode() not in listed.body
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path


async def test_models_are_limited_and_patterns_count(gateway: Gateway) -> None:
    _, secret = await gateway.make_key(models=["m", "org/*"])
    assert (await gateway.chat(key=secret)).status == 200
    refused = await gateway.chat(key=secret, model="other")
    assert refused.status == 403
    assert "other" in refused.json()["error"]["message"]
    models = (await gateway.get("/v1/models", authorization=f"Bearer {secret}")).json()["data"]
    assert [model["id"] for model in models] == ["m", "org/model:tag"]


async def test_an_expired_key_is_refused_and_a_change_revives_it(gateway: Gateway) -> None:
    key_id, secret = await gateway.make_key(expires_at=clock.now() - 5)
    assert (await gateway.chat(key=secret)).status == 401
    changed = await gateway.admin("PATCH", f"keys/{key_id}", {"expires_at": None, "name": "new"})
    assert changed.json()["name"] == "new"
    assert (await gateway.chat(key=secret)).status == 200


@pytest.mark.parametrize(
    "fields",
    [
        {"requests_per_minute": 0},
        {"budget_per_day": -1},
        {"budget": 5},
        {"models": "m"},
        {"name": ""},
        {"tokens_per_minute": 1.5},
    ],
)
async def test_a_limit_that_would_not_be_kept_is_refused(gateway: Gateway, fields: dict[str, object]) -> None:
    answer = await gateway.admin("POST", "keys", {"name": "x", **fields})
    assert answer.status == 422
    assert next(iter(fields)) in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "body", [b"[", b'{"name":"\\ud800"}', b'{"name":"a","name":"b"}', b'{"name":"x","budget_per_day":NaN}']
)
async def test_odd_admin_bodies_are_400(gateway: Gateway, body: bytes) -> None:
    assert (await gateway.admin("POST", "keys", body)).status == 400


async def test_a_key_is_made_whatever_the_body_is_called(gateway: Gateway) -> None:
    kind = "application/x-www-form-urlencoded"
    made = await gateway.ask("/admin/keys", {"name": "x"}, authorization=f"Bearer {ADMIN}", content_type=kind)
    assert made.status == 201


async def test_another_replicas_revocation_is_seen_by_the_next_look(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'shared.db'}"
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    async with opened(tmp_path / "a", database_url=url) as one, opened(tmp_path / "b", database_url=url) as two:
        key_id, secret = await one.make_key()
        ring = two.part.workers["keys"].__self__
        await ring.look()
        assert (await two.chat(key=secret)).status == 200
        await one.admin("DELETE", f"keys/{key_id}")
        await ring.look()
        assert (await two.chat(key=secret)).status == 401


async def test_the_static_token_opens_by_both_headers_on_both_protocols(tmp_path: Path) -> None:
    async with opened(tmp_path, TOKEN="secret") as gateway:
        for path in ("/v1/chat/completions", "/v1/messages"):
            body = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
            assert (await gateway.ask(path, body)).status == 401
            assert (await gateway.ask(path, body, x_api_key="secret")).status == 200
            assert (await gateway.ask(path, body, authorization="Bearer secret")).status == 200
            assert (await gateway.ask(path, body, authorization="Bearer wrong", x_api_key="secret")).status == 401
        assert gateway.router.calls[0].named.key_id == "token"


async def test_without_an_admin_token_the_holder_of_token_administers(tmp_path: Path) -> None:
    async with opened(tmp_path, TOKEN="secret", TOLLWAY_ADMIN_TOKEN="") as gateway:
        assert (await gateway.ask("/admin/keys", method="GET", authorization="Bearer secret")).status == 200
        assert (await gateway.ask("/admin/keys", method="GET")).status == 401


def test_another_scheme_leaves_the_word_to_the_other_header() -> None:
    assert shown_secret({"authorization": "Basic abc", "x-api-key": "k"}) == "k"
    assert shown_secret({"authorization": "bearer  abc "}) == "abc"
    assert shown_secret({}) is None


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "tollway.lan"}, 200),  # no browser
        ({"host": "127.0.0.1:8080", "sec-fetch-site": "same-origin"}, 200),
        ({"host": "127.0.0.1:8080", "origin": "http://127.0.0.1:8080"}, 200),
        ({"host": "[::1]:8080", "origin": "http://localhost:3000"}, 200),
        ({"host": "127.0.0.1:8080", "origin": "http://app.localhost:3000"}, 200),
        ({"host": "127.0.0.1:8080", "origin": "https://evil.example"}, 403),
        ({"host": "127.0.0.1:8080", "origin": "null"}, 403),
        ({"host": "127.0.0.1:8080", "origin": "http://localhost.evil.example"}, 403),
        ({"host": "evil.example:8080", "origin": "http://evil.example:8080"}, 403),  # a name made to lead here
        ({"host": "evil.example:8080", "sec-fetch-site": "same-origin"}, 403),
        ({"host": "evil.example:x]", "origin": "http://["}, 403),
    ],
)
async def test_a_page_of_another_site_cannot_use_a_gateway_open_to_this_machine(
    tmp_path: Path, headers: dict[str, str], status: int
) -> None:
    async with opened(tmp_path, TOLLWAY_ADMIN_TOKEN="") as gateway:
        body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
        answered = await gateway.ask("/v1/chat/completions", body, **headers)
        assert answered.status == status
        if status == 403:
            assert answered.json()["error"]["code"] == "origin_refused"
            assert (await gateway.ask("/admin/keys", {"name": "x"}, **headers)).status in (401, 403)
        else:
            assert (await gateway.ask("/admin/keys", {"name": "x"}, **headers)).status == 201


async def test_with_a_key_a_page_of_any_site_may_ask(gateway: Gateway) -> None:
    _, secret = await gateway.make_key()
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    page = {"origin": "https://chat.example", "host": "tollway.example"}
    assert (await gateway.ask("/v1/chat/completions", body, authorization=f"Bearer {secret}", **page)).status == 200
