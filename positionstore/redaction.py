"""Texts of servers and libraries, made safe for a log line."""

import re
from typing import Final

from positionstore.errors import first_line
from positionstore.escaping import one_line, shortened

# No pattern may look far ahead from a place that a hostile text can repeat: lengths are bounded.
_SECRET: Final = re.compile(
    r"dm_(?:live|sbx)_skey_\w+"  # API keys
    r"|eyJ[\w-]+(?:\.[\w-]*)*"  # JSON Web Tokens
    r"|(?<=://)[^\s/@]+@"  # user and password of a URL
    r"|(?<=[?&])(?=[^\s&=]{0,99}(?:key|token|secret|auth))[^\s&=]{1,199}=[^\s&]+",
    re.IGNORECASE,
)
_LONGEST: Final = 300
_READ_AT_MOST: Final = 20_000


def redacted(text: str) -> str:
    """Return ``text`` as one line without secrets, cut to 300 characters.

    For texts of a server or a library: they may quote the key, and may have megabytes, of which
    only the beginning is read.
    """
    text = text.lstrip()
    if len(text) > _READ_AT_MOST:
        # Without the last word: half of a secret would not be recognised.
        text = text[:_READ_AT_MOST].rsplit(maxsplit=1)[0]
    return shortened(one_line(_SECRET.sub("***", text)), _LONGEST)


def in_a_line(error: Exception) -> str:
    """Return the first line of what an error says, :func:`redacted`, or else its class."""
    return redacted(first_line(error)) or type(error).__name__
