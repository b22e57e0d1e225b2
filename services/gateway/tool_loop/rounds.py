"""The rounds of one request: ask the model, run the calls of its turn, ask again; streamed or not."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from msgspec import structs

from services.gateway.tool_loop.budget import Budget, Numbering
from services.gateway.tool_loop.calls import CallRunner, Outcome, Outcomes, Tell, as_results
from services.gateway.tool_loop.client import ToolsClient
from services.gateway.tool_loop.dialect import DIALECTS, Turn
from services.gateway.tool_loop.request import Conversation
from services.gateway.tool_loop.result import READ_RESULT, Shortener
from services.gateway.tool_loop.resume import Kept, Resumption
from services.gateway.tool_loop.selection import ToolSelection
from shared.errors import CacheUnavailable
from shared.messages.gateway import Answer, Answerer, Call, Ending, Spent
from shared.service import Resources
from shared.tool_rules import permits
from shared.wire.tool_call import ToolCall
from shared.wire.usage import NOTHING_TOLD, TokenUsage

log = structlog.get_logger(__name__)

_CONTENT_REFUSED = frozenset({400, 404, 413, 415, 422})

Take = Callable[[Answer], Awaitable[Turn]]


@dataclass(frozen=True)
class End:
    """How the rounds came to their end: the one reason, the calls left to the client, the limit that was reached."""

    finish: str | None
    kept: tuple[str, ...] = ()
    limit: str | None = None


@dataclass(frozen=True)
class Broken:
    """The rounds could not go on: a turn failed in its stream, or (with `answer`) the model refused another round."""

    answer: Answer | None = None


class Rounds:
    """One request on its way through the loop."""

    def __init__(
        self,
        call: Call,
        conversation: Conversation,
        selection: ToolSelection,
        inner: Answerer,
        client: ToolsClient,
        resumption: Resumption,
        resources: Resources,
    ) -> None:
        self.call = call
        self.observer = selection.observer
        self.conversation = conversation
        self._selection = selection
        self._inner = inner
        self._catalogue = client.catalogue
        self._resumption = resumption
        self._dialect = DIALECTS[call.dialect]
        self._budget = Budget(resources.config.current.tools.limits)
        self._numbering = Numbering(call.first_attempt)
        self._runner = CallRunner(
            call, conversation.offered, selection.allowed, client, resources.spool, self._budget, self._numbering
        )
        self._shortener = Shortener(call, inner, resources.config, resources.cache, self._numbering)
        self._answer: Answer | None = None
        self._turn: Turn | None = None
        self._outcomes: Outcomes = {}
        self._limit: str | None = None
        self._spent: list[Spent] = []
        self._usage: TokenUsage = NOTHING_TOLD
        self._seen_by_client: dict[str, Any] | None = None

    def is_ours(self, name: str) -> bool:
        """Whether a call of this name is answered here: a name that nobody offered is ours to answer, too."""
        return name not in self.conversation.client_names

    async def ask(self) -> Answer:
        """Ask the model: with tools, or at a limit without."""
        answer = await self._asked(self.conversation.body(with_tools=not self._limit))
        if answer.status in _CONTENT_REFUSED and self.conversation.hide_images():
            # Not every model can see: one that was refused pictures of ours is told that they are there.
            answer = await self._asked(self.conversation.body(with_tools=not self._limit))
        if self._limit and answer.status == 400:
            # Some providers want the tools named as long as the history has calls: then they are named and forbidden.
            answer = await self._asked(self.conversation.body_forbidding_tools())
        return answer

    async def _asked(self, body: bytes) -> Answer:
        await self.settle()
        self._answer = answer = await self._inner.call(
            structs.replace(self.call, body=body, first_attempt=self._numbering.next)
        )
        return answer

    async def run(self, answer: Answer, take: Take, tell: Tell) -> End | Broken:
        """Turn after turn until the model answers."""
        while True:
            self._turn, self._outcomes = None, {}
            turn = await take(answer)
            await self.settle()
            self._turn = turn
            if turn.failed:
                return Broken()
            theirs = [call for call in turn.calls if not self.is_ours(call.name)]
            ours = [call for call in turn.calls if self.is_ours(call.name)] if self._may_run(turn) else []
            if not ours:
                return self._final(turn, theirs)
            turn.message = self._dialect.repeatable(turn.message, [call.id for call in ours])
            await self._run_calls(ours, tell)
            if theirs:
                return await self._handed_out(turn, ours, theirs)
            self.conversation.append(turn.message, *self._dialect.results(as_results(ours, self._outcomes)))
            self._turn = None
            answer = await self.ask()
            if answer.status != 200:
                return Broken(answer)

    async def settle(self, status: str | None = None) -> None:
        """Close the running turn's answer, when there is one, and take over what it cost."""
        answer, self._answer = self._answer, None
        if answer is None:
            return
        await (answer.close(status) if status else answer.close())
        ending = answer.ending
        if ending is not None:
            self._numbering.take(ending.attempts)
            self._spent += ending.spent
            if ending.usage is not None:
                self._usage = self._usage.plus(ending.usage)

    @property
    def attempts(self) -> int:
        """How many attempts were made so far."""
        return self._numbering.highest

    def usage_beside(self) -> dict[str, Any]:
        """What summaries used, in the client's dialect: it belongs to the answer's usage, too."""
        usage = self._shortener.usage
        if not usage.is_told:
            return {}
        return usage.to_anthropic() if self.call.dialect == "anthropic" else usage.to_openai()

    def ending(self, status: str, partial: dict[str, Any] | None = None, error: str | None = None) -> Ending:
        """What there is to tell in the end; `partial` is the turn that was cut."""
        usage = self._usage.plus(self._shortener.usage)
        return Ending(
            status=status,
            attempts=self._numbering.highest,
            spent=[*self._spent, *self._shortener.spent],
            usage=usage if usage.is_told else None,
            error=error,
            transcript=self._transcript(partial, over=status == "ok"),
        )

    def _may_run(self, turn: Turn) -> bool:
        """Not when the turn was cut short (its last call may be a fragment), and not when tools were not offered."""
        return self._limit is None and turn.finish not in self._dialect.cut_short

    def _final(self, turn: Turn, theirs: Sequence[ToolCall]) -> End:
        finish = turn.finish
        if finish == self._dialect.ends_with_calls and not theirs:
            finish = self._dialect.ends_plainly
        kept = tuple(call.id for call in theirs)
        if len(kept) != len(turn.calls):
            turn.message = self._dialect.seen_by_client([turn.message], kept)
        return End(finish, kept, self._limit)

    async def _run_calls(self, calls: Sequence[ToolCall], tell: Tell) -> None:
        self._budget.rounds += 1
        await self._runner.run(calls, tell, self._outcomes)
        for call in calls:
            outcome = self._outcomes[call]
            if self._shortener.is_long(call.name, outcome.text):
                await self._shorten(call, outcome, tell)
            await tell(_result_of(call.id, outcome))
        self._limit = self._budget.reached()

    async def _shorten(self, call: ToolCall, outcome: Outcome, tell: Tell) -> None:
        reader = self._catalogue.find(READ_RESULT)
        readable = reader is not None and permits(self._selection.allowed, READ_RESULT)

        async def on_chunk(piece: str) -> None:
            await tell(lambda observer: observer.tool_chunk(call.id, piece))

        outcome.text = await self._shortener.shortened(call.name, outcome.text, readable=readable, on_chunk=on_chunk)
        if reader is not None and readable:
            self.conversation.offer(reader)

    async def _handed_out(self, turn: Turn, ours: Sequence[ToolCall], theirs: Sequence[ToolCall]) -> End:
        """A turn with both kinds: ours has run, and the client gets its own."""
        kept = tuple(call.id for call in theirs)
        behind = [*self.conversation.added, turn.message]
        results = self._dialect.results(as_results(ours, self._outcomes))
        if self.call.dialect == "anthropic":
            results = results[0]["content"]
        try:
            await self._resumption.keep(self._selection.scope, kept, Kept(behind, results))
        except CacheUnavailable:
            log.warning("mixed_turn_not_kept", request_id=self.call.request_id)
        self._seen_by_client = self._dialect.seen_by_client(
            [message for message in behind if message.get("role") == "assistant"], kept
        )
        return End(self._dialect.ends_with_calls, kept, None)

    def _transcript(self, partial: dict[str, Any] | None, *, over: bool) -> list[dict[str, Any]]:
        if self._seen_by_client is not None:
            return [self._seen_by_client]
        messages = list(self.conversation.added)
        if self._turn is not None:
            messages.append(self._turn.message)
            if not over and self._turn.calls:  # providers reject a history with a call that has no result
                messages += self._dialect.results(as_results(self._turn.calls, self._outcomes))
        elif partial is not None:
            seen = self._dialect.seen_by_client([partial], ())
            if seen.get("content"):
                messages.append(seen)
        return messages


def _result_of(call_id: str, outcome: Outcome) -> Any:
    return lambda observer: observer.tool_result(call_id, outcome.text, outcome.images)
