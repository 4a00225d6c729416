"""An address means the same in any case, or it does not: 0x and base58."""

import psycopg
import pytest
from support.factories import event

from positionstore.model.address import one_spelling
from positionstore.store.appender import Appender
from positionstore.store.projection import verify

MIXED = "0xAbCdEf0123456789aBcDeF0123456789abcdef01"
LOWER = MIXED.lower()
BASE58 = "7xKXtg2CW87d97TXJSDpbD5jBkheTqA83TZRuJosgAsU"
SPELLINGS = (
    MIXED,
    LOWER,
    "0X" + MIXED[2:],
    "0x",
    "0xg1",
    "0xAB ",
    " 0xAB",
    "0xAB\n",
    "0xAB\ncD",
    "0xÄB",
    "0xA٣",
    "0xK",  # the Kelvin sign, whose lower case is a k
    "AB",
    "",
    BASE58,
    BASE58.upper(),
    "İ",
)


def owned(number: int, wallet: str, key: str | None = None) -> dict[str, object]:
    return {"id": f"dm_pos_{number}", "wallet_address": wallet, "on_chain_position_key": key}


def heard(appender: Appender, *bodies: dict[str, object]) -> None:
    appender.append(
        [event(f"evt_{body['id']}", position=str(body["id"]), body=body) for body in bodies]
    )


def test_both_languages_spell_alike(connection: psycopg.Connection) -> None:
    rows = connection.execute(
        "SELECT wire, address_from_wire(wire) FROM unnest(%s::text[]) wire", [list(SPELLINGS)]
    ).fetchall()
    assert rows == [(each, one_spelling(each)) for each in SPELLINGS]
    assert {one_spelling(each) for each in (MIXED, LOWER, "0X" + MIXED[2:])} == {LOWER}
    assert connection.execute("SELECT address_from_wire(NULL)").fetchone() == (None,)


def test_positions_group_by_wallet_however_it_is_spelled(
    connection: psycopg.Connection, appender: Appender
) -> None:
    heard(
        appender,
        owned(1, MIXED, MIXED),
        owned(2, LOWER, LOWER),
        owned(3, BASE58, BASE58),
        owned(4, BASE58.lower(), BASE58.lower()),
    )
    expected = [(LOWER, 2), (BASE58, 1), (BASE58.lower(), 1)]
    for relation in ("positions", "open_positions", "fact_positions"):
        for column in ("wallet_address", "on_chain_position_key"):
            found = connection.execute(
                f"SELECT {column}, count(*) FROM {relation} GROUP BY 1".encode()
            ).fetchall()
            assert sorted(found) == sorted(expected), (relation, column)
    # The body stays the wire's own.
    assert connection.execute(
        "SELECT data ->> 'wallet_address' FROM positions ORDER BY position_id LIMIT 1"
    ).fetchone() == (MIXED,)
    assert verify(connection) == []


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (MIXED, ["dm_pos_1", "dm_pos_2"]),
        (LOWER, ["dm_pos_1", "dm_pos_2"]),
        ("0X" + MIXED[2:].upper(), ["dm_pos_1", "dm_pos_2"]),
        (BASE58, ["dm_pos_3"]),
        (BASE58.lower(), []),
    ],
)
def test_the_book_as_it_was_is_had_by_any_spelling(
    connection: psycopg.Connection, appender: Appender, asked: str, found: list[str]
) -> None:
    heard(appender, owned(1, MIXED), owned(2, LOWER), owned(3, BASE58))
    rows = connection.execute(
        "SELECT position_id FROM positions_as_of('infinity', of_wallet => %s) ORDER BY 1", [asked]
    ).fetchall()
    assert [name for (name,) in rows] == found
