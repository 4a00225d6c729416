"""The command line is tried in an environment without settings."""

from support.bare import bare

__all__ = ["bare"]
