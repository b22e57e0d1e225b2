"""One line from an agent to an API."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from pydantic import ValidationError

from tollway.agent import BaseAgent, Stream
from tollway.server.config import APIPublisherConfig
from tollway.server.memory_pool import MemoryPool
from tollway.server.request import OpenAIRequest
from tollway.server.streamer import DataStreamer
from tollway.server.validate import validate_agent

log = logging.getLogger("tollway.server")


def publish_agent_api(
    agent: BaseAgent,
    method: str = "run",
    config: APIPublisherConfig | None = None,
    *,
    strict_openai: bool | None = None,
) -> FastAPI:
    """A FastAPI app with `POST {path}/chat/completions` (and `GET {path}/models`), each request with its own agent.

    AgentValidationError when the agent is no BaseAgent or the method not `async def …(self, request: OpenAIRequest)`.
    """
    request_type = validate_agent(agent, method)
    settings = config or APIPublisherConfig()
    if strict_openai is not None:
        settings = settings.model_copy(update={"strict_openai": strict_openai})
    published = _Published(agent, method, request_type, settings)
    name = type(agent).__name__
    app = FastAPI(
        title=settings.filled(settings.api_title, name, method),
        description=settings.filled(settings.api_description, name, method),
        lifespan=published.lifespan,
    )
    app.state.memory_pool = published.pool
    schema = {"content": {"application/json": {"schema": request_type.model_json_schema(ref_template=_REF)}}}
    app.add_api_route(
        f"{settings.path}/chat/completions",
        published.answer,
        methods=["POST"],
        response_model=None,
        openapi_extra={"requestBody": {"required": True, **schema}},
    )
    app.add_api_route(f"{settings.path}/models", published.models, methods=["GET"], response_model=None)
    return app


_REF = "#/components/schemas/{model}"


class _Published:
    """A published agent: its sessions and its running answers."""

    def __init__(
        self, agent: BaseAgent, method: str, request_type: type[OpenAIRequest], config: APIPublisherConfig
    ) -> None:
        self._agent = agent
        self._method = method
        self._request_type = request_type
        self._config = config
        self._running: set[asyncio.Task[None]] = set()
        self.pool = MemoryPool(config.memory_ttl, config.max_memory_items, config.auto_clean_interval)

    @asynccontextmanager
    async def lifespan(self, _app: FastAPI) -> AsyncIterator[None]:
        """Cleans the sessions while the app lives, and stops running agents at its end."""
        cleaner = asyncio.create_task(self._clean())
        try:
            yield
        finally:
            stopped = [cleaner, *self._running]
            for task in stopped:
                task.cancel()
            await asyncio.gather(*stopped, return_exceptions=True)

    async def answer(self, http: Request) -> Response:
        """Runs the agent for one request."""
        try:
            request = self._read(await http.body(), http)
        except ValidationError as error:
            return _invalid(error)
        except (ValueError, RecursionError) as error:
            return _refusal(400, f"the body is not JSON: {error}")
        streamer = DataStreamer(self._config.timeout, self._config.model_name, strict_openai=self._config.strict_openai)
        task = asyncio.create_task(self._run(request, streamer))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

        def stop_unless_finished() -> None:
            if not streamer.finished:
                task.cancel()

        streamer.on_close = stop_unless_finished
        if request.stream:
            return streamer.start_streaming_openai()
        return await self._unless_left(http, streamer)

    async def models(self) -> dict[str, Any]:
        """The one model there is, for clients that look before they ask."""
        model = {"id": self._config.model_name, "object": "model", "created": 0, "owned_by": type(self._agent).__name__}
        return {"object": "list", "data": [model]}

    def _read(self, body: bytes, http: Request) -> OpenAIRequest:
        told = json.loads(body)
        # OpenAI's clients leave `stream` out when they want a whole answer, and say so in `accept`
        whole = self._config.strict_openai or http.headers.get("accept", "").strip() == "application/json"
        if isinstance(told, dict) and told.get("stream") is None:
            told = {**told, "stream": not whole}
        request = self._request_type.model_validate(told)
        request.set_headers(http.headers)
        return request

    async def _run(self, request: OpenAIRequest, streamer: DataStreamer) -> None:
        try:
            memory_cls = self._agent.default_memory_cls
            memory = self.pool.get_or_create(request.session_id, memory_cls) if request.session_id else memory_cls()
            agent = self._agent.for_request(memory, Stream(streamer))
            await getattr(agent, self._method)(request)
            await streamer.stop()
        except asyncio.CancelledError:
            streamer.fail("the agent was stopped")
            raise
        except Exception:  # the client is told that it failed; why is for the log
            log.exception("%s.%s failed", type(self._agent).__name__, self._method)
            streamer.fail("the agent failed")

    async def _unless_left(self, http: Request, streamer: DataStreamer) -> Response:
        answering = asyncio.create_task(streamer.start_non_streaming_openai())
        leaving = asyncio.create_task(_left(http))
        try:
            await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
            return answering.result() if answering.done() else Response(status_code=499)
        finally:
            answering.cancel()
            leaving.cancel()
            await asyncio.gather(answering, leaving, return_exceptions=True)

    async def _clean(self) -> None:
        while True:
            await asyncio.sleep(self._config.auto_clean_interval)
            forgotten = self.pool.clean_expired()
            log.debug("%d session(s) forgotten, %d remembered", forgotten, self.pool.size)


async def _left(http: Request) -> None:
    """Returns when the client has gone; the body was read, so nothing else can come."""
    while (await http.receive())["type"] != "http.disconnect":
        pass


def _refusal(status: int, message: str, param: str | None = None) -> JSONResponse:
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": None}
    return JSONResponse({"error": error}, status_code=status)


def _invalid(error: ValidationError) -> JSONResponse:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    param = ".".join(str(part) for part in first["loc"])
    return _refusal(422, f"{param}: {first['msg']}" if param else first["msg"], param or None)
