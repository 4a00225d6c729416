"""The process that marimo runs in. It ends with the one that started it, however that one ends.

Its standard input has the token and stays open as long as the other process lives.
"""

import os
import runpy
import signal
import sys
import threading


def main() -> None:
    """Run marimo's command line with the token."""
    token = b""
    while not token.endswith(b"\n") and (some := os.read(0, 1024)):
        token += some
    threading.Thread(target=_end_with_the_other, daemon=True).start()
    # Through a pipe: arguments and files are for others to see.
    reading, writing = os.pipe()
    os.write(writing, token.strip())
    os.close(writing)
    sys.argv = ["marimo", *sys.argv[1:], "--token", "--token-password-file", f"/dev/fd/{reading}"]
    runpy.run_module("marimo", run_name="__main__", alter_sys=True)


def _end_with_the_other() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
