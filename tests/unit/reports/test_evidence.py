"""The file of evidence: the same evidence is the same bytes, and what is shown of an address has no secrets."""

import msgspec
import pytest

from services.reports import evidence
from services.reports.insight.claims import Claim, Insight
from services.reports.sources.base import Fetched, Finding, Heard, NotKnownError, SourceError
from services.reports.sources.coingecko import KEYLESS_URL
from services.reports.sources.tape import Playback, Recorder, packed, public

FINDINGS = [Finding("coingecko", "ok", {"market": {}}), Finding("goplus", "failed", {}, "x")]
INSIGHT = Insight([Claim("market", "It is {{f:price}}.")], "model", usage={"total": 7})
HEARD = [
    Heard("coingecko", "/coins/a", f"{KEYLESS_URL}/coins/a", 1.0, b'{"id":"a"}'),
    Heard("coingecko", "/coins/b", f"{KEYLESS_URL}/coins/b", 2.0, None, "not_found"),
]


def bundle(heard=HEARD):
    return evidence.collect({"token": "a"}, 5, FINDINGS, heard, INSIGHT, {"a_report.html": "5e"})


def test_the_same_evidence_is_the_same_file_and_reads_as_it_was(tmp_path):
    for name in ("one.zip", "two.zip"):
        evidence.write(evidence.pack(bundle()), tmp_path / name)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    found = evidence.read(tmp_path / "one.zip")
    assert found == bundle()
    assert found.differing() == []


def test_a_file_that_was_there_before_becomes_private_too(tmp_path):
    target = tmp_path / "one.zip"
    target.write_bytes(b"x")
    target.chmod(0o644)
    evidence.write(evidence.pack(bundle()), target)
    assert target.stat().st_mode & 0o777 == 0o600


def test_a_body_damaged_within_the_zip_is_named(tmp_path):
    target = tmp_path / "one.zip"
    evidence.write(evidence.pack(bundle([msgspec.structs.replace(HEARD[0], body=b"0123456789")])), target)
    name = b"bodies/01-coingecko"
    raw = bytearray(target.read_bytes())
    raw[raw.index(name) + len(name) + 4] ^= 0xFF
    target.write_bytes(raw)
    assert evidence.read(target).differing() == [name.decode()]


async def test_playback_says_what_was_heard_and_asks_nobody():
    async def never():
        raise AssertionError("asked")

    tape = bundle().playback()
    assert await tape.body("coingecko", "http://x", "/coins/a", never) == Fetched(b'{"id":"a"}', 1.0)
    with pytest.raises(NotKnownError):
        await tape.body("coingecko", "http://x", "/coins/b", never)
    with pytest.raises(SourceError, match="not_in_evidence"):
        await tape.body("coingecko", "http://x", "/coins/c", never)
    assert tape.settled("coingecko") is None
    assert tape.settled("goplus") == Finding("goplus", "failed", {}, "x")


async def test_the_last_answer_to_a_question_counts():
    async def unknown():
        raise NotKnownError

    async def answer():
        return Fetched(b"{}", 4.0)

    tape = Recorder()
    with pytest.raises(NotKnownError):
        await tape.body("defillama", "http://h/coins", "/p", unknown)
    await tape.body("defillama", "http://h", "/p", answer)
    assert tape.heard() == [Heard("defillama", "/p", "http://h/p", 4.0, b"{}")]
    assert (await Playback(tape.heard(), []).body("defillama", "", "/p", unknown)).body == b"{}"


def test_what_two_stages_heard_is_put_together_and_the_later_answer_counts():
    earlier, later = HEARD, [msgspec.structs.replace(HEARD[1], fetched_at=9.0, body=b"[]", reason=None)]
    assert evidence.merged(packed(earlier), packed(later)) == [HEARD[0], *later]


@pytest.mark.parametrize(
    ("base", "shown"),
    [
        (KEYLESS_URL, KEYLESS_URL),
        ("https://pro-api.llama.fi/sk-1", "https://pro-api.llama.fi/…"),
        ("https://me:sk-1@mirror.example:8443", "https://mirror.example:8443"),
    ],
)
def test_a_configured_address_is_shown_without_what_may_be_a_key(base, shown):
    assert public(base) == shown
