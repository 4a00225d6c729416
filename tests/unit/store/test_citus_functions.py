"""What of a function's text is another on Citus."""

import pytest

from positionstore.store.citus_functions import adapted

INLINED = """\
CREATE OR REPLACE FUNCTION public.kept(seq bigint)
 RETURNS TABLE(event_id text)
 LANGUAGE sql
 STABLE
BEGIN ATOMIC
 SELECT e.event_id
    FROM events e
   WHERE (e.seq = kept.seq)
  OFFSET 0;
END
"""

EXECUTED = """\
CREATE OR REPLACE FUNCTION public.kept(seq bigint)
 RETURNS TABLE(event_id text)
 LANGUAGE plpgsql
 STABLE
 SET search_path FROM CURRENT
 SET plan_cache_mode TO 'force_custom_plan'
AS $inlined$
#variable_conflict use_column
BEGIN
    RETURN QUERY
 SELECT e.event_id
    FROM events e
   WHERE (e.seq = kept.seq);
END
$inlined$
"""


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        pytest.param(INLINED, EXECUTED, id="inlined"),
        pytest.param(EXECUTED, EXECUTED, id="adapted-already"),
        pytest.param(
            "SET plan_cache_mode TO 'force_generic_plan'",
            "SET plan_cache_mode TO 'force_custom_plan'",
            id="plan",
        ),
        pytest.param(
            "LATERAL (SELECT 1\n    OFFSET 0\n) f -- OFFSET 0: once",
            "LATERAL (SELECT 1\n) f -- OFFSET 0: once",
            id="hint",
        ),
        pytest.param("OFFSET 00 OFFSET 01", "OFFSET 00 OFFSET 01", id="no-hint"),
    ],
)
def test_only_what_citus_refuses_is_changed(definition: str, expected: str) -> None:
    assert adapted(definition) == expected
