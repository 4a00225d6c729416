"""Addresses in one spelling, for all that compares them or groups by them."""

import re
from typing import Final

_HEXADECIMAL: Final = re.compile(r"0[xX][0-9a-fA-F]+")


def one_spelling(address: str) -> str:
    """Return an address as the store spells it.

    The letters of a hexadecimal address only carry a checksum: it is spelled in lower case. In any
    other, base58 too, each letter's case means something, and it stays as it is. The store's SQL
    does the same in ``address_from_wire``.
    """
    return address.lower() if _HEXADECIMAL.fullmatch(address) else address
