"""Every value comes back as it was, for DuckDB, pandas and polars alike."""

import codecs
import json
import math
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import psycopg
import pyarrow.parquet as pq
import pytest
from support.exporting import FILES, Exporter
from support.factories import event, snapshot

from positionstore.errors import ConfigurationError, PositionstoreError
from positionstore.export.formats import CsvStyle, Format
from positionstore.store.appender import Appender
from positionstore.store.database import Store
from positionstore.store.read import query as selection
from positionstore.store.read.query import ColumnType

FIRST = datetime(1, 1, 1, tzinfo=UTC)
LAST = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
WIRE = '{"a":  1.10, "b":"\\u0000", "c" : 12345678901234567890}'

EVERYTHING = f"""
    SELECT
        n, flag, small::smallint, int, big, real, double, money::numeric(18, 4), number, words,
        empty, wire, doc, bytes, at, local_at, on_day, span, texts, numbers, id
    FROM (VALUES
        (
            1, true, -32768, 2147483647, 9223372036854775807, 0.1::real, 0.1::float8,
            12345678901234.5678, 0.30000000000000000000::numeric,
            'a,"b"' || E'\\nc', '', $json${WIRE}$json$::json, '{{"b": 1, "a": 2}}'::jsonb,
            '\\x00ff'::bytea, '2026-07-01 12:00:00.123456+00'::timestamptz,
            '2026-07-01 12:00:00'::timestamp, '2026-07-01'::date, interval '-1 day 2 hours',
            ARRAY['a', NULL, 'b,"'], ARRAY[1, 9223372036854775807],
            'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid
        ),
        (
            2, false, 0, 0, -9223372036854775808, 'NaN', '-Infinity', 0, -0.1,
            'é 😀', NULL, 'null', 'null', '', 'infinity', '-infinity', 'infinity',
            interval '36 hours 0.000001 s', '{{}}', '{{}}', NULL
        ),
        (
            3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
            '-infinity', '0001-01-01 00:00:00', '4000-01-01 BC', NULL, NULL, NULL, NULL
        )
    ) AS v (
        n, flag, small, int, big, real, double, money, number, words, empty, wire, doc, bytes, at,
        local_at, on_day, span, texts, numbers, id
    )
"""

ROWS: list[dict[str, Any]] = [
    {
        "n": 1,
        "flag": True,
        "small": -32768,
        "int": 2147483647,
        "big": 9223372036854775807,
        "real": pytest.approx(0.1, abs=1e-7),
        "double": 0.1,
        "money": Decimal("12345678901234.5678"),
        "number": Decimal("0.3"),
        "words": 'a,"b"\nc',
        "empty": "",
        "wire": WIRE,
        "doc": '{"a": 2, "b": 1}',
        "bytes": b"\x00\xff",
        "at": datetime(2026, 7, 1, 12, 0, 0, 123_456, tzinfo=UTC),
        "local_at": datetime(2026, 7, 1, 12),  # noqa: DTZ001 - a timestamp without a zone
        "on_day": date(2026, 7, 1),
        "span": timedelta(days=-1, hours=2),
        "texts": ["a", None, 'b,"'],
        "numbers": [1, 9223372036854775807],
        "id": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    },
    {
        "n": 2,
        "flag": False,
        "small": 0,
        "int": 0,
        "big": -9223372036854775808,
        "real": "NaN",
        "double": -math.inf,
        "money": Decimal(0),
        "number": Decimal("-0.1"),
        "words": "é 😀",
        "empty": None,
        "wire": "null",
        "doc": "null",
        "bytes": b"",
        "at": LAST,
        "local_at": FIRST.replace(tzinfo=None),
        "on_day": LAST.date(),
        "span": timedelta(hours=36, microseconds=1),
        "texts": [],
        "numbers": [],
        "id": None,
    },
    {
        "n": 3,
        **dict.fromkeys(("flag", "small", "int", "big", "real", "double", "money", "number")),
        **dict.fromkeys(("words", "empty", "wire", "doc", "bytes")),
        "at": FIRST,
        "local_at": FIRST.replace(tzinfo=None),
        "on_day": FIRST.date(),
        **dict.fromkeys(("span", "texts", "numbers", "id")),
    },
]


