"""``positionstore`` on the PATH of a shell, as a fork of a process that has imported everything.

What a page says is typed into a real shell; but nine tenths of the time of most commands is an
interpreter that starts and imports. The program of this name hands its arguments, environment,
folder and streams to the server of forking.py, passes on the signals that it gets, and ends as the
command does. Where the start itself is what is tried, the real one is run.
"""

import os
import sys
from functools import cache
from pathlib import Path
from typing import Final

from support.fork_server import door

_PROGRAM: Final = """\
#!{python} -IS
import json, os, signal, socket, struct, sys

connection = socket.socket(socket.AF_UNIX)
connection.connect({door!r})
number = struct.Struct("!i")
text = json.dumps([sys.argv[1:], dict(os.environ), os.getcwd(), {{}}]).encode()
socket.send_fds(connection, [number.pack(len(text))], [0, 1, 2])
connection.sendall(text)
(pid,) = number.unpack(connection.recv(number.size, socket.MSG_WAITALL))
for each in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
    signal.signal(each, lambda which, _: os.kill(pid, which))
code = int(connection.recv(16))
if code < 0:
    signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
sys.exit(code)
"""


@cache
def warm_program() -> Path:
    """Return the program; its folder has no other, and goes with this process."""
    program = door().with_name("bin") / "positionstore"
    program.parent.mkdir()
    program.write_text(_PROGRAM.format(python=sys.executable, door=str(door())), encoding="utf-8")
    program.chmod(0o755)
    return program


def search_path() -> str:
    """Return a PATH on which it comes first, and the programs beside the interpreter next."""
    folders = (warm_program().parent, Path(sys.executable).parent)
    return os.pathsep.join([*map(str, folders), os.environ["PATH"]])
