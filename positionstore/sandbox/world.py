"""The world behind the sandbox: markets whose prices move and positions that live and end.

A pure simulation. The same seed, start, size and rate make the same bytes, however it is read
and its clock is moved: events are one Poisson process over a fixed number of slots, each
holding one living position at a time, and a market's price is a function of time alone.
Amounts are integer pips (10,000 are 1 USD), ratios integer basis points, token quantities
integers of a millionth of a token, times integer microseconds since 1970 in UTC.
"""

import copy
import heapq
import json
import math
import random
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec

from positionstore.sandbox import wire

DEFAULT_START = datetime(2026, 7, 1, 12, tzinfo=UTC)
PENDING, OPEN, UNWINDING, CLOSING, SETTLING = "pending", "open", "unwinding", "closing", "settling"
CLOSED, SETTLED, LIQUIDATED, CANCELLED = "closed", "settled", "liquidated", "cancelled"
ACTIVE_STATUSES = (PENDING, OPEN, UNWINDING, CLOSING, SETTLING)
TERMINAL_STATUSES = (CLOSED, SETTLED, LIQUIDATED, CANCELLED)
STATUSES = ACTIVE_STATUSES + TERMINAL_STATUSES

EVENT_TYPES = tuple(
    f"position.{action}"
    for action in (
        "created",
        "opening",
        "opened",
        "close_requested",
        "closed",
        "settled",
        "liquidated",
        "force_unwound",
        "reverted",
        "cancelled",
        "partial_close_requested",
        "partial_close_initiated",
        "partial_closed",
        "partial_close_aborted",
        "settlement_state_changed",
    )
)
NOTIFICATION = "notification.created"

# Who emits what, and how its clock is off, as a share of the skew that is asked for.
_EMITTERS = {"api": 0.0, "relayer": 0.5, "indexer": -1.0, "keeper": 1.0}
_EMITTER_OF = {
    "position.created": "indexer",
    "position.opening": "relayer",
    "position.opened": "indexer",
    "position.close_requested": "api",
    "position.closed": "indexer",
    "position.partial_close_requested": "api",
    "position.partial_close_initiated": "relayer",
    "position.partial_closed": "indexer",
    "position.partial_close_aborted": "relayer",
    "position.cancelled": "api",
    "position.reverted": "relayer",
    NOTIFICATION: "api",
}

_MAINTENANCE_BPS = 500
_LIQUIDATION_FEE_BPS = 100
_TOKEN = 1_000_000
_SECOND = 1_000_000
_YEAR_SECONDS = 31_536_000
# Two events of one position are never closer than this: within a millisecond, the wire's
# precision, their order would be unknown.
_MIN_GAP = 5_000

_SUBJECTS = (
    ("KXFED", "Will the Fed cut rates in September 2026?"),
    ("KXBTC", "Will Bitcoin close above $150,000 this week?"),
    ("KXELEC-BR", "Will São Paulo's governor win the first round?"),
    ("KXNBA", 'Will the "Bay Area" win the finals?'),
    ("KXCPI", "Will US CPI come in below 2.5 %?"),
    ("KXUCL", "Will Bayern München reach the semi-final?"),
    ("KXOIL", "Will Brent settle above $90?"),
    ("KXSPX", "Will the S&P 500 close higher on Friday?"),
    ("KXRAIN", "Will it rain in London on Saturday?"),
    ("KXOSCAR", "Will a foreign film win Best Picture?"),
)
_FAILURES = ("slippage_exceeded", "insufficient_liquidity", "order_expired", "venue_rejected")
_UNWIND_REASONS = ("price_drop_moderate", "depth_decay", "spread_spike", "game_start", "unknown")
_NOTICES = (
    ("margin_warning", "Position health is below the warning level."),
    ("close_delayed", "The close is taking longer than usual."),
    ("market_closing_soon", "The market closes soon."),
)


class Market(msgspec.Struct, frozen=True):
    """A market: its price is a bounded, smooth function of time."""

    ticker: str
    title: str
    provider: str
    closes_at: int
    base: float
    waves: tuple[tuple[float, float, float], ...]
    outcome_yes: bool

    def price(self, side: str, at: int) -> int:
        """The mark price of one token of a side at a moment, in pips, from 100 to 9,900."""
        seconds = min(at, self.closes_at) / _SECOND
        x = self.base
        for amplitude, pulse, phase in self.waves:
            x += amplitude * math.sin(seconds * pulse + phase)
        yes = min(max(round(10_000 / (1 + math.exp(-x))), 100), 9_900)
        return yes if side == "yes" else 10_000 - yes


