"""Publish an agent as an OpenAI-compatible API. Needs the extra `server` (fastapi and uvicorn)."""

import importlib.util

for _needed in ("fastapi", "uvicorn"):
    if importlib.util.find_spec(_needed) is None:
        _msg = f"tollway.server needs {_needed}, which is in an extra: pip install 'tollway[server]'"
        raise ImportError(_msg, name=_needed)

from tollway.errors import AgentValidationError  # noqa: E402 - only after the extra was found
from tollway.server.config import APIPublisherConfig  # noqa: E402
from tollway.server.memory_pool import MemoryPool  # noqa: E402
from tollway.server.publish import publish_agent_api  # noqa: E402
from tollway.server.request import Message, OpenAIRequest  # noqa: E402
from tollway.server.streamer import DataStreamer  # noqa: E402

__all__ = [
    "APIPublisherConfig",
    "AgentValidationError",
    "DataStreamer",
    "MemoryPool",
    "Message",
    "OpenAIRequest",
    "publish_agent_api",
]
