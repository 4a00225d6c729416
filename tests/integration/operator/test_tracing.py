"""OpenTelemetry traces: sent to a collector where the environment asks for them, and else not."""

import asyncio
import gzip
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from support.programs import Programs, ended
from support.waiting import DEADLINE, eventually

from positionstore.sandbox import Options, Sandbox

TOKEN = "collectorsecret123"


class Collector:
    """Takes traces by OTLP over HTTP, as a collector does."""

    def __init__(self) -> None:
        self.requests: list[ExportTraceServiceRequest] = []
        self.authorizations: list[str | None] = []
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        if request.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.authorizations.append(request.headers.get("Authorization"))
        self.requests.append(ExportTraceServiceRequest.FromString(body))
        answer = ExportTraceServiceResponse().SerializeToString()
        return web.Response(body=answer, content_type="application/x-protobuf")

    def spans(self, name: str) -> list[Any]:
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
            if span.name == name
        ]

    @property
    def resource(self) -> dict[str, Any]:
        return attributes(self.requests[0].resource_spans[0].resource)


def attributes(of: Any) -> dict[str, Any]:
    return {
        each.key.removeprefix("positionstore."): getattr(each.value, each.value.WhichOneof("value"))
        for each in of.attributes
    }


@asynccontextmanager
async def collector() -> AsyncIterator[Collector]:
    made = Collector()
    application = web.Application()
    application.router.add_post("/v1/traces", made.take)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert runner.addresses
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield made
    finally:
        await runner.cleanup()


def world(**options: object) -> Sandbox:
    return Sandbox(Options(**{"seed": 7, "positions": 40, "api_key_lists": True, **options}))  # type: ignore[arg-type] # by name


async def test_a_span_for_each_batch_and_each_run_reaches_a_collector(
    programs: Programs, database: psycopg.Connection
) -> None:
    async with world(rate=50.0) as sandbox, collector() as there:
        programs.against(sandbox)
        process = await programs.start(
            "run",
            OTEL_EXPORTER_OTLP_ENDPOINT=there.url,
            OTEL_EXPORTER_OTLP_HEADERS=f"authorization={TOKEN}",
            OTEL_BSP_SCHEDULE_DELAY="100",
            POSITIONSTORE_SETTLE_WINDOW="1",
        )
        await eventually(lambda: bool(there.spans("batch") and there.spans("reconciliation")))
        process.terminate()
        done = await ended(process)

    assert done.code == 0
    assert TOKEN not in done.out + done.err
    assert "tracing_off" not in done.actions
    assert set(there.authorizations) == {TOKEN}
    assert there.resource["service.name"] == "positionstore"
    ((appended,),) = database.execute("SELECT count(*) FROM events WHERE source = 'partner'")
    batches = [attributes(span) for span in there.spans("batch")]
    # What is told last is told on stopping.
    assert sum(batch["appended"] for batch in batches) == appended > 0
    assert set(batches[0]) == {"received", "appended", "duplicates", "quarantined", "positions"}
    run = there.spans("reconciliation")[0]
    assert run.end_time_unix_nano > run.start_time_unix_nano
    said = attributes(run)
    row = database.execute(
        "SELECT trigger, scope, state, seen, repaired, unresolved, requests, retries"
        " FROM reconciliation_runs WHERE run_id = %s",
        [said.pop("run_id")],
    ).fetchone()
    assert row == tuple(said.values())
    # Nothing of a position, a wallet or a key is in any of it.
    sent = b"".join(request.SerializeToString() for request in there.requests)
    named = [sandbox.api_key, *sandbox.wallets, "dm_pos_"]
    assert not [text for text in named if text.encode() in sent]


async def test_a_run_that_fails_is_an_error(
    programs: Programs, database: psycopg.Connection
) -> None:
    async with world(ticking=False) as sandbox, collector() as there:
        programs.against(sandbox)
        sandbox.faults.update({"refuse_api_keys": True})
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": there.url, "OTEL_SERVICE_NAME": "book"}
        await programs.run("reconcile", expect=1, **variables)

    (span,) = there.spans("reconciliation")
    assert (span.status.code, span.status.message) == (2, "")
    assert attributes(span)["state"] == "failed"
    assert there.resource["service.name"] == "book"


async def alone(programs: Programs, code: str, **environment: str) -> tuple[str, str]:
    """Run code with an interpreter of its own, and return what it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        code,
        "reconcile",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**programs.environment, **environment},
        cwd=programs.folder,
    )
    out, err = await asyncio.wait_for(process.communicate(), DEADLINE)
    assert process.returncode == 0, err
    return out.decode(), err.decode()


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "{url}", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "{url}", "OTEL_TRACES_EXPORTER": "none"},
    ],
)
async def test_where_nobody_asks_nothing_is_imported_or_sent(
    programs: Programs, database: psycopg.Connection, variables: dict[str, str]
) -> None:
    code = (
        "import sys; from positionstore.cli import main; code = main();"
        "print([name for name in sys.modules if name.startswith('opentelemetry')]); sys.exit(code)"
    )
    async with world(ticking=False) as sandbox, collector() as there:
        programs.against(sandbox)
        asked = {name: value.format(url=there.url) for name, value in variables.items()}
        out, _ = await alone(programs, code, **asked)

    assert out.splitlines()[-1] == "[]"
    assert there.requests == []


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL is not http/prot"),
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "names another exporter than otlp"),
    ],
)
async def test_what_cannot_be_done_is_said_in_a_line_and_the_work_is_done(
    programs: Programs, database: psycopg.Connection, variables: dict[str, str], said: str
) -> None:
    async with world(ticking=False) as sandbox, collector() as there:
        programs.against(sandbox)
        done = await programs.run(
            "reconcile", expect=0, OTEL_EXPORTER_OTLP_ENDPOINT=there.url, **variables
        )

    (line,) = [line for line in done.log if line["action"] == "tracing_off"]
    assert (line["level"], said in line["reason"]) == ("warning", True)
    assert there.requests == []


async def test_without_the_extra_it_is_said_in_a_line(
    programs: Programs, database: psycopg.Connection
) -> None:
    code = (
        "import sys; sys.modules['opentelemetry'] = None;"
        "from positionstore.cli import main; sys.exit(main())"
    )
    async with world(ticking=False) as sandbox:
        programs.against(sandbox)
        _, log = await alone(programs, code, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")

    lines = [json.loads(line) for line in log.splitlines()]
    (line,) = [line for line in lines if line["action"] == "tracing_off"]
    assert "which is not installed" in line["reason"]
    assert "positionstore[otel]" in line["remedy"]


async def test_a_collector_that_is_silent_holds_nothing_up(
    programs: Programs, database: psycopg.Connection
) -> None:
    over = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        async with world(rate=50.0) as sandbox:
            programs.against(sandbox)
            process = await programs.start(
                "ingest",
                OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}",
                OTEL_BSP_SCHEDULE_DELAY="50",
            )

            def arrives() -> bool:
                ((count,),) = database.execute("SELECT count(*) FROM events")
                return bool(count > 100)

            await eventually(arrives)
            process.terminate()
            assert (await ended(process)).code == 0
    finally:
        over.set()
        server.close()
