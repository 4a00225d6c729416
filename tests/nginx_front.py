"""A real nginx in front of a server, as a load balancer stands before a gateway."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from forward_proxies import free_port, listens
from patience import eventually


@asynccontextmanager
async def nginx(
    folder: Path, behind: str, *, location: str = "", read_timeout: str = "60s"
) -> AsyncIterator[str]:
    """Run nginx before a server; yield its address.

    Args:
        folder: for its files.
        behind: the server's address.
        location: what else to configure of the one location.
        read_timeout: after how long without a word of the server a connection is cut.
    """
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed (Debian: apt install nginx-light)")
    port = free_port()
    temporary = "".join(
        f"{kind}_temp_path {folder / kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    configuration = folder / "nginx.conf"
    configuration.write_text(
        f"daemon off; pid {folder / 'nginx.pid'}; error_log {folder / 'error.log'};"
        "worker_processes 1; events {} "
        f"http {{ access_log off; {temporary}"
        f"server {{ listen 127.0.0.1:{port}; location / {{"
        f"proxy_pass {behind}; proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;"
        f'proxy_set_header Connection "upgrade"; proxy_read_timeout {read_timeout}; {location}'
        "} } }\n"
    )
    nowhere = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        program, "-c", str(configuration), "-p", str(folder), stdout=nowhere, stderr=nowhere
    )
    try:
        await eventually(lambda: listens(port))
        yield f"http://127.0.0.1:{port}"
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
