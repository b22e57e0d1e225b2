"""An MCP server that behaves badly on demand. `mcp_server.py stdio` or `mcp_server.py PORT` for Streamable HTTP.

A file named by FAKE_MCP_STATE makes it change its tools: what is written there is the description of `echo`.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import AudioContent, ImageContent, TextContent

server = MCPServer("fake")
_state = Path(os.environ.get("FAKE_MCP_STATE", "/nonexistent"))


@server.tool(description=_state.read_text() if _state.exists() else "Repeats what it is told.")
def echo(text: str) -> str:
    return text


@server.tool(structured_output=False)
async def slow(seconds: float) -> str:
    """Waits."""
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        if _state.parent.exists():
            (_state.parent / "cancelled").touch()
        raise
    return "waited"


@server.tool(structured_output=False)
async def progress(steps: int, context: Context) -> str:
    """Tells how far it is."""
    for step in range(steps):
        await context.report_progress(step + 1, steps, f"step {step + 1}")
    return "done"


@server.tool(structured_output=False)
def die() -> str:
    """Kills the server."""
    os.kill(os.getpid(), signal.SIGKILL)
    return "never"


@server.tool(structured_output=False)
def big(megabytes: int) -> str:
    """Answers with a flood."""
    return "x" * (megabytes << 20)


@server.tool(structured_output=False)
def flood() -> str:
    """Fills stderr."""
    for _ in range(20_000):
        print("noise " * 20, file=sys.stderr)
    return "flooded"


@server.tool(structured_output=False)
def pictures() -> list[ImageContent | AudioContent | TextContent]:
    """Draws."""
    return [
        TextContent(type="text", text="two drawings"),
        ImageContent(type="image", data="iVBORw0KGgo=", mime_type="image/png"),
        ImageContent(type="image", data="PHN2Zy8+", mime_type="image/svg+xml"),
        AudioContent(type="audio", data="UklGRg==", mime_type="audio/wav"),
    ]


@server.tool(name="say.it", structured_output=False)
def with_a_dot() -> str:
    """Its name is written like another's."""
    return "dot"


@server.tool(name="say_it", structured_output=False)
def with_a_line() -> str:
    """Its name is written like another's."""
    return "line"


@server.tool(structured_output=False)
def fails() -> str:
    """Fails in its own words."""
    raise ToolError("no such thing")


@server.tool(structured_output=False)
def environment() -> str:
    """Tells the names of its environment."""
    return " ".join(sorted(os.environ))


@server.tool(structured_output=False)
def limits() -> str:
    """Tells what it may use."""
    import resource

    return f"{resource.getrlimit(resource.RLIMIT_CORE)} {resource.getrlimit(resource.RLIMIT_NOFILE)}"


if __name__ == "__main__":
    if sys.argv[1] == "stdio":
        server.run("stdio")
    elif sys.argv[1] == "silent":
        signal.pause()
    else:
        server.run("streamable-http", host=os.environ.get("HOST", "127.0.0.1"), port=int(sys.argv[1]))
