"""What a harness is."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from replay import at_random, byte_by_byte

__all__ = ["FOLDER", "Harness", "cuts"]

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Harness:
    """``check`` raises if something does not hold for the bytes that it is given.

    ``seeds`` makes inputs beside the files of the corpus. ``words`` are what the format consists
    of: they are put in where mutation puts something in. ``shares`` names the harness that has the
    same corpus.
    """

    name: str
    check: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]] = list
    words: tuple[bytes, ...] = ()
    shares: str = ""

    @property
    def folder(self) -> Path:
        """Where the files of its corpus are."""
        return FOLDER / "corpus" / (self.shares or self.name)

    @property
    def corpus(self) -> list[Path]:
        """The files that are kept for this harness."""
        return sorted(self.folder.iterdir()) if self.folder.is_dir() else []

    def inputs(self) -> list[bytes]:
        """The files' bytes and the seeds: what mutation begins with. Never empty."""
        return [path.read_bytes() for path in self.corpus] + self.seeds() or [b""]


def cuts(content: bytes) -> list[list[bytes]]:
    """Ways to cut ``content``, always the same ones for the same bytes."""
    seed = zlib.crc32(content)
    ways = [at_random(content, seed), at_random(content, seed + 1)]
    return [*ways, byte_by_byte(content)] if len(content) < 4096 else ways
