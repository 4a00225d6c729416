"""The catalogue of metrics: the names that dashboards and alerts rely on.

Collectors take names from here only, and ``docs/metrics.md`` is generated from here.
"""

from dataclasses import dataclass
from typing import Final, Literal

PREFIX: Final = "positionstore_"

Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric.

    Attributes:
        name: as it is exposed, without the prefix.
        kind: what it is to Prometheus.
        unit: what it counts or measures.
        help: what it means, in a sentence.
        labels: the names of its labels.
    """

    name: str
    kind: Kind
    unit: str
    help: str
    labels: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        """The name as a query has it."""
        return PREFIX + self.name


PROCESS: Final = (
    Metric(
        "build_info",
        "gauge",
        "",
        "Always 1; the version of positionstore and the schema revision that it needs.",
        ("version", "schema"),
    ),
    Metric("gateway_connected", "gauge", "", "1 while the gateway is connected.", ("gateway",)),
    Metric(
        "gateway_connections_total",
        "counter",
        "connections",
        "Connections that the gateway accepted; many in a short time mean an unstable link.",
        ("gateway",),
    ),
    Metric(
        "gateway_last_packet_timestamp_seconds",
        "gauge",
        "Unix time",
        "When the last packet arrived, pings included: the last proof of life.",
        ("gateway",),
    ),
    Metric(
        "last_event_timestamp_seconds",
        "gauge",
        "Unix time",
        "When the last event was received.",
        ("source",),
    ),
    Metric(
        "events_received_total",
        "counter",
        "inputs",
        "Inputs received from the gateway, including invalid ones.",
        ("source",),
    ),
    Metric(
        "events_out_of_order_total",
        "counter",
        "events",
        "Events created before one of the same position that had already arrived.",
        ("source",),
    ),
    Metric(
        "events_appended_total",
        "counter",
        "events",
        "Events committed that were new in the log.",
        ("source",),
    ),
    Metric(
        "events_duplicate_total",
        "counter",
        "events",
        "Events that were already in the log, from this gateway or another process.",
        ("source",),
    ),
    Metric(
        "events_quarantined_total",
        "counter",
        "inputs",
        "Inputs that went to quarantine.",
        ("source",),
    ),
    Metric(
        "events_recovered_total",
        "counter",
        "events",
        "Events of an outage that the gateway replayed.",
        ("source",),
    ),
    Metric(
        "event_delay_seconds",
        "histogram",
        "seconds",
        "From created_at, by the vendor's clock, to received_at, by ours.",
        ("source",),
    ),
    Metric(
        "commit_delay_seconds",
        "histogram",
        "seconds",
        "From received_at to the commit.",
        ("source",),
    ),
    Metric(
        "commit_size_inputs",
        "histogram",
        "inputs",
        "Inputs per transaction.",
        ("source",),
    ),
    Metric(
        "commit_duration_seconds",
        "histogram",
        "seconds",
        "Duration of a transaction, including the wait for its turn.",
        ("source",),
    ),
    Metric(
        "buffer_inputs",
        "gauge",
        "inputs",
        "Inputs only in memory: neither in the database nor in the spool.",
    ),
    Metric(
        "buffer_bound_inputs",
        "gauge",
        "inputs",
        "About how many may be only in memory (POSITIONSTORE_BATCH_SIZE).",
    ),
    Metric("spool_inputs", "gauge", "inputs", "Inputs in the spool of this process."),
    Metric("spool_bytes", "gauge", "bytes", "Size of that spool on disk."),
    Metric(
        "spool_bound_bytes",
        "gauge",
        "bytes",
        "Its limit (POSITIONSTORE_SPOOL_MAX_BYTES).",
    ),
    Metric(
        "spool_has_room",
        "gauge",
        "",
        "0 while the spool is full and the ingester has disconnected for that reason.",
    ),
    Metric(
        "database_up",
        "gauge",
        "",
        "1 if the last database attempts of both the ingester and the metrics succeeded.",
    ),
    Metric(
        "database_failures_total",
        "counter",
        "attempts",
        "Failed database attempts of the ingester that were retried.",
    ),
)
"""What the process itself knows."""

STORE: Final = (
    Metric(
        "store_read_timestamp_seconds",
        "gauge",
        "Unix time",
        "When this part of the store metrics was last read.",
        ("part",),
    ),
    Metric(
        "store_read_failures_total",
        "counter",
        "attempts",
        "Reads of this part that failed or took more than five seconds.",
        ("part",),
    ),
    Metric(
        "coverage_gaps",
        "gauge",
        "gaps",
        "Coverage gaps: unrepaired, recovered by the gateway, or repaired by a run.",
        ("state",),
    ),
    Metric(
        "coverage_unrepaired_seconds",
        "gauge",
        "seconds",
        "Total length of the unrepaired gaps, an open one until now.",
    ),
    Metric(
        "coverage_open_gap_timestamp_seconds",
        "gauge",
        "Unix time",
        "Since when no process has been connected; 0 while one is.",
    ),
    Metric(
        "reconciliation_runs",
        "gauge",
        "runs",
        "Recorded reconciliations, by state.",
        ("state",),
    ),
    Metric(
        "reconciliation_last_success_timestamp_seconds",
        "gauge",
        "Unix time",
        "When a run last completed: of any scope, and of all positions (full).",
        ("scope",),
    ),
    Metric(
        "reconciliation_requests_total",
        "counter",
        "requests",
        "HTTP requests of all runs, retries included.",
    ),
    Metric("reconciliation_retries_total", "counter", "requests", "Of these, retries."),
    Metric(
        "reconciliation_discrepancies_total",
        "counter",
        "positions",
        "Differences that the runs found, by kind.",
        ("kind",),
    ),
    Metric(
        "reconciliation_repaired_total",
        "counter",
        "positions",
        "Positions that the runs repaired.",
    ),
    Metric(
        "reconciliation_unresolved_positions",
        "gauge",
        "positions",
        "Positions that still differed after the last run.",
    ),
    Metric(
        "positions_still_different",
        "gauge",
        "positions",
        "Positions that the newest run that looked at them left different; 0 is well.",
    ),
    Metric(
        "vendor_clock_offset_seconds",
        "gauge",
        "seconds",
        "How far the vendor's clock is ahead of ours, by the newest run that knows.",
    ),
    Metric("positions", "gauge", "positions", "Positions in the store, by phase.", ("phase",)),
    Metric(
        "positions_with_invalid_fields",
        "gauge",
        "positions",
        "Positions with a field whose value is invalid; its column is NULL.",
    ),
    Metric(
        "quarantine_inputs",
        "gauge",
        "inputs",
        "Inputs in quarantine, by reason.",
        ("reason",),
    ),
)
"""What is read from the database, whichever process wrote it."""

BY_NAME: Final = {metric.name: metric for metric in (*PROCESS, *STORE)}