class Position(msgspec.Struct):
    """A position's durable state; what moves with the market is computed when it is rendered."""

    id: str
    serial: int
    partner: int
    wallet: str
    market: Market
    side: str
    head: str
    created_at: int
    collateral: int
    leverage_bps: int
    notional: int
    price: int
    protocol_fee_bps: int
    partner_fee_bps: int
    apr_bps: int
    status: str = PENDING
    stage: str = "created"
    changed_at: int = 0
    opened_at: int = 0
    effective_price: int = 0
    slippage_bps: int = 0
    entry_units: int = 0
    units: int = 0
    book: int = 0
    debt: int = 0
    margin: int = 0
    remaining_bps: int = 10_000
    proceeds: int = 0
    realized: int = 0
    lifetime_paid: int = 0
    venue_paid: int = 0
    settlement_state: str = "none"
    voided: bool = False
    close_reason: str = ""
    failure: str = ""
    closed_at: int = 0
    closing_serial: int = -1
    liquidation_fee: int = 0
    entry_text: str = ""
    unwinds: tuple[str, ...] = ()
    partial_closes: tuple[str, ...] = ()

    @property
    def is_terminal(self) -> bool:
        """Whether the position's life is over."""
        return self.closed_at != 0

    @property
    def origination_fee(self) -> int:
        """The origination fee in pips."""
        return self.notional * (self.protocol_fee_bps + self.partner_fee_bps) // 10_000

    @property
    def book_leverage(self) -> int:
        """Leverage at cost, in basis points."""
        return self.book * 10_000 // (self.margin or self.collateral)

    @property
    def liquidation_price(self) -> int:
        """The mark price, in pips, at which margin no longer covers the debt."""
        if not self.units:
            return 0
        return self.debt * _TOKEN * 10_000 // (self.units * (10_000 - _MAINTENANCE_BPS))

    def accrued_fees(self, at: int) -> tuple[int, int]:
        """Lifetime and venue fees accrued by a moment, in pips, paid ones included."""
        if not self.opened_at:
            return 0, 0
        seconds = max(0, at - self.opened_at) // _SECOND
        lifetime = self.debt * self.apr_bps * seconds // (10_000 * _YEAR_SECONDS)
        return self.lifetime_paid + lifetime, self.venue_paid

    def describe_entry(self) -> None:
        """Write the entry section's text; to be called when something in it changed."""
        opened = self.opened_at
        self.entry_text = wire.ENTRY % (
            wire.usd(self.collateral),
            self.collateral,
            self.leverage_bps,
            wire.usd(self.notional),
            self.notional,
            f'"{wire.instant(opened)}"' if opened else "null",
            self.protocol_fee_bps + self.partner_fee_bps,
            self.protocol_fee_bps,
            self.partner_fee_bps,
            wire.usd(self.origination_fee),
            self.origination_fee,
            wire.usd(self.price),
            self.price,
            f'"{wire.usd(self.effective_price)}"' if opened else "null",
            f'"{self.effective_price}"' if opened else "null",
            self.slippage_bps if opened else "null",
            self.entry_units,
            10_000 if opened else 0,
        )

    def render_unwinds(self) -> str:
        """The sub-resource ``unwinds`` as the API would give it."""
        opened = f'"{wire.instant(self.opened_at)}"' if self.opened_at else "null"
        return (
            f'{{"data":[{",".join(self.unwinds)}],"has_more":false,'
            f'"origination_leverage_bps":{self.leverage_bps},'
            f'"current_leverage_bps":{self.book_leverage},"originated_at":{opened}}}'
        )

    def render_partial_closes(self) -> str:
        """The sub-resource ``partial-closes`` as the API would give it."""
        return f'{{"data":[{",".join(self.partial_closes)}],"has_more":false}}'

    def render(self, at: int, *, expand_unwinds: bool = False) -> str:
        """The position object's JSON text as the API would give it at a moment."""
        extra = f',"unwinds":[{",".join(self.unwinds)}]' if expand_unwinds else ""
        return self._render_closed(extra) if self.closed_at else self._render_open(at, extra)

    def _render_open(self, at: int, extra: str) -> str:
        usd = wire.usd
        market = self.market
        mark = market.price(self.side, at)
        lifetime, venue = self.accrued_fees(at)
        margin = self.margin or self.collateral
        effective = margin - lifetime - venue
        liquidation = self.liquidation_price
        total_fees = self.origination_fee + lifetime + venue
        if self.units:
            notional = self.book
            value = self.units * mark // _TOKEN
            unrealized = value - notional
            equity = effective + unrealized
            leverage = min(value * 10_000 // equity, 1_000_000) if equity > 0 else 1_000_000
            room = self.effective_price - liquidation
            health = max(0, min(10_000, (mark - liquidation) * 10_000 // room)) if room > 0 else 0
            buffer = (mark - liquidation) * 10_000 // mark
            margin_buffer = value * (10_000 - _MAINTENANCE_BPS) // 10_000 - self.debt
        else:
            notional, value, unrealized = self.notional, 0, 0
            leverage, health, buffer, margin_buffer = self.leverage_bps, 10_000, 10_000, margin
        net = unrealized - total_fees
        book_leverage = notional * 10_000 // margin
        closes_at = market.closes_at
        open_market = at < closes_at
        state = self.settlement_state
        return wire.OPEN % (
            self.head,
            self.status,
            book_leverage,
            self.entry_text,
            usd(margin),
            margin,
            usd(effective),
            effective,
            leverage,
            book_leverage,
            usd(mark),
            mark,
            usd(notional),
            notional,
            self.units,
            usd(value),
            value,
            unrealized * 10_000 // self.collateral,
            usd(unrealized),
            unrealized,
            net * 10_000 // self.collateral,
            usd(net),
            net,
            self.remaining_bps,
            usd(liquidation),
            liquidation,
            health,
            buffer,
            _LIQUIDATION_FEE_BPS,
            usd(margin_buffer),
            margin_buffer,
            usd(lifetime),
            lifetime,
            usd(venue),
            venue,
            self.apr_bps,
            usd(lifetime - self.lifetime_paid),
            lifetime - self.lifetime_paid,
            usd(total_fees),
            total_fees,
            wire.instant(closes_at),
            "open" if open_market else "closed",
            state,
            (closes_at - at) // (60 * _SECOND) if open_market else "null",
            "true" if self.voided else "false",
            "true" if state in {"awaiting_resolution", "settling"} else "false",
            extra,
        )

    def _render_closed(self, extra: str) -> str:
        usd = wire.usd
        opened = self.opened_at != 0
        origination = self.origination_fee if opened else 0
        total = origination + self.lifetime_paid + self.venue_paid + self.liquidation_fee
        net = self.realized - total
        return wire.CLOSED % (
            self.head,
            self.status,
            self.notional * 10_000 // self.collateral,
            self.entry_text,
            self.close_reason,
            f'{{"reason":"{self.failure}"}}' if self.failure else "null",
            self.apr_bps,
            self.protocol_fee_bps + self.partner_fee_bps,
            usd(origination),
            origination,
            usd(total),
            total,
            usd(self.lifetime_paid),
            self.lifetime_paid,
            usd(self.venue_paid),
            self.venue_paid,
            wire.instant(self.closed_at),
            usd(self.lifetime_paid),
            self.lifetime_paid,
            usd(self.liquidation_fee),
            self.liquidation_fee,
            usd(self.proceeds),
            self.proceeds,
            usd(self.realized),
            self.realized,
            net * 10_000 // self.collateral,
            usd(net),
            net,
            extra,
        )


class Emission(msgspec.Struct, frozen=True):
    """One envelope the world emits, with what the gateways need to route it.

    Attributes:
        at: the true moment, microseconds since 1970; ``created_at`` in the envelope may be skewed.
        partner: the number of the partner whose key made the position.
        text: the envelope's JSON.
    """

    at: int
    event_id: str
    type: str
    position_id: str
    partner: int
    wallet: str
    text: str

    @property
    def envelope(self) -> bytes:
        """The envelope as bytes of UTF-8."""
        return self.text.encode()


@dataclass(slots=True)
class Book:
    """Visible positions: all by creation, the live ones, and the ended by their end."""

    created: list[Position] = field(default_factory=list)
    active: dict[str, Position] = field(default_factory=dict)
    closed: list[Position] = field(default_factory=list)


class World:
    """A deterministic simulation of markets and leveraged positions on a virtual clock.

    Args:
        seed: decides everything that is random.
        start: the virtual clock's first moment.
        positions: how many positions live at a time; one that ends makes room for a new one.
        rate: events per virtual second, on average.
        partners: how many partners' positions there are; the first has nine tenths of them.
        wallets: how many customers there are; by default one for twenty positions, 3 to 50.
        remember: for how many seconds a past state can be read back, see :meth:`render`.
        retain: whether ended positions are kept; without, only living ones are known.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        start: datetime = DEFAULT_START,
        positions: int = 200,
        rate: float = 20.0,
        partners: int = 2,
        wallets: int | None = None,
        remember: float = 0.0,
        retain: bool = True,
    ) -> None:
        self._rng = random.Random(f"positionstore-world-{seed}")
        self._samples = random.Random(f"positionstore-samples-{seed}")
        self.now = micros(start)
        self.clock_skew = 0.0
        self.rate = rate
        self._partners = partners
        self._slots: list[Position | None] = [None] * positions
        count = wallets if wallets is not None else min(50, max(3, positions // 20))
        self.wallets = tuple(f"0x{self._rng.getrandbits(160):040x}" for _ in range(count))
        self._pace = positions / rate
        self._markets = [
            self._new_market(number, self.now)
            for number in range(min(200, max(8, positions // 40)))
        ]
        self._market_count = len(self._markets)
        self._retain = retain
        self._everything = Book()
        self._books: dict[tuple[int, str | None], Book] = {}
        self._by_id: dict[str, Position] = {}
        self._serial = 0
        self._closings = 0
        self._remember = round(remember * _SECOND)
        self._past: dict[str, list[tuple[int, Position]]] = {}
        self._past_order: deque[tuple[int, str]] = deque()
        self._next_at, self._next_slot = self.now, 0
        self._schedule_next(self.now)

    # --- the clock -----------------------------------------------------------------------

    def step(self) -> Emission:
        """Move the clock to the next event and return it."""
        self.now = max(self.now, self._next_at)
        emission = self._event(self._next_slot)
        self._schedule_next(self.now)
        return emission

    def advance_to(self, at: int) -> Iterator[Emission]:
        """Yield every event up to a moment and leave the clock there.

        Args:
            at: microseconds since 1970; a moment in the past does nothing.
        """
        while self._next_at <= at:
            yield self.step()
        self.now = max(self.now, at)

    def rest_until(self, at: int) -> None:
        """Let time pass without any event: prices and fees move, positions do not."""
        self.now = max(self.now, at)
        if self._next_at <= self.now:
            self._schedule_next(self.now)

    def _schedule_next(self, after: int) -> None:
        self._next_slot = self._rng.randrange(len(self._slots))
        self._next_at = after + round(self._rng.expovariate(self.rate) * _SECOND)
        position = self._slots[self._next_slot]
        if position is not None:
            self._next_at = max(self._next_at, position.changed_at + _MIN_GAP)

    @property
    def next_event_at(self) -> int:
        """When the next event is due, microseconds since 1970."""
        return self._next_at

    # --- looking -------------------------------------------------------------------------

    def truth(self, partner: int | None = None) -> dict[str, dict[str, object]]:
        """Every position object by id, as it is at this moment."""
        return {
            position.id: json.loads(position.render(self.now))
            for position in self.book(partner).created
        }

    def book(self, partner: int | None = None, wallet: str | None = None) -> Book:
        """The positions of a partner, of one of its customers, or (without both) all."""
        if partner is None:
            return self._everything
        return self._books.setdefault((partner, wallet), Book())

    def get(self, position_id: str) -> Position | None:
        """The position with this id, or None."""
        return self._by_id.get(position_id)

    def as_of(self, position: Position, at: int) -> Position | None:
        """The state a position had at a moment, None where it did not exist.

        Only as far back as ``remember`` reaches; before that, the oldest state still known.
        """
        if position.created_at > at:
            return None
        for changed_at, before in self._past.get(position.id, ()):
            if changed_at > at:
                return before
        return position

    # --- the life of positions -----------------------------------------------------------

    def _event(self, slot: int) -> Emission:
        position = self._slots[slot]
        if position is None:
            position = self._create()
            self._slots[slot] = position
            return self._emit("position.created", position)
        if self._rng.random() < 0.015:
            position.changed_at = self.now
            return self._notify(position)
        self._keep_past(position)
        action = self._transition(position)
        position.changed_at = self.now
        if position.is_terminal:
            self._slots[slot] = None
            self._bury(position)
        return self._emit(f"position.{action}", position)

    def _emit(self, event_type: str, position: Position) -> Emission:
        return self._wrap(event_type, position, position.render(self.now))

    def _notify(self, position: Position) -> Emission:
        code, message = self._rng.choice(_NOTICES)
        data = (
            f'{{"code":"{code}","message":"{message}",'
            f'"params":{{"position_id":"{position.id}","market_ticker":"{position.market.ticker}"}}}}'
        )
        return self._wrap(NOTIFICATION, position, data)

    def _wrap(self, event_type: str, position: Position, data: str) -> Emission:
        at = self.now
        created = at
        if self.clock_skew:
            emitter = _EMITTER_OF.get(event_type, "keeper")
            created += round(_EMITTERS[emitter] * self.clock_skew * _SECOND)
        event_id = f"evt_{self._rng.getrandbits(96):024x}"
        text = wire.ENVELOPE % (event_id, event_type, wire.instant(created), data)
        return Emission(
            at, event_id, event_type, position.id, position.partner, position.wallet, text
        )

    def _new_market(self, number: int, at: int) -> Market:
        rng = self._rng
        ticker, title = _SUBJECTS[number % len(_SUBJECTS)]
        life = max(30.0, self._pace * rng.uniform(4, 40))
        return Market(
            ticker=f"{ticker}-{number:05d}",
            title="null" if number % 11 == 3 else json.dumps(title, ensure_ascii=False),
            provider="kalshi" if rng.random() < 0.25 else "polymarket",
            closes_at=at + round(life * _SECOND),
            base=rng.uniform(-1.2, 1.2),
            waves=tuple(
                (rng.uniform(0.05, 0.3), 2 * math.pi / rng.uniform(20, 900), rng.uniform(0, 6.28))
                for _ in range(3)
            ),
            outcome_yes=rng.random() < 0.5,
        )

    def _choose_market(self) -> Market:
        index = self._rng.randrange(len(self._markets))
        market = self._markets[index]
        if market.closes_at <= self.now:
            market = self._new_market(self._market_count, self.now)
            self._market_count += 1
            self._markets[index] = market
        return market

    def _create(self) -> Position:
        position = self._draw_position(self._rng)
        self._serial += 1
        self._by_id[position.id] = position
        for book in self._books_of(position):
            book.active[position.id] = position
            if self._retain:
                book.created.append(position)
        return position

    def _draw_position(self, rng: random.Random) -> Position:
        market = self._choose_market()
        side = "yes" if rng.random() < 0.5 else "no"
        partner = 0
        if self._partners > 1 and rng.random() < 0.1:
            partner = rng.randrange(1, self._partners)
        wallet = self.wallets[int(len(self.wallets) * rng.random() ** 2)]
        collateral = round(math.exp(rng.uniform(2.3, 8.5)) * 100) * 100
        leverage_bps = rng.randrange(15, 51) * 1000
        position_id = f"dm_pos_{rng.getrandbits(96):024x}"
        position = Position(
            id=position_id,
            serial=self._serial,
            partner=partner,
            wallet=wallet,
            market=market,
            side=side,
            head=wire.HEAD
            % (
                position_id,
                market.ticker,
                market.title,
                side,
                wallet,
                f"0x{rng.getrandbits(160):040x}",
                market.provider,
            ),
            created_at=self.now,
            collateral=collateral,
            leverage_bps=leverage_bps,
            notional=collateral * leverage_bps // 10_000,
            price=market.price(side, self.now),
            protocol_fee_bps=rng.choice((20, 25, 30)),
            partner_fee_bps=rng.choice((0, 10, 25)),
            apr_bps=rng.randrange(800, 2400, 50),
            changed_at=self.now,
        )
        position.describe_entry()
        return position

    def _books_of(self, position: Position) -> tuple[Book, Book, Book]:
        return (
            self._everything,
            self.book(position.partner),
            self.book(position.partner, position.wallet),
        )

    def _bury(self, position: Position) -> None:
        position.closing_serial = self._closings
        self._closings += 1
        if not self._retain:
            del self._by_id[position.id]
        for book in self._books_of(position):
            del book.active[position.id]
            if self._retain:
                book.closed.append(position)

    def _keep_past(self, position: Position) -> None:
        if not self._remember:
            return
        self._past.setdefault(position.id, []).append((self.now, copy.copy(position)))
        self._past_order.append((self.now, position.id))
        while self._past_order and self._past_order[0][0] < self.now - self._remember:
            _, position_id = self._past_order.popleft()
            states = self._past[position_id]
            states.pop(0)
            if not states:
                del self._past[position_id]

    # Each stage's method changes the position and names the action that happened.

    def _transition(self, position: Position) -> str:
        by_stage = {
            "created": self._while_pending,
            "opening": self._while_pending,
            "closing": self._close,
            "partial_requested": self._while_partial_requested,
            "partial_initiated": self._while_partial_initiated,
            "unwinding": self._while_unwinding,
            "live": self._while_live,
        }
        return by_stage[position.stage](position)

    def _close(self, position: Position) -> str:
        return self._finish(position, CLOSED)

    def _while_partial_requested(self, position: Position) -> str:
        if self._rng.random() < 0.2:
            return self._abort_partial(position)
        position.stage, position.status = "partial_initiated", CLOSING
        return "partial_close_initiated"

    def _while_partial_initiated(self, position: Position) -> str:
        if self._rng.random() < 0.3:
            return self._abort_partial(position)
        return self._partially_close(position)

    def _while_unwinding(self, position: Position) -> str:
        position.stage, position.status = "live", OPEN
        self._unwind(position, self._rng.randrange(500, 2000))
        return "force_unwound"

    def _while_live(self, position: Position) -> str:
        if position.market.closes_at <= self.now:
            return self._while_resolving(position)
        return self._while_open(position)

    def _while_pending(self, position: Position) -> str:
        draw = self._rng.random()
        if position.market.closes_at <= self.now:
            return self._give_up(position, "reverted", "market_closed")
        if position.stage == "created":
            if draw < 0.05:
                return self._give_up(position, "cancelled", "")
            if draw < 0.90:
                position.stage = "opening"
                return "opening"
        if draw < 0.06 or (position.stage == "created" and draw < 0.95):
            return self._give_up(position, "reverted", self._rng.choice(_FAILURES))
        return self._open(position)

    def _give_up(self, position: Position, action: str, failure: str) -> str:
        position.status = CANCELLED
        position.close_reason = "reverted"
        position.failure = failure
        position.proceeds = position.collateral
        position.closed_at = self.now
        return action

    def _open(self, position: Position) -> str:
        slippage = self._rng.randrange(0, 60)
        position.stage, position.status = "live", OPEN
        position.opened_at = self.now
        position.slippage_bps = slippage
        position.effective_price = min(position.price * (10_000 + slippage) // 10_000 + 1, 9_990)
        units = position.notional * _TOKEN // position.effective_price
        position.entry_units = position.units = units
        position.book = position.notional
        position.margin = position.collateral
        position.debt = position.notional - position.collateral
        position.describe_entry()
        return "opened"

    def _while_open(self, position: Position) -> str:
        rng = self._rng
        mark = position.market.price(position.side, self.now)
        draw = rng.random()
        if mark <= position.liquidation_price:
            return self._finish(position, LIQUIDATED)
        if draw < 0.46:
            position.stage, position.status = "closing", CLOSING
            return "close_requested"
        if draw < 0.74:
            position.stage = "partial_requested"
            return "partial_close_requested"
        if draw < 0.97:
            self._unwind(position, rng.randrange(500, 3000))
            if draw < 0.86:
                position.stage, position.status = "unwinding", UNWINDING
            return "force_unwound"
        return self._finish(position, LIQUIDATED)

    def _while_resolving(self, position: Position) -> str:
        draw = self._rng.random()
        state = position.settlement_state
        if state in {"none", "unresolved_upstream"}:
            return self._settlement(position, "awaiting_resolution")
        if state == "awaiting_resolution" and draw < 0.75:
            following = next(
                following
                for limit, following in (
                    (0.15, "none"),
                    (0.25, "unresolved_upstream"),
                    (0.33, "voided"),
                    (0.75, "settling"),
                )
                if draw < limit
            )
            return self._settlement(position, following)
        if state == "settling" and draw < 0.06:
            return self._settlement(position, "none")
        return self._finish(position, SETTLED)

    @staticmethod
    def _settlement(position: Position, state: str) -> str:
        position.settlement_state = state
        position.status = SETTLING if state == "settling" else OPEN
        position.voided = state == "voided"
        return "settlement_state_changed"

    @staticmethod
    def _abort_partial(position: Position) -> str:
        position.stage, position.status = "live", OPEN
        return "partial_close_aborted"

    def _partially_close(self, position: Position) -> str:
        share = self._rng.randrange(1000, 6000)
        mark = position.market.price(position.side, self.now)
        units = position.units * share // 10_000
        book = position.book * share // 10_000
        debt = position.debt * share // 10_000
        value = units * mark // _TOKEN
        position.units -= units
        position.book -= book
        position.debt -= debt
        position.margin -= position.margin * share // 10_000
        position.remaining_bps = position.remaining_bps * (10_000 - share) // 10_000
        position.realized += value - book
        position.proceeds += max(0, value - debt)
        position.venue_paid += value * 5 // 10_000
        position.stage, position.status = "live", OPEN
        partial_close = (
            f'{{"executed_at":"{wire.instant(self.now)}","sold_token_units":"{units}",'
            f'"remaining_position_token_units":"{position.units}",'
            f'"average_sale_price_usd":"{wire.usd(mark)}",'
            f'"user_payout_usd":"{wire.usd(max(0, value - debt))}"}}'
        )
        position.partial_closes = (*position.partial_closes, partial_close)
        return "partial_closed"

    def _unwind(self, position: Position, share: int) -> None:
        before = position.book_leverage
        mark = position.market.price(position.side, self.now)
        units = position.units * share // 10_000
        book = position.book * share // 10_000
        value = min(units * mark // _TOKEN, position.debt)
        position.units -= units
        position.book -= book
        position.debt -= value
        position.realized += value - book
        position.margin = max(position.margin + value - book, 1)
        position.remaining_bps = position.remaining_bps * (10_000 - share) // 10_000
        position.venue_paid += value * 5 // 10_000
        reason = _UNWIND_REASONS[self._rng.getrandbits(96) % len(_UNWIND_REASONS)]
        unwind = (
            f'{{"before_leverage_bps":{before},"after_leverage_bps":{position.book_leverage},'
            f'"executed_at":"{wire.instant(self.now)}","reason":"{reason}"}}'
        )
        position.unwinds = (*position.unwinds, unwind)

    def _finish(self, position: Position, status: str) -> str:
        mark = position.market.price(position.side, self.now)
        if status == SETTLED and not position.voided:
            mark = 10_000 if position.market.outcome_yes == (position.side == "yes") else 0
        elif status == SETTLED:
            mark = position.effective_price
        elif status == LIQUIDATED:
            mark = min(mark, position.liquidation_price)
        value = position.units * mark // _TOKEN
        lifetime, venue = position.accrued_fees(self.now)
        if status == CLOSED:
            venue += value * 5 // 10_000
        left = max(0, value - position.debt)
        if status == LIQUIDATED:
            position.liquidation_fee = min(value * _LIQUIDATION_FEE_BPS // 10_000, left)
        position.realized += value - position.book
        position.proceeds += max(0, left - position.liquidation_fee - lifetime)
        position.lifetime_paid, position.venue_paid = lifetime, venue
        position.status = position.close_reason = status
        position.closed_at = self.now
        return status

    # --- by hand -------------------------------------------------------------------------

    def undo_close(self, position_id: str) -> None:
        """Take a close back, without any event, as a chain reorganisation does.

        Raises:
            KeyError: no position with this id has opened, ended, and is still remembered.
        """
        position, past = self._by_id[position_id], self._past.get(position_id)
        if not position.is_terminal or not position.opened_at or not past:
            raise KeyError(position_id)
        before = copy.copy(past[-1][1])
        self._keep_past(position)
        for book in self._books_of(position):
            book.closed.remove(position)
            book.active[position.id] = position
            # The living are kept in the order of their creation.
            ordered = sorted(book.active.values(), key=_by_serial)
            book.active = {each.id: each for each in ordered}
        for name in position.__struct_fields__:
            setattr(position, name, getattr(before, name))
        position.changed_at = self.now
        self._slots.append(position)

    def sample_events(self, partner: int, wallet: str) -> list[Emission]:
        """One mock event of each type, for positions that do not exist."""
        rng = self._samples
        statuses = {
            "position.created": PENDING,
            "position.opening": PENDING,
            "position.close_requested": CLOSING,
            "position.partial_close_initiated": CLOSING,
        }
        endings = {
            "position.closed": CLOSED,
            "position.settled": SETTLED,
            "position.liquidated": LIQUIDATED,
        }
        outer, self._rng = self._rng, rng
        try:
            emissions = []
            for event_type in EVENT_TYPES:
                position = self._draw_sample(partner, wallet)
                if event_type in {"position.reverted", "position.cancelled"}:
                    reverted = event_type == "position.reverted"
                    failure = "slippage_exceeded" if reverted else ""
                    self._give_up(position, "", failure)
                elif event_type in endings:
                    self._open(position)
                    self._finish(position, endings[event_type])
                elif statuses.get(event_type) != PENDING:
                    self._open(position)
                    position.status = statuses.get(event_type, OPEN)
                emissions.append(self._emit(event_type, position))
            return emissions
        finally:
            self._rng = outer

    def _draw_sample(self, partner: int, wallet: str) -> Position:
        markets, count = self._markets, self._market_count
        self._markets = [self._new_market(0, self.now)]
        try:
            position = self._draw_position(self._rng)
        finally:
            self._markets, self._market_count = markets, count
        position.head = position.head.replace(position.wallet, wallet)
        position.partner, position.wallet = partner, wallet
        return position


def _by_serial(position: Position) -> int:
    return position.serial


def history(
    *,
    events: int,
    seed: int = 0,
    start: datetime = DEFAULT_START,
    positions: int = 1_000,
    rate: float = 500.0,
    duplicates: float = 0.0,
    shuffle_within: float = 0.0,
) -> Iterator[bytes]:
    """Make a partner's capture: serialised envelopes, one item each, as fast as possible.

    Memory stays bounded by the living positions and the shuffling window.

    Args:
        events: how many different events; duplicates come on top.
        seed: the same seed gives the same bytes.
        start: the first moment.
        positions: how many positions live at a time.
        rate: events per second of virtual time.
        duplicates: the probability, for each event, of one more copy.
        shuffle_within: each copy is delayed by up to this many seconds of virtual time, so that
            the capture is out of order within that window.
    """
    world = World(seed=seed, start=start, positions=positions, rate=rate, partners=1, retain=False)
    rng = random.Random(f"positionstore-history-{seed}")
    emissions = (world.step() for _ in range(events))
    if not duplicates and not shuffle_within:
        for emission in emissions:
            yield emission.envelope
        return
    yield from _shuffled(emissions, rng, duplicates, shuffle_within)


def _shuffled(
    emissions: Iterable[Emission], rng: random.Random, duplicates: float, window: float
) -> Iterator[bytes]:
    waiting: list[tuple[float, int, bytes]] = []
    number = 0
    span = window * _SECOND
    for emission in emissions:
        while waiting and waiting[0][0] <= emission.at:
            yield heapq.heappop(waiting)[2]
        envelope = emission.envelope
        for _ in range(2 if rng.random() < duplicates else 1):
            heapq.heappush(waiting, (emission.at + rng.random() * span, number, envelope))
            number += 1
    while waiting:
        yield heapq.heappop(waiting)[2]


def micros(moment: datetime) -> int:
    """Microseconds since 1970-01-01T00:00:00Z of an aware moment."""
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * _SECOND + delta.microseconds
