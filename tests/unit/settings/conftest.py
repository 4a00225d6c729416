"""Settings are tested in an environment that holds none."""

from support.bare import bare

__all__ = ["bare"]
