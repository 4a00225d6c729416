"""The page that lists every metric."""

from positionstore.ingest.meter import DELAYS, DURATIONS, SIZES
from positionstore.model.facts import Reason
from positionstore.web import catalogue
from positionstore.web.store_reader import EVERY

METRICS = """\
# Metrics

<!-- Made by scripts/docs.py from positionstore/web/catalogue.py; edit that, and run this. -->

`positionstore run` and `positionstore ingest` serve `/metrics` on `POSITIONSTORE_LISTEN`, in the
text format of Prometheus, and `/livez` and `/readyz`.
[Operations](operations.md#what-prometheus-sees) explains how to scrape them and who may.

- Names, types and labels on this page stay stable, see [compatibility](compatibility.md).
- A counter starts at 0 with its process, except those that are read from the database.
- A timestamp of something that has not happened yet is absent.
- No label contains a position or a wallet, and no metric is about money. Each label has few
  values: `source` and `gateway` are `partner` or `customer`; `kind`, `state` and `phase` those of
  [the schema](schema.md); `scope` is `any` or `full`; `reason` one of {reasons} reasons for
  quarantine; `part` one of those below.

## The process

What the process itself knows, at the time of the scrape. In a burst, delays are those of a weighted
sample of each batch.

{process}

Histogram buckets, besides `+Inf`: for delays {delays} s; for the duration of commits {durations} s;
for their size {sizes} inputs.

On systems with `/proc`, the client library's metrics `process_*` are included: memory, CPU time,
open files, start time.

## The store

What is in the database, whichever process wrote it. For several processes of one store use `max`,
not `sum`. The process reads it every {every} seconds over a separate read-only connection, with
statements that may take five seconds. Slow parts are read less often, so that reading takes at
most a twentieth of the time. A scrape returns the last reading, and
`positionstore_store_read_timestamp_seconds` is its time for each `part`: `coverage`,
`reconciliation`, `positions`, `invalid_fields` and `quarantine`.

{store}
"""


def metrics_page() -> str:
    """Return docs/metrics.md."""

    def numbers(bounds: tuple[float, ...]) -> str:
        return ", ".join(f"{bound:,g}" if bound < 1e6 else str(bound) for bound in bounds)

    return METRICS.format(
        reasons=len(Reason),
        process=_table(catalogue.PROCESS),
        store=_table(catalogue.STORE),
        delays=numbers(DELAYS),
        durations=numbers(DURATIONS),
        sizes=numbers(SIZES),
        every=f"{EVERY:.0f}",
    )


def _table(metrics: tuple[catalogue.Metric, ...]) -> str:
    lines = ["| name | type | unit | labels | meaning |", "| --- | --- | --- | --- | --- |"]
    for metric in metrics:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        lines.append(
            f"| `{metric.full_name}` | {metric.kind} | {metric.unit} | {labels} | {metric.help} |"
        )
    return "\n".join(lines)
