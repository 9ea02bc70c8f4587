"""``python -m gfcgi show FILE``: print the records of a recording."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Final

from gfcgi.client.recording import read_recording
from gfcgi.client.records import Teller
from gfcgi.commands.own_name import called_as

__all__ = ["main"]

MARKS: Final = {"web server": ">", "application": "<"}


def main(arguments: Sequence[str]) -> int:
    """Print. Raises ConfigError, and SystemExit(2) where argparse complains."""
    parsed = _parser().parse_args(arguments)
    recording = read_recording(parsed.file)
    tellers: dict[tuple[int, str], Teller] = {}
    try:
        for piece in recording.pieces:
            key = piece.connection, piece.sender
            if key not in tellers:
                tellers[key] = Teller(MARKS[piece.sender])
            teller = tellers[key]
            for line in teller.tell(piece.data) if piece.data else teller.end():
                print(f"{piece.at:9.3f} {piece.connection:4} {line}")
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"{called_as()} show",
        usage="%(prog)s FILE",
        description="Print the records of a recording: the time in seconds, the transport"
        " connection, > for what the Web server sent and < for what the application sent.",
        allow_abbrev=False,
    )
    parser.add_argument("file", metavar="FILE", help="what `gfcgi record` has written")
    return parser
