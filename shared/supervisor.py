"""Several worker processes behind one listening socket: started, restarted when they die, stopped together."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from types import FrameType

LOOK_EVERY_SECONDS = 1.0


def supervise(service: str, workers: int, host: str, port: int, arguments: Sequence[str]) -> int:
    """Run until stopped; a worker that dies is replaced. Returns the worst exit code of the drain."""
    listener = _listen(host, port)
    stop = threading.Event()

    def on_signal(_: int, __: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    with tempfile.TemporaryDirectory(prefix=f"tollway-{service}-metrics-") as metrics:
        command = [sys.executable, "-m", f"services.{service}", *arguments, "--listener", str(listener.fileno())]
        environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": metrics}  # noqa: TID251 -- handed on to the workers

        def start() -> subprocess.Popen[bytes]:
            return subprocess.Popen(  # noqa: S603 -- our own program
                command, pass_fds=[listener.fileno()], env=environment, start_new_session=True
            )

        running = [start() for _ in range(workers)]
        while not stop.wait(LOOK_EVERY_SECONDS):
            running = [worker if worker.poll() is None else start() for worker in running]
        for worker in running:
            worker.terminate()
        return max(worker.wait() for worker in running)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host.strip("[]"), port))
    listener.listen(2048)
    return listener
