"""The reconciler without the network: against merely decoding the same pages, and as it grows.

What is compared here is what a dry run does: read a page, fetch the rows, and tell what differs. A
run that writes also notes ``verified_at`` and a valuation for each position; its speed is told
beside. The yardstick decodes each page into Python's objects and does nothing with them: by the
standard library, with no number through a float. What msgspec takes for it, the barest that there
is, and what the REST client's own reading takes, which keeps each position's bytes, are told too.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from benchmark.bed import Bed
from benchmark.report import Figure, say
from benchmark.scale import Scale
from positionstore.dimes.decoder import decode
from positionstore.dimes.page import Listed, read_list
from positionstore.dimes.rest import PAGE_LIMIT
from positionstore.model.facts import Event, Received, Source
from positionstore.reconcile.store_side import Answer, StoreSide
from positionstore.sandbox import history
from positionstore.store.appender import Appender
from positionstore.store.database import Store

FLOOR: Final = 0.5
CEILING: Final = 1.2

_SCRIPT: Final = Path(__file__).with_name("reconcile_generated.py")
_MIB: Final = 1024 * 1024
_EVENTS_EACH: Final = 5
_BATCH: Final = 10_000
_DATA: Final = b'"data":'
_NO_PAGE: Final = b'{"data":[],"has_more":false}'


def measure_speed(bed: Bed, scale: Scale) -> Figure:
    """Compare pages from memory with their rows, in turns with merely reading them."""
    latest: dict[str, bytes] = {}
    envelopes = list(
        history(events=scale.compared * _EVENTS_EACH, positions=scale.compared, rate=scale.compared)
    )
    for envelope in envelopes:
        event = decode(envelope)
        if isinstance(event, Event) and event.status is not None:
            latest[event.position_id] = envelope[envelope.index(_DATA) + len(_DATA) : -1]
    bodies = list(latest.values())
    pages = [
        b'{"data":[%s],"has_more":true}' % b",".join(bodies[first : first + PAGE_LIMIT])
        for first in range(0, len(bodies), PAGE_LIMIT)
    ]
    timings: dict[str, list[float]] = {}
    with bed.fresh_store() as store:
        _append(store, envelopes)
        bed.settle()
        for number in range(scale.rounds + 1):
            for name, work in {
                "decoded": partial(_each, pages, _decode_exactly),
                "decoded_barest": partial(_each, pages, msgspec.json.decode),
                "read": partial(_each, pages, read_list),
                "compared": partial(_compare, store, pages, dry_run=True),
                "compared_and_noted": partial(_compare, store, pages, after=number),
            }.items():
                seconds = _timed(work)
                if number:  # the first one warms the server's memory up
                    timings.setdefault(name, []).append(seconds)
    positions = len(bodies)
    rates = {f"{name}_per_second": positions / min(each) for name, each in timings.items()}
    ratios = {
        f"of_{name}": rates["compared_per_second"] / rates[f"{name}_per_second"]
        for name in ("decoded", "decoded_barest", "read")
    }
    say(f"{positions:,} positions compared")
    return Figure(
        name="compare",
        title="Comparing, of the speed of decoding",
        value=ratios["of_decoded"],
        at_least=FLOOR,
        said=(
            f"compared {rates['compared_per_second']:,.0f} positions/s, decoded "
            f"{rates['decoded_per_second']:,.0f}/s; {ratios['of_decoded_barest']:.2f} of msgspec's "
            f"{rates['decoded_barest_per_second']:,.0f}/s, {ratios['of_read']:.2f} of the REST "
            f"client's {rates['read_per_second']:,.0f}/s; with what is noted of each "
            f"{rates['compared_and_noted_per_second']:,.0f}/s"
        ),
        measured={"positions": positions, "rounds": scale.rounds, **rates, **ratios},
    )


def measure_growth(bed: Bed, scale: Scale) -> list[Figure]:
    """Reconcile few positions and many: peak memory, and the requests of a periodic run."""
    few = _reconcile(bed, scale.few_compared)
    many = _reconcile(bed, scale.many_compared)
    pages = many["periodic_seen"] / PAGE_LIMIT
    return [
        Figure(
            name="compare_memory",
            title="Peak memory of a full run, many positions over few",
            value=many["peak_bytes"] / few["peak_bytes"],
            below=CEILING,
            said=(
                f"{many['peak_bytes'] / _MIB:.0f} MiB for {many['seen']:,} positions, "
                f"{few['peak_bytes'] / _MIB:.0f} MiB for {few['seen']:,}"
            ),
            measured={
                **{f"few_{name}": number for name, number in few.items()},
                **{f"many_{name}": number for name, number in many.items()},
            },
        ),
        Figure(
            name="compare_requests",
            title="Requests of a periodic run, for a page of active and newly ended positions",
            value=many["periodic_requests"] / pages,
            below=CEILING,
            said=(
                f"{many['periodic_requests']:,} requests, {many['periodic_seen']:,} positions of "
                f"{many['seen']:,}"
            ),
            measured={
                **{f"few_{name}": number for name, number in few.items()},
                **{f"many_{name}": number for name, number in many.items()},
            },
        ),
    ]


def _append(store: Store, envelopes: list[bytes]) -> None:
    now = datetime.now(UTC)
    with closing(store.connect()) as connection:
        appender = Appender(connection)
        for first in range(0, len(envelopes), _BATCH):
            batch = envelopes[first : first + _BATCH]
            appender.append([Received(decode(each), now, Source.PARTNER) for each in batch])


def _decode_exactly(page: bytes) -> object:
    return json.loads(page, parse_float=Decimal)


def _each(pages: list[bytes], take: Callable[[bytes], object]) -> None:
    for page in pages:
        take(page)


def _compare(store: Store, pages: list[bytes], *, dry_run: bool = False, after: int = 0) -> None:
    as_of = datetime(2026, 7, 2, tzinfo=UTC) + timedelta(minutes=after)
    with closing(store.connect()) as reader, closing(store.connect()) as writer:
        reader.execute("SET synchronous_commit = off")  # as a run does
        book = StoreSide(reader, writer, settle_window=timedelta(minutes=1), dry_run=dry_run)
        unread = iter(pages)
        answers: list[Answer] = []

        def read_next() -> None:
            nonlocal answers
            answers = [(listed, as_of) for listed in _positions(next(unread, _NO_PAGE))]

        read_next()
        while answers:
            # As a run does, which has the next page while the server looks this one's rows up.
            if book.examine(answers, meanwhile=read_next):
                raise AssertionError("what is the same differs")


def _positions(page: bytes) -> list[Listed]:
    return [item.what for item in read_list(page)[0] if isinstance(item.what, Listed)]


def _timed(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _reconcile(bed: Bed, positions: int) -> dict[str, int]:
    """Reconcile so many positions, a fifth of them active, in a process of its own."""
    active = positions // 5
    with bed.fresh_store() as store:
        done = subprocess.run(
            [sys.executable, str(_SCRIPT), str(active), str(positions - active)],
            env={
                **os.environ,
                "DATABASE_URL": store.url,
                "PYTHONPATH": str(_SCRIPT.parents[1]),
            },
            stdout=subprocess.PIPE,
            check=True,
        )
    said: dict[str, int] = json.loads(done.stdout)
    if (said["seen"], said["repaired"]) != (positions, positions):
        raise AssertionError(f"not everything was reconciled: {said}")
    say(f"Run over {positions:,} positions: {said['peak_bytes'] / _MIB:.0f} MiB at most")
    return said
