"""Our own tools, as far as they need no network."""

import json

import pytest

from services.tools.errors import ToolFailed
from services.tools.providers.base import Context
from services.tools.providers.builtin import BuiltinProvider
from services.tools.providers.calculate import calculate
from services.tools.providers.fetch import page_text
from shared.cache_memory import MemoryCache
from shared.config import LiveConfig
from shared.config.schema import Config
from shared.http_client import HttpClient
from shared.messages.tools import result_key


async def run(name: str, arguments: dict, cache: MemoryCache | None = None, key_id: str | None = None) -> str:
    provider = BuiltinProvider(LiveConfig(Config()), HttpClient(), cache or MemoryCache())
    spec = next(spec for spec in provider.tools() if spec.name == f"builtin__{name}")
    return (await provider.run(spec, arguments, Context("c", key_id, 5, 1000, lambda piece: None))).text


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1 + 2 * 3", 7),
        ("2^10", 1024),
        ("-(4 - 6) / 2", 1.0),
        ("max(1, sqrt(16), 3)", 4.0),
        ("7 // 2 % 2", 1),
        ("0.1 + 0.2", 0.1 + 0.2),
    ],
)
def test_arithmetic(expression: str, value: float) -> None:
    assert calculate(expression) == value


@pytest.mark.parametrize(
    "expression",
    ["9**9**9", "2**100000", "10**-9999999999", "__import__('os')", "(lambda: 1)()", "[1]*9", "'a'*9", "1/0", "x", "", "sqrt(-1)",
     "(-8)**0.5", "1 if 1 else 2", "(" * 400 + ")" * 400, "True", "a.b", "sqrt(x=4)", "1" * 1001, "round(5, -1000000000)",
     "1e308 * 10", "1e999"],
)  # fmt: skip
@pytest.mark.timeout(10)
def test_what_is_not_arithmetic_is_refused(expression: str) -> None:
    with pytest.raises(ToolFailed):
        calculate(expression)


async def test_the_time_is_told_in_a_zone() -> None:
    answer = json.loads(await run("get_current_time", {"timezone": "Asia/Tokyo"}))
    assert answer["timezone"] == "Asia/Tokyo"
    assert answer["datetime"].endswith("+09:00")
    with pytest.raises(ToolFailed, match="not a time zone"):
        await run("get_current_time", {"timezone": "../etc/passwd"})


async def test_a_kept_result_is_read_in_pieces_by_its_own_key_only() -> None:
    cache = MemoryCache()
    await cache.set(result_key("k", "r"), b"zero one two")
    assert await run("read_result", {"id": "r", "offset": 5, "length": 3}, cache, "k") == "[characters 5-8 of 12]\none"
    with pytest.raises(ToolFailed):
        await run("read_result", {"id": "r"}, cache, "other")


def test_a_page_becomes_text() -> None:
    page = "<p>a&amp;b<br>c</p><script>x</script ><!-- no --><ul><li>d</li></ul>"
    assert page_text(page) == "a&b\nc\nd"


def test_signs_and_broken_markup_are_no_tags() -> None:
    assert page_text("<!doctype html><title>T</title>1 < 2<svg><path/></svg> & 3<br") == "T 1 < 2 & 3"
    assert page_text("a<script>never closed <p>b") == "a"


@pytest.mark.parametrize("piece", ["<script>", "<!--", "<br ", "</div ", "<svg></svg>", "<", "&#"])
@pytest.mark.timeout(5)
def test_a_page_made_to_keep_a_reader_busy_does_not(piece: str) -> None:
    page_text(piece * (1_000_000 // len(piece)))
