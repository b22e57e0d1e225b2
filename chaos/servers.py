"""Postgres, RabbitMQ and Redis that may be killed and started again on the same data."""

import os
import pathlib
import shutil
import signal
import subprocess
import time

from tests import servers as local


class Server:
    """One server program with a folder of its own."""

    def __init__(self, kind: str, folder: pathlib.Path) -> None:
        self.kind = kind
        self.port = local.free_port()
        self.folder = folder / kind
        self.folder.mkdir(parents=True)
        self.process: subprocess.Popen[bytes] | None = None
        self._options: dict[str, object] = {}
        getattr(self, f"_prepare_{kind}")()

    @property
    def url(self) -> str:
        return {
            "postgres": f"postgresql+asyncpg://tollway@127.0.0.1:{self.port}/postgres",
            "rabbitmq": f"amqp://guest:guest@127.0.0.1:{self.port}/",
            "redis": f"redis://127.0.0.1:{self.port}/0",
        }[self.kind]

    def start(self) -> None:
        with (self.folder / "output.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command, stdout=log, stderr=log, cwd=self.folder, start_new_session=True, **self._options
            )
        local.ready(self.kind, "127.0.0.1", self.port, "tollway@")

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, number)
            self.process.wait(30)
        # A killed Postgres leaves children that notice within moments; a new one must wait for them.
        time.sleep(0.5 if self.kind == "postgres" else 0.1)

    def _prepare_postgres(self) -> None:
        initdb, postgres = (local.program(name, "/usr/lib/postgresql/*/bin") for name in ("initdb", "postgres"))
        self._options = local.as_user("postgres")
        for path in (self.folder.parent, self.folder):
            path.chmod(0o755)
        if os.getuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
        data = self.folder / "data"
        subprocess.run([initdb, "-D", str(data), "-U", "tollway", "--auth=trust", "-E", "UTF8"], check=True, capture_output=True, cwd=self.folder, **self._options)  # fmt: skip
        self.command = [
            postgres,
            "-D",
            str(data),
            "-p",
            str(self.port),
            "-k",
            str(self.folder),
            "-c",
            "listen_addresses=127.0.0.1",
        ]

    def _prepare_rabbitmq(self) -> None:
        folder = self.folder
        (folder / "enabled_plugins").write_text("[].")
        self.command = [local.program("rabbitmq-server", "/usr/lib/rabbitmq/lib/*/sbin", "/usr/lib/rabbitmq/bin")]
        self._options = {
            "env": {
                **os.environ,
                "HOME": str(folder),
                "RABBITMQ_NODENAME": f"chaos{self.port}@localhost",
                "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
                "RABBITMQ_NODE_PORT": str(self.port),
                "RABBITMQ_DIST_PORT": str(local.free_port()),
                "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
                "RABBITMQ_LOG_BASE": str(folder / "log"),
                "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
                "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-setcookie chaos +S 1:1",
            }
        }

    def _prepare_redis(self) -> None:
        self.command = [
            local.program("redis-server"),
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--appendonly",
            "yes",
            "--dir",
            str(self.folder),
        ]
