"""Words of others, made fit for a log line."""

import re
from typing import Final

from positionstore.escaping import one_line, shortened

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
    return shortened(one_line(_SECRET.sub("***", text)), _LONGEST)
