"""``python -m gfcgi replay FILE ADDRESS``: send a recording once more and compare the answers."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Final

from gfcgi.client.recording import read_recording
from gfcgi.client.replay import replay
from gfcgi.commands.own_name import called_as
from gfcgi.commands.request_answer import say
from gfcgi.commands.values import peer, seconds
from gfcgi.errors import ConfigError
from gfcgi.printing import counted, printable

__all__ = ["main"]

EXIT_DIFFERENT: Final = 1
TIMEOUT_SECONDS: Final = 30.0


def main(arguments: Sequence[str]) -> int:
    """Replay and print what differs; 1 if anything does.

    Raises: ConfigError, and SystemExit(2) where argparse complains.
    """
    parsed = _parser().parse_args(arguments)
    address = peer(parsed.address, "ADDRESS")
    recording = read_recording(parsed.file)
    if not recording.answered:
        raise ConfigError(
            f"{parsed.file}: it has no answers to compare with", option="file", source="FILE"
        )
    connections = answers = 0
    different = []
    try:
        for number, differences in replay(recording, address, parsed.timeout):
            connections += 1
            answers += number
            different += differences
    except OSError as error:
        say(f"{address}: {error.strerror or error}")
        return EXIT_DIFFERENT
    for one in different:
        print(printable(f"connection {one.connection}: {one.text}"))
    verdict = counted(len(different), "difference") if different else "the same"
    print(f"{counted(answers, 'answer')} on {counted(connections, 'connection')}: {verdict}")
    return EXIT_DIFFERENT if different else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"{called_as()} replay",
        usage="%(prog)s FILE ADDRESS [options]",
        description="Send the requests of a recording to an application, byte for byte as the Web"
        " server sent them, and compare its answers with the recorded ones. The exit status is 1"
        " if one differs.",
        allow_abbrev=False,
    )
    parser.add_argument("file", metavar="FILE", help="what `gfcgi record` has written")
    parser.add_argument("address", metavar="ADDRESS", help="unix:/run/app.sock or 127.0.0.1:9000")
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=seconds,
        default=TIMEOUT_SECONDS,
        help=f"for each wait; default {TIMEOUT_SECONDS:g}",
    )
    return parser
