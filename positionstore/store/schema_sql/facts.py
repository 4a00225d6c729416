"""The view ``fact_positions``: how a fact becomes a row of ``positions``, field by field.

And the proof that a row is what a fact became, which costs less than making another.

Every expression of it is written from the field catalogue.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from positionstore.model.fields import ADDRESS_FIELDS, FIRST_FIELDS, Field, Kind
from positionstore.store.schema_sql.columns import SEQ, UNITS, comments, in_view, position_columns

_NUMBERS: Final = {Kind.PIPS, Kind.BPS, Kind.MINUTES, Kind.UNITS}
_UNITS_PATTERN: Final = "^-?0*[0-9]{1,38}$"
"""What fits :data:`~positionstore.store.schema_sql.columns.UNITS`."""
_JSON_TYPES: Final = {Kind.TEXT: "string", Kind.TIME: "string", Kind.FLAG: "boolean"}


def view(added: Sequence[Field], *, text_of: str | None = None) -> str:
    """Return the view and its comments.

    Args:
        added: fields after the first ones.
        text_of: a function that makes an array of texts to text; None for a cast.
    """
    shown = [
        in_view(column)
        for column in position_columns(added)
        if column.is_folded and column.name != "supersedes_before"
    ]
    view = _view(added)
    if text_of is not None:
        view = view.replace(_ARRAY_BEGINS, f"(SELECT {text_of}(ARRAY[")
        view = view.replace(_ARRAY_ENDS, "]) AS numbers OFFSET 0)")
    return f"{view}{comments('fact_positions', [SEQ, *shown])}\n"


def values(fields: Sequence[Field]) -> str:
    """Return what some fields are in columns, to be selected from :func:`parts`."""
    return _lines(_value, fields, 4)


def parts(fields: Sequence[Field]) -> str:
    """Return what takes some fields out of the object ``body.whole``, to be joined with it."""
    return f"{_taken(fields)}\n" + _FITS.format(
        plain=_plain(fields),
        times=",\n".join(
            f"        instant_from_wire({_ref(each)} #>> '{{}}') AS {each.column}"
            for each in _times(fields)
        ),
        numbers=",\n".join(
            f"            coalesce({_ref(each)}, '0')" for each in fields if each.kind in _NUMBERS
        ),
    )


def proof(fields: Sequence[Field]) -> dict[str, str]:
    """Return what proves that ``p`` of ``positions`` is what the fact ``f`` becomes.

    Where it proves nothing the two may be equal all the same: a number with leading zeros, for
    instance, is not spelled as PostgreSQL spells it.

    Returns:
        ``body``, which is the fact's, ``taken`` to be joined with it, and ``shows``, a condition.
    """
    sections = _sections(fields)
    top = ",\n".join(f"        body.whole -> '{name}' AS {name}" for name in sections)
    shows = [
        *(f"(jsonb_typeof(top.{name}) IN ('object', 'null')) IS NOT FALSE" for name in sections),
        *(_shows(each) for each in fields),
    ]
    return {
        "body": _BODY,
        "taken": f"CROSS JOIN LATERAL (\n    SELECT\n{top}\n    OFFSET 0\n) top",
        "shows": "\n".join(f"            AND {each}" for each in shows),
    }


def of_body(fields: Sequence[Field]) -> dict[str, str]:
    """Return what makes of an envelope ``f.envelope`` what :func:`view` makes of a fact.

    Returns:
        ``values`` and ``misfits``, to be selected from ``body`` joined with ``parts``.
    """
    return {
        "values": values(fields),
        "misfits": _misfits(fields),
        "body": _BODY,
        "parts": parts(fields),
    }


def _taken(fields: Sequence[Field]) -> str:
    sections = _sections(fields)
    return _TAKEN.format(
        top=",\n".join(
            [
                *(f"        {_read('body.whole', each)}" for each in fields if not each.section),
                *(f"        nullif(body.whole -> '{name}', 'null') AS {name}" for name in sections),
            ]
        ),
        inside=",\n".join(
            f"        {_read(f'top.{each.section}', each)}" for each in fields if each.section
        ),
    )


def _plain(fields: Sequence[Field]) -> str:
    """Return whether each is of the type of JSON that it should be, or null."""
    return "\n".join(
        f"            AND (jsonb_typeof({what}) <> '{kind}') IS NOT TRUE"
        for what, kind in [
            *_typed(fields, "string"),
            *_typed(fields, "boolean"),
            *((f"top.{name}", "object") for name in _sections(fields)),
        ]
    )


def _view(added: Sequence[Field]) -> str:
    fields = [
        each for each in (*FIRST_FIELDS, *added) if each.column not in {"position_id", "status"}
    ]
    last = {each.column for each in added}
    return _VIEW.format(
        columns=_lines(_shown, (each for each in fields if each.column not in last), 4),
        last_columns="".join(f",\n    x.{each.column}" for each in added),
        values=values(fields),
        misfits=_misfits(fields),
        body=_BODY,
        parts=parts(fields),
    )


def _misfits(fields: Sequence[Field]) -> str:
    return _MISFITS.format(
        times_hold="\n".join(
            f"        AND ({_ref(each)} IS NULL) = (fits.{each.column} IS NULL)"
            for each in _times(fields)
        ),
        misfits=",\n".join(
            [
                *(_not_object(name) for name in _sections(fields)),
                *(
                    f"        CASE WHEN {_misfit(each)} THEN '{each.wire_name}' END"
                    for each in fields
                ),
            ]
        ),
    )


def _lines(write: Callable[[Field], str], which: Iterable[Field], indent: int) -> str:
    return ",\n".join(" " * indent + write(each) for each in which)


def _sections(fields: Iterable[Field]) -> list[str]:
    return list(dict.fromkeys(each.section for each in fields if each.section))


def _times(fields: Iterable[Field]) -> list[Field]:
    return [each for each in fields if each.kind is Kind.TIME]


def _shown(field: Field) -> str:
    return f"x.{field.column}"


def _ref(field: Field) -> str:
    return f"field.{field.column}" if field.section else f"top.{field.column}"


def _typed(fields: Iterable[Field], kind: str) -> list[tuple[str, str]]:
    return [(_ref(each), kind) for each in fields if _JSON_TYPES.get(each.kind) == kind]


def _read(whence: str, field: Field) -> str:
    key = field.path[-1]
    if field.kind in _NUMBERS:
        return f"{whence} ->> '{key}' AS {field.column}"
    return f"nullif({whence} -> '{key}', 'null') AS {field.column}"


def _value(field: Field) -> str:
    ref = _ref(field)
    match field.kind:
        case Kind.TEXT:
            text = f"{ref} #>> '{{}}'"
            if field.wire_name in ADDRESS_FIELDS:
                text = f"address_from_wire({text})"
            value = f"CASE WHEN fits.plainly OR jsonb_typeof({ref}) = 'string' THEN {text} END"
        case Kind.FLAG:
            value = (
                f"CASE WHEN fits.plainly OR jsonb_typeof({ref}) = 'boolean' THEN {ref}::boolean END"
            )
        case Kind.TIME:
            value = f"fits.{field.column}"
        case Kind.UNITS:
            fits = f"length({ref}) <= 1000 AND {ref} ~ '{_UNITS_PATTERN}'"
            value = f"(CASE WHEN fits.plainly OR ({fits}) THEN {ref} END)::{UNITS}"
        case _:
            value = f"CASE WHEN fits.plainly THEN {ref}::bigint ELSE bigint_from_wire({ref}) END"
    return f"{value} AS {field.column}"


def _shows(field: Field) -> str:
    """Return whether ``p`` shows a field as the object has it, in a value of the right type."""
    column = f"p.{field.column}"
    whence = f"top.{field.section}" if field.section else "body.whole"
    value, text = f"{whence} -> '{field.path[-1]}'", f"{whence} ->> '{field.path[-1]}'"
    match field.kind:
        case Kind.TEXT:
            shown = f"address_from_wire({text})" if field.wire_name in ADDRESS_FIELDS else text
            return _SHOWS.format(shown=shown, column=column, value=value, type="string")
        case Kind.FLAG:
            return _SHOWS.format(shown=text, column=f"{column}::text", value=value, type="boolean")
        case Kind.TIME:
            return _SHOWS_TIME.format(text=text, column=column)
        case Kind.UNITS:
            # A numeric can be no number, which no text may say.
            return f"{text} IS NOT DISTINCT FROM {column}::text AND {column} IS DISTINCT FROM 'NaN'"
        case _:
            return f"{text} IS NOT DISTINCT FROM {column}::text"


def _misfit(field: Field) -> str:
    ref = _ref(field)
    match field.kind:
        case Kind.TEXT | Kind.FLAG:
            return f"jsonb_typeof({ref}) <> '{_JSON_TYPES[field.kind]}'"
        case Kind.TIME:
            return f"{ref} IS NOT NULL AND fits.{field.column} IS NULL"
        case Kind.UNITS:
            return f"length({ref}) > 1000 OR {ref} !~ '{_UNITS_PATTERN}'"
        case _:
            return f"{ref} IS NOT NULL AND bigint_from_wire({ref}) IS NULL"


def _not_object(section: str) -> str:
    return f"        CASE WHEN jsonb_typeof(top.{section}) <> 'object' THEN '{section}' END"


_VIEW: Final = r"""CREATE OR REPLACE VIEW fact_positions WITH (security_invoker = true) AS
SELECT
    f.seq,
    f.position_id,
    f.status,
    f.phase,
{columns},
    x.data,
    x.misfit_fields,
    f.event_id AS last_event_id,
    f.type AS last_event_type,
    f.created_at AS last_event_at,
    f.source,
    f.received_at AS updated_at{last_columns}
