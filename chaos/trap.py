"""Starts a service that stops at an armed point: `python -m chaos.trap serve router …`, with CHAOS_FOLDER set.

The suite arms a point by writing its name into `FOLDER/armed`. Whoever comes by first takes the file away and dies; or,
when a server is to die, stands still until the suite has killed it and removes `FOLDER/reached`.
"""

import asyncio
import functools
import inspect
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chaos.points import POINTS, Point

FOLDER = "CHAOS_FOLDER"
STANDING_SECONDS = 30.0
# Long enough for a message to be on its way, shorter than a confirm takes.
UNDER_WAY_SECONDS = 0.001


def set_up(service: str, folder: Path) -> None:
    """Put every point of the service in place."""
    for point in POINTS:
        if point.service == service:
            owner, name = point.owner()
            setattr(owner, name, trapped(getattr(owner, name), point, folder))


def trapped(function: Callable[..., Any], point: Point, folder: Path) -> Callable[..., Any]:
    """The function with the point before, during or after it."""
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def awaited(*args: Any, **kwargs: Any) -> Any:
            if point.edge == "before":
                meet(point, folder)
            work = asyncio.ensure_future(function(*args, **kwargs)) if point.edge == "during" else None
            if work is not None:
                await asyncio.wait({work}, timeout=UNDER_WAY_SECONDS)
                if not work.done():
                    meet(point, folder)
            result = await (work if work is not None else function(*args, **kwargs))
            if point.edge == "after":
                meet(point, folder)
            return result

        return awaited

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        if point.edge == "before":
            meet(point, folder)
        result = function(*args, **kwargs)
        if point.edge == "after":
            meet(point, folder)
        return result

    return called


def meet(point: Point, folder: Path) -> None:
    """Pass by, unless this very point is armed."""
    armed, reached = folder / "armed", folder / "reached"
    try:
        if armed.read_text() != point.name:
            return
        armed.rename(reached)  # of several processes that come by, one gets it
    except FileNotFoundError:
        return
    if point.victim == "itself":
        os.kill(os.getpid(), signal.SIGKILL)
    end = time.monotonic() + STANDING_SECONDS
    while reached.exists() and time.monotonic() < end:
        time.sleep(0.01)


def main() -> None:
    """The `tollway` command with the service's points in place."""
    set_up(sys.argv[2], Path(os.environ[FOLDER]))
    from services.cli import main as tollway  # noqa: PLC0415 -- after the points are in place

    tollway()


if __name__ == "__main__":
    main()
