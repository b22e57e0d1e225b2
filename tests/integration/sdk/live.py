"""The real thing for the library's tests: `tollway up` with its demo model, the library's tools and the example agent."""

import os
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx2

from tests.integration.sdk.serve import Served
from tests.ports import free_port

SOURCE = Path(__file__).parents[3] / "sdk" / "src"
EXAMPLE = runpy.run_path(str(SOURCE.parent / "examples" / "agent_as_model.py"))
MORE = """
  gpt-4: {targets: [{provider: demo, model: demo}]}
  qwen-plus: {targets: [{provider: demo, model: demo}]}
tools: {python: ["my_tools:registry", "my_tools:handlers"]}
"""
TOOLS = """
from tollway.tools import McpToolExecute, ToolInfo, ToolRegistry, tool

@tool
def search_notes(query: str) -> str:
    \"\"\"Searches the notes.\"\"\"
    return f"three notes about {query}"

registry = ToolRegistry(search_notes)
handlers = McpToolExecute()

async def speak(arguments, on_chunk=None, on_complete=None, on_error=None):
    for piece in ("one ", "two"):
        on_chunk(piece)
    return "one two"

handlers.register_tool(ToolInfo(name="speak", description="Speaks", supports_streaming=True), speak)
"""


class LiveTollway:
    """One Tollway with its data in a folder; client surfaces are open, so that any key of an example is as good."""

    token = "admin-token-of-the-live-tests"

    def __init__(self, folder):
        self._folder = folder
        self._agent = Served(EXAMPLE["app"])
        self.url = f"http://127.0.0.1:{free_port()}"

    @property
    def environment(self):
        """What a program of the library needs to find it."""
        return {"TOLLWAY_URL": self.url, "TOLLWAY_ADMIN_TOKEN": self.token}

    def __enter__(self):
        self._agent.__enter__()
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self):
        config = EXAMPLE["CONFIG"].replace("http://127.0.0.1:8100", self._agent.url) + MORE.lstrip("\n")
        (self._folder / "tollway.yaml").write_text(config)
        (self._folder / "my_tools.py").write_text(TOOLS)
        clean = {name: value for name, value in os.environ.items() if not name.startswith("TOLLWAY_")}
        with (self._folder / "tollway.log").open("wb") as output:
            command = [Path(sys.executable).with_name("tollway"), "up", "--port", self.url.rpartition(":")[2]]
            self._process = subprocess.Popen(
                [*command, "--config", "tollway.yaml", "--data", "data"],
                cwd=self._folder,
                env={**clean, "TOLLWAY_ADMIN_TOKEN": self.token, "PYTHONPATH": str(SOURCE)},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self._wait_until_ready(100)

    def _wait_until_ready(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end and self._process.poll() is None:
            try:
                if httpx2.get(f"{self.url}/ready", timeout=2).status_code == 200:
                    return
            except httpx2.TransportError:
                pass
            time.sleep(0.1)
        raise TimeoutError(f"tollway up did not become ready:\n{(self._folder / 'tollway.log').read_text()[-3000:]}")

    def __exit__(self, *exc):
        process = getattr(self, "_process", None)
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)
        self._agent.__exit__(*exc)