FROM ranked_facts f
CROSS JOIN LATERAL (
SELECT
{values},
    body.data,
    {misfits} AS misfit_fields
FROM {body}
{parts}
OFFSET 0
) x;
COMMENT ON VIEW fact_positions IS
    'Each fact as the row of positions that it would make.';
"""

_MISFITS: Final = """CASE WHEN fits.plainly
{times_hold} THEN '{{}}' ELSE array_remove(ARRAY[
{misfits}
    ]::text[], NULL) END"""

_BODY: Final = """(
    -- OFFSET 0, here and below: computed once a row, not once a column.
    SELECT
        wire.envelope -> 'data' AS data,
        CASE WHEN f.supersedes_before IS NOT NULL
            THEN with_carried(wire.envelope -> 'data', wire.envelope -> 'carried')
            ELSE wire.envelope -> 'data'
        END AS whole
    FROM (SELECT jsonb_from_wire(f.envelope) AS envelope OFFSET 0) wire
    OFFSET 0
) body"""

_TAKEN: Final = """CROSS JOIN LATERAL (
    SELECT
{top}
    OFFSET 0
) top
CROSS JOIN LATERAL (
    -- A section that is no object has no fields.
    SELECT
{inside}
    OFFSET 0
) field"""

_ARRAY_BEGINS: Final = "(SELECT ARRAY["
_ARRAY_ENDS: Final = "]::text AS numbers OFFSET 0)"

_FITS: Final = r"""CROSS JOIN LATERAL (
    -- The usual row is proved well-formed at once, which costs a tenth of asking each field. An
    -- array quotes each element that is empty or has a comma or a brace in it, so that none can
    -- pass for two.
    SELECT
        numbers !~ '[^0-9,{{}}-]|[0-9]-|-[,}}-]|[0-9]{{19}}'
{plain}
        AS plainly,
{times}
    FROM (SELECT ARRAY[
{numbers}
        ]::text AS numbers OFFSET 0) spelled
    OFFSET 0
) fits"""

_SHOWS: Final = """{shown} IS NOT DISTINCT FROM {column}
            AND ({column} IS NULL OR jsonb_typeof({value}) = '{type}')"""

_SHOWS_TIME: Final = """CASE
                -- Nothing but a string is spelled as an instant.
                WHEN {column} IS NULL THEN {text} IS NULL
                -- A cast costs a fifth of instant_from_wire, and cannot fail here.
                WHEN length({text}) = 24
                    AND {text} = to_char({column}, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
                THEN ({text})::timestamptz = {column}
                ELSE instant_from_wire({text}) = {column}
            END"""
