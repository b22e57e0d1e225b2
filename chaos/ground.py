"""The ground the suite plays on: a split Tollway with its points in place, on servers of its own, all of which may die."""

import pathlib
import signal
import time
import urllib.error
import urllib.request

from chaos.points import Point
from chaos.servers import Server
from chaos.tool import BOOKS
from chaos.trap import FOLDER
from tests.system.stack import BEHAVIOURS, Stack, wait_for

SETTLE_SECONDS = 120.0
REACHED_SECONDS = 30.0
TOOL = "python__note"
PRICES = {name: {"input": 0.00012, "output": 0.00048} for name in BEHAVIOURS}


class Ground:
    """Start it, ask `stack.url`, kill parts of it, settle, stop."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.servers = {kind: Server(kind, folder) for kind in ("postgres", "rabbitmq", "redis")}
        for server in self.servers.values():
            server.start()
        data = folder / "tollway"
        data.mkdir()
        self.tool_books.touch()
        self.stack = Stack(
            data,
            {kind: server.url for kind, server in self.servers.items()},
            config={
                "tools": {"python": ["chaos.tool:note"], "mcp": {}},
                "usage": {"prices": PRICES},
            },
            environ={FOLDER: str(folder)},
            module="chaos.trap",
        )

    @property
    def tool_books(self) -> pathlib.Path:
        """What the tool wrote down."""
        return self.folder / BOOKS

    def kill(self, name: str) -> None:
        """Kill -9 a service or a server, and start it again."""
        if name in self.servers:
            self.servers[name].kill()
            self.servers[name].start()
        else:
            self.stack.kill(name, signal.SIGKILL)
            self.stack.start_service(name)

    def strike(self, point: Point) -> bool:
        """Have somebody die at this point; whether it was reached in time."""
        armed, reached = self.folder / "armed", self.folder / "reached"
        reached.unlink(missing_ok=True)
        draft = self.folder / "arming"
        draft.write_text(point.name)
        draft.rename(armed)
        if point.at_start:
            self.kill(point.service)
        end = time.monotonic() + REACHED_SECONDS
        while not reached.exists():
            if time.monotonic() > end:
                armed.unlink(missing_ok=True)
                return False
            time.sleep(0.01)
        if point.victim == "itself":
            # The rest of its process group, too: what it had started dies with it.
            self.stack.kill(point.service, signal.SIGKILL)
            self.stack.start_service(point.service)
        else:
            self.servers[point.victim].kill()
            reached.unlink()
            self.servers[point.victim].start()
        return True

    def revive(self) -> list[str]:
        """Start what ended by itself, as whoever runs it would; it should not have to."""
        dead = [name for name in self.stack.services if self.stack.processes[name].poll() is not None]
        for name in dead:
            print(f"  {name} ended by itself:\n{self.stack.log(name)[-1500:]}", flush=True)
            self.stack.start_service(name)
        return dead

    def explain(self) -> None:
        """What the services say of themselves when something did not come back."""
        for name in self.stack.services:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.stack.ports[name]}/ready", timeout=5) as answer:
                    told = answer.read().decode()
            except urllib.error.HTTPError as error:
                told = error.read().decode()
            except OSError as error:
                told = str(error)
            print(f"--- {name}: {told}\n{self.stack.log(name)[-2500:]}")
        for kind, server in self.servers.items():
            print(f"--- {kind}\n{(server.folder / 'output.log').read_text(errors='replace')[-1500:]}")

    def stop(self) -> None:
        """End everything."""
        self.stack.stop()
        for server in self.servers.values():
            server.kill(signal.SIGKILL)

    def settle(self) -> None:
        """Until everything is up and every event has arrived."""
        self.stack.wait_ready(90)
        last = -1

        def quiet() -> bool:
            nonlocal last
            now = int(self.stack.usage("health").get("events", 0) or 0)
            before, last = last, now
            time.sleep(3)
            return now == before

        wait_for(quiet, SETTLE_SECONDS, "the ledger is quiet")
