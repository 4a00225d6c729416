"""The function ``positions_as_of``: rows like those of ``positions``, of a moment."""

from collections.abc import Sequence
from typing import Final

from positionstore.model.fields import Field
from positionstore.store.schema_sql.columns import UNITS, Column, position_columns


def function(added: Sequence[Field]) -> str:
    """Return the function and its comment."""
    columns = [column for column in position_columns(added) if column.is_folded]
    return _AS_OF.format(
        returned=",\n".join(f"    {column.name} {_type_of(column)}" for column in columns),
        standing=",\n".join(f"        {_value_of('p', column)}" for column in columns),
        folded=",\n".join(
            f"        {_value_of('w' if column.name == 'supersedes_before' else 'f', column)}"
            for column in columns
        ),
    )


def _type_of(column: Column) -> str:
    # A function's numeric has no digits of its own; a domain brings them along.
    return "token_units" if column.plain_type == UNITS else column.plain_type


def _value_of(table: str, column: Column) -> str:
    value = f"{table}.{column.name}"
    return f"{value}::token_units" if column.plain_type == UNITS else value


_AS_OF: Final = """\
CREATE OR REPLACE FUNCTION positions_as_of(
    valid_at timestamptz,
    known_at timestamptz DEFAULT 'infinity',
    of_position text DEFAULT NULL,
    of_wallet text DEFAULT NULL
)
RETURNS TABLE (
{returned}
)
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
SET plan_cache_mode = force_custom_plan
SET jit = off -- compiling so many columns costs more than it saves
AS $$
#variable_conflict use_column
DECLARE
    asked text[];
    to_fold text[];
BEGIN
    IF of_position IS NOT NULL THEN
        asked := ARRAY[of_position];
    ELSIF of_wallet IS NOT NULL THEN
        asked := ARRAY(
            SELECT p.position_id FROM positions p
            WHERE p.wallet_address = address_from_wire(of_wallet)
        );
    END IF;
    to_fold := positions_to_fold(asked, positions_as_of.valid_at, positions_as_of.known_at);
    -- Of all others positions shows what was.
    RETURN QUERY
    SELECT
{standing}
    FROM positions p
    WHERE (asked IS NULL OR p.position_id = ANY (asked))
        AND p.last_event_at <= positions_as_of.valid_at
        AND p.updated_at <= positions_as_of.known_at
        AND p.position_id <> ALL (to_fold)
        AND (of_wallet IS NULL OR p.wallet_address = address_from_wire(of_wallet));
    IF to_fold = '{{}}' THEN
        RETURN;
    END IF;
    -- OFFSET 0: one look-up by key a position, whatever the planner thinks of their number.
    RETURN QUERY
    SELECT
{folded}
    FROM (
        SELECT * FROM fold_facts(to_fold, positions_as_of.valid_at, positions_as_of.known_at)
        ORDER BY seq OFFSET 0 -- as it lies in the log
    ) w
    CROSS JOIN LATERAL (
        SELECT * FROM fact_positions f
        WHERE f.position_id = w.position_id AND f.seq = w.seq
        OFFSET 0
    ) f
    WHERE of_wallet IS NULL OR f.wallet_address = address_from_wire(of_wallet);
END
$$;
COMMENT ON FUNCTION positions_as_of(timestamptz, timestamptz, text, text) IS
    'The book as the facts said it: by the facts created by valid_at that had been received by\
 known_at, rows like those of positions. A position that had closed by then, though only a later\
 fact says so, is still open here; positions_valid_at is the book as it really was. Of one position\
 or one wallet it is quick: positions_as_of(t, of_position => ...), positions_as_of(t, of_wallet =>\
 ...); a wallet may be spelled in any case, if it is a 0x\
 address. At infinity it is positions. A time without a zone is of the session''s time zone: write\
 17:00Z.';
"""
