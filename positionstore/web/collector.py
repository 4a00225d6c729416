"""Collects the metrics of the meter and of the last reading of the store."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import accumulate

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from positionstore.ingest.meter import Histogram, Meter
from positionstore.model.facts import Reason, Source
from positionstore.settings import Settings
from positionstore.store import metrics
from positionstore.store.status import Coverage
from positionstore.web import catalogue
from positionstore.web.store_reader import Reading

_FRESH = 0.5
"""Seconds for which one answer does for all who ask."""

_KINDS = ("missing", "stale", "divergent", "absent_upstream")


class Metrics(Collector):
    """The metrics of this process.

    Args:
        settings: the limits.
        gateway: the gateway; the ``source`` of its events.
        meter: what the ingester counts.
        reading: returns what is known of the database.
        version: of positionstore.
        schema: the revision that it needs.
        monotonic: a clock, seconds.
    """

    def __init__(
        self,
        settings: Settings,
        gateway: Source,
        meter: Meter,
        reading: Callable[[], Reading],
        *,
        version: str,
        schema: str,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._gateway = str(gateway)
        self._meter = meter
        self._reading = reading
        self._build = (version, schema)
        self._monotonic = monotonic
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        self._text = b""
        self._made_at: float | None = None

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format; concurrent requests share a result."""
        now = self._monotonic()
        if self._made_at is None or now - self._made_at > _FRESH:
            self._text, self._made_at = generate_latest(self._registry), now
        return self._text

    def describe(self) -> Iterable[Metric]:
        """Describe nothing in advance: the registry has no other collector of ours."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics except those of the process."""
        yield from self._of_the_process()
        yield from _of_the_store(self._reading())

    def _of_the_process(self) -> Iterator[Metric]:
        meter, stream, reading = self._meter, (self._gateway,), self._reading()
        standing = meter.standing()
        yield _family("build_info", {self._build: 1})
        yield _family("gateway_connected", {stream: standing.connected})
        yield _family("gateway_connections_total", {stream: standing.connections})
        yield _family("gateway_last_packet_timestamp_seconds", _at(stream, standing.last_packet_at))
        yield _family("last_event_timestamp_seconds", _at(stream, meter.last_event_at))
        for name, count in {
            "received": meter.received,
            "out_of_order": meter.out_of_order,
            "appended": meter.appended,
            "duplicate": meter.duplicates,
            "quarantined": meter.quarantined,
            "recovered": standing.recovered,
        }.items():
            yield _family(f"events_{name}_total", {stream: count})
        yield _histogram("event_delay_seconds", stream, meter.event_delay)
        yield _histogram("commit_delay_seconds", stream, meter.commit_delay)
        yield _histogram("commit_size_inputs", stream, meter.commit_size)
        yield _histogram("commit_duration_seconds", stream, meter.commit_duration)
        yield _number("buffer_inputs", standing.in_memory)
        yield _number("buffer_bound_inputs", self._settings.batch_size)
        yield _number("spool_inputs", standing.spooled)
        yield _number("spool_bytes", standing.spool_bytes)
        yield _number("spool_bound_bytes", self._settings.spool_max_bytes)
        yield _number("spool_has_room", standing.has_room)
        yield _number("database_up", reading.reachable and meter.database_up is not False)
        yield _number("database_failures_total", meter.database_failures)


def _of_the_store(reading: Reading) -> Iterator[Metric]:
    parts = reading.parts
    yield _family("store_read_timestamp_seconds", {(n,): part.at for n, part in parts.items()})
    yield _family("store_read_failures_total", {(n,): c for n, c in reading.failures.items()})
    for name, part in parts.items():
        match part.what:
            case Coverage():
                yield from _coverage(part.what)
            case metrics.Runs():
                yield from _runs(part.what)
            case int():
                yield _number("positions_with_invalid_fields", part.what)
            case _:
                yield _counts(name, part.what)


def _counts(part: str, counts: Mapping[str, int]) -> Metric:
    # An alert needs a label that does not come and go.
    known = dict.fromkeys(map(str, Reason), 0) if part == "quarantine" else {}
    found: dict[tuple[str, ...], float] = {}
    found |= {(label,): count for label, count in {**known, **counts}.items()}
    return _family("quarantine_inputs" if part == "quarantine" else "positions", found)


def _coverage(coverage: Coverage) -> Iterator[Metric]:
    repaired = coverage.gaps - coverage.recovered - coverage.unrepaired
    yield _family(
        "coverage_gaps",
        {
            ("unrepaired",): coverage.unrepaired,
            ("recovered",): coverage.recovered,
            ("repaired",): repaired,
        },
    )
    yield _number("coverage_unrepaired_seconds", coverage.unrepaired_seconds)
    since = coverage.open_since
    yield _number("coverage_open_gap_timestamp_seconds", since.timestamp() if since else 0)


def _runs(runs: metrics.Runs) -> Iterator[Metric]:
    states = dict.fromkeys(("running", "complete", "partial", "failed"), 0)
    states |= {total.state: total.runs for total in runs.totals}
    yield _family("reconciliation_runs", {(state,): count for state, count in states.items()})
    last = runs.last
    yield _family(
        "reconciliation_last_success_timestamp_seconds",
        {**_at(("any",), last.complete_at), **_at(("full",), last.full_at)},
    )
    for name in ("requests", "retries", "repaired"):
        count = sum(getattr(total, name) for total in runs.totals)
        yield _number(f"reconciliation_{name}_total", count)
    yield _family(
        "reconciliation_discrepancies_total",
        {(kind,): sum(getattr(total, kind) for total in runs.totals) for kind in _KINDS},
    )
    if last.unresolved is not None:
        yield _number("reconciliation_unresolved_positions", last.unresolved)
    yield _number("positions_still_different", runs.still_different)
    if last.clock_offset is not None:
        yield _number("vendor_clock_offset_seconds", last.clock_offset)


def _at(labels: tuple[str, ...], moment: datetime | None) -> dict[tuple[str, ...], float]:
    """Return a timestamp, or nothing if there is none."""
    return {} if moment is None else {labels: moment.timestamp()}


def _number(name: str, value: float) -> Metric:
    return _family(name, {(): value})


def _family(name: str, values: Mapping[tuple[str, ...], float]) -> Metric:
    metric = catalogue.BY_NAME[name]
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family = kind(metric.full_name, metric.help, labels=metric.labels)
    for labels, value in values.items():
        family.add_metric(labels, float(value))
    return family


def _histogram(name: str, labels: tuple[str, ...], histogram: Histogram) -> Metric:
    metric = catalogue.BY_NAME[name]
    counts, total = histogram.read()
    bounds = [*map(floatToGoString, histogram.bounds), "+Inf"]
    family = HistogramMetricFamily(metric.full_name, metric.help, labels=metric.labels)
    buckets = list(zip(bounds, accumulate(counts), strict=True))
    family.add_metric(labels, buckets=buckets, sum_value=total)
    return family
