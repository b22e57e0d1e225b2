"""PDF and PNG, which take seconds to make: the same bytes every time, nothing fetched, readable by others."""

import socket

import pytest

from services.reports import render
from services.reports.analyse import analyse
from services.reports.insight.write import by_template
from services.reports.sources import sample


def made(token="aave", language="en"):
    request = {
        "token": token,
        "address": "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48",
        "chain": "Ethereum",
        "days": 365,
        "as_of_ms": sample.as_of_ms(),
        "sample": True,
        "language": language,
    }
    found = analyse(request, sample.findings(token))
    return found, by_template(found, language)


def test_the_same_input_gives_the_same_bytes():
    first, second = (render.token_files(*made(), ["html", "json", "csv", "pdf"]) for _ in range(2))
    assert first == second


def test_pdf_is_written_without_fetching(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    body = render.pdf('<img src="http://127.0.0.1:1/x.png"><img src="file:///etc/passwd"><p>hello</p>')
    assert body.startswith(b"%PDF")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_charts_become_one_image(language):
    body = render.png(made(language=language)[0])
    assert body[:4] == b"\x89PNG"
    assert len(body) > 100_000
