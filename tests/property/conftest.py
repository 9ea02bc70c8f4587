"""How hypothesis runs here; ``replay.examples`` says what the profiles are."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from replay.examples import PROFILE

for _name in ("fixed", "short"):
    settings.register_profile(
        _name,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        print_blob=True,
    )
settings.register_profile(
    "explore",
    max_examples=1000,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(PROFILE)
