"""The units of systemd that run positionstore."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from positionstore.errors import ConfigurationError

_STATE: Final = Path("/var/lib")
_HOMES: Final = (Path("/home"), Path("/root"), Path("/run/user"))
_WORD: Final = re.compile(r"[A-Za-z0-9_.@/:+,=-]+")

_HARDENED: Final = """\
UMask=0077
NoNewPrivileges=true
CapabilityBoundingSet=
ProtectSystem=strict
ProtectHome={protect_home}
PrivateTmp=true
PrivateDevices=true
ProtectClock=true
ProtectControlGroups=true
ProtectHostname=true
ProtectKernelLogs=true
ProtectKernelModules=true
ProtectKernelTunables=true
LockPersonality=true
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=true
RestrictRealtime=true
RestrictSUIDSGID=true
SystemCallArchitectures=native
SystemCallFilter=@system-service
"""

_SERVICE: Final = """\
[Unit]
Description=positionstore: the books of leveraged prediction-market positions
Wants=network-online.target
After=network-online.target

[Service]
Type=notify
{common}ExecStart={program} run
Restart=always
RestartSec=10
# A migration of the embedded server's store may come first.
TimeoutStartSec=15min
# It ends within ten seconds of SIGTERM.
TimeoutStopSec=20
# The loop that reads the gateway feeds it; a database that is away is no reason to restart.
WatchdogSec=60
{hardened}
[Install]
WantedBy=multi-user.target
"""

_NIGHTLY: Final = """\
[Unit]
Description=positionstore: nightly reconciliation
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
{common}ExecStart={nightly} --directory {reports}
{hardened}"""

_TIMER: Final = """\
[Unit]
Description=positionstore: nightly reconciliation

[Timer]
OnCalendar=*-*-* {at}:00 UTC
Persistent=true
RandomizedDelaySec=300

[Install]
WantedBy=timers.target
"""


@dataclass(frozen=True, slots=True)
class Installation:
    """Where positionstore is, and as whom it runs.

    Attributes:
        checkout: the directory of the checkout, with its ``.venv``.
        data_dir: what ``POSITIONSTORE_DATA_DIR`` is to be.
        environment_file: holds the settings.
        user: the system user.
        nightly_at: when the nightly job starts, ``HH:MM``, UTC.
    """

    checkout: Path
    data_dir: Path
    environment_file: Path
    user: str
    nightly_at: str


def units(installation: Installation) -> Mapping[str, str]:
    """Return the units, by the names of their files.

    Raises:
        ConfigurationError: a path or a name cannot stand in a unit.
    """
    data_dir = installation.data_dir
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", installation.nightly_at):
        raise ConfigurationError(
            "The time of the nightly job cannot be read.", remedy="Write HH:MM, in UTC."
        )
    home = any(installation.checkout.is_relative_to(each) for each in _HOMES)
    if data_dir.is_relative_to(_STATE) and data_dir != _STATE:
        keeps = f"StateDirectory={_word(data_dir.relative_to(_STATE))}\nStateDirectoryMode=0700\n"
    else:
        keeps = f"ReadWritePaths={_word(data_dir)}\n"
    common = (
        f"User={_word(installation.user)}\n"
        f"WorkingDirectory={_word(installation.checkout)}\n"
        f"Environment=POSITIONSTORE_DATA_DIR={_word(data_dir)}\n"
        f"EnvironmentFile={_word(installation.environment_file)}\n" + keeps
    )
    filled = {
        "common": common,
        "hardened": _HARDENED.format(protect_home="read-only" if home else "true"),
        "program": _word(installation.checkout / ".venv" / "bin" / "positionstore"),
        "nightly": _word(installation.checkout / "scripts" / "nightly_reconcile.py"),
        "reports": _word(data_dir / "nightly"),
        "at": installation.nightly_at,
    }
    return {
        "positionstore.service": _SERVICE.format(**filled),
        "positionstore-nightly.service": _NIGHTLY.format(**filled),
        "positionstore-nightly.timer": _TIMER.format(**filled),
    }


def _word(value: object) -> str:
    """Return a path or a name as it can stand in any line of a unit: as it is, or not at all."""
    text = str(value)
    if not _WORD.fullmatch(text):
        raise ConfigurationError(
            f"{text} cannot be used in a unit, where blanks, quotes and % have a meaning.",
            remedy="Use a path or a name of letters, digits and ._-/@:+,= only.",
        )
    return text
