"""How hard the property tests try, by HYPOTHESIS_PROFILE.

``quick`` is a fifth of ``ci``, for ``scripts/test`` without ``--all``; ``thorough`` is twenty times
as much, for as long as you like.
"""

import os

from hypothesis import HealthCheck, settings

PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "ci")
_FACTORS = {"quick": 0.2, "ci": 1.0, "thorough": 20.0}
_FEWEST = 2


def load() -> None:
    """Make the profile that the environment names the default of every property test."""
    for name, factor in _FACTORS.items():
        settings.register_profile(
            name,
            max_examples=round(100 * factor),
            deadline=None,  # a busy machine is no failure
            print_blob=True,
            suppress_health_check=[HealthCheck.too_slow],  # the same
        )
    settings.load_profile(PROFILE)


def share(count: int) -> int:
    """Return how many of what is tried so often in CI are tried now."""
    return max(_FEWEST, round(count * _FACTORS[PROFILE]))


def every(count: int) -> int:
    """Return which of the steps of something are tried: each in CI, every ``count``-th in quick."""
    return 1 if _FACTORS[PROFILE] >= 1 else count


def tries(count: int) -> settings:
    """Return the settings of a test that tries so many examples in CI, not a hundred."""
    return settings(max_examples=share(count))
