"""What stands in front of a gateway, or in its place: nginx, and TLS where none is expected."""

import asyncio
import ssl
from pathlib import Path

import structlog
import trustme
from support.nginx_front import nginx
from support.official_server import Serve
from support.streams import settings_for, supervised
from support.waiting import eventually

from positionstore.model.facts import Source

KEY = "dm_sbx_skey_0123456789abcdef0123456789abcdef"


async def _cause(url: str) -> str:
    """What is said of attempts that fail: one error."""
    with structlog.testing.capture_logs() as lines:
        async with supervised(settings_for(url, api_key=KEY), Source.PARTNER) as stream:
            await eventually(lambda: stream.attempts >= 4)
    (line,) = lines
    assert line["event"] == "gateway_unreachable"
    assert line["log_level"] == "error"
    assert KEY not in line["cause"]
    return str(line["cause"])


async def test_a_proxy_that_takes_the_upgrade_away_is_named(serve: Serve, tmp_path: Path) -> None:
    server = await serve()
    block = f"listen 127.0.0.1:PORT; location / {{ proxy_pass {server.url}; }}"
    async with nginx(tmp_path, block) as port:
        cause = await _cause(f"http://127.0.0.1:{port}")
    assert "HTTP 400 in place of a WebSocket: WebSockets do not get through." in cause
    assert "Upgrade and Connection" in cause


async def test_a_web_site_and_a_redirect_are_named(tmp_path: Path) -> None:
    block = "listen 127.0.0.1:PORT; location / { return 404; }"
    async with nginx(tmp_path, block) as port:
        cause = await _cause(f"http://127.0.0.1:{port}")
    assert "HTTP 404: no Socket.IO server is at its path /socket.io/." in cause
    assert f"DIMES_BASE_URL. It names http://127.0.0.1:{port}." in cause
    block = "listen 127.0.0.1:PORT; return 301 https://u:p4ss@new.example$request_uri;"
    async with nginx(tmp_path, block) as port:
        cause = await _cause(f"http://127.0.0.1:{port}")
    assert "it redirects to https://new.example/socket.io/," in cause
    assert "EIO" not in cause
    assert "p4ss" not in cause


async def test_a_tls_port_of_nginx_spoken_to_in_plain_is_named(tmp_path: Path) -> None:
    certificate = trustme.CA().issue_cert("127.0.0.1")
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
    both = f"{tmp_path}/both.pem"
    block = f"listen 127.0.0.1:PORT ssl; ssl_certificate {both}; ssl_certificate_key {both};"
    async with nginx(tmp_path, block) as port:
        cause = await _cause(f"http://127.0.0.1:{port}")
    assert "HTTP 400: the port speaks TLS." in cause
    assert "Write https:// in DIMES_BASE_URL." in cause


async def test_any_tls_port_spoken_to_in_plain_is_named() -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)

    def never(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(never, "127.0.0.1", 0, ssl=context)
    async with server:
        cause = await _cause(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    assert "closed the connection without an answer" in cause
    assert "https://" in cause


async def test_a_plain_port_spoken_to_by_tls_is_named(serve: Serve) -> None:
    server = await serve()
    cause = await _cause(server.url.replace("http:", "https:"))
    assert "does not speak TLS" in cause
    assert "DIMES_BASE_URL" in cause
