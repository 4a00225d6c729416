"""The field catalogue against the vendor's position object, written down here once more."""

from collections import Counter

import pytest

from positionstore.model.fields import FIELDS, FIRST_FIELDS, Durability, Kind
from positionstore.store.schema import metadata

# As the REST reference lists them. A name that ends in (_pips) stands for an amount: the truth in
# pips and its twin for display.
COMMON = """
    id market_ticker market_title side status wallet_address on_chain_position_key provider
    effective_leverage_bps
"""
ENTRY = """
    collateral_usd(_pips) leverage_bps notional_usd(_pips) opened_at origination_fee_bps
    protocol_origination_fee_bps partner_origination_fee_bps origination_fee_usd(_pips)
    price_usd(_pips) effective_entry_price_usd(_pips) effective_slippage_bps position_token_units
    initial_fill_bps
"""
CURRENT = """
    collateral_usd(_pips) effective_collateral_usd(_pips) leverage_bps book_leverage_bps
    mark_price_usd(_pips) notional_usd(_pips) position_token_units position_value_usd(_pips)
    unrealized_pnl_bps unrealized_pnl_usd(_pips) net_unrealized_pnl_bps
    net_unrealized_pnl_usd(_pips) remaining_bps
"""
RISK = """
    current_liquidation_price_usd(_pips) health_bps liquidation_buffer_bps liquidation_fee_bps
    margin_buffer_usd(_pips)
"""
FEES = """
    accrued_lifetime_fee_usd(_pips) accrued_venue_fee_usd(_pips) lifetime_apr_bps
    pending_lifetime_fee_usd(_pips) total_fees_usd(_pips) origination_fee_bps
    origination_fee_usd(_pips) total_lifetime_fee_usd(_pips) total_venue_fee_usd(_pips)
"""
TIMING = """
    market_close_time market_status settlement_state time_to_close_minutes is_voided
    is_settlement_pending
"""
RESULT = """
    closed_at collected_lifetime_fee_usd(_pips) collected_liquidation_fee_usd(_pips)
    proceeds_usd(_pips) realized_pnl_usd(_pips) net_realized_pnl_bps net_realized_pnl_usd(_pips)
"""
DOCUMENTED = {
    *COMMON.split(),
    *(f"entry.{name}" for name in ENTRY.split()),
    *(f"current.{name}" for name in CURRENT.split()),
    *(f"risk.{name}" for name in RISK.split()),
    *(f"fees.{name}" for name in FEES.split()),
    *(f"timing.{name}" for name in TIMING.split()),
    *(f"result.{name}" for name in RESULT.split()),
    "close_reason",
    "failure.reason",
}


def test_every_documented_field_has_an_entry_and_no_other_has() -> None:
    documented = {name.replace("(_pips)", "_pips") for name in DOCUMENTED}

    assert {field.wire_name for field in FIRST_FIELDS} == documented


def test_no_column_and_no_path_stands_twice() -> None:
    columns = Counter(field.column for field in FIELDS)
    paths = Counter(field.path for field in FIELDS)

    assert {name for name, count in columns.items() if count > 1} == set()
    assert {path for path, count in paths.items() if count > 1} == set()


def test_columns_follow_the_wire() -> None:
    columns = {field.wire_name: field.column for field in FIELDS}

    assert columns.pop("id") == "position_id"
    assert all(column == name.replace(".", "_") for name, column in columns.items())
    assert columns["entry.price_usd_pips"] == "entry_price_usd_pips"


def test_columns_fit_a_postgres_name_without_quotes() -> None:
    assert all(
        len(field.column) <= 63 and field.column.isidentifier() and field.column.islower()
        for field in FIELDS
    )


def expected_kind(name: str) -> Kind:
    if name.rpartition(".")[2].startswith("is_"):
        return Kind.FLAG
    suffixes = {
        "_at": Kind.TIME,
        "_time": Kind.TIME,
        "_usd_pips": Kind.PIPS,
        "_bps": Kind.BPS,
        "_token_units": Kind.UNITS,
        "_minutes": Kind.MINUTES,
    }
    return next((kind for end, kind in suffixes.items() if name.endswith(end)), Kind.TEXT)


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.wire_name)
def test_the_kind_follows_from_the_name(field: object) -> None:
    found = next(each for each in FIELDS if each is field)

    assert found.kind is expected_kind(found.wire_name)


def test_money_and_units_are_exact_in_the_database() -> None:
    columns = metadata.tables["positions"].columns

    types = {(field.kind, str(columns[field.column].type).split()[0]) for field in FIELDS}

    assert types == {
        (Kind.TEXT, "TEXT"),
        (Kind.PIPS, "BIGINT"),
        (Kind.BPS, "BIGINT"),
        (Kind.UNITS, "NUMERIC(38,"),
        (Kind.MINUTES, "BIGINT"),
        (Kind.TIME, "DATETIME"),
        (Kind.FLAG, "BOOLEAN"),
    }


def test_what_moves_with_the_market_is_never_durable() -> None:
    live = {field.wire_name for field in FIELDS if field.durability is Durability.NEVER}

    assert {name for name in live if name.startswith(("entry.", "result."))} == set()
    assert {
        "current.mark_price_usd_pips",
        "current.unrealized_pnl_usd_pips",
        "current.net_unrealized_pnl_usd_pips",
        "current.position_value_usd_pips",
        "risk.health_bps",
        "risk.current_liquidation_price_usd_pips",
        "fees.accrued_lifetime_fee_usd_pips",
        "fees.accrued_venue_fee_usd_pips",
        "fees.pending_lifetime_fee_usd_pips",
        "timing.time_to_close_minutes",
    } <= live


def test_every_meaning_is_a_sentence() -> None:
    assert all(field.meaning[0].isalnum() and field.meaning.endswith(".") for field in FIELDS)
