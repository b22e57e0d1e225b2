"""The decorator that books every call of a function that asks a model."""

import contextlib
import functools
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from tollway.usage.call import TrackedCall, Tracking
from tollway.usage.labels import current_labels
from tollway.usage.record import Labels, label
from tollway.usage.streams import TrackedGenerator, stand_in

F = TypeVar("F", bound=Callable[..., Any])
LABELS = ("user_id", "anchor_id", "session_id")


def track_ai_usage(
    function: str,
    model: str | None = None,
    *,
    user_id: str | None = None,
    anchor_id: str | None = None,
    session_id: str | None = None,
) -> Callable[[F], F]:
    """Books each call of the decorated function under `function` and `model` (else the answer's own).

    It understands functions, coroutines, generators, asynchronous generators and functions that return a
    stream; answers of the OpenAI and Anthropic SDKs and their JSON. Ids are taken from here, else from the
    function's own arguments of these names, else from `usage_labels`. It never raises by itself; what the
    function raises or returns is passed on.
    """
    if not isinstance(function, str):
        raise TypeError('say what the calls are for: @track_ai_usage("live analysis", "qwen-plus")')
    tracking = Tracking(function, model)
    fixed = {"user_id": user_id, "anchor_id": anchor_id, "session_id": session_id}

    def decorate(target: F) -> F:
        if isinstance(target, staticmethod | classmethod):
            return cast("F", type(target)(decorate(target.__func__)))
        find = _label_finder(target, fixed)

        def begin(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> TrackedCall:
            return TrackedCall(tracking, find(args, kwargs))

        for is_kind, wrap in _WRAPPERS:
            if is_kind(target):
                return cast("F", functools.wraps(target)(wrap(target, begin)))
        return cast("F", functools.wraps(target)(_wrap_function(target, begin)))

    return decorate


Begin = Callable[[tuple[Any, ...], Mapping[str, Any]], TrackedCall]


def _wrap_function(target: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    def tracked(*args: Any, **kwargs: Any) -> Any:
        call = begin(args, kwargs)
        try:
            with call.running():
                result = target(*args, **kwargs)
        except BaseException as error:
            call.finish(error)
            raise
        if inspect.isawaitable(result):
            return _finish_later(result, call)
        return stand_in(result, call)

    return tracked


def _wrap_coroutine(target: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    async def tracked(*args: Any, **kwargs: Any) -> Any:
        return await _finish_later(target(*args, **kwargs), begin(args, kwargs))

    return tracked


async def _finish_later(pending: Awaitable[Any], call: TrackedCall) -> Any:
    try:
        with call.running():
            result = await pending
    except BaseException as error:
        call.finish(error)
        raise
    return stand_in(result, call)


def _wrap_generator(target: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    def tracked(*args: Any, **kwargs: Any) -> Any:
        call = begin(args, kwargs)
        try:
            returned = yield from TrackedGenerator(target(*args, **kwargs), call)
        except BaseException as error:
            call.finish(error)
            raise
        call.observe(returned)
        call.finish()
        return returned

    return tracked


def _wrap_async_generator(target: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    async def tracked(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        call = begin(args, kwargs)
        try:
            async with contextlib.aclosing(target(*args, **kwargs)) as source:
                sent = None
                while (item := await _sent(source, sent, call)) is not _END:
                    call.observe_event(item)
                    sent = yield item
        except BaseException as error:
            call.finish(error)
            raise
        call.finish()

    return tracked


_END = object()


async def _sent(source: AsyncGenerator[Any, Any], value: Any, call: TrackedCall) -> Any:
    try:
        with call.running():
            return await source.asend(value)
    except StopAsyncIteration:
        return _END


_WRAPPERS: tuple[tuple[Callable[[Any], bool], Callable[[Callable[..., Any], Begin], Callable[..., Any]]], ...] = (
    (inspect.isasyncgenfunction, _wrap_async_generator),
    (inspect.iscoroutinefunction, _wrap_coroutine),
    (inspect.isgeneratorfunction, _wrap_generator),
)


def _label_finder(
    target: Callable[..., Any], fixed: Mapping[str, str | None]
) -> Callable[[tuple[Any, ...], Mapping[str, Any]], Labels]:
    places, defaults = _label_parameters(target)

    def find(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Labels:
        around = current_labels()
        found: dict[str, str | None] = {}
        for name in LABELS:
            value = fixed[name] or kwargs.get(name)
            place = places.get(name)
            if value is None and place is not None and place < len(args):
                value = args[place]
            if value is None:
                value = defaults.get(name)
            found[name] = label(value) if isinstance(value, str | int | UUID) else getattr(around, name)
        return Labels(**found)

    return find


def _label_parameters(target: Callable[..., Any]) -> tuple[dict[str, int], dict[str, Any]]:
    """Where the labels stand among the positional arguments, and their defaults."""
    try:
        parameters = inspect.signature(target).parameters
    except (TypeError, ValueError):  # some built-in callables have no signature
        return {}, {}
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    places = {
        name: place
        for place, (name, parameter) in enumerate(parameters.items())
        if name in LABELS and parameter.kind in positional
    }
    return places, {name: parameters[name].default for name in LABELS if name in parameters}
