"""Every metric there is: the names that dashboards and alerts rely on.

What collects them takes names from here alone, and ``docs/metrics.md`` is made from here.
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
        "Always 1; the version of positionstore, and the revision of the schema that it needs.",
        ("version", "schema"),
    ),
    Metric("gateway_connected", "gauge", "", "1 while the gateway is connected.", ("gateway",)),
    Metric(
        "gateway_connections_total",
        "counter",
        "connections",
        "Connections that the gateway let in; several in a short time are an unsteady link.",
        ("gateway",),
    ),
    Metric(
        "gateway_last_packet_timestamp_seconds",
        "gauge",
        "Unix time",
        "The last proof of life: when the last packet came, pings included.",
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
        "Inputs received from the gateway, those that are no event included.",
        ("source",),
    ),
    Metric(
        "events_out_of_order_total",
        "counter",
        "events",
        "Events created before another one of the same position that had come already.",
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
        "Events committed that the log had already, from this gateway or another process.",
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
        "Inputs that one transaction brought.",
        ("source",),
    ),
    Metric(
        "commit_duration_seconds",
        "histogram",
        "seconds",
        "How long one transaction took to commit, waiting for its turn included.",
        ("source",),
    ),
    Metric(
        "buffer_inputs",
        "gauge",
        "inputs",
        "Inputs in memory alone: neither in the database nor in the spool.",
    ),
    Metric(
        "buffer_bound_inputs",
        "gauge",
        "inputs",
        "How many may be in memory alone, about (POSITIONSTORE_BATCH_SIZE).",
    ),
    Metric("spool_inputs", "gauge", "inputs", "Inputs that wait in the spool of this process."),
    Metric("spool_bytes", "gauge", "bytes", "How much of the disk that spool takes."),
    Metric(
        "spool_bound_bytes",
        "gauge",
        "bytes",
        "How much it may take (POSITIONSTORE_SPOOL_MAX_BYTES).",
    ),
    Metric(
        "spool_has_room",
        "gauge",
        "",
        "0 while there is no room for more, and the gateway is left for it.",
    ),
    Metric(
        "database_up",
        "gauge",
        "",
        "1 where the last attempt on the database succeeded, the ingester's and the metrics'.",
    ),
    Metric(
        "database_failures_total",
        "counter",
        "attempts",
        "Attempts of the ingester on the database that failed and were made again.",
    ),
)
"""What the process itself knows."""

STORE: Final = (
    Metric(
        "store_read_timestamp_seconds",
        "gauge",
        "Unix time",
        "When a part of what follows was last read from the database.",
        ("part",),
    ),
    Metric(
        "store_read_failures_total",
        "counter",
        "attempts",
        "How often such a part could not be read, or not within five seconds.",
        ("part",),
    ),
    Metric(
        "coverage_gaps",
        "gauge",
        "gaps",
        "Gaps of the stream: unrepaired, recovered by the gateway, or repaired by a run.",
        ("state",),
    ),
    Metric(
        "coverage_unrepaired_seconds",
        "gauge",
        "seconds",
        "How long the unrepaired gaps are together, until now where one is open.",
    ),
    Metric(
        "coverage_open_gap_timestamp_seconds",
        "gauge",
        "Unix time",
        "Since when no process has had a stream; 0 while one has.",
    ),
    Metric(
        "reconciliation_runs",
        "gauge",
        "runs",
        "Reconciliations on record, by how they stand.",
        ("state",),
    ),
    Metric(
        "reconciliation_last_success_timestamp_seconds",
        "gauge",
        "Unix time",
        "When a run last saw all of its scope: of any scope, and of all positions (full).",
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
        "Positions that still differed at the end of the last run.",
    ),
    Metric(
        "vendor_clock_offset_seconds",
        "gauge",
        "seconds",
        "How far the vendor's clock is ahead of ours, by the newest run that could tell.",
    ),
    Metric("positions", "gauge", "positions", "Positions of the store, by phase.", ("phase",)),
    Metric(
        "positions_with_invalid_fields",
        "gauge",
        "positions",
        "Positions with a field whose value is not of its kind; its column is NULL.",
    ),
    Metric(
        "quarantine_inputs",
        "gauge",
        "inputs",
        "Inputs that wait in quarantine, by reason.",
        ("reason",),
    ),
)
"""What is read from the database, whichever process brought it there."""

BY_NAME: Final = {metric.name: metric for metric in (*PROCESS, *STORE)}
