"""Real Postgres, Redis and RabbitMQ for the tests: from the environment, else containers, else local programs.

A server is started once per run, on a free port, and stopped with the run. What cannot be had is remembered with its reason.
"""

import atexit
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from tests.ports import WORKER, free_port

KINDS = ("postgres", "redis", "rabbitmq")
MISSING: dict[str, str] = {}
USED: dict[str, str] = {}
_urls: dict[str, str] = {}
START_SECONDS = 90


class Unavailable(Exception):
    """This server cannot be had here."""


def url(kind: str) -> str:
    """The URL of a running server of that kind; raises Unavailable, always with the same reason."""
    if kind in MISSING:
        raise Unavailable(MISSING[kind])
    if kind not in _urls:
        try:
            _urls[kind] = _obtain(kind)
        except Unavailable as reason:
            MISSING[kind] = str(reason)
            raise
    return _urls[kind]


def _obtain(kind: str) -> str:
    if given := os.environ.get(f"TOLLWAY_TEST_{kind.upper()}_URL"):
        USED[kind] = "the environment"
        # Tests empty it: each worker of a parallel run has a database of its own.
        return given if kind != "redis" or not WORKER else urlsplit(given)._replace(path=f"/{WORKER}").geturl()
    reasons = []
    for name, start in (("a container", _contained), ("local programs", _local)):
        try:
            found = start(kind)
        except Exception as error:  # any failure of one way leads to the next
            reasons.append(f"{name}: {error}")
        else:
            USED[kind] = name
            return found
    raise Unavailable("; ".join(reasons))


def docker_answers() -> bool:
    if shutil.which("docker") is None or os.environ.get("TOLLWAY_TEST_CONTAINERS") == "0":
        return False
    done = subprocess.run(["docker", "info"], capture_output=True, timeout=20, check=False)
    return done.returncode == 0


def _contained(kind: str) -> str:
    if not docker_answers():
        raise Unavailable("no Docker engine answers")
    os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
    from testcontainers.core.container import DockerContainer

    images = {
        "postgres": ("postgres:17", 5432),
        "redis": ("redis:8", 6379),
        "rabbitmq": ("rabbitmq:4-management", 5672),
    }
    image, inside = images[kind]
    container = DockerContainer(image).with_exposed_ports(inside)
    if kind == "postgres":
        container = container.with_env("POSTGRES_PASSWORD", "tollway").with_env("POSTGRES_USER", "tollway")
    container.start()
    atexit.register(container.stop)
    port = int(container.get_exposed_port(inside))
    return ready(
        kind,
        container.get_container_host_ip().replace("localhost", "127.0.0.1"),
        port,
        "tollway:tollway@" if kind == "postgres" else "",
    )


def _local(kind: str) -> str:
    return {"postgres": _local_postgres, "redis": _local_redis, "rabbitmq": _local_rabbitmq}[kind]()


def program(name: str, *places: str) -> str:
    for place in places:
        found = sorted(pathlib.Path("/").glob(f"{place.lstrip('/')}/{name}"))
        if found:
            return str(found[-1])
    found_on_path = shutil.which(name)
    if found_on_path is None:
        raise Unavailable(f"{name} is not installed")
    return found_on_path


def _folder(owner: str | None) -> pathlib.Path:
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tollway-test-"))
    folder.chmod(0o755)
    if owner is not None and os.getuid() == 0:
        shutil.chown(folder, owner, owner)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def as_user(user: str) -> dict[str, object]:
    """Options that run a program as a user: Postgres will not run as root."""
    if os.getuid() != 0:
        return {}
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise Unavailable(f"there is no user {user}") from None
    return {"user": entry.pw_uid, "group": entry.pw_gid}


def _local_postgres() -> str:
    initdb, postgres = (program(name, "/usr/lib/postgresql/*/bin") for name in ("initdb", "postgres"))
    folder, port = _folder("postgres" if os.getuid() == 0 else None), free_port()
    run = as_user("postgres")
    done = subprocess.run(
        [initdb, "-D", str(folder / "data"), "-U", "tollway", "--auth=trust", "-E", "UTF8", "--no-sync"],
        capture_output=True, text=True, cwd=folder, timeout=START_SECONDS, check=False, **run,
    )  # fmt: skip
    if done.returncode:
        raise Unavailable(f"initdb: {done.stderr.strip()[-200:]}")
    _start([postgres, "-D", str(folder / "data"), "-p", str(port), "-k", str(folder), "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200"], folder, signal.SIGINT, **run)  # fmt: skip
    return ready("postgres", "127.0.0.1", port, "tollway@")


def _local_redis() -> str:
    folder, port = _folder(None), free_port()
    _start(
        [program("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)],
        folder,
        signal.SIGTERM,
    )
    return ready("redis", "127.0.0.1", port, "")


def _local_rabbitmq() -> str:
    server = program("rabbitmq-server", "/usr/lib/rabbitmq/lib/*/sbin", "/usr/lib/rabbitmq/bin")
    program("erl")
    folder, port, distribution = _folder(None), free_port(), free_port()
    (folder / "enabled_plugins").write_text("[].")
    environment = {
        **os.environ,
        "HOME": str(folder),
        "RABBITMQ_NODENAME": f"tollway{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-setcookie tollway +S 1:1",
    }
    _start([server], folder, signal.SIGTERM, env=environment)
    return ready("rabbitmq", "127.0.0.1", port, "")


def _start(command: list[str], folder: pathlib.Path, stop: signal.Signals, **options: object) -> None:
    log = (folder / "output.log").open("wb")
    process = subprocess.Popen(
        command, stdout=log, stderr=subprocess.STDOUT, cwd=folder, start_new_session=True, **options
    )

    def end() -> None:
        if process.poll() is None:
            os.killpg(process.pid, stop)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
        log.close()

    atexit.register(end)


def ready(kind: str, host: str, port: int, user: str) -> str:
    probes: dict[str, Callable[[str, int], bool]] = {
        "postgres": _speaks_postgres,
        "redis": _speaks_redis,
        "rabbitmq": _speaks_amqp,
    }
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            if probes[kind](host, port):
                time.sleep(0.3 if kind == "postgres" else 0)
                break
        except OSError:
            pass
        time.sleep(0.2)
    else:
        raise Unavailable(f"{kind} did not answer within {START_SECONDS} s")
    return {
        "postgres": f"postgresql+asyncpg://{user}{host}:{port}/postgres",
        "redis": f"redis://{host}:{port}/0",
        "rabbitmq": f"amqp://guest:guest@{host}:{port}/",
    }[kind]


def _exchange(host: str, port: int, question: bytes) -> bytes:
    with socket.create_connection((host, port), timeout=2) as probe:
        probe.settimeout(5)
        probe.sendall(question)
        return probe.recv(64)


def _speaks_postgres(host: str, port: int) -> bool:
    # A startup packet for a user: anything but "the database system is starting up" will do.
    body = (196608).to_bytes(4, "big") + b"user\0tollway\0database\0postgres\0\0"
    answer = _exchange(host, port, (len(body) + 4).to_bytes(4, "big") + body)
    return answer[:1] == b"R"


def _speaks_redis(host: str, port: int) -> bool:
    return _exchange(host, port, b"PING\r\n").startswith(b"+PONG")


def _speaks_amqp(host: str, port: int) -> bool:
    return _exchange(host, port, b"AMQP\0\0\x09\x01")[:1] == b"\x01"
