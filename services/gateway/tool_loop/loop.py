"""The tool loop: offers tools, runs the model's calls, and goes on until the model answers; the client sees one answer.

Wraps an Answerer and is one. Text passes as it comes; calls of our tools and the ends of inner turns stay inside.
"""

from services.gateway.tool_loop.client import ToolsClient
from services.gateway.tool_loop.dialect import DIALECTS
from services.gateway.tool_loop.request import Conversation
from services.gateway.tool_loop.resume import Resumption
from services.gateway.tool_loop.rounds import Rounds
from services.gateway.tool_loop.selection import ToolSelection, select
from services.gateway.tool_loop.streamed import StreamedAnswer
from services.gateway.tool_loop.whole import answered_whole
from shared.messages.gateway import Answer, Answerer, Call
from shared.service import Resources

OPEN_SCOPE = "open"


class ToolLoop:
    """See the module."""

    def __init__(self, inner: Answerer, tools: ToolsClient, resources: Resources) -> None:
        self._inner = inner
        self._tools = tools
        self._resources = resources
        self._resumption = Resumption(resources.cache, resources.config)

    async def call(self, call: Call, selection: ToolSelection | None = None) -> Answer:
        """Answer a call with the selected tools; without any, as the inner answerer does."""
        scope = selection.scope if selection is not None else call.named.key_id or OPEN_SCOPE
        call = await self._resumption.restored(call, scope, everywhere=selection is not None)
        if selection is None or call.operation != "chat":
            return await self._inner.call(call)
        await self._tools.settled()
        specs = select(self._tools.catalogue, selection)
        if not specs:
            return await self._inner.call(call)
        conversation = Conversation(call, DIALECTS[call.dialect], specs)
        rounds = Rounds(call, conversation, selection, self._inner, self._tools, self._resumption, self._resources)
        first = await rounds.ask()
        if first.status != 200:
            return first
        if call.stream:
            return StreamedAnswer(rounds, first, self._resources.tasks)
        return await answered_whole(rounds, first)
