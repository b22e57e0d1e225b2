"""What both clients can do, declared once: their methods return answers, or coroutines of answers."""

import functools
import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, Generic, ParamSpec, Protocol, Self, TypeVar, get_args, get_type_hints, overload

from tollway.client import ask
from tollway.client.ask import Ask
from tollway.client.shapes import JobEvent, ReportJob

P = ParamSpec("P")
T = TypeVar("T")


class Blocking(Protocol):
    """Sends requests and waits."""

    def send(self, request: Ask[T]) -> T: ...

    def stream(self, request: Ask[ReportJob]) -> Iterator[JobEvent]: ...


class Awaiting(Protocol):
    """Sends requests and is awaited."""

    def send(self, request: Ask[T]) -> Coroutine[Any, Any, T]: ...

    def stream(self, request: Ask[ReportJob]) -> AsyncIterator[JobEvent]: ...


class Method(Generic[P, T]):
    """A method that sends the request which a function makes of its arguments."""

    def __init__(self, make: Callable[P, Ask[T]]) -> None:
        self._make = make
        (answer,) = get_args(get_type_hints(make)["return"])
        self._signature = inspect.signature(make).replace(return_annotation=answer)

    @overload
    def __get__(self, owner: "BlockingMethods", kind: Any = None) -> Callable[P, T]: ...
    @overload
    def __get__(self, owner: "AwaitedMethods", kind: Any = None) -> Callable[P, Coroutine[Any, Any, T]]: ...
    @overload
    def __get__(self, owner: None, kind: Any = None) -> Self: ...
    def __get__(self, owner: Any, kind: Any = None) -> Any:
        if owner is None:
            return self

        @functools.wraps(self._make)
        def method(*args: P.args, **kwargs: P.kwargs) -> Any:
            return owner.client.send(self._make(*args, **kwargs))

        vars(method)["__signature__"] = self._signature
        return method


class BlockingMethods:
    """Methods of the blocking client."""

    def __init__(self, client: Blocking) -> None:
        self.client = client


class AwaitedMethods:
    """Methods of the asynchronous client."""

    def __init__(self, client: Awaiting) -> None:
        self.client = client


class UsageMethods:
    """Everything under /api/ai_usage."""

    current = Method(ask.current)
    hourly = Method(ask.hourly)
    daily = Method(ask.daily)
    monthly = Method(ask.monthly)
    session = Method(ask.session)
    top_users = Method(ask.top_users)
    cost_trend = Method(ask.cost_trend)
    breakdown = Method(ask.breakdown)
    forecast = Method(ask.forecast)
    advice = Method(ask.advice)
    budgets = Method(ask.budgets)
    prices = Method(ask.prices)
    health = Method(ask.health)
    dashboard = Method(ask.dashboard)
    export_report = Method(ask.export_report)
    download_report = Method(ask.download_report)
    record = Method(ask.record)


class ReportMethods:
    """Everything under /v1/reports."""

    create_token_report = Method(ask.create_token_report)
    create_usage_report = Method(ask.create_usage_report)
    all = Method(ask.all_reports)
    get = Method(ask.report)
    cancel = Method(ask.cancel_report)
    delete = Method(ask.delete_report)
    artifact = Method(ask.artifact)
