"""The page that lists every metric."""

from positionstore.ingest.meter import DELAYS, DURATIONS, SIZES
from positionstore.model.facts import Reason
from positionstore.web import catalogue
from positionstore.web.store_reader import EVERY

METRICS = """\
# Metrics

<!-- Made by scripts/docs.py from positionstore/web/catalogue.py; edit that, and run this. -->

`positionstore run` and `positionstore ingest` serve `/metrics` on `POSITIONSTORE_LISTEN`, in the
text format of Prometheus, and `/livez` and `/readyz`. How to scrape them, and who may, is told in
[operations](operations.md#what-prometheus-sees).

- Names, types and labels on this page are promised, see [what is promised](compatibility.md).
- A counter begins at 0 with its process, but for those that are read from the database.
- A moment that has not come yet, such as that of the last event before the first, is absent.
- No label holds a position or a wallet, and no metric is about money. The values of each label are
  few: `source` and `gateway` are `partner` or `customer`; `kind`, `state` and `phase` those of
  [the schema](schema.md); `scope` is `any` or `full`; `reason` one of {reasons} reasons for
  quarantine; `part` one of those below.

## The process

What the process itself knows, at the moment of the scrape. In a burst, delays are taken of a sample
of each batch, in which each input stands for its share.

{process}

Upper bounds, besides `+Inf`: of delays {delays} s; of the durations of commits {durations} s; of
their sizes {sizes} inputs.

Where the system has `/proc`, the metrics `process_*` of the client library are there too: memory,
CPU time, open files, start.

## The store

What stands in the database, whichever process brought it there: on several processes of one store
take `max`, not `sum`. It is read every {every} seconds, over a connection of its own that can write
nothing, by statements that may take five seconds. A part that takes long is read less often: the
reading takes a twentieth of the time at most. A scrape is answered from the last reading, and
`positionstore_store_read_timestamp_seconds` says when that was, for each `part`: `coverage`,
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
