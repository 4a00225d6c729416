"""Whatever was lost, late or repeated, and whenever runs took place: one run ends it all.

The real reconciler, from the walk to the log, between a small world and a real store. The world's
clock is its own; nothing waits.
"""

import asyncio
import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import httpx
from hypothesis import given
from hypothesis import strategies as st
from support.profiles import tries
from support.reconciling import wrong

from positionstore.dimes.decoder import decode
from positionstore.dimes.rest import RestClient
from positionstore.model.facts import Received, Source
from positionstore.model.secret import SecretStr
from positionstore.reconcile.reconciler import Reconciler
from positionstore.reconcile.report import RunReport, RunState
from positionstore.reconcile.scope import Scope, Trigger
from positionstore.sandbox.world import World
from positionstore.settings import Settings, load_settings
from positionstore.store.appender import Appender
from positionstore.store.database import Store
from positionstore.store.projection import verify

KEY = "dm_sbx_skey_0123456789abcdef"
EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
TABLES = "events, positions, reconciliation_runs, discrepancies, valuations, quarantine"
ACTIVE = {"pending", "open", "unwinding", "closing", "settling"}


Clocks = tuple[int, int, bool]
"""By how many seconds ours is wrong, and the API's, and whether the latter is so in turns only."""

# One of them at a time: where both are wrong by the same, nobody can know.
CLOCKS: list[Clocks] = [
    (0, 0, False),
    (600, 0, False),
    (-600, 0, False),
    (0, 600, False),
    (0, -600, False),
    (0, 600, True),
    (0, -600, True),
    (0, 400_000_000, False),
    (0, 400_000_000, True),
]


