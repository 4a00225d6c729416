"""How a command starts: read the settings, set up logging, warn about misspelt variables."""

import os
import re
from typing import Any, Final

from positionstore import tracing
from positionstore.cli.logs import configure_logging
from positionstore.cli.masking import hide
from positionstore.log import get_logger
from positionstore.settings import Settings, load_settings, unknown_variables

_HEADERS: Final = ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS")


def start(**overrides: Any) -> Settings:
    """Read the settings and set up logging; every command calls this first.

    Args:
        overrides: settings that an option of the command sets.

    Raises:
        ConfigurationError: a setting is invalid.
    """
    settings = load_settings(**overrides)
    hide(settings.secret_values)
    configure_logging(
        level=settings.log_level, form=settings.log_format, data_dir=settings.data_dir
    )
    log = get_logger(__name__)
    for variable, nearest in unknown_variables():
        log.warning("unknown_setting", variable=variable, nearest=nearest)
    return settings


def start_work() -> Settings:
    """Start a command whose work can be traced: as :func:`start`, and with OpenTelemetry if asked.

    Raises:
        ConfigurationError: a setting is invalid.
    """
    settings = start()
    # Of the SDK's own variables these may hold credentials.
    headers = (os.environ.get(name, "") for name in _HEADERS)
    hide(value.strip() for each in headers for value in re.split(r"[=,]", each)[1::2])
    tracing.begin()
    return settings
