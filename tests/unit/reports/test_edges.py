"""Requests, identity, webhooks' signatures, leases: the small rules at the edges."""

import base64
import hmac
import os
from hashlib import sha256

import pytest
from fastapi import FastAPI

from services.reports.errors import FieldInvalid
from services.reports.identity import Doorkeeper
from services.reports.relay import gone, worker_name
from services.reports.request import fingerprint, read
from services.reports.routes import install, parse
from services.reports.webhooks import new_secret, signature
from shared.errors import BadRequest, Unauthenticated
from shared.settings import settings_from

TOKEN = {"type": "token", "token": "usd-coin", "address": "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"}


def test_a_request_is_normalised_with_its_defaults():
    found = read(TOKEN)
    assert found["address"] == TOKEN["address"].lower()
    assert (found["chain"], found["days"], found["formats"]) == ("ethereum", 90, ["html"])
    assert (found["insight"], found["sample"], found["language"]) == (True, False, "en")


def test_spellings_of_one_request_have_one_fingerprint():
    same = [TOKEN, {**TOKEN, "chain": "ETH"}, {**TOKEN, "format": "html"}, {**TOKEN, "formats": ["html", "html"]}]
    assert len({fingerprint(read(body)) for body in same}) == 1
    assert fingerprint(read({**TOKEN, "days": 91})) != fingerprint(read(TOKEN))


def test_the_type_is_a_token_report_unless_told_otherwise():
    assert read({k: v for k, v in TOKEN.items() if k != "type"})["type"] == "token"
    assert read({"type": "usage", "format": "csv"})["formats"] == ["csv"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"type": "weather"}, "type"),
        ({"type": ["token"]}, "type"),
        ({"type": None}, "type"),
        ({"token": ""}, "token"),
        ({"token": "<script>"}, "token"),
        ({"token": 5}, "token"),
        ({"address": "0x123"}, "address"),
        ({"address": "0x" + "g" * 40}, "address"),
        ({"address": None}, "address"),
        ({"chain": "mars"}, "chain"),
        ({"days": 0}, "days"),
        ({"days": -1}, "days"),
        ({"days": 366}, "days"),
        ({"days": 1.5}, "days"),
        ({"days": "30"}, "days"),
        ({"days": True}, "days"),
        ({"formats": ["docx"]}, "formats"),
        ({"formats": []}, "formats"),
        ({"formats": {"html": 1}}, "formats"),
        ({"format": "docx"}, "formats"),
        ({"insight": "yes"}, "insight"),
        ({"insight": {"model": ""}}, "insight"),
        ({"sample": 1}, "sample"),
        ({"language": "fr"}, "language"),
        ({"webhook_url": 5}, "webhook_url"),
        ({"webhook_url": "x" * 3000}, "webhook_url"),
    ],
)
def test_what_is_wrong_names_its_field(change, field):
    with pytest.raises(FieldInvalid) as caught:
        read({**TOKEN, **change})
    assert caught.value.param.split(".")[0] == field
    assert caught.value.status == 422


@pytest.mark.parametrize("body", [None, [], "x", 5])
def test_a_body_that_is_no_object_is_refused(body):
    with pytest.raises(FieldInvalid):
        read(body)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'{"a":1,"a":2}',
        b'{"a":{"b":1,"b":2}}',
        b'{"days":NaN}',
        b'{"days":1e999}',
        b"[" * 500,
        b'{"token":"\\ud800"}',
    ],
)
def test_json_is_read_strictly(raw):
    with pytest.raises((BadRequest, FieldInvalid)):
        read(parse(raw))


INTERNAL = {"x-tollway-internal": "between-us"}


def door(**environment):
    return Doorkeeper(settings_from({f"TOLLWAY_{k.upper()}": v for k, v in environment.items()}))


def test_the_gateways_word_counts_only_with_the_internal_token():
    strict = door(internal_token="between-us", admin_token="adm")
    with pytest.raises(Unauthenticated):
        strict.identify({"x-tollway-key-id": "k1", "x-tollway-admin": "1"})
    with pytest.raises(Unauthenticated):
        strict.identify({"x-tollway-internal": "guessed", "x-tollway-admin": "1"})
    assert strict.identify({**INTERNAL, "x-tollway-key-id": "k1"}).sees == "k1"
    assert strict.identify({**INTERNAL, "x-tollway-admin": "1"}).sees is None
    assert strict.identify({"authorization": "Bearer adm"}).sees is None


def test_without_an_internal_token_the_headers_are_believed():
    assert door().identify({"x-tollway-key-id": "k1"}).owner == "k1"
    assert door().identify({}).owner == "admin"
    assert door().identify({}).sees == "admin"


def test_webhooks_are_signed_as_standard_webhooks_ask():
    secret = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
    signed = b"msg_1.1700000000." + b'{"type":"x"}'
    expected = base64.b64encode(hmac.new(b"0123456789abcdef01234567", signed, sha256).digest()).decode()
    assert signature(secret, "msg_1", 1700000000, b'{"type":"x"}') == f"v1,{expected}"
    assert signature("plain text!", "a", 1, b"").startswith("v1,")
    assert new_secret().startswith("whsec_")
    assert new_secret() != new_secret()


def test_a_lease_of_a_dead_process_on_this_host_is_free():
    own = worker_name("me")
    host = own.split("/")[0]
    assert not gone(own, own)
    assert gone(f"{host}/{os.getpid()}/before-me", own)
    assert gone(f"{host}/999999999/x", own)
    assert not gone(f"{host}/1/x", own)
    assert not gone("elsewhere/999999999/x", own)
    assert not gone("", own)


async def test_a_refused_method_is_told_with_those_that_are_allowed():
    app = FastAPI()
    install(app)
    said: list[dict] = []

    async def send(message: dict) -> None:
        said.append(message)

    async def receive() -> dict:
        return {"type": "http.request", "body": b""}

    scope = {"type": "http", "method": "TRACE", "path": "/v1/reports", "query_string": b"", "headers": []}
    await app(scope, receive, send)
    assert said[0]["status"] == 405
    assert b"allow" in dict(said[0]["headers"])
