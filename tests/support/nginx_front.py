"""A real nginx in front of a server, as a load balancer stands before a gateway."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from support.forward_proxies import listens
from support.ports import free_port
from support.waiting import eventually


@asynccontextmanager
async def nginx(folder: Path, server: str) -> AsyncIterator[int]:
    """Run nginx with one server block, in which ``PORT`` is where it listens; yield that port."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed (Debian: apt install nginx-light)")
    port = free_port()
    paths = "".join(
        f"{kind}_temp_path {folder}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    configuration = folder / "nginx.conf"
    configuration.write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/log;"
        f" events {{}} http {{ access_log off; {paths}"
        f" server {{ {server.replace('PORT', str(port))} }} }}"
    )
    process = await asyncio.create_subprocess_exec(
        program, "-p", str(folder), "-e", str(folder / "log"), "-c", str(configuration)
    )
    try:
        await eventually(lambda: listens(port))
        yield port
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


@asynccontextmanager
async def balanced(folder: Path, behind: str, *, read_timeout: str) -> AsyncIterator[str]:
    """Run nginx before a gateway; yield its address.

    Args:
        folder: for its files.
        behind: the gateway's address.
        read_timeout: after how long without a word of the gateway a connection is cut.
    """
    server = (
        f"listen 127.0.0.1:PORT; location / {{ proxy_pass {behind}; proxy_http_version 1.1;"
        ' proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";'
        f" proxy_read_timeout {read_timeout}; }}"
    )
    async with nginx(folder, server) as port:
        yield f"http://127.0.0.1:{port}"
