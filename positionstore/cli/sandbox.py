"""``positionstore sandbox``: the local gateway and REST API."""

import asyncio
import json
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from typer.models import OptionInfo

from positionstore.errors import ConfigurationError
from positionstore.sandbox import Faults, Options, Sandbox

_FAULTS = "Faults"


def _probability(of_what: str) -> OptionInfo:
    option: OptionInfo = typer.Option(
        min=0, max=1, help=f"Probability {of_what}.", rich_help_panel=_FAULTS
    )
    return option


def _seconds(of_what: str) -> OptionInfo:
    option: OptionInfo = typer.Option(min=0, help=f"Seconds {of_what}.", rich_help_panel=_FAULTS)
    return option


def sandbox(
    *,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 selects a free one.")
    ] = 0,
    rate: Annotated[float, typer.Option(min=0.001, help="Events a second, on average.")] = 20.0,
    positions: Annotated[int, typer.Option(min=1, help="Positions alive at a time.")] = 200,
    partners: Annotated[
        int, typer.Option(min=1, help="Partners; the first has nine tenths of the positions.")
    ] = 2,
    wallets: Annotated[
        int | None, typer.Option(min=1, help="Customers; by default one for 20 positions.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same world and keys.")] = 0,
    start: Annotated[
        str, typer.Option(metavar="TIME", help="When the clock starts, ISO 8601; now by default.")
    ] = "",
    warm_up: Annotated[
        float, typer.Option(min=0, help="Seconds that the world has run before the start.")
    ] = 0.0,
    token_life: Annotated[
        float, typer.Option(min=0, help="Lifetime of a user token in seconds.")
    ] = 3600.0,
    ping_interval: Annotated[
        float, typer.Option(min=0.01, help="Seconds between pings of the gateway.")
    ] = 25.0,
    ping_timeout: Annotated[
        float, typer.Option(min=0.01, help="Seconds a client has to answer a ping.")
    ] = 20.0,
    recovery: Annotated[
        bool, typer.Option("--recovery", help="Offer connection state recovery.")
    ] = False,
    recovery_window: Annotated[
        float, typer.Option(min=0.01, help="Seconds for which a lost connection can be recovered.")
    ] = 120.0,
    api_key_lists: Annotated[
        bool, typer.Option("--api-key-lists", help="Let the API key read GET /positions.")
    ] = False,
    record: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Record what is emitted and what became of it, as JSON Lines; the field envelope "
            "of a line is what `positionstore import` takes.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
    duplicates: Annotated[float, _probability("that an event comes twice")] = 0.0,
    reordering: Annotated[float, _probability("that an event is held back")] = 0.0,
    reorder_window: Annotated[float, _seconds("it is held back at most")] = 2.0,
    lost: Annotated[float, _probability("that an event never comes")] = 0.0,
    disconnect_every: Annotated[float, _seconds("between disconnects; 0 is never")] = 0.0,
    disconnect_how: Annotated[
        str,
        typer.Option(help="server, transport, half-open or both.", rich_help_panel=_FAULTS),
    ] = "both",
    clock_skew: Annotated[float, _seconds("between the emitters' clocks")] = 0.0,
    rest_latency: Annotated[float, _seconds("a REST request takes at least")] = 0.0,
    rest_errors: Annotated[float, _probability("that a REST request fails with a 5xx")] = 0.0,
    rest_throttled: Annotated[float, _probability("that it is answered with 429")] = 0.0,
    rest_resets: Annotated[float, _probability("that its connection is reset")] = 0.0,
    replica_lag: Annotated[float, _seconds("by which REST is behind")] = 0.0,
    rest_clock_offset: Annotated[
        float,
        typer.Option(
            help="Seconds by which the Date of REST answers is wrong.", rich_help_panel=_FAULTS
        ),
    ] = 0.0,
    rest_clock_wrong: Annotated[float, _probability("that an answer has that wrong Date")] = 1.0,
    recovery_adapter: Annotated[
        str,
        typer.Option(
            help="memory or redis-streams: the offsets' form; the latter recovers a session once.",
            rich_help_panel=_FAULTS,
        ),
    ] = "memory",
    recovery_forgets: Annotated[
        bool,
        typer.Option("--recovery-forgets", help="Recover no session.", rich_help_panel=_FAULTS),
    ] = False,
    recovered_deaf: Annotated[
        bool,
        typer.Option(
            "--recovered-deaf",
            help="Send no events over a recovered connection.",
            rich_help_panel=_FAULTS,
        ),
    ] = False,
) -> None:
    """Run a local gateway and REST API to develop and test against.

    It listens on 127.0.0.1 only, and prints the environment variables for a client. Its world
    follows from the seed. While it runs, POST /_sandbox/faults changes the faults, GET
    /_sandbox/truth returns the true positions, and GET /_sandbox/sessions shows how much each
    client has certainly read.

    Example: positionstore sandbox --port 8787 --rate 50 --duplicates 0.05 --reordering 0.2
    """
    try:
        faults = Faults(
            duplicates=duplicates,
            reordering=reordering,
            reorder_window=reorder_window,
            lost=lost,
            disconnect_every=disconnect_every,
            disconnect_how=disconnect_how,
            clock_skew=clock_skew,
            rest_latency=rest_latency,
            rest_errors=rest_errors,
            rest_throttled=rest_throttled,
            rest_resets=rest_resets,
            replica_lag=replica_lag,
            rest_clock_offset=rest_clock_offset,
            rest_clock_wrong=rest_clock_wrong,
            recovery_adapter=recovery_adapter,
            recovery_forgets=recovery_forgets,
            recovered_deaf=recovered_deaf,
        )
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    options = Options(
        seed=seed,
        port=port,
        rate=rate,
        positions=positions,
        partners=partners,
        wallets=wallets,
        start=_moment(start),
        warm_up=warm_up,
        token_life=token_life,
        ping_interval=ping_interval,
        ping_timeout=ping_timeout,
        recovery=recovery,
        recovery_window=recovery_window,
        api_key_lists=api_key_lists,
        record=record,
        keep_records=False,
        faults=faults,
    )
    asyncio.run(_serve(options, as_json=as_json))


async def _serve(options: Options, *, as_json: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with Sandbox(options) as server:
        typer.echo(json.dumps(server.describe()) if as_json else _welcome(server))
        await stop.wait()
        await server.quiet()


def _welcome(server: Sandbox) -> str:
    wallets = server.wallets[:3]
    more = len(server.wallets) - len(wallets)
    return "\n".join(
        (
            f"The sandbox listens on {server.url} (seed {server.options.seed}).",
            f"Wallets: {', '.join(wallets)}{f' and {more} more' if more else ''}",
            "",
            "Paste this where you want to connect from:",
            "",
            f"export DIMES_BASE_URL={server.url}",
            f"export DIMES_API_KEY={server.api_key}",
            "",
            "and for the customer gateway this as well:",
            "",
            f"export DIMES_WALLET_ADDRESS={wallets[0]}",
            "",
            "Ctrl-C stops it.",
        )
    )


def _moment(text: str) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(
            f"--start {text} is no moment.", remedy="Write it as 2026-07-01T12:00:00Z."
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
