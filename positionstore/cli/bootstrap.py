"""How a command begins: read the settings, begin to log, say what looks like a slip."""

from typing import Any

import structlog

from positionstore.cli.logs import configure_logging
from positionstore.cli.masking import hide
from positionstore.settings import Settings, load_settings, unknown_variables


def start(**overrides: Any) -> Settings:
    """Read the settings and begin to log by them; every command calls it first.

    Args:
        overrides: settings that an option of the command sets.

    Raises:
        ConfigurationError: a setting cannot be used.
    """
    settings = load_settings(**overrides)
    hide(settings.secret_values)
    configure_logging(
        level=settings.log_level, form=settings.log_format, data_dir=settings.data_dir
    )
    log = structlog.get_logger(__name__)
    for variable, nearest in unknown_variables():
        log.warning("unknown_setting", variable=variable, nearest=nearest)
    return settings
