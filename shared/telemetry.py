"""Traces: OpenTelemetry when an endpoint is configured and the SDK is installed, nothing at all otherwise.

A span's parent travels as a W3C `traceparent`: in the head of a request, and inside what is said on the bus.
"""

import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from opentelemetry import propagate, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from shared.settings import Settings


class _State:
    """Whether anybody listens: asked on the hot path, so that a silent tracer costs one attribute read."""

    on = False


def configure(settings: Settings, service: str) -> None:
    """Send spans to the configured collector."""
    if not settings.otlp_endpoint:
        return
    sdk = importlib.import_module("opentelemetry.sdk.trace")
    resources = importlib.import_module("opentelemetry.sdk.resources")
    export = importlib.import_module("opentelemetry.sdk.trace.export")
    otlp = importlib.import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    provider = sdk.TracerProvider(resource=resources.Resource.create({"service.name": f"tollway-{service}"}))
    endpoint = settings.otlp_endpoint.rstrip("/") + "/v1/traces"
    provider.add_span_processor(export.BatchSpanProcessor(otlp.OTLPSpanExporter(endpoint=endpoint)))
    trace.set_tracer_provider(provider)
    _State.on = True


def enabled() -> bool:
    """Whether spans go anywhere."""
    return _State.on


def begin(
    name: str,
    *,
    parent: str | None,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Mapping[str, Any] | None = None,
    began_at: float | None = None,
) -> Span:
    """A span that somebody ends, be it in another task; child of a `traceparent` if one is given."""
    if not _State.on:
        return trace.INVALID_SPAN
    context = propagate.extract({"traceparent": parent}) if parent else None
    nanoseconds = None if began_at is None else int(began_at * 1e9)
    return trace.get_tracer("tollway").start_span(
        name, context=context, kind=kind, attributes=dict(attributes or {}), start_time=nanoseconds
    )


def mark(span: Span, failure: str | None = None, attributes: Mapping[str, Any] | None = None) -> None:
    """Say of a span what went wrong, and what is known at its end; what is None is left out."""
    if not _State.on:
        return
    span.set_attributes({name: value for name, value in (attributes or {}).items() if value is not None})
    if failure:
        span.set_status(Status(StatusCode.ERROR, failure))


@contextmanager
def span(
    name: str,
    *,
    parent: str | None = None,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Mapping[str, Any] | None = None,
) -> Iterator[Span]:
    """A span around the block, current inside it; failures mark it."""
    current = begin(name, parent=parent, kind=kind, attributes=attributes)
    try:
        with trace.use_span(current, record_exception=False, set_status_on_exception=False):
            yield current
    except BaseException as error:
        mark(current, type(error).__name__)
        raise
    finally:
        current.end()


def traceparent(of: Span | None = None) -> str | None:
    """A span, or the current one, as a W3C header to hand on."""
    if not _State.on:
        return None
    carrier: dict[str, str] = {}
    propagate.inject(carrier, None if of is None else trace.set_span_in_context(of))
    return carrier.get("traceparent")
