"""Functions of the past as Citus plans them: their text without what is for PostgreSQL.

A migration makes the same functions everywhere. What holds PostgreSQL's planner to one look-up by
key a row, Citus refuses; a plan for any parameter it cannot distribute; and a function that is to
be inlined it executes as one, which it cannot distribute either.
"""

import re
from typing import Final

ADAPTED: Final = (
    "opened_by_facts",
    "ended_by_facts",
    "facts_as_of",
    "positions_as_of",
    "positions_known_at",
    "positions_valid_at",
    "book_changes",
)
"""The functions whose text on Citus is another than on PostgreSQL."""

_HINT: Final = re.compile(r"\s+OFFSET 0\b(?=[^:])")
_INLINED: Final = re.compile(
    r"(?P<head>.*?)^ LANGUAGE sql\n(?P<volatility> \w+\n)BEGIN ATOMIC\n(?P<query>.*);\nEND\s*\Z",
    re.DOTALL | re.MULTILINE,
)
_PLPGSQL: Final = """\
{head} LANGUAGE plpgsql
{volatility} SET search_path FROM CURRENT
 SET plan_cache_mode TO 'force_custom_plan'
AS $inlined$
#variable_conflict use_column
BEGIN
    RETURN QUERY
{query};
END
$inlined$
"""


def adapted(definition: str) -> str:
    """Return a function as Citus plans it, of what ``pg_get_functiondef`` says of it.

    What was adapted already stays as it is.
    """
    if inlined := _INLINED.fullmatch(definition):
        definition = _PLPGSQL.format(**inlined.groupdict())
    definition = definition.replace("'force_generic_plan'", "'force_custom_plan'")
    return _HINT.sub("", definition)
