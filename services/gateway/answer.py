"""The use case: admit a request, let whoever can answer it, and settle when the answer ends, in whatever way it
ends.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from services.gateway.answers import PassedOn
from services.gateway.auth import Doorkeeper
from services.gateway.callers import Caller
from services.gateway.limits import Hold, Limiter
from services.gateway.prompt_cache import PromptCache
from services.gateway.request import Admitted, ClientRequest
from services.gateway.sessions import Sessions
from services.gateway.tool_loop.selection import ToolSelection
from shared.errors import Forbidden
from shared.messages.envelope import Named
from shared.messages.gateway import Answer, Answerer, Call

AUTO = "auto"


class ToolLoop(Protocol):
    """The tool loop as the use case sees it."""

    async def call(self, call: Call, selection: ToolSelection | None = None) -> Answer:
        """The answer, with the selected tools run on the way; without a selection next to the router's own."""


class Desk:
    """Where every request for a model's answer passes."""

    def __init__(
        self,
        *,
        doorkeeper: Doorkeeper,
        limiter: Limiter,
        sessions: Sessions,
        prompt_cache: PromptCache,
        tool_loop: ToolLoop,
    ) -> None:
        self._doorkeeper = doorkeeper
        self._limiter = limiter
        self._sessions = sessions
        self._prompt_cache = prompt_cache
        self._tool_loop = tool_loop

    def identify(self, headers: Mapping[str, str]) -> Caller:
        """Who is asking; raises Unauthenticated."""
        return self._doorkeeper.identify(headers)

    async def answer(self, admitted: Admitted, request: ClientRequest) -> Answer:
        """The answer; exhaust its chunks or close it, so that it is settled. Raises TollwayError."""
        key = admitted.caller.key
        if key is not None and not key.may_use(request.model):
            raise Forbidden(
                f"This key may not use the model '{request.model}'.", param="model", code="model_not_allowed"
            )
        hold = await self._limiter.admit(key, request) if key is not None and key.limited else None
        try:
            answer = await self._ask(admitted, request)
        except BaseException:
            if hold is not None:
                await self._limiter.settle(hold, None, bounded=True)
            raise
        return answer if hold is None else Settled(answer, hold, self._limiter, request)

    async def _ask(self, admitted: Admitted, request: ClientRequest) -> Answer:
        call, scope = _call(admitted, request), admitted.caller.scope
        selection = _selection(admitted.caller, request)
        answerer: Answerer = _Looped(self._tool_loop, selection)
        if selection is None and request.byo is None:
            answerer = self._prompt_cache.before(answerer, scope)
        if request.session is not None and request.operation == "chat":
            answerer = self._sessions.around(answerer, scope, request.session, keep_aborted=request.keep_aborted)
        return await answerer.call(call)


class _Looped:
    """The tool loop with the tools of one request."""

    def __init__(self, loop: ToolLoop, selection: ToolSelection | None) -> None:
        self._loop = loop
        self._selection = selection

    async def call(self, call: Call) -> Answer:
        return await self._loop.call(call, self._selection)


def _selection(caller: Caller, request: ClientRequest) -> ToolSelection | None:
    """The tools to offer: those asked for, else the key's own; None for none."""
    key = caller.key
    wanted = request.tools if request.tools is not None else key.default_tools if key else ()
    if not wanted or request.operation != "chat":
        return None
    return ToolSelection(
        wanted=wanted,
        allowed=key.tools if key else None,
        scope=caller.scope,
        observer=request.observer,
        strict=request.tools is not None,
    )


def _call(admitted: Admitted, request: ClientRequest) -> Call:
    return Call(
        request_id=admitted.request_id,
        dialect=request.dialect,
        model=request.model,
        body=request.body,
        operation=request.operation,
        stream=request.stream,
        include_usage=request.include_usage,
        named=Named(
            key_id=admitted.caller.key_id,
            user_id=request.user_id,
            session_id=request.session_id or request.label or request.user_id,
            anchor_id=request.anchor_id,
            function=request.function,
        ),
        headers=admitted.headers,
        query=admitted.query,
        byo=request.byo,
        exact=admitted.caller.key is not None and not admitted.caller.key.may_use(AUTO),
        traceparent=admitted.traceparent,
    )


class Settled(PassedOn):
    """An answer whose place in its key's limits is given back when it ends."""

    def __init__(self, inner: Answer, hold: Hold, limiter: Limiter, request: ClientRequest) -> None:
        super().__init__(inner, hold.standing.headers(request.dialect))
        self._hold = hold
        self._limiter = limiter
        self._bounded = request.max_output_tokens is not None

    @property
    def chunks(self) -> AsyncIterator[bytes]:
        """The inner answer's; settled behind the last one."""
        return self._until_settled()

    async def _until_settled(self) -> AsyncIterator[bytes]:
        async for chunk in self._inner.chunks:
            yield chunk
        await self._settle()

    async def close(self, status: str = "aborted") -> None:
        """Close the inner answer and settle what it had used."""
        try:
            await self._inner.close(status)
        finally:
            await self._settle()

    async def _settle(self) -> None:
        await self._limiter.settle(self._hold, self._inner.ending, bounded=self._bounded)
