"""Who may answer a call: the targets of the model it names, ordered, and the models to fall back on."""

import random
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from services.router.catalog import AUTO, Catalog, Model, Target
from services.router.choose import Choice
from services.router.course import Course
from services.router.errors import NoModelAvailable, NotOffered, UnknownModel
from services.router.record import Records
from shared import clock
from shared.errors import Forbidden
from shared.messages.gateway import Call

# How many other models `auto` goes on to when the best one cannot answer.
_OTHERS_FOR_AUTO = 3

_LONGEST_NAME = 200

ClaimProbe = Callable[[Target], Awaitable[bool]]


class Named(msgspec.Struct, frozen=True):
    """What a model's name stands for at this moment."""

    model: Model
    fallbacks: list[Model]


class Planner:
    """Turns a name into a course of attempts."""

    def __init__(self, records: Records, choice: Choice, claim_probe: ClaimProbe, dice: random.Random) -> None:
        self._records = records
        self._choice = choice
        self._claim_probe = claim_probe
        self._dice = dice

    def name(self, catalog: Catalog, wanted: str, *, exact: bool = False) -> Named:
        """The model a name stands for; raises UnknownModel, Forbidden or NoModelAvailable."""
        model = catalog.get(wanted)
        if model is not None:
            return Named(model, catalog.fallbacks(model))
        model = catalog.passed_on(wanted) if wanted != AUTO else None
        unknown = catalog.config.routing.unknown_model
        if wanted != AUTO and (exact or unknown == "error"):
            if model is not None:
                return Named(model, [])
            name = repr(wanted[:_LONGEST_NAME])
            if unknown == "error":
                raise UnknownModel(f"The model {name} does not exist.", param="model")
            told = f"There is no model {name}, and this key may not use 'auto' in its place."
            raise Forbidden(told, param="model", code="model_not_allowed")
        ranked = self._choice.best(catalog.for_auto, clock.now())
        if model is not None:
            return Named(model, ranked[:_OTHERS_FOR_AUTO])
        if not ranked:
            raise NoModelAvailable
        best, others = ranked[0], ranked[1 : 1 + _OTHERS_FOR_AUTO]
        own = catalog.fallbacks(best)
        return Named(best, [*own, *(model for model in others if model not in own)])

    async def course(self, catalog: Catalog, call: Call) -> Course:
        """The order of attempts for a call."""
        named = self.name(catalog, call.model, exact=call.exact)
        own = self._able(catalog, named.model.targets, call)
        fallbacks = [able for model in named.fallbacks if (able := self._able(catalog, model.targets, call))]
        if not own and not fallbacks:
            raise NotOffered(f"The model {call.model!r} offers no {call.operation}.", param="model")
        routing, now = catalog.config.routing, clock.now()
        ordered = self._choice.order(own, routing.strategy, now)
        retries = routing.retries
        if fallbacks and ordered and self._records.of(ordered[0].key).is_cooling(now):
            # Known to be ill, and somebody else can answer: one try each, no patience.
            retries = min(retries, len(ordered) - 1)
        ordered = await self._with_probe(ordered, now)
        others = [self._choice.order(targets, routing.strategy, now) for targets in fallbacks]
        return Course(ordered, others, retries=retries, dice=self._dice)

    async def _with_probe(self, ordered: list[Target], now: float) -> list[Target]:
        """Now and then one live request goes first to a target that cools down: its answer ends the cooldown."""
        ill = self._choice.probe(ordered, now)
        if ill is None or not await self._claim_probe(ill):
            return ordered
        return [ill, *(target for target in ordered if target is not ill)]

    def _able(self, catalog: Catalog, targets: Sequence[Target], call: Call) -> list[Target]:
        if call.operation == "chat":
            return list(targets)
        wanted = "openai" if call.operation == "embeddings" else "anthropic"
        return [target for target in targets if catalog.providers[target.provider].protocol == wanted]
