"""How many examples the property tests look at; ``HYPOTHESIS_PROFILE`` says which profile it is.

fixed
    the same examples each time, as many as a test says
short
    a fifth of them: for further Pythons, which would all look at the same ones
explore
    other examples with each run, and ten times as many
"""

from __future__ import annotations

import os
from typing import Any

from hypothesis import settings

__all__ = ["PROFILE", "examples"]

PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "fixed")

_TIMES = {"fixed": 1.0, "short": 0.2, "explore": 10.0}


def examples(count: int, **more: Any) -> settings:
    """Settings for a test that looks at so many examples, more or fewer as the profile has it."""
    return settings(max_examples=int(count * _TIMES[PROFILE]), **more)
