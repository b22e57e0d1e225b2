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

from shared import clock
from shared.arguments import Refused

LOOK_EVERY_SECONDS = 1.0
STARTING_SECONDS = 30.0


def supervise(service: str, workers: int, host: str, port: int, arguments: Sequence[str]) -> int:
    """Run until stopped; a worker that dies is replaced. Returns the worst exit code; raises Refused.

    A worker that gives up while starting has said why, and the next one would say the same: then all are stopped.
    """
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
        started = clock.monotonic() + STARTING_SECONDS
        while not stop.wait(LOOK_EVERY_SECONDS):
            if clock.monotonic() < started and any((worker.poll() or 0) > 0 for worker in running):
                break
            running = [worker if worker.poll() is None else start() for worker in running]
        for worker in running:
            worker.terminate()
        return max(_exit_code(worker.wait()) for worker in running)


def _exit_code(code: int) -> int:
    """A shell's exit code; one stopped by our signal before it listened to signals has done nothing wrong."""
    if code == -signal.SIGTERM:
        return 0
    return 128 - code if code < 0 else code


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host.strip("[]"), port))
    except OSError as error:
        raise Refused(f"cannot listen on {host}:{port}: {error.strerror}") from error
    listener.listen(2048)
    return listener