@dataclass
class Life:
    """A world, what of it is on its way to the store, and the reconciler beside it."""

    store: Store
    seed: int
    skew: float
    world: World = field(init=False)
    on_its_way: list[bytes] = field(default_factory=list)
    told: list[bytes] = field(default_factory=list)
    lag: float = 0.0
    clocks: Clocks = (0, 0, False)
    answers: int = 0

    def __post_init__(self) -> None:
        self.world = World(seed=self.seed, positions=6, rate=0.5, partners=1, remember=10_000)
        self.world.clock_skew = self.skew
        with self.store.connect() as connection:
            connection.execute("ALTER TABLE events DISABLE TRIGGER USER")
            connection.execute(f"TRUNCATE {TABLES}".encode())
            connection.execute("ALTER TABLE events ENABLE ALWAYS TRIGGER events_are_append_only")

    # --- what can happen -----------------------------------------------------------------

    def live(self, events: int, *, fate: str) -> None:
        """Let events happen; they are heard, late or lost."""
        envelopes = [self.world.step().envelope for _ in range(events)]
        if fate == "heard":
            self.hear(envelopes)
        elif fate == "late":
            self.on_its_way += envelopes

    def arrive(self) -> None:
        """What is late arrives, in the wrong order."""
        late, self.on_its_way = self.on_its_way[::-1], []
        self.hear(late)

    def repeat(self) -> None:
        """Everything that was heard is told once more."""
        self.hear(list(self.told))

    def hear(self, envelopes: list[bytes]) -> None:
        """Append as an ingester does."""
        self.told += [each for each in envelopes if each not in self.told]
        with self.store.connect() as connection:
            Appender(connection).append(
                [Received(decode(each), self.now(), Source.PARTNER) for each in envelopes]
            )

    def pass_time(self, seconds: float) -> None:
        """Time passes without an event."""
        self.world.rest_until(self.world.now + round(seconds * 1_000_000))

    # --- the other side ------------------------------------------------------------------

    def now(self) -> datetime:
        """The right time."""
        return EPOCH + timedelta(microseconds=self.world.now)

    def ours(self) -> datetime:
        """Our clock."""
        return self.now() + timedelta(seconds=self.clocks[0])

    def theirs(self) -> datetime:
        """The clock of the API at its next answer."""
        _, off, in_turns = self.clocks
        self.answers += 1
        return self.now() + timedelta(seconds=0 if in_turns and self.answers % 4 < 2 else off)

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer as the API does."""
        date = self.theirs().strftime("%a, %d %b %Y %H:%M:%S GMT")
        at = self.world.now - round(self.lag * 1_000_000)
        states = [self.world.as_of(each, at) for each in self.world.book().created]
        bodies = [json.loads(each.render(at)) for each in states if each is not None]
        _, _, name = request.url.path.partition("/positions/")
        if name:
            found = next((each for each in bodies if each["id"] == name), None)
            error = {"error": {"type": "t", "code": "position_not_found", "message": "None."}}
            return httpx.Response(
                200 if found else 404, headers={"Date": date}, json=found or error
            )
        active = request.url.params.get("state")
        items = [
            each
            for each in bodies
            if active is None or (each["status"] in ACTIVE) == (active == "active")
        ]
        limit, after = 3, request.url.params.get("starting_after")
        everything = [each["id"] for each in bodies]
        if after:
            place = everything.index(after)
            items = [each for each in items if everything.index(each["id"]) > place]
        page = {"data": items[:limit], "has_more": len(items) > limit}
        return httpx.Response(200, headers={"Date": date}, json=page)

    # --- ours ----------------------------------------------------------------------------

    async def sleep(self, seconds: float) -> None:
        """Time passes, and what is late arrives meanwhile."""
        self.pass_time(seconds)
        self.arrive()

    def client(self, settings: Settings) -> RestClient:
        """A client of the world."""

        async def no_time(_: float) -> None:
            return None

        return RestClient(
            settings.base_url,
            concurrency=4,
            requests_per_second=1e9,
            retry_budget=0,
            clock=self.ours,
            monotonic=lambda: self.world.now / 1e6,
            sleep=no_time,
            transport=httpx.MockTransport(self.answer),
        )

    def run(self) -> RunReport:
        """Reconcile in full."""
        settings = load_settings(
            api_key=SecretStr(KEY), base_url_setting="http://127.0.0.1:1", settle_window=60
        )
        reconciler = Reconciler(
            settings, self.store, clock=self.ours, sleep=self.sleep, client=self.client
        )
        return asyncio.run(reconciler.run(Trigger.COMMAND, Scope.full()))

    def stamped_ahead(self) -> int:
        """How many snapshots bear a time that is still to come."""
        with self.store.connect() as connection:
            row = connection.execute(
                "SELECT count(*) FROM events WHERE source = 'rest' AND created_at > %s",
                [self.now()],
            ).fetchone()
        assert row is not None
        return int(row[0])

    def facts(self) -> int:
        """How many facts the log has."""
        with self.store.connect() as connection:
            row = connection.execute("SELECT count(*) FROM events").fetchone()
        assert row is not None
        return int(row[0])


steps = st.one_of(
    st.tuples(st.just("heard"), st.integers(1, 12)),
    st.tuples(st.just("late"), st.integers(1, 6)),
    st.tuples(st.just("lost"), st.integers(1, 6)),
    st.tuples(st.just("arrive"), st.just(0)),
    st.tuples(st.just("repeat"), st.just(0)),
    st.tuples(st.just("time"), st.sampled_from([1, 30, 59, 61, 300])),
    st.tuples(st.just("run"), st.just(0)),
    st.tuples(st.just("lag"), st.sampled_from([0, 5, 20])),
)
clocks = st.tuples(st.just("clocks"), st.sampled_from(range(len(CLOCKS))))


@tries(12)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 3.0]), st.lists(steps, min_size=3, max_size=14))
def test_one_run_after_the_stream_is_quiet_ends_every_difference(
    store: Store, seed: int, skew: float, history: list[tuple[str, int]]
) -> None:
    life = Life(store, seed, skew)
    lived(life, history)
    ends_every_difference(life)


@tries(12)
@given(st.integers(0, 10**6), st.lists(st.one_of(steps, clocks, clocks), min_size=3, max_size=14))
def test_clocks_that_were_wrong_freeze_no_position(
    store: Store, seed: int, history: list[tuple[str, int]]
) -> None:
    life = Life(store, seed, 0.0)
    lived(life, history)
    life.clocks = (0, 0, False)
    life.run()  # may find that a clock was set
    ends_every_difference(life)


def lived(life: Life, history: list[tuple[str, int]]) -> None:
    for what, number in history:
        if what in {"heard", "late", "lost"}:
            life.live(number, fate=what)
        elif what == "arrive":
            life.arrive()
        elif what == "repeat":
            life.repeat()
        elif what == "time":
            life.pass_time(number)
        elif what == "lag":
            life.lag = number
        elif what == "clocks":
            life.clocks = CLOCKS[number]
        else:
            life.run()
            assert life.stamped_ahead() == 0


def ends_every_difference(life: Life) -> None:
    life.arrive()
    life.lag = 0
    life.pass_time(120)
    truth = {each.id: json.loads(each.render(life.world.now)) for each in life.world.book().created}
    report = life.run()
    assert (report.state, report.exit_code) == (RunState.COMPLETE, 0)
    with life.store.connect() as connection:
        assert wrong(connection, truth) == {}
        assert verify(connection) == []
    facts = life.facts()
    second = life.run()
    assert (second.exit_code, second.discrepancies, life.facts()) == (0, [], facts)
    # Nor does anything that is told again change it.
    life.repeat()
    with life.store.connect() as connection:
        assert wrong(connection, truth) == {}
