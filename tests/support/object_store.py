"""A server of S3's interface on this machine: moto's, as a process of its own."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection

from support.waiting import wait_until


@contextmanager
def s3_server(bucket: str) -> Iterator[dict[str, str]]:
    """Run it, with an empty bucket; yield the environment by which a client finds it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            wait_until(lambda: _put(port, bucket), "a bucket is made")
            yield {
                "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
                "AWS_REGION": "us-east-1",
                "AWS_ACCESS_KEY_ID": "tests",
                "AWS_SECRET_ACCESS_KEY": "of-this-machine",
                "AWS_EC2_METADATA_DISABLED": "true",
            }
        finally:
            process.kill()


def _put(port: int, bucket: str) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("PUT", f"/{bucket}", headers={"Host": "s3.amazonaws.com"})
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
