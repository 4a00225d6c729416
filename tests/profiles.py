"""How hard the property tests try: HYPOTHESIS_PROFILE=thorough tries twenty times as hard."""

import os

from hypothesis import HealthCheck, settings

PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "ci")
_FACTORS = {"ci": 1, "thorough": 20}


def load() -> None:
    """Make the profile that the environment names the default of every property test."""
    for name, factor in _FACTORS.items():
        settings.register_profile(
            name,
            max_examples=100 * factor,
            deadline=None,  # a busy machine is no failure
            print_blob=True,
            suppress_health_check=[HealthCheck.too_slow],  # the same
        )
    settings.load_profile(PROFILE)


def tries(count: int) -> settings:
    """Return the settings of a test whose examples are dear: so many of them in CI."""
    return settings(max_examples=count * _FACTORS[PROFILE])
