"""The field catalogue: every field of a position, from its path on the wire to its column.

One entry says where a field stands in the position object, which column of ``positions``
holds it, in what unit, and whether it is durable. The schema, the comparison with
``GET /positions`` and the documentation are all made from, or tested against, this list.

Every amount stands twice on the wire; only ``<name>_usd_pips`` (the truth) has a column, and
dollars are derived from it. The display twin ``<name>_usd`` stays in ``positions.data``.
Source: the vendor's REST reference for the position object.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """What a value is: it decides the column's type and which values are of the right kind.

    A ``PIPS`` amount is an integer number of 1/10,000 USD (``bigint``), ``BPS`` an integer
    number of 1/10,000 (``bigint``), ``UNITS`` an integer number of a token's smallest units, of
    any length (``numeric``), ``MINUTES`` whole minutes (``bigint``), ``TIME`` an instant in UTC
    (``timestamptz``), ``FLAG`` a ``boolean``, ``TEXT`` unbounded ``text``.
    """

    TEXT = "text"
    PIPS = "pips"
    BPS = "bps"
    UNITS = "units"
    MINUTES = "minutes"
    TIME = "time"
    FLAG = "flag"


class Durability(StrEnum):
    """When a difference in this field means that something happened to the position.

    ``ALWAYS``: it changes only by an event. ``CLOSED``: it moves while the position is open and
    is final in the closed shape. ``NEVER``: it moves with the market, or describes the market.
    """

    ALWAYS = "always"
    CLOSED = "closed"
    NEVER = "never"


class Shape(StrEnum):
    """Which of its two shapes a position object has: that of a live position or an ended one's."""

    LIVE = "live"
    CLOSED = "closed"


_SHAPES: Final = {
    **dict.fromkeys(("current", "risk", "timing"), frozenset({Shape.LIVE})),
    **dict.fromkeys(("result", "close_reason", "failure"), frozenset({Shape.CLOSED})),
}
"""By the first key of a path: the shapes that have it, where not both have."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the position object.

    Attributes:
        path: the keys that lead to it on the wire, such as ``("entry", "price_usd_pips")``.
        kind: what its value is.
        durability: when a difference in it counts.
        meaning: a sentence for the analyst; it becomes the column's COMMENT.
    """

    path: tuple[str, ...]
    kind: Kind
    durability: Durability
    meaning: str

    @property
    def section(self) -> str:
        """The section it stands in (``entry``, ``current``...), or an empty string."""
        return self.path[0] if len(self.path) > 1 else ""

    @property
    def column(self) -> str:
        """Its column in ``positions``: the wire's path, joined by underscores."""
        return "position_id" if self.path == ("id",) else "_".join(self.path)

    @property
    def wire_name(self) -> str:
        """The path as people write it: ``entry.price_usd_pips``."""
        return ".".join(self.path)

    @property
    def shapes(self) -> frozenset[Shape]:
        """The shapes of a position object that have it."""
        return _SHAPES.get(self.path[0], frozenset(Shape))


_ALWAYS, _CLOSED, _NEVER = Durability.ALWAYS, Durability.CLOSED, Durability.NEVER


def _section(name: str, *rows: tuple[str, Kind, Durability, str]) -> Iterator[Field]:
    prefix = (name,) if name else ()
    for key, kind, durability, meaning in rows:
        yield Field((*prefix, key), kind, durability, meaning)


