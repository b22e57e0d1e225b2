"""Publish an agent as an OpenAI-compatible API. Needs the extra `server` (fastapi and uvicorn)."""

import importlib.util

if importlib.util.find_spec("fastapi") is None:
    raise ImportError(
        "tollway.server needs fastapi, which is in an extra: pip install 'tollway[server]'", name="fastapi"
    )

from tollway.errors import AgentValidationError
from tollway.server.config import APIPublisherConfig
from tollway.server.memory_pool import MemoryPool
from tollway.server.publish import publish_agent_api
from tollway.server.request import Message, OpenAIRequest
from tollway.server.streamer import DataStreamer

__all__ = [
    "APIPublisherConfig",
    "AgentValidationError",
    "DataStreamer",
    "MemoryPool",
    "Message",
    "OpenAIRequest",
    "publish_agent_api",
]
