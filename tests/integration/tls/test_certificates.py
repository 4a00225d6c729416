"""A host has to prove who it is, and to be one that may be sent credentials: real sockets, TLS."""

import socket
import ssl
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog
import trustme
from support.programs import programs_on
from support.streams import supervised
from support.tls_front import HOST, access_of, fronted, settings_of
from support.waiting import eventually

from positionstore.dimes.credentials import credentials_for
from positionstore.dimes.http import trusted
from positionstore.dimes.rest import RestClient
from positionstore.errors import ConfigurationError, GatewayError
from positionstore.model.facts import Source
from positionstore.settings import Settings


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def named(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The authority's certificate is named in ``SSL_CERT_FILE``."""
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(path)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))


@pytest.fixture(autouse=True)
def leads_here(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve = socket.getaddrinfo

    def here(host: Any, *arguments: Any, **options: Any) -> Any:
        return resolve(
            "127.0.0.1" if host in {HOST, HOST.encode()} else host, *arguments, **options
        )

    monkeypatch.setattr(socket, "getaddrinfo", here)
    for variable in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(variable, raising=False)


async def line_of_a_client(settings: Settings) -> str:
    async with RestClient.of(settings) as client:
        with pytest.raises(GatewayError) as refused:
            await client.position(access_of(settings), "p")
        assert client.requests == 1  # a certificate does not get better within a minute
    return str(refused.value)


def telling(line: str, settings: Settings) -> str:
    """See that a line says cause and remedy, and no secret; return it."""
    assert "certificate is not trusted" in line
    assert "SSL_CERT_FILE" in line
    assert line.isprintable()
    assert not [secret for secret in settings.secret_values if secret in line]
    return line


@pytest.mark.parametrize("gateway", [Source.PARTNER, Source.CUSTOMER])
async def test_a_gateway_that_cannot_prove_itself_is_sent_nothing(
    gateway: Source, authority: trustme.CA
) -> None:
    async with fronted(authority) as front:
        settings = settings_of(front)
        with structlog.testing.capture_logs() as lines:
            async with supervised(settings, gateway) as stream:
                await eventually(lambda: stream.attempts >= 5)
        assert [line["event"] for line in lines] == ["gateway_unreachable"]
        assert "unable to get local issuer certificate" in telling(lines[0]["cause"], settings)
        assert (front.called >= 4, front.shown) == (True, 0)


async def test_an_api_that_cannot_prove_itself_is_sent_nothing_and_asked_once(
    authority: trustme.CA,
) -> None:
    async with fronted(authority) as front:
        settings = settings_of(front)
        telling(await line_of_a_client(settings), settings)
        assert (front.called, front.shown) == (1, 0)


@pytest.mark.parametrize("gateway", [Source.PARTNER, Source.CUSTOMER])
@pytest.mark.usefixtures("named")
async def test_an_authority_of_one_s_own_is_named_in_ssl_cert_file(
    gateway: Source, authority: trustme.CA
) -> None:
    async with fronted(authority) as front:
        settings = settings_of(front)
        async with supervised(settings, gateway) as stream:
            await stream.connected()
            await front.sandbox.step(50)
            await eventually(lambda: len(stream.packets) > 0)
        async with RestClient.of(settings) as client:
            [page] = [page async for page in client.walk(access_of(settings))][:1]
        assert page.positions
        assert stream.reasons == ["stopped"]


@pytest.mark.usefixtures("named")
async def test_a_certificate_for_another_name_is_not_taken(authority: trustme.CA) -> None:
    async with fronted(authority, name="thief.example") as front:
        settings = settings_of(front)
        line = telling(await line_of_a_client(settings), settings)
        assert f"not valid for '{HOST}'" in line
        assert front.shown == 0


@pytest.mark.parametrize("gateway", [Source.PARTNER, Source.CUSTOMER])
@pytest.mark.usefixtures("named")
async def test_a_host_that_is_not_the_vendors_is_not_even_called_until_it_is_trusted(
    gateway: Source, authority: trustme.CA
) -> None:
    async with fronted(authority) as front:
        settings = msgspec.structs.replace(settings_of(front), trusted_hosts=())
        for begin in (lambda: credentials_for(settings, gateway), lambda: RestClient.of(settings)):
            with pytest.raises(ConfigurationError, match=f"POSITIONSTORE_TRUSTED_HOSTS={HOST}"):
                begin()
        assert front.called == 0


@pytest.mark.parametrize(
    "command", [("ingest",), ("ingest", "--gateway", "customer"), ("reconcile",), ("run",)]
)
async def test_every_command_refuses_such_a_host(
    command: tuple[str, ...], store_url: str, tmp_path: Path
) -> None:
    key = "dm_sbx_skey_0123456789abcdef0123456789abcdef"
    async with programs_on(store_url, tmp_path) as programs:
        done = await programs.run(
            *command,
            expect=2,
            DIMES_API_KEY=key,
            DIMES_WALLET_ADDRESS="0x" + "ab" * 20,
            DIMES_BASE_URL=f"https://{HOST}",
        )
    assert f"POSITIONSTORE_TRUSTED_HOSTS={HOST}" in done.err.splitlines()[-1]
    assert key not in done.out + done.err


@pytest.mark.parametrize(
    ("content", "why"), [(None, "No such file"), ("no certificate", "it holds no certificates")]
)
def test_a_file_without_certificates_is_a_mistake_that_is_named(
    content: str | None, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "authority.pem"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    with pytest.raises(ConfigurationError, match=f"SSL_CERT_FILE names .*{why}"):
        trusted()


def test_the_authorities_of_system_and_browsers_are_known() -> None:
    context = trusted()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert context.cert_store_stats()["x509_ca"] > 50
