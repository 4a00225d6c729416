"""The way to the vendor leads through a real forward proxy, for the gateway and for REST alike."""

import socket
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import structlog
import trustme
from support.forward_proxies import PASSWORD, QUOTED, USER, squid, tinyproxy
from support.ports import free_port
from support.streams import settings_for, supervised
from support.tls_front import HOST, Front, access_of, fronted, settings_of
from support.waiting import eventually

from positionstore.dimes.proxy import proxy_for
from positionstore.dimes.rest import RestClient
from positionstore.errors import ConfigurationError, GatewayError
from positionstore.model.facts import Source
from positionstore.settings import Settings

VARIABLES = ("HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "HTTP_PROXY")


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.lower(), raising=False)


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """An authority that our programs trust."""
    authority = trustme.CA()
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(path)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    return authority


@pytest.fixture
async def front(authority: trustme.CA) -> AsyncIterator[Front]:
    """A sandbox behind TLS whose name only the proxy knows."""
    async with fronted(authority) as front:
        yield front


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name leads here without a proxy, too."""
    resolve = socket.getaddrinfo

    def known(host: object, *arguments: object, **options: object) -> object:
        named = "127.0.0.1" if host in {HOST, HOST.encode()} else host
        return resolve(named, *arguments, **options)  # type: ignore[arg-type] # any

    monkeypatch.setattr(socket, "getaddrinfo", known)


async def works(settings: Settings, front: Front, gateway: Source = Source.PARTNER) -> None:
    """See that events come over the gateway, and positions over REST."""
    async with supervised(settings, gateway) as stream:
        await stream.connected()
        await front.sandbox.step(50)
        await eventually(lambda: len(stream.packets) > 0)
    async with RestClient.of(settings) as client:
        pages = [page async for page in client.walk(access_of(settings))]
    assert pages[0].positions


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("spelled", ["http://127.0.0.1:{}", "127.0.0.1:{}"])
async def test_the_environment_names_a_proxy_for_gateway_and_rest(
    front: Front, monkeypatch: pytest.MonkeyPatch, variable: str, spelled: str
) -> None:
    async with squid(hosts=HOST) as proxy:
        monkeypatch.setenv(variable, spelled.format(proxy.port))
        await works(settings_of(front), front)
        await eventually(lambda: proxy.tunnels >= 2)


async def test_a_token_is_minted_through_it_too(
    front: Front, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with squid(hosts=HOST) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        await works(settings_of(front), front, Source.CUSTOMER)
        await eventually(lambda: proxy.tunnels >= 3)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("excepted", [HOST, ".example", "other.example, dimes.example", "*"])
async def test_hosts_in_no_proxy_are_reached_directly(
    front: Front, monkeypatch: pytest.MonkeyPatch, excepted: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("NO_PROXY", excepted)
    await works(settings_of(front), front)


async def test_our_own_setting_wins_and_holds_a_password(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("NO_PROXY", "*")
    async with (
        tinyproxy(tmp_path, wants_password=True) as proxy,
        fronted(authority, name="127.0.0.1") as front,
    ):
        front.url = front.url.replace(HOST, "127.0.0.1")
        url = f"http://{USER}:{QUOTED}@127.0.0.1:{proxy.port}"
        settings = settings_of(front, proxy=url)
        assert {url, PASSWORD} <= set(settings.secret_values)
        assert PASSWORD not in repr(proxy_for(settings)) + str(proxy_for(settings)) + repr(settings)
        await works(settings, front)
        await eventually(lambda: proxy.tunnels >= 2)


@pytest.mark.parametrize("gateway", [Source.PARTNER, Source.CUSTOMER])
async def test_a_proxy_that_wants_a_password_is_named_in_one_line(
    front: Front, tmp_path: Path, gateway: Source
) -> None:
    async with tinyproxy(tmp_path, wants_password=True) as proxy:
        settings = settings_of(front, proxy=f"http://clerk:wr0ngword@127.0.0.1:{proxy.port}")
        for line in (await lines_of_a_gateway(settings, gateway), await line_of_rest(settings)):
            assert "wr0ngword" not in line
            assert f"the proxy 127.0.0.1:{proxy.port} (POSITIONSTORE_PROXY)" in line
            assert "40" in line  # 407, or 401 as tinyproxy has it
            assert line.isprintable()


async def test_a_proxy_that_lets_nobody_through_is_named_in_one_line(
    front: Front, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with squid(hosts=HOST, lets_through=False) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        settings = settings_of(front)
        for line in (
            await lines_of_a_gateway(settings, Source.PARTNER),
            await line_of_rest(settings),
        ):
            assert f"Refused by the proxy 127.0.0.1:{proxy.port} (HTTPS_PROXY): 403" in line
            assert "ask its administrator" in line


async def test_a_proxy_that_is_not_there_is_named_in_one_line(front: Front) -> None:
    port = free_port()
    settings = settings_of(front, proxy=f"http://clerk:s3cret@127.0.0.1:{port}")
    for line in (
        await lines_of_a_gateway(settings, Source.PARTNER),
        await line_of_rest(settings),
    ):
        assert f"There is no reaching the proxy 127.0.0.1:{port} (POSITIONSTORE_PROXY)" in line
        assert "s3cret" not in line


async def lines_of_a_gateway(settings: Settings, gateway: Source) -> str:
    """See that it tries again, and says why once; return that."""
    with structlog.testing.capture_logs() as lines:
        async with supervised(settings, gateway) as stream:
            await eventually(lambda: stream.attempts >= 4)
    assert [line["event"] for line in lines] == ["gateway_unreachable"]
    return str(lines[0]["cause"])


async def line_of_rest(settings: Settings) -> str:
    brief = msgspec.structs.replace(settings, http_retry_budget=0.0)
    async with RestClient.of(brief) as client:
        with pytest.raises(GatewayError) as refused:
            await client.position(access_of(brief), "p")
    return str(refused.value)


@pytest.mark.usefixtures("here")
async def test_netrc_is_never_read(
    front: Front, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine {HOST} login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    await works(settings_of(front), front)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("socks5://127.0.0.1:1080", "SOCKS is not supported"),
        ("http://clerk:pass/word@127.0.0.1:3128", "%40"),
        ("http://:3128", "not of the form"),
        ("http://127.0.0.1:port", "not of the form"),
    ],
)
def test_a_proxy_in_a_form_that_cannot_be_used_is_refused_in_one_line(url: str, said: str) -> None:
    settings = settings_for(
        f"https://{HOST}", api_key="dm_sbx_skey_0123456789abcdef", trusted_hosts=HOST, proxy=url
    )
    with pytest.raises(ConfigurationError) as refused:
        proxy_for(settings)
    assert said in str(refused.value)
    assert "POSITIONSTORE_PROXY" in str(refused.value)
    assert "pass" not in str(refused.value).replace("password", "")


def test_a_gateway_on_this_machine_needs_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    for url in ("http://127.0.0.1:8080", "https://localhost:8080"):
        assert proxy_for(settings_for(url, api_key="dm_sbx_skey_0123456789abcdef")) is None
