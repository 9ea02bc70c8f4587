"""Bytes through a core, and what came out of it written down so that two runs can be compared.

What the corpus, the property tests and the tests of a running server share: reading the corpus'
files, cutting bytes into pieces, and :class:`Transcript`.
"""

from .captures import Capture, captures, events_of_records
from .cuts import at_random, byte_by_byte, whole
from .script import Script, scripts
from .transcript import Transcript, replay

__all__ = [
    "Capture",
    "Script",
    "Transcript",
    "at_random",
    "byte_by_byte",
    "captures",
    "events_of_records",
    "replay",
    "scripts",
    "whole",
]