FIRST_FIELDS: Final[tuple[Field, ...]] = (
    *_section(
        "",
        ("id", Kind.TEXT, _ALWAYS, "The position's id at the vendor (dm_pos_...)."),
        ("market_ticker", Kind.TEXT, _ALWAYS, "The market's ticker."),
        ("market_title", Kind.TEXT, _NEVER, "The market's title; the vendor may reword it."),
        ("side", Kind.TEXT, _ALWAYS, "Which outcome is held: yes or no."),
        ("status", Kind.TEXT, _ALWAYS, "The vendor's status; see position_statuses."),
        (
            "wallet_address",
            Kind.TEXT,
            _ALWAYS,
            "The customer's wallet; a 0x address in lower case.",
        ),
        (
            "on_chain_position_key",
            Kind.TEXT,
            _ALWAYS,
            "The key of the position's on-chain account; a 0x address in lower case.",
        ),
        ("provider", Kind.TEXT, _ALWAYS, "The venue that lists the market (polymarket, ...)."),
        ("effective_leverage_bps", Kind.BPS, _CLOSED, "Effective leverage; 20,000 bps are 2x."),
    ),
    *_section(
        "entry",
        ("collateral_usd_pips", Kind.PIPS, _ALWAYS, "Collateral the position was opened with."),
        ("leverage_bps", Kind.BPS, _ALWAYS, "Leverage asked for at entry; 20,000 bps are 2x."),
        ("notional_usd_pips", Kind.PIPS, _ALWAYS, "Notional at entry."),
        ("opened_at", Kind.TIME, _ALWAYS, "When it opened; NULL until it did."),
        ("origination_fee_bps", Kind.BPS, _ALWAYS, "Origination fee, as a share of notional."),
        ("protocol_origination_fee_bps", Kind.BPS, _ALWAYS, "The protocol's part of that fee."),
        ("partner_origination_fee_bps", Kind.BPS, _ALWAYS, "The partner's part of that fee."),
        ("origination_fee_usd_pips", Kind.PIPS, _ALWAYS, "Origination fee paid."),
        ("price_usd_pips", Kind.PIPS, _ALWAYS, "Price of one outcome token at entry."),
        (
            "effective_entry_price_usd_pips",
            Kind.PIPS,
            _ALWAYS,
            "Entry price after slippage; NULL until known.",
        ),
        ("effective_slippage_bps", Kind.BPS, _ALWAYS, "Slippage at entry; NULL until known."),
        ("position_token_units", Kind.UNITS, _ALWAYS, "Outcome tokens acquired, smallest units."),
        ("initial_fill_bps", Kind.BPS, _ALWAYS, "Share of the order that was filled at entry."),
    ),
    *_section(
        "current",
        ("collateral_usd_pips", Kind.PIPS, _NEVER, "Collateral now."),
        (
            "effective_collateral_usd_pips",
            Kind.PIPS,
            _NEVER,
            "Collateral less accrued fees, as inferred.",
        ),
        ("leverage_bps", Kind.BPS, _NEVER, "Leverage at the mark price; 20,000 bps are 2x."),
        ("book_leverage_bps", Kind.BPS, _NEVER, "Leverage at book value; 20,000 bps are 2x."),
        ("mark_price_usd_pips", Kind.PIPS, _NEVER, "Mark price of one outcome token."),
        ("notional_usd_pips", Kind.PIPS, _NEVER, "Notional now."),
        ("position_token_units", Kind.UNITS, _ALWAYS, "Outcome tokens held, smallest units."),
        ("position_value_usd_pips", Kind.PIPS, _NEVER, "Value of the tokens at the mark price."),
        ("unrealized_pnl_bps", Kind.BPS, _NEVER, "Unrealized PnL, as a share of collateral."),
        ("unrealized_pnl_usd_pips", Kind.PIPS, _NEVER, "Unrealized PnL before fees."),
        ("net_unrealized_pnl_bps", Kind.BPS, _NEVER, "The same after fees, as a share."),
        ("net_unrealized_pnl_usd_pips", Kind.PIPS, _NEVER, "Unrealized PnL after fees."),
        ("remaining_bps", Kind.BPS, _ALWAYS, "Share of the entry size that is left."),
    ),
    *_section(
        "risk",
        (
            "current_liquidation_price_usd_pips",
            Kind.PIPS,
            _NEVER,
            "Mark price at which it is liquidated; inferred: as the mark falls to it.",
        ),
        (
            "health_bps",
            Kind.BPS,
            _NEVER,
            "Health; inferred: 10,000 at entry, and liquidated as it reaches 0.",
        ),
        (
            "liquidation_buffer_bps",
            Kind.BPS,
            _NEVER,
            "Distance to the liquidation price, as inferred: a share of the mark.",
        ),
        ("liquidation_fee_bps", Kind.BPS, _NEVER, "Fee a liquidation would collect."),
        (
            "margin_buffer_usd_pips",
            Kind.PIPS,
            _NEVER,
            "Margin above the maintenance level, as inferred.",
        ),
    ),
    *_section(
        "fees",
        ("accrued_lifetime_fee_usd_pips", Kind.PIPS, _NEVER, "Lifetime fee accrued so far."),
        ("accrued_venue_fee_usd_pips", Kind.PIPS, _NEVER, "Venue fee accrued so far."),
        ("pending_lifetime_fee_usd_pips", Kind.PIPS, _NEVER, "Lifetime fee not collected yet."),
        (
            "lifetime_apr_bps",
            Kind.BPS,
            _CLOSED,
            "Lifetime fee, as a yearly rate; inferred: of notional less collateral.",
        ),
        ("origination_fee_bps", Kind.BPS, _CLOSED, "Origination fee, as a share of notional."),
        ("origination_fee_usd_pips", Kind.PIPS, _CLOSED, "Origination fee paid."),
        ("total_fees_usd_pips", Kind.PIPS, _CLOSED, "All fees: so far while open, final after."),
        ("total_lifetime_fee_usd_pips", Kind.PIPS, _CLOSED, "Lifetime fee paid in all."),
        ("total_venue_fee_usd_pips", Kind.PIPS, _CLOSED, "Venue fee paid in all."),
    ),
    *_section(
        "timing",
        ("market_close_time", Kind.TIME, _NEVER, "When the market closes; NULL if unknown."),
        ("market_status", Kind.TEXT, _NEVER, "The market's status at the venue."),
        (
            "settlement_state",
            Kind.TEXT,
            _ALWAYS,
            "none, awaiting_resolution, settling, voided or unresolved_upstream.",
        ),
        ("time_to_close_minutes", Kind.MINUTES, _NEVER, "Minutes to the market's close."),
        ("is_voided", Kind.FLAG, _NEVER, "Whether the market was voided."),
        ("is_settlement_pending", Kind.FLAG, _NEVER, "Whether a settlement is under way."),
    ),
    *_section(
        "result",
        ("closed_at", Kind.TIME, _ALWAYS, "When it ended."),
        ("collected_lifetime_fee_usd_pips", Kind.PIPS, _ALWAYS, "Lifetime fee collected."),
        ("collected_liquidation_fee_usd_pips", Kind.PIPS, _ALWAYS, "Liquidation fee collected."),
        ("proceeds_usd_pips", Kind.PIPS, _ALWAYS, "Paid out to the customer."),
        ("realized_pnl_usd_pips", Kind.PIPS, _ALWAYS, "Realized PnL before fees."),
        ("net_realized_pnl_bps", Kind.BPS, _ALWAYS, "Realized PnL after fees, as a share."),
        ("net_realized_pnl_usd_pips", Kind.PIPS, _ALWAYS, "Realized PnL after fees."),
    ),
    *_section(
        "",
        (
            "close_reason",
            Kind.TEXT,
            _ALWAYS,
            "Why it ended: closed, settled, liquidated, reverted.",
        ),
    ),
    *_section(
        "failure",
        ("reason", Kind.TEXT, _ALWAYS, "Why the opening failed; NULL when it did not."),
    ),
)
"""The fields of the initial schema, in the order of their columns."""

