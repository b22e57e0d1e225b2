"""The labelled points of the crash suite: each is there, is met once when armed, and lets everybody else pass."""

import asyncio
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from chaos.points import POINTS, Point
from chaos.trap import FOLDER, trapped
from tests.system.stack import ROOT, SERVICES

A_POINT = Point("here", "usage", "shared.spool:Spool.end", "before", "postgres")


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.name)
def test_each_point_is_a_function_of_its_service(point: Point) -> None:
    owner, name = point.owner()
    assert callable(getattr(owner, name))
    assert point.service in SERVICES


def test_no_two_points_have_one_name() -> None:
    assert len({point.name for point in POINTS}) == len(POINTS)


def test_who_comes_by_an_armed_point_dies_of_kill_9(tmp_path: Path) -> None:
    (tmp_path / "armed").write_text("router: dead log taken over, not removed")
    script = "from pathlib import Path; from chaos import trap; import shared.spool; trap.set_up('router', Path(__import__('os').environ['CHAOS_FOLDER'])); shared.spool._remove(Path('/nowhere'))"
    found = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env={**os.environ, FOLDER: str(tmp_path)}, timeout=60
    )
    assert found.returncode == -9
    assert (tmp_path / "reached").exists()


def test_one_stands_still_until_the_server_is_dead_and_the_next_passes(tmp_path: Path) -> None:
    (tmp_path / "armed").write_text(A_POINT.name)
    work = trapped(lambda: "done", A_POINT, tmp_path)
    said: list[str] = []
    standing = threading.Thread(target=lambda: said.append(work()))
    standing.start()
    end = time.monotonic() + 5
    while not (tmp_path / "reached").exists() and time.monotonic() < end:
        time.sleep(0.01)
    assert work() == "done"
    assert said == []
    (tmp_path / "reached").unlink()
    standing.join(5)
    assert said == ["done"]


async def test_during_means_that_the_work_has_begun_and_not_ended(tmp_path: Path) -> None:
    steps: list[str] = []

    async def work() -> None:
        steps.append("begun")
        await asyncio.sleep(0.05)
        steps.append("ended")

    point = Point("under way", "router", A_POINT.target, "during", "rabbitmq")
    (tmp_path / "armed").write_text(point.name)
    running = asyncio.ensure_future(asyncio.to_thread(asyncio.run, trapped(work, point, tmp_path)()))
    while not (tmp_path / "reached").exists():
        await asyncio.sleep(0.005)
    assert steps == ["begun"]
    (tmp_path / "reached").unlink()
    await running
    assert steps == ["begun", "ended"]


def test_another_points_name_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "armed").write_text("router: content began")
    assert trapped(lambda: "done", A_POINT, tmp_path)() == "done"
    assert (tmp_path / "armed").exists()
