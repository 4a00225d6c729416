"""Ctrl-C and SIGTERM end a process without a word, also while it starts and ends."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from positionstore.cli.interrupts import end_at_once, end_on_sigterm, ending_at_once

PROGRAM = """
import atexit, os, signal, sys

def interrupt():
    os.kill(os.getpid(), signal.{number})

class Finder:
    def find_spec(name, path=None, target=None):
        if name == {moment!r}:
            interrupt()

if {moment!r} == "exit":
    atexit.register(interrupt)
sys.meta_path.insert(0, Finder)
from positionstore.cli import main
sys.exit(main())
"""


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def ended(program: str, *arguments: str) -> tuple[int, str]:
    """Run a program to its end; return its exit code and what it said on standard error."""
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, "DATABASE_URL": "postgresql://u@127.0.0.1:1/nowhere"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", ["typer", "psycopg", "exit"])
def test_it_is_quiet_while_modules_are_imported_and_at_the_exit(
    number: signal.Signals, moment: str
) -> None:
    arguments = ["--version"] if moment == "exit" else ["verify"]

    program = PROGRAM.format(number=number.name, moment=moment)

    assert ended(program, *arguments) == (-number, "")


def test_after_the_imports_an_interrupt_is_what_it_was() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with ending_at_once():
        assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL

    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_signal_that_is_ignored_stays_so() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)

    end_on_sigterm()
    with ending_at_once():
        pass
    end_at_once()

    assert {signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)} == {signal.SIG_IGN}


@pytest.mark.parametrize("load", ["work", "lambda name: TyperCommand(name, callback=work)"])
def test_sigterm_is_sigterm_also_where_a_library_made_it_a_keyboard_interrupt(load: str) -> None:
    code = f"""
import os, signal, sys
from typer.core import TyperCommand
from positionstore import cli
from positionstore.cli import commands

def work(name=""):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    except SystemExit:
        raise KeyboardInterrupt from None

commands.load = {load}
sys.exit(cli.main(command="status"))
"""

    assert ended(code) == (143, "")


@pytest.mark.parametrize(("number", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
@pytest.mark.parametrize("before", ["pass", "logs.configure_logging()"])
def test_an_interrupt_in_a_callback_is_not_lost(before: str, number: str, code: int) -> None:
    program = f"""
import os, signal, sys, threading, weakref
from typer.core import TyperCommand
from positionstore import cli
from positionstore.cli import commands, logs

def interrupt(_):
    os.kill(os.getpid(), signal.{number})

def work():
    {before}
    module = threading.Event()
    callback = weakref.ref(module, interrupt)
    del module  # what the callback raises, Python drops
    threading.Event().wait()

commands.load = lambda name: TyperCommand(name, callback=work)
sys.exit(cli.main(command="status"))
"""

    assert ended(program) == (code, "")


@pytest.mark.parametrize(("number", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_nor_is_it_lost_where_the_processor_is_busy_with_others_meanwhile(
    number: str, code: int
) -> None:
    program = f"""
import os, signal, sys, threading, time, weakref
from typer.core import TyperCommand
from positionstore import cli
from positionstore.cli import commands

def interrupt(_):
    os.kill(os.getpid(), signal.{number})

def slow(dropped):
    told(dropped)
    time.sleep(0.2)

def work():
    global told
    told, sys.unraisablehook = sys.unraisablehook, slow
    module = threading.Event()
    callback = weakref.ref(module, interrupt)
    del module  # what the callback raises, Python drops
    threading.Event().wait()

commands.load = lambda name: TyperCommand(name, callback=work)
sys.exit(cli.main(command="status"))
"""

    assert ended(program) == (code, "")
