"""The texts of the wire: amounts, instants, and the JSON of a position and an envelope.

Bodies are filled into ready-made templates rather than serialised from dictionaries: a
simulation has to make tens of thousands of envelopes a second, and everything in them is
known to need no escaping but a market's title, which is escaped once.
Source of the shapes: the vendor's REST reference for the position object.
"""

from datetime import UTC, datetime
from functools import lru_cache

_MONEY, _PLAIN, _TEXT, _RAW = "money", "plain", "text", "raw"

_ENTRY = (
    ("collateral", _MONEY),
    ("leverage_bps", _PLAIN),
    ("notional", _MONEY),
    ("opened_at", _RAW),
    ("origination_fee_bps", _PLAIN),
    ("protocol_origination_fee_bps", _PLAIN),
    ("partner_origination_fee_bps", _PLAIN),
    ("origination_fee", _MONEY),
    ("price", _MONEY),
    ("effective_entry_price", _RAW),
    ("effective_slippage_bps", _RAW),
    ("position_token_units", _TEXT),
    ("initial_fill_bps", _PLAIN),
)
_CURRENT = (
    ("collateral", _MONEY),
    ("effective_collateral", _MONEY),
    ("leverage_bps", _PLAIN),
    ("book_leverage_bps", _PLAIN),
    ("mark_price", _MONEY),
    ("notional", _MONEY),
    ("position_token_units", _TEXT),
    ("position_value", _MONEY),
    ("unrealized_pnl_bps", _PLAIN),
    ("unrealized_pnl", _MONEY),
    ("net_unrealized_pnl_bps", _PLAIN),
    ("net_unrealized_pnl", _MONEY),
    ("remaining_bps", _PLAIN),
)
_RISK = (
    ("current_liquidation_price", _MONEY),
    ("health_bps", _PLAIN),
    ("liquidation_buffer_bps", _PLAIN),
    ("liquidation_fee_bps", _PLAIN),
    ("margin_buffer", _MONEY),
)
_OPEN_FEES = (
    ("accrued_lifetime_fee", _MONEY),
    ("accrued_venue_fee", _MONEY),
    ("lifetime_apr_bps", _PLAIN),
    ("pending_lifetime_fee", _MONEY),
    ("total_fees", _MONEY),
)
_TIMING = (
    ("market_close_time", _TEXT),
    ("market_status", _TEXT),
    ("settlement_state", _TEXT),
    ("time_to_close_minutes", _RAW),
    ("is_voided", _RAW),
    ("is_settlement_pending", _RAW),
)
_CLOSED_FEES = (
    ("lifetime_apr_bps", _PLAIN),
    ("origination_fee_bps", _PLAIN),
    ("origination_fee", _MONEY),
    ("total_fees", _MONEY),
    ("total_lifetime_fee", _MONEY),
    ("total_venue_fee", _MONEY),
)
_RESULT = (
    ("closed_at", _TEXT),
    ("collected_lifetime_fee", _MONEY),
    ("collected_liquidation_fee", _MONEY),
    ("proceeds", _MONEY),
    ("realized_pnl", _MONEY),
    ("net_realized_pnl_bps", _PLAIN),
    ("net_realized_pnl", _MONEY),
)


def _template(fields: tuple[tuple[str, str], ...]) -> str:
    """Make a %-template of an object; an amount takes two values, dollars and then pips."""
    patterns = {
        _MONEY: '"{0}_usd":"%s","{0}_usd_pips":"%d"',
        _PLAIN: '"{0}":%d',
        _TEXT: '"{0}":"%s"',
        _RAW: '"{0}":%s',
    }
    return "{" + ",".join(patterns[kind].format(name) for name, kind in fields) + "}"


# The one nullable amount of the entry is its own pair of names, both null until known.
ENTRY = _template(_ENTRY).replace(
    '"effective_entry_price":%s',
    '"effective_entry_price_usd":%s,"effective_entry_price_usd_pips":%s',
)
CURRENT = _template(_CURRENT)
RISK = _template(_RISK)
OPEN_FEES = _template(_OPEN_FEES)
TIMING = _template(_TIMING)
CLOSED_FEES = _template(_CLOSED_FEES)
RESULT = _template(_RESULT)

HEAD = (
    '"id":"%s","market_ticker":"%s","market_title":%s,"side":"%s","wallet_address":"%s",'
    '"on_chain_position_key":"%s","provider":"%s"'
)
OPEN = (
    '{%s,"status":"%s","effective_leverage_bps":%d,"entry":%s,'
    f'"current":{CURRENT},"risk":{RISK},"fees":{OPEN_FEES},"timing":{TIMING}%s}}'
)
CLOSED = (
    '{%s,"status":"%s","effective_leverage_bps":%d,"entry":%s,'
    f'"close_reason":"%s","failure":%s,"fees":{CLOSED_FEES},"result":{RESULT}%s}}'
)
ENVELOPE = '{"id":"%s","type":"%s","created_at":"%s","data":%s}'


def usd(pips: int) -> str:
    """Dollars for display, exact to the pip: 12345 is ``"1.2345"``."""
    if pips >= 10_000:  # most amounts; slicing is three times as fast as dividing
        digits = str(pips)
        return f"{digits[:-4]}.{digits[-4:]}"
    if pips >= 0:
        return f"0.{pips:04d}"
    return f"-{usd(-pips)}"


@lru_cache(maxsize=4096)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S")


def instant(micros: int) -> str:
    """An instant in the wire's form, to the millisecond: ``2026-07-01T12:00:00.123Z``.

    Args:
        micros: microseconds since 1970-01-01T00:00:00Z.
    """
    second, rest = divmod(micros, 1_000_000)
    return f"{_second(second)}.{rest // 1000:03d}Z"
