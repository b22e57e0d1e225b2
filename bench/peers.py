"""The peers that a package index serves, put into a folder of their own the first time they are measured."""

import os
import pathlib
import shutil
import subprocess
import sys

FOLDER = pathlib.Path(__file__).parents[1] / ".bench"
LITELLM = "litellm[proxy]==1.106.12"
PORTKEY = "@portkey-ai/gateway@1.15.2"
INSTALL_SECONDS = 600


class NotHere(Exception):
    """This subject cannot be had on this machine."""


def litellm() -> str:
    """The program of LiteLLM's proxy: the one that `TOLLWAY_BENCH_LITELLM` names, else one of our own environment."""
    if named := os.environ.get("TOLLWAY_BENCH_LITELLM"):
        return named
    environment = FOLDER / "litellm"
    program = environment / "bin" / "litellm"
    if not program.exists():
        uv = pathlib.Path(sys.executable).with_name("uv")
        _install([uv, "venv", "--quiet", "--clear", "--python", sys.executable, environment])
        _install([uv, "pip", "install", "--quiet", "--python", environment / "bin" / "python", LITELLM])
    return str(program)


def portkey() -> list[str]:
    """The command of Portkey's gateway: the one that `TOLLWAY_BENCH_PORTKEY` names, else the npm package."""
    script = pathlib.Path(os.environ.get("TOLLWAY_BENCH_PORTKEY") or _portkey_script())
    return ["node", str(script)] if script.suffix == ".js" else [str(script)]


def _portkey_script() -> pathlib.Path:
    folder = FOLDER / "portkey"
    script = folder / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    if not script.exists():
        if shutil.which("npm") is None:
            raise NotHere("npm is not installed")
        _install(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", folder, PORTKEY])
    return script


def _install(command: list[str | pathlib.Path]) -> None:
    FOLDER.mkdir(exist_ok=True)
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotHere(f"could not be installed: {error}") from error
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "no reason given").splitlines()[-1]
        raise NotHere(f"could not be installed: {last}")
