"""How a command starts: read the settings, set up logging, warn about misspelt variables."""

from typing import Any

from positionstore.cli.logs import configure_logging
from positionstore.cli.masking import hide
from positionstore.log import get_logger
from positionstore.settings import Settings, load_settings, unknown_variables


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
