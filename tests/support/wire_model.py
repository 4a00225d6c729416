"""A second opinion on bodies: what ``positions`` has to show of a JSON text, in plain Python.

It knows which values fit which kind of field, and what ``jsonb`` makes of odd JSON. It imports
nothing of the product.
"""

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

Json = None | bool | str | Decimal | list["Json"] | dict[str, "Json"]

_SURROGATES = re.compile("[\0\ud800-\udfff]")
_INSTANT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?"
    r"(?:[Zz]|([+-])(\d\d)(?::?(\d\d))?)",
    re.ASCII,
)


def as_jsonb(text: str) -> Json:
    """Return what ``jsonb`` has to hold: U+FFFD for what it cannot, the last of equal keys."""
    return _storable(json.loads(text, parse_int=_number, parse_float=_number))


def read_jsonb(text: str) -> Json:
    """Return what ``jsonb`` holds, by its text."""
    value: Json = json.loads(text, parse_int=Decimal, parse_float=Decimal)
    return value


def _number(text: str) -> Decimal | str:
    """Return the number; its text where ``numeric`` cannot hold it, or only at length.

    No test comes near the edge of what ``numeric`` holds.
    """
    mantissa, _, exponent = text.lower().partition("e")
    far_away = len(exponent.lstrip("+-")) >= 3
    return text if far_away or len(mantissa) > 120_000 else Decimal(text)


def _storable(value: Json) -> Json:
    if isinstance(value, str):
        return _SURROGATES.sub("\ufffd", value)
    if isinstance(value, list):
        return [_storable(item) for item in value]
    if isinstance(value, dict):
        return {_SURROGATES.sub("\ufffd", key): _storable(item) for key, item in value.items()}
    return value


def fit(kind: str, value: Json) -> object:
    """Return what a column of a kind shows of a value; None where the value does not fit."""
    if kind == "flag":
        return value if isinstance(value, bool) else None
    if kind == "text":
        return value if isinstance(value, str) else None
    if kind == "time":
        return instant(value) if isinstance(value, str) else None
    digits = _digits(value)
    if digits is None or not re.fullmatch("-?[0-9]+", digits):
        return None
    if kind == "units":
        fits = len(digits) <= 1000 and abs(Decimal(digits)) < Decimal(10) ** 38
        return Decimal(digits) if fits else None
    number = int(digits) if len(digits.removeprefix("-")) <= 19 else None
    return number if number is not None and -(2**63) <= number < 2**63 else None


def _digits(value: Json) -> str | None:
    if isinstance(value, Decimal):
        return format(value, "f")
    return value if isinstance(value, str) else None


def instant(text: str) -> datetime | None:
    """Return the instant, cut to microseconds; None where it is none of the years 1 to 9999."""
    match = _INSTANT.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    fraction, sign, hours, minutes = match.groups()[6:]
    away = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    micros = int((fraction or "0")[:6].ljust(6, "0"))
    ends_day = (hour, minute, second, micros) == (24, 0, 0, 0)
    if int(minutes or 0) > 59 or away >= timedelta(hours=16) or second > 60:
        return None
    try:
        start = datetime(year, month, day, 0 if ends_day else hour, minute, tzinfo=UTC)
        moment = start + timedelta(days=ends_day, seconds=second, microseconds=micros)
        return moment - away if sign == "+" else moment + away
    except (ValueError, OverflowError):
        return None
