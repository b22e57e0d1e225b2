"""The use case: try targets until one answers. What comes back is always an answer, be it a refusal."""

import asyncio
import random
from collections.abc import Mapping
from typing import Any

from services.router import refusal
from services.router.answer import StreamAnswer, WholeAnswer, ending_of
from services.router.byo import NAME as BYO
from services.router.byo import open_byo
from services.router.catalog import AUTO, Catalog, Target
from services.router.course import Course
from services.router.errors import AttemptFailed, Failure, NoModelAvailable, NotOffered
from services.router.estimate import Tokenizer
from services.router.explain import Explainer
from services.router.headers import JSON, ours, relayed
from services.router.inventory import Inventory
from services.router.meter import Meter
from services.router.plan import Planner
from services.router.providers.base import Provider
from services.router.standing import Standing
from services.router.upstream import Attempt
from shared import clock
from shared.errors import TollwayError
from shared.messages.gateway import Answer, Call, ModelInfo, Spent
from shared.service import Resources
from shared.translate.terms import CannotTranslate

# What compatible servers answer that have no such endpoint.
_CANNOT_COUNT = frozenset({404, 405, 501})


class Router:
    """Answers calls. Holds no state of a call: that is in the attempt and in the answer."""

    def __init__(
        self,
        resources: Resources,
        *,
        inventory: Inventory,
        planner: Planner,
        standing: Standing,
        explainer: Explainer,
        tokenizer: Tokenizer,
        dice: random.Random,
    ) -> None:
        self._config = resources.config
        self._spool = resources.spool
        self._http = resources.http
        self._tasks = resources.tasks
        self._inventory = inventory
        self._planner = planner
        self._standing = standing
        self._explainer = explainer
        self._tokenizer = tokenizer
        self._dice = dice

    async def call(self, call: Call) -> Answer:
        """The answer of whoever can give it. Cancelling this cuts the provider off and books what was used."""
        try:
            return await self._answer(call)
        except TollwayError as error:
            return refusal.of_error(call, error)

    async def models(self) -> list[ModelInfo]:
        """The models clients may ask for."""
        return (await self._inventory.complete()).infos()

    async def explain(self) -> dict[str, Any]:
        """Every target's state, and who would be chosen now."""
        catalog = await self._inventory.complete()
        try:
            auto = self._planner.name(catalog, AUTO).model.name
        except NoModelAvailable:
            auto = None
        return self._explainer.explain(catalog, auto)

    async def _answer(self, call: Call) -> Answer:
        if call.byo is not None:
            section, timeouts = self._config.current.byo, self._config.current.routing.timeouts
            provider = await open_byo(call.byo, section, timeouts, self._http)
            target = Target(BYO, call.model)
            course = Course([target], [], retries=self._config.current.routing.retries, dice=self._dice)
            return await self._try(call, course, {BYO: provider})
        catalog = await self._inventory.catalog_for(call.model)
        if call.operation == "count_tokens":
            return await self._count(call, catalog)
        return await self._try(call, await self._planner.course(catalog, call), self._inventory.fleet.current)

    async def _count(self, call: Call, catalog: Catalog) -> Answer:
        """Counted by the provider where it can, else here."""
        try:
            course = await self._planner.course(catalog, call)
        except NotOffered:
            return await self._counted_here(call)
        answer = await self._try(call, course, self._inventory.fleet.current)
        return await self._counted_here(call) if answer.status in _CANNOT_COUNT else answer

    async def _counted_here(self, call: Call) -> Answer:
        tokens = await self._tokenizer.count_request(call.body)
        headers = {"content-type": JSON, "x-tollway-estimated": "1", "x-tollway-attempts": "0"}
        return WholeAnswer(200, headers, b'{"input_tokens":%d}' % tokens, ending_of([], "ok"))

    async def _try(self, call: Call, course: Course, providers: Mapping[str, Provider]) -> Answer:
        number = call.first_attempt - 1
        spent: list[Spent] = []
        last: tuple[Failure, Provider, Target] | None = None
        refused: CannotTranslate | None = None
        while (step := course.next()) is not None:
            if step.pause_seconds:
                await asyncio.sleep(step.pause_seconds)
            provider = providers[step.target.provider]
            key = provider.keys.pick(clock.monotonic())
            try:
                prepared = provider.prepare(call, step.target, key)
            except CannotTranslate as error:
                course.skip(step.target)
                refused = error
                continue
            number += 1
            spool = None if call.operation == "count_tokens" else self._spool
            meter = Meter(spool, call, number, step.target, self._tokenizer)
            if meter.traceparent is not None and not provider.is_byo:
                prepared.headers["traceparent"] = meter.traceparent
            attempt = Attempt(call, step.target, provider, key, prepared, meter, self._standing)
            try:
                await attempt.open()
            except AttemptFailed as failed:
                last = (failed.failure, provider, step.target)
                course.failed(step.target, failed.failure)
                _note(spent, meter)
                continue
            try:
                return self._opened(attempt, number, spent)
            except BaseException:
                attempt.leave()
                raise
        if last is None:
            raise refused or NotOffered(param="model")
        failure, provider, target = last
        return refusal.of_failure(call, failure, provider, target, number, spent)

    def _opened(self, attempt: Attempt, number: int, spent: list[Spent]) -> Answer:
        target = attempt.target
        assert attempt.exchange is not None  # noqa: S101 -- it was opened
        headers = relayed(attempt.exchange.headers, same_dialect=attempt.same_dialect)
        whole = attempt.whole
        lossy = attempt.lossy if whole is None else (*attempt.lossy, *whole.lossy)
        headers |= ours(target.model, attempt.provider.name, number, lossy)
        if whole is None:
            return StreamAnswer(attempt, headers, spent, self._tasks)
        attempt.succeed(len(whole.body))
        _note(spent, attempt.meter)
        headers["content-type"] = JSON
        return WholeAnswer(attempt.exchange.status, headers, whole.body, ending_of(spent, "ok"))


def _note(spent: list[Spent], meter: Meter) -> None:
    if meter.spent is not None:
        spent.append(meter.spent)
