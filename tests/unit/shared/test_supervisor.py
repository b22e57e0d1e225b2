"""Several workers behind one socket: what cannot start ends at once, with its reason, instead of trying for ever."""

import socket
import sys
from pathlib import Path

import pytest

from shared import supervisor
from shared.service import Refused


def test_a_port_that_is_taken_is_refused_in_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Refused, match=f"cannot listen on 127.0.0.1:{port}: "):
            supervisor.supervise("router", 2, "127.0.0.1", port, [])


def test_workers_that_refuse_to_start_are_not_started_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\necho started >> "{tmp_path}/starts"\nexit 1\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setattr(supervisor, "LOOK_EVERY_SECONDS", 0.05)
    monkeypatch.setattr(supervisor.signal, "signal", lambda *_: None)
    assert supervisor.supervise("router", 2, "127.0.0.1", 0, []) == 1
    assert (tmp_path / "starts").read_text().count("started") <= 2


@pytest.mark.parametrize(("ended", "code"), [(0, 0), (1, 1), (-15, 0), (-9, 137)])
def test_exit_codes_are_a_shells(ended: int, code: int) -> None:
    assert supervisor._exit_code(ended) == code
