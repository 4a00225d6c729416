"""No key, token or password leaves a process, whatever goes wrong."""

import asyncio
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict
from support.programs import ended, programs_on
from support.roles import Urls, connected, roles_on
from support.secrets_watch import SecretsWatch
from support.waiting import eventually

from positionstore.sandbox import Faults, Options, Sandbox
from positionstore.store.grants import Role
from positionstore.store.roles import url_of

WRONG_KEY = "dm_sbx_skey_0123456789abcdefWRONG0123456789"
WRONG_PASSWORD = "wr:ong@pass/word%41"


@pytest.fixture
def urls(store_url: str) -> Iterator[Urls]:
    with roles_on(store_url) as urls:
        yield urls


@pytest.mark.slow
async def test_a_whole_run_with_faults_shows_no_secret(
    store_url: str, urls: Urls, tmp_path: Path
) -> None:
    faults = Faults(
        duplicates=0.2,
        reordering=0.2,
        lost=0.1,
        disconnect_every=1.0,
        rest_errors=0.2,
        rest_throttled=0.1,
        rest_resets=0.1,
        retry_after=0.01,
    )
    # Few events a second: what the stream loses is asked for one by one, and a busy machine, which
    # takes longer for it, is to find no more of it.
    options = Options(seed=7, positions=30, rate=10.0, warm_up=60.0, faults=faults)
    writer = conninfo_to_dict(urls[Role.WRITER])
    wrong_url = url_of(store_url, str(writer["user"]), WRONG_PASSWORD)
    async with (
        Sandbox(options) as sandbox,
        programs_on(urls[Role.WRITER], tmp_path, as_users_do=True) as programs,
    ):
        wallet = sandbox.wallets[0]
        jwt = sandbox.mint_token(wallet)
        watch = SecretsWatch(
            {
                "the key": sandbox.api_key,
                "the token": jwt,
                "the writer's password": str(writer["password"]),
                "the administrator's password": str(conninfo_to_dict(store_url)["password"]),
                "a wrong key": WRONG_KEY,
                "a wrong password": WRONG_PASSWORD,
            }
        )
        programs.against(sandbox)
        programs.environment |= {
            "POSITIONSTORE_LOG_LEVEL": "debug",
            "POSITIONSTORE_RECONCILE_EVERY": "0.5",
            "POSITIONSTORE_HTTP_RETRY_BUDGET": "2",
            "POSITIONSTORE_WALLETS": ",".join(sandbox.wallets),
        }

        async def seen(*arguments: str, codes: set[int], **environment: str) -> None:
            done = await ended(await programs.start(*arguments, **environment))
            assert done.code in codes, done
            watch.text(f"what {arguments[0]} printed", done.out + done.err)

        with watch.over(lambda: store_url), connected(store_url) as look:
            service = await programs.start("run")
            customer = await programs.start(
                "ingest", "--gateway", "customer", DIMES_WALLET_ADDRESS=wallet
            )
            ready = await programs.start("ingest", "--gateway", "customer", DIMES_JWT=jwt)
            # Read meanwhile: a process whose pipe is full goes no further.
            working = {
                process: asyncio.ensure_future(ended(process, within=240))
                for process in (service, customer, ready)
            }

            def count(what: str) -> int:
                row = look.execute(f"SELECT count(*) FROM {what}".encode()).fetchone()
                return int(row[0]) if row else 0

            await eventually(lambda: count("stream_sessions WHERE ended_at IS NOT NULL") > 4)
            await eventually(lambda: count("reconciliation_runs WHERE state <> 'running'") > 1)
            await sandbox.emit_raw("event", b"no event")
            sandbox.faults.update({"refuse_connections": True})
            await sandbox.disconnect_clients("transport")
            await seen("status", codes={0})
            await seen("status", "--json", codes={0})
            await seen("config", "--json", codes={0}, DIMES_JWT=jwt)
            sandbox.faults.update({"refuse_connections": False})
            for process in working:
                process.send_signal(signal.SIGTERM)
            for ending in working.values():
                done = await ending
                watch.text("what the services printed", done.out + done.err)
            await seen("reconcile", "--full", "--json", codes={0, 1, 3})
            await seen("backfill", "--all", "--json", codes={0, 1, 3})
            # What is wrong is said, and not shown.
            for command in ("ingest", "run", "reconcile", "backfill"):
                arguments = (command, "--all") if command == "backfill" else (command,)
                await seen(*arguments, codes={1}, DIMES_API_KEY=WRONG_KEY)
            await seen("ingest", codes={2}, DIMES_API_KEY=f"{WRONG_KEY} and more")
            await seen("ingest", "--gateway", "customer", codes={1}, DIMES_JWT=f"{jwt}x")
            await seen("status", codes={1}, DATABASE_URL=wrong_url)
            unreadable = wrong_url.replace("%40", "@")
            await seen("status", codes={1, 2}, DATABASE_URL=unreadable)
            await seen("ingest", codes={2}, DIMES_BASE_URL=f"https://u:{WRONG_PASSWORD}@x.example")
            await seen("db", "psql", "-c", "SELECT pg_sleep(1)", codes={0})

    watch.database(store_url)
    watch.files(tmp_path)
    watch.nothing_was_found()
    assert {"the process listing", "the server's sessions", "table events"} <= set(watch.looked)


def test_the_watch_sees_what_it_looks_for(store_url: str, tmp_path: Path) -> None:
    secret = 'se"cret/of mine'
    watch = SecretsWatch({"it": secret})
    watch.text("a log", json.dumps({"key": secret}))
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "x.log").write_bytes(b"\xff" + secret.encode())
    (tmp_path / "meant").write_text(secret, encoding="utf-8")
    watch.files(tmp_path, but=[tmp_path / "meant"])
    with connected(store_url) as connection:
        connection.execute("SET application_name = 'se\"cret/of mine'")
        connection.execute(
            "INSERT INTO quarantine (digest, reason, detail, source, received_at, raw)"
            " VALUES ('', 'x', 'x', 'rest', now(), %s)",
            [secret.encode()],
        )
        with watch.over(lambda: store_url):
            pass
    watch.database(store_url)

    assert watch.found == {
        "it in a log",
        "it in file log/x.log",
        "it in the server's sessions",
        "it in table quarantine",
    }
    with pytest.raises(AssertionError):
        watch.nothing_was_found()