ADDED_FIELDS: Final[tuple[Field, ...]] = (
    # As in docs/add-a-field.md: Field(("risk", "funding_bps"), Kind.BPS, _NEVER, "Funding rate."),
)
"""The fields that were added since, the oldest first: their columns come after all others."""

FIELDS: Final[tuple[Field, ...]] = (*FIRST_FIELDS, *ADDED_FIELDS)

DURABLE_FIELDS: Final[tuple[Field, ...]] = tuple(
    sorted(
        (each for each in FIELDS if each.durability is not _NEVER and each.path != ("id",)),
        key=lambda field: field.durability is _CLOSED,
    )
)
"""The durable fields: first those that always are, then those that are in the closed shape."""

ADDRESS_FIELDS: Final = frozenset({"wallet_address", "on_chain_position_key"})
"""The fields, by their name on the wire, that hold an address: a 0x one is the same in any case."""

FIRST_VALUED: Final = (
    "current.mark_price_usd_pips",
    "current.position_value_usd_pips",
    "current.unrealized_pnl_usd_pips",
    "current.net_unrealized_pnl_usd_pips",
    "risk.health_bps",
    "risk.current_liquidation_price_usd_pips",
)
"""The fields that a valuation had first, in the order of their columns."""

VALUATION_FIELDS: Final[tuple[Field, ...]] = tuple(
    sorted(
        (
            each
            for each in FIELDS
            if each.section not in {"", "entry", "result", "failure"}
            or each.wire_name == "effective_leverage_bps"
        ),
        key=lambda field: (
            FIRST_VALUED.index(field.wire_name)
            if field.wire_name in FIRST_VALUED
            else len(FIRST_VALUED)
        ),
    )
)
"""What a reading of a live position tells besides its entry: kept whole, as its valuation."""

FOLDED_COLUMNS: Final[tuple[str, ...]] = (
    "position_id",
    "status",
    "phase",
    *(each.column for each in FIELDS if each.column not in {"position_id", "status"}),
    "data",
    "misfit_fields",
    "last_event_id",
    "last_event_type",
    "last_event_at",
    "source",
    "supersedes_before",
    "updated_at",
)
"""The columns of ``positions`` that the fold decides; ``verified_at`` is the reconciler's."""