def comparable(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give NaN a value that equals itself."""
    return [
        {
            name: "NaN" if isinstance(value, float) and math.isnan(value) else value
            for name, value in row.items()
        }
        for row in rows
    ]


@pytest.fixture
def everything(tmp_path: Path, export: Exporter) -> Path:
    export(tmp_path / "all.parquet", query=EVERYTHING)
    return tmp_path / "all.parquet"


def test_parquet_has_the_types_that_are_promised(everything: Path) -> None:
    schema = pq.read_schema(everything)

    assert {field.name: str(field.type) for field in schema} == {
        "n": "int32",
        "flag": "bool",
        "small": "int16",
        "int": "int32",
        "big": "int64",
        "real": "float",
        "double": "double",
        "money": "decimal128(18, 4)",
        "number": "decimal128(38, 20)",
        "words": "string",
        "empty": "string",
        "wire": "string",
        "doc": "string",
        "bytes": "binary",
        "at": "timestamp[us, tz=UTC]",
        "local_at": "timestamp[us]",
        "on_day": "date32[day]",
        "span": "duration[us]",
        "texts": "list<element: string>",
        "numbers": "list<element: int64>",
        "id": "string",
    }


def test_pyarrow_reads_every_value_back(everything: Path) -> None:
    assert comparable(pq.read_table(everything).to_pylist()) == ROWS


def test_polars_reads_every_value_back(everything: Path) -> None:
    frame = pl.read_parquet(everything)

    assert comparable(frame.to_dicts()) == ROWS


def test_duckdb_reads_every_value_back(everything: Path) -> None:
    with duckdb.connect() as connection:
        # A moment with a zone would need another package in Python.
        cursor = connection.execute(
            'SELECT * REPLACE (epoch_us("at") AS "at", to_microseconds(span) AS span)'
            " FROM read_parquet(?)",
            [str(everything)],
        )
        names = [column[0] for column in cursor.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    for row in rows:
        row["at"] = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=row["at"])
    assert comparable(rows) == ROWS


def test_pandas_reads_every_value_back(everything: Path) -> None:
    frame = pd.read_parquet(everything)

    assert str(frame["at"].dtype) == "datetime64[us, UTC]"
    for name in frame.columns:
        for found, row in zip(frame[name], ROWS, strict=True):
            wanted = row[name]
            if wanted is None:
                assert found is None or pd.isna(found)
            elif wanted == "NaN":
                assert math.isnan(found)
            elif isinstance(wanted, list):
                assert list(found) == wanted
            elif name in {"small", "int", "big"}:
                # NULLs make floats of these, in pandas alone.
                assert found == float(wanted)
            else:
                assert found == wanted


def test_a_column_of_whole_numbers_without_null_stays_whole_in_pandas(
    tmp_path: Path, export: Exporter
) -> None:
    export(tmp_path / "big.parquet", query="SELECT 9223372036854775807 AS big")

    assert pd.read_parquet(tmp_path / "big.parquet")["big"].tolist() == [9223372036854775807]


TEXTS: list[dict[str, Any]] = [
    {
        "n": 1,
        "flag": True,
        "small": -32768,
        "int": 2147483647,
        "big": 9223372036854775807,
        "real": 0.1,
        "double": 0.1,
        "money": "12345678901234.5678",
        "number": "0.30000000000000000000",
        "words": 'a,"b"\nc',
        "empty": "",
        "wire": json.loads(WIRE),
        "doc": {"a": 2, "b": 1},
        "bytes": "\\x00ff",
        "at": "2026-07-01T12:00:00.123456+00:00",
        "local_at": "2026-07-01T12:00:00",
        "on_day": "2026-07-01",
        "span": "-1 days +02:00:00",
        "texts": ["a", None, 'b,"'],
        "numbers": [1, 9223372036854775807],
        "id": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    },
    {
        "n": 2,
        "flag": False,
        "small": 0,
        "int": 0,
        "big": -9223372036854775808,
        "real": "NaN",
        "double": "-Infinity",
        "money": "0.0000",
        "number": "-0.1",
        "words": "é 😀",
        "empty": None,
        "wire": None,
        "doc": None,
        "bytes": "\\x",
        "at": "infinity",
        "local_at": "-infinity",
        "on_day": "infinity",
        "span": "36:00:00.000001",
        "texts": [],
        "numbers": [],
        "id": None,
    },
]


def test_json_lines_say_every_value(tmp_path: Path, export: Exporter) -> None:
    export(tmp_path / "all.jsonl", query=EVERYTHING)

    lines = (tmp_path / "all.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines[:2]] == TEXTS
    assert f'"wire":{WIRE},' in lines[0]  # to the digit and the blank


def test_duckdb_and_polars_read_the_money_of_json_lines_to_the_digit(
    tmp_path: Path, export: Exporter
) -> None:
    path = tmp_path / "all.jsonl"
    export(path, query=EVERYTHING)

    with duckdb.connect() as connection:
        ((money, big),) = connection.execute(
            "SELECT money::DECIMAL(18, 4), big FROM read_json(?) WHERE n = 1", [str(path)]
        ).fetchall()
    frame = pl.read_ndjson(path, schema_overrides={"double": pl.String, "real": pl.String})
    assert (money, big) == (Decimal("12345678901234.5678"), 9223372036854775807)
    assert frame["money"].cast(pl.Decimal(18, 4))[0] == Decimal("12345678901234.5678")


def test_pandas_reads_the_money_of_json_lines_as_text_where_it_is_told(
    tmp_path: Path, export: Exporter
) -> None:
    path = tmp_path / "all.jsonl"
    export(path, query=EVERYTHING)

    frame = pd.read_json(path, lines=True, dtype=False)
    assert frame["money"][0] == "12345678901234.5678"


def test_duckdb_reads_the_sides_of_csv_as_text_where_it_is_told(
    tmp_path: Path, export: Exporter
) -> None:
    path = tmp_path / "sides.csv"
    export(path, query="SELECT side FROM (VALUES ('yes'), ('no')) sides (side)")

    with duckdb.connect() as connection:
        rows = connection.execute(
            "SELECT side FROM read_csv(?, types = {'side': 'VARCHAR'})", [str(path)]
        ).fetchall()
    assert rows == [("yes",), ("no",)]


def test_csv_tells_null_from_an_empty_text(tmp_path: Path, export: Exporter) -> None:
    path = tmp_path / "all.csv"
    export(path, query=EVERYTHING)

    with duckdb.connect() as connection:
        rows = connection.execute(
            'SELECT words, empty, money::DECIMAL(18, 4), big, wire, "at", flag, bytes, texts'
            " FROM read_csv(?, all_varchar=true, allow_quoted_nulls=false) ORDER BY n",
            [str(path)],
        ).fetchall()
    assert rows[0] == (
        'a,"b"\nc'.replace("\n", "\\n"),
        "",
        Decimal("12345678901234.5678"),
        "9223372036854775807",
        WIRE,
        "2026-07-01T12:00:00.123456+00:00",
        "true",
        "\\x00ff",
        '["a",null,"b,\\""]',
    )
    assert rows[1][1] is None
    assert rows[2][:5] == (None, None, None, None, None)


def test_pandas_and_polars_read_csv(tmp_path: Path, export: Exporter) -> None:
    path = tmp_path / "moments.csv"
    export(path, query="SELECT 1 AS n, '2026-07-01 12:00:00.5+00'::timestamptz AS at, true AS flag")

    frame = pd.read_csv(path, parse_dates=["at"])
    assert frame["at"][0] == pd.Timestamp("2026-07-01 12:00:00.5", tz="UTC")
    assert pl.read_csv(path, try_parse_dates=True)["at"][0] == datetime(
        2026, 7, 1, 12, 0, 0, 500_000, tzinfo=UTC
    )


def test_csv_cells_begin_no_formula_and_hold_no_control_character_unless_raw(
    tmp_path: Path, export: Exporter
) -> None:
    query = "SELECT '=1+1' AS a, E'\\x1b[31m' AS b, '-5' AS c, -5 AS d, '=x' AS \"=e\""
    export(tmp_path / "safe.csv", query=query)
    export(tmp_path / "raw.csv", query=query, csv=CsvStyle(raw=True))

    safe, raw = ((tmp_path / name).read_text(encoding="utf-8") for name in ("safe.csv", "raw.csv"))
    assert safe == "a,b,c,d,'=e\n'=1+1,\\x1b[31m,-5,-5,'=x\n"
    assert raw.splitlines()[1] == "=1+1,\x1b[31m,-5,-5,=x"


def test_csv_for_spreadsheets_has_a_mark_of_its_encoding_and_plain_times(
    tmp_path: Path, export: Exporter
) -> None:
    query = (
        "SELECT timestamptz '2026-07-01 17:00:00.1239+02' AS at, timestamp '2026-07-01 09:05' AS b,"
        " 'infinity'::timestamptz AS c, date '2026-07-01' AS d, timestamp '0044-03-15 BC' AS e,"
        " NULL::timestamptz AS f, 'Zürich' AS g"
    )
    export(tmp_path / "plain.csv", query=query)
    export(tmp_path / "sheet.csv", query=query, csv=CsvStyle(bom=True, plain_times=True))

    assert not (tmp_path / "plain.csv").read_bytes().startswith(codecs.BOM_UTF8)
    assert (tmp_path / "sheet.csv").read_bytes() == codecs.BOM_UTF8 + (
        "at,b,c,d,e,f,g\n"
        "2026-07-01 15:00:00,2026-07-01 09:05:00,infinity,2026-07-01,"
        "0044-03-15 00:00:00 BC,,Zürich\n"
    ).encode()


def test_libreoffice_takes_plain_times_for_times_if_it_detects_special_numbers(
    tmp_path: Path, export: Exporter
) -> None:
    soffice = shutil.which("soffice")
    if soffice is None:
        pytest.skip("LibreOffice is not installed")
    query = (
        "SELECT timestamptz '2026-07-01 15:00:00.123456Z' AS at, 'Zürich' AS g"
        " FROM generate_series(1, 2)"
    )
    export(tmp_path / "sheet.csv", query=query, csv=CsvStyle(bom=True, plain_times=True))
    subprocess.run(
        [
            *(soffice, f"-env:UserInstallation=file://{tmp_path}/profile", "--headless"),
            "--infilter=CSV:44,34,76,1,,1033,false,true",  # commas, UTF-8, special numbers
            *("--convert-to", "fods", "--outdir", tmp_path, tmp_path / "sheet.csv"),
        ],
        check=True,
        capture_output=True,
        timeout=240,
    )
    sheet = (tmp_path / "sheet.fods").read_text(encoding="utf-8")
    assert sheet.count('office:value-type="date" office:date-value="2026-07-01T15:00:00"') == 2
    assert sheet.count("<text:p>Zürich</text:p>") == 2


@pytest.mark.parametrize("form", FILES)
def test_every_format_is_utf_8_whatever_the_session_says(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch, form: Format
) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    monkeypatch.setenv("PGOPTIONS", "-c DateStyle=German -c TimeZone=Asia/Tokyo")
    path = tmp_path / f"out.{form}"
    query = "SELECT 'Zürich ☂' AS a, timestamptz '2026-07-01 00:00Z' AS b"
    Exporter(store)(path, query=query)

    with duckdb.connect() as connection:
        found = connection.sql(f"SELECT a, b::text FROM '{path}'").fetchall()
    assert [(a, b[:10]) for a, b in found] == [("Zürich ☂", "2026-07-01")]


NO_DECIMALS = ("'NaN'", "'Infinity'", "repeat('9', 39)", "1e18", "1e-21")


def test_a_number_that_no_decimal_holds_is_named_and_leaves_no_file(
    tmp_path: Path, export: Exporter
) -> None:
    for number in NO_DECIMALS:
        of_one = f"SELECT 'dm_pos_7' AS position_id, {number}::numeric AS odd"
        with pytest.raises(PositionstoreError, match="Column odd of position dm_pos_7 holds"):
            export(tmp_path / "odd.parquet", query=of_one)
        with pytest.raises(PositionstoreError, match="Column odd holds") as caught:
            export(tmp_path / "odd.parquet", query=f"SELECT {number}::numeric AS odd")

        assert "18 digits before the point and 20 behind it" in str(caught.value)
        assert "--numeric text" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_numbers_of_any_length_are_read_as_text_where_that_is_asked(
    tmp_path: Path, export: Exporter
) -> None:
    export(
        tmp_path / "odd.parquet",
        query="SELECT v FROM (VALUES ('NaN'::numeric), (repeat('9', 60)::numeric), (1.50)) v (v)",
        exact_text=True,
    )

    assert pq.read_table(tmp_path / "odd.parquet")["v"].to_pylist() == ["NaN", "9" * 60, "1.5"]


def test_a_number_declared_wider_than_a_decimal_is_text(tmp_path: Path, export: Exporter) -> None:
    export(tmp_path / "wide.parquet", query="SELECT 1.5::numeric(50, 2) AS a")

    assert pq.read_table(tmp_path / "wide.parquet").to_pylist() == [{"a": "1.50"}]


def test_an_array_of_two_dimensions_is_refused(tmp_path: Path, export: Exporter) -> None:
    with pytest.raises(PositionstoreError, match="more than one dimension"):
        export(tmp_path / "a.parquet", query="SELECT ARRAY[[1, 2], [3, 4]] AS a")


@pytest.mark.slow
def test_all_there_is_in_a_store_can_be_exported(
    tmp_path: Path, store: Store, appender: Appender, export: Exporter
) -> None:
    appender.append([event("evt_1", body={"entry": {"position_token_units": str(10**37)}})])
    appender.append_snapshots([snapshot(as_of=50)], datetime(2026, 7, 1, 13, tzinfo=UTC))
    with store.connect() as connection:
        names = selection.relations(connection)

    for form in Format:
        rows = {name: export(tmp_path / f"{name}.{form}", name).rows for name in names}

        assert set(rows) >= {"events", "positions", "open_positions", "position_timeline"}
        assert (rows["events"], rows["positions"], rows["position_lifecycle"]) == (2, 1, 1)


def test_every_exact_number_of_the_store_has_a_scale_of_its_own(
    store: Store, connection: psycopg.Connection
) -> None:
    scales = {
        (name, column.name): column.scale
        for name in selection.relations(connection)
        for column in selection.of_relation(connection, name).columns
        if column.kind is ColumnType.DECIMAL
    }

    assert set(scales.values()) == {0, 4, 6, 10}
    assert scales["closed_positions", "held_for_seconds"] == 6
    assert scales["position_size_changes", "average_sale_price_usd"] == 10
    assert scales["open_positions", "entry_leverage"] == 4
    assert scales["positions", "entry_position_token_units"] == 0
    assert scales["daily_activity", "volume_usd_pips"] == 0


REFUSED = [
    "SELECT 1; SELECT 2",
    "DROP TABLE events",
    "",
    "SELECT",
    "SELECT * FROM nothing",
    "SELECT 1) TO PROGRAM 'true' --",
    "COPY events TO STDOUT",
    "SHOW ALL",
    "INSERT INTO event_types VALUES ('a', 1, 'b') RETURNING *",
    "WITH x AS (INSERT INTO event_types VALUES ('a', 1, 'b') RETURNING *) SELECT * FROM x",
    "SELECT setval('events_seq_seq', 99)",
    "SELECT 1 AS a, 2 AS a",
    "SELECT 1/0",
    "SELECT 1/(5000 - n) FROM generate_series(1, 9999) n",
]


def test_a_query_can_only_read(tmp_path: Path, export: Exporter) -> None:
    # A table of Iceberg is one of the store's: no query is asked for it.
    for query, form in product(REFUSED, sorted(set(Format) - {Format.ICEBERG})):
        with pytest.raises(ConfigurationError):
            export(tmp_path / f"out.{form}", query=query)

    assert list(tmp_path.iterdir()) == []


def test_a_query_may_be_written_as_one_likes(tmp_path: Path, export: Exporter) -> None:
    for query in ("VALUES (1)", "TABLE event_types;", "SELECT 1 -- one\n;;"):
        assert export(tmp_path / "out.csv", query=query).rows


def test_a_statement_timeout_of_the_role_or_the_url_ends_no_export(
    tmp_path: Path, store: Store
) -> None:
    slow = Exporter(replace(store, url=f"{store.url}?options=-c%20statement_timeout%3D50"))
    for form in Format:
        query = "SELECT pg_sleep(0.05)::text FROM generate_series(1, 3)"
        assert slow(tmp_path / f"out.{form}", query=query).rows == 3
