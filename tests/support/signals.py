"""Signals as processes get them that a person starts."""

import signal


def heed() -> None:
    """Heed Ctrl-C, which what a script starts with ``&`` ignores, and so does all it starts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
