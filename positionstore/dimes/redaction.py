"""Words of others, made fit for a log line."""

import re
from typing import Final

_SECRET: Final = re.compile(
    r"dm_(?:live|sbx)_skey_\w+"  # API keys
    r"|eyJ[\w-]+(?:\.[\w-]*)*"  # JSON Web Tokens
    r"|(?<=://)[^\s/@]+@"  # user and password of a URL
    r"|(?<=[?&])[^\s&=]*(?:key|token|secret|auth)[^\s&=]*=[^\s&]+",
    re.IGNORECASE,
)
_LONGEST: Final = 300


def redacted(text: str) -> str:
    """Return ``text`` as one line without secrets, cut to 300 characters.

    For what a server or a library says: it may quote the key it was given.
    """
    line = " ".join(
        "".join(c if c.isprintable() else " " for c in _SECRET.sub("***", text)).split()
    )
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
