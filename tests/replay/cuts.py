"""Ways to cut bytes into the pieces in which a socket might give them."""

from __future__ import annotations

import itertools
import random


def whole(content: bytes) -> list[bytes]:
    """All at once."""
    return [content]


def byte_by_byte(content: bytes) -> list[bytes]:
    """Each byte in a piece of its own."""
    return [content[at : at + 1] for at in range(len(content))]


def at_random(content: bytes, seed: int) -> list[bytes]:
    """At places that ``seed`` decides: up to 40 of them, some close together.

    Half of the cuts are within the first 300 bytes, where the headers and the lengths are.
    """
    dice = random.Random(seed)
    size = len(content)
    places = {dice.randrange(size + 1) for _ in range(dice.randrange(1, 20))}
    places |= {dice.randrange(min(size, 300) + 1) for _ in range(dice.randrange(1, 20))}
    edges = [0, *sorted(places), size]
    return [content[start:end] for start, end in itertools.pairwise(edges)]
