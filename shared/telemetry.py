"""Traces: OpenTelemetry when an endpoint is configured and the SDK is installed, nothing at all otherwise."""

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


@contextmanager
def span(
    name: str,
    *,
    parent: str | None = None,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Mapping[str, Any] | None = None,
) -> Iterator[Span]:
    """A span around the block, child of the W3C `traceparent` if one is given; failures mark it."""
    if not _State.on:
        yield trace.INVALID_SPAN
        return
    context = propagate.extract({"traceparent": parent}) if parent else None
    tracer = trace.get_tracer("tollway")
    with tracer.start_as_current_span(name, context=context, kind=kind, attributes=dict(attributes or {})) as current:
        try:
            yield current
        except BaseException as error:
            current.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise


def traceparent() -> str | None:
    """The current span as a W3C header, to hand on."""
    if not _State.on:
        return None
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier.get("traceparent")
