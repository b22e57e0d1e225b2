"""`tollway usage` and `tollway prices` against a running ledger: what they print, and one line for what goes wrong."""

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn

from services import cli, cli_arguments
from services.usage import app as usage
from tests.fakes.ledger import opened
from tests.ports import free_port


class Served:
    """A ledger behind a port of its own, in a thread of its own."""

    def __init__(self, folder: Path) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self._folder = folder
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    async def _serve(self) -> None:
        async with opened(self._folder, TOLLWAY_ADMIN_TOKEN="admin") as books:
            config = uvicorn.Config(
                usage.routes(books.ledger), port=int(self.url.rpartition(":")[2]), log_level="error"
            )
            self._server = uvicorn.Server(config)
            serving = asyncio.create_task(self._server.serve())
            while not self._server.started:
                await asyncio.sleep(0.01)
            self._ready.set()
            await serving

    def __enter__(self) -> "Served":
        self._thread.start()
        assert self._ready.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(30)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("ledger")) as found:
        records = [
            {"model": "qwen-plus", "input_tokens": 7, "output_tokens": 0, "user_id": "u", "session_id": "s/1"},
            {"model": "mystery", "input_tokens": 1000, "output_tokens": 1000, "user_id": "=1+1"},
        ]
        headers = {"authorization": "Bearer admin"}
        httpx2.post(found.url + "/api/ai_usage/record", json=records, headers=headers).raise_for_status()
        yield found


class Terminal:
    """Runs commands and holds what they said."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            cli.main(arguments)
        said = self._capsys.readouterr()
        return int(left.value.code or 0), said.out, said.err

    def json(self, *arguments: str) -> Any:
        code, out, err = self(*arguments)
        assert code == 0, err
        return json.loads(out)


@pytest.fixture
def tollway(
    served: Served, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Terminal:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TOLLWAY_URL", served.url)
    monkeypatch.setenv("TOLLWAY_ADMIN_TOKEN", "admin")
    return Terminal(capsys)


@pytest.mark.parametrize("what", [name for name in cli_arguments.USAGE if name not in ("session", "export", "proof")])
def test_every_command_prints_json(tollway: Terminal, what: str) -> None:
    assert isinstance(tollway.json("usage", what), dict)


def test_numbers_are_printed_as_the_server_wrote_them(tollway: Terminal) -> None:
    _, out, _ = tollway("usage", "session", "--session-id", "s/1")
    assert '"cost": 0.0000028' in out


@pytest.mark.parametrize("kind", ["json", "csv", "html"])
def test_an_export_is_a_file_here(tollway: Terminal, kind: str) -> None:
    code, out, _ = tollway("usage", "export", "--format", kind)
    assert code == 0
    assert Path(out.strip()).read_text(encoding="utf-8")
    assert tollway("usage", "export", "--format", kind, "--out", "mine")[1] == "mine\n"


def test_an_export_can_be_of_a_month(tollway: Terminal) -> None:
    tollway("usage", "export", "--from", "2026-10-01", "--to", "2026-10-31", "--out", "october")
    told = json.loads(Path("october").read_text(encoding="utf-8"))
    assert (told["from"], told["to"], len(told["daily"])) == ("2026-10-01", "2026-10-31", 31)


def test_a_price_is_added_tried_booked_and_its_corrections_are_shown(tollway: Terminal) -> None:
    added = tollway.json("prices", "add", "mystery", "--input", "0.1", "--output", "0.2", "--valid-from", "2020-01-01")
    assert (added["input"], added["display_name"]) == (0.1, None)
    assert added["valid_from"].startswith("2020-01-01T00:00:00")
    period = ("prices", "reprice", "--from", "2020-01-01", "--to", "2030-01-01", "--model", "mystery")
    dry = tollway.json(*period)
    assert (dry["dry_run"], dry["changed"], dry["delta"]) == (True, 1, 0.3)
    run = tollway.json(*period, "--apply")["run_id"]
    (entry,) = tollway.json("prices", "corrections", "--run-id", run)["corrections"]
    assert (entry["model"], entry["amount"], entry["currency"]) == ("mystery", 0.3, "CNY")
    assert tollway.json(*period, "--apply")["changed"] == 0
    assert tollway.json("prices", "rate", "USD", "CNY", "7.25", "--valid-from", "2026-01-01")["rate"] == 7.25
    assert tollway.json("prices", "list") == tollway.json("prices")
    assert tollway("usage", "proof")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("usage", "nonsense"), 2, "invalid choice: 'nonsense'"),
        (("usage", "breakdown", "--by", "nonsense"), 2, "invalid choice: 'nonsense'"),
        (("usage", "daily", "--days-ago", "x"), 2, "invalid int value"),
        (("usage", "daily", "--days-ago", "-1"), 1, "answered 422: days_ago"),
        (("usage", "trend", "--days", "0"), 1, "answered 422: days"),
        (("usage", "session"), 1, "needs --session-id"),
        (("usage", "export", "--days", "0"), 1, "answered 422: days"),
        (("usage", "export", "--out", "no/such/folder"), 1, "no/such/folder cannot be written"),
        (("prices", "add", "m", "--input", "cheap", "--output", "1"), 2, "'cheap' is no amount of money"),
        (("prices", "add", "m", "--input", "-1", "--output", "1"), 2, "amount of money"),
        (("prices", "add", "m", "--input", "1", "--output", "1", "--valid-from", "soon"), 2, "'soon' is no date"),
        (("prices", "add", "m", "--input", "1", "--output", "1", "--currency", "yuan"), 1, "currency"),
        (("prices", "reprice", "--from", "2026-13-01", "--to", "2026-01-01"), 2, "'2026-13-01' is no date"),
        (("prices", "reprice", "--from", "2026-02-01", "--to", "2026-01-01"), 1, "must not be after"),
        (("keys", "create", "--name", "n", "--budget-per-day", "much"), 2, "'much' is no amount of money"),
    ],
)
def test_what_makes_no_sense_is_told_in_one_line(
    tollway: Terminal, arguments: tuple[str, ...], code: int, told: str
) -> None:
    left, out, err = tollway(*arguments)
    assert (left, out) == (code, "")
    assert told in err.splitlines()[-1]
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        (
            "TOLLWAY_ADMIN_TOKEN",
            "wrong",
            "401: Incorrect token provided. (the token is taken from TOLLWAY_ADMIN_TOKEN)",
        ),
        ("TOLLWAY_URL", "http://127.0.0.1:1", "cannot be reached"),
        ("TOLLWAY_URL", "127.0.0.1", "must begin with http"),
    ],
)
@pytest.mark.parametrize("arguments", [("usage",), ("usage", "export"), ("usage", "proof"), ("prices",)])
def test_a_server_that_is_not_there_or_does_not_know_us_is_one_line(
    tollway: Terminal, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], variable: str, value: str, told: str
) -> None:
    monkeypatch.setenv(variable, value)
    left, out, err = tollway(*arguments)
    assert (left, out, len(err.splitlines())) == (1, "", 1)
    assert told in err


def test_help_says_what_every_command_and_option_is_for(tollway: Terminal) -> None:
    for arguments in (("usage",), ("prices",), ("prices", "add"), ("prices", "reprice"), ("prices", "rate")):
        code, out, _ = tollway(*arguments, "--help")
        assert code == 0
        bare = [line for line in out.splitlines() if line.startswith("  --") and len(line.split()) < 3]
        following = out.splitlines()
        assert not [line for line in bare if not following[following.index(line) + 1].startswith("      ")], bare
