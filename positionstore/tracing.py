"""OpenTelemetry traces, where the environment's OTEL_ variables ask for them.

A span for each batch that is committed and for each reconciliation. What is sent is finished work,
with its times, so nothing is measured where traces are off, and the libraries are not imported.
They are those of the extra ``otel``. Spans hold counts and words of our own: no position, wallet,
text of a server or secret.
"""

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from positionstore.log import get_logger

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

_log = get_logger(__name__)

Values = Mapping[str, str | int | float | bool]

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_OURS: Final = "http/protobuf"
_EXPORTER: Final = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
"""The logger that says that a collector does not answer: four lines for each batch of spans."""
_SAID_EVERY: Final = 3_600.0
"""Seconds between two lines that say the same of a collector."""
_TIME_TO_END: Final = 1.0
"""Seconds for what is still to be sent when the process ends: it has ten in all."""


class _Sending:
    """How a span is sent; None where traces are off."""

    span: Callable[[str, int, int, Values, bool], None] | None = None


class Seldom(logging.Filter):
    """Lets a logger say the same once an hour.

    Args:
        monotonic: a clock, seconds.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._monotonic = monotonic
        self._said_at: dict[object, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this is to be said."""
        now = self._monotonic()
        if now - self._said_at.get(record.msg, -_SAID_EVERY) < _SAID_EVERY:
            return False
        self._said_at[record.msg] = now
        return True


def begin(environment: Mapping[str, str] = os.environ) -> None:
    """Send traces from now on, if the environment asks for them; say why not, if they cannot be.

    Args:
        environment: the process's.
    """
    if _Sending.span is not None or not _is_asked(environment):
        return
    if why := _unsupported(environment):
        _log.warning("tracing_off", reason=why, remedy="Unset it, or use http/protobuf and otlp.")
        return
    try:
        provider = _provider(environment)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"opentelemetry", "google", "requests"}:
            raise
        _log.warning(
            "tracing_off",
            reason=f"Traces need {error.name}, which is not installed.",
            remedy="Install the extra: pip install 'positionstore[otel]'",
        )
        return
    logging.getLogger(_EXPORTER).addFilter(Seldom())
    _Sending.span = _sender(provider)
    atexit.register(_end, provider)


def tell(
    name: str, *, began: datetime, ended: datetime, failed: bool = False, **values: str | int | None
) -> None:
    """Send a span of finished work, where traces are asked for.

    Args:
        name: what was done; one of a few names.
        began: when that began, UTC.
        ended: when it ended, UTC.
        failed: whether it failed.
        values: counts, and words of our own; None is left out.
    """
    if _Sending.span is None:
        return
    known = {f"positionstore.{key}": value for key, value in values.items() if value is not None}
    _Sending.span(name, _nanoseconds(began), _nanoseconds(ended), known, failed)


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000) * 1_000


def _is_asked(environment: Mapping[str, str]) -> bool:
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = environment.get("OTEL_TRACES_EXPORTER", "").strip()
    if exporter:
        return exporter != "none"
    return any(environment.get(name, "").strip() for name in _ENDPOINTS)


def _unsupported(environment: Mapping[str, str]) -> str:
    exporter = environment.get("OTEL_TRACES_EXPORTER", "").strip()
    if exporter not in {"", "otlp"}:
        return "OTEL_TRACES_EXPORTER names another exporter than otlp."
    for name in _PROTOCOLS:
        if protocol := environment.get(name, "").strip():
            return "" if protocol == _OURS else f"{name} is not {_OURS}."
    return ""


def _provider(environment: Mapping[str, str]) -> "TracerProvider":
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - optional
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - optional
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - optional
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - optional

    ours = {"service.version": version("positionstore")}
    named = "service.name=" in environment.get("OTEL_RESOURCE_ATTRIBUTES", "")
    if not (named or environment.get("OTEL_SERVICE_NAME")):
        ours["service.name"] = "positionstore"
    # Ended by us: it would hold up the end of the process for as long as the collector is silent.
    provider = TracerProvider(resource=Resource.create(ours), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def _sender(provider: "TracerProvider") -> Callable[[str, int, int, Values, bool], None]:
    from opentelemetry.context import Context  # noqa: PLC0415 - optional
    from opentelemetry.trace import StatusCode  # noqa: PLC0415 - optional

    tracer = provider.get_tracer("positionstore", version("positionstore"))

    def send(name: str, began: int, ended: int, values: Values, failed: bool) -> None:
        span = tracer.start_span(name, Context(), start_time=began, attributes=values)
        if failed:
            span.set_status(StatusCode.ERROR)
        span.end(ended)

    return send


def _end(provider: "TracerProvider") -> None:
    _Sending.span = None
    # A daemon: a collector that does not answer must not hold up the end of the process.
    ending = threading.Thread(target=provider.shutdown, name="tracing-end", daemon=True)
    ending.start()
    ending.join(_TIME_TO_END)
