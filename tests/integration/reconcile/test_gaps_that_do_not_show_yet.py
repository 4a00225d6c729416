"""Right after a kill -9 the session of the dead process has not ended: its gap does not show."""

from contextlib import closing

import pytest
from support.scripted_api import Api

from positionstore.reconcile.backfill import Backfill, BackfillRequest, What
from positionstore.settings import Settings
from positionstore.store.database import Store

SESSION = """
    INSERT INTO stream_sessions (gateway, started_at, last_seen_at)
    SELECT 'partner', now() - interval '1 hour' * %s, now() - make_interval(secs => %s)
"""


@pytest.fixture
def api(store_url: str) -> Api:
    return Api(Store(store_url, embedded=False))


@pytest.mark.parametrize(("silent_for", "waits"), [(25.0, True), (3.0, False), (300.0, False)])
async def test_a_backfill_waits_until_a_session_that_may_have_died_is_taken_for_dead(
    api: Api, silent_for: float, waits: bool
) -> None:
    with closing(api.store.connect()) as connection:
        connection.execute(SESSION, [2, silent_for])
        connection.execute(SESSION.replace("hour", "second"), [1, 0])
    waited: list[float] = []
    said: list[str] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        with closing(api.store.connect()) as connection:
            connection.execute(
                "UPDATE stream_sessions SET last_seen_at = last_seen_at - make_interval(secs => %s)"
                " WHERE session_id = 1",
                [seconds],
            )

    def reconciler(_: Settings, __: Store):  # type: ignore[no-untyped-def] # a double
        return api.reconciler()

    backfill = Backfill(
        api.settings(),
        api.store,
        say=said.append,
        clock=lambda: api.now,
        sleep=sleep,
        reconciler=reconciler,
    )
    outcome = await backfill.run(BackfillRequest(What.GAPS))

    assert outcome.gaps_before.gaps == (0 if silent_for == 3.0 else 1)
    assert [30 < seconds < 40 for seconds in waited] == [True] * waits
    assert any("its gap shows in" in line for line in said) is waits
