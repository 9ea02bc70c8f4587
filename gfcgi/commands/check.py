"""``python -m gfcgi check SCRIPT``: say why a script gives no page."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Final

from gfcgi.checking.findings import Finding, Report
from gfcgi.checking.run import check
from gfcgi.commands.own_name import called_as
from gfcgi.commands.values import seconds
from gfcgi.printing import printable

__all__ = ["main"]

EXIT_GOOD: Final = 0
EXIT_FAULTS: Final = 1

WAIT_SECONDS: Final = 30.0
"""What mod_fastcgi waits for (-idle-timeout); mod_fcgid waits 40 seconds (FcgidIOTimeout)."""
MAX_WAIT_SECONDS: Final = 40.0


def main(arguments: Sequence[str]) -> int:
    """Check, print what was found, and return 1 if that is a fault.

    Raises: ConfigError, and SystemExit(2) where argparse complains.
    """
    parsed = _parser().parse_args(arguments)
    report = check(parsed.target, user=parsed.user, url=parsed.url, wait_seconds=parsed.timeout)
    if parsed.json:
        print(json.dumps(report.as_json(), indent=2))
    else:
        _print(report)
    return EXIT_GOOD if report.good else EXIT_FAULTS


def _print(report: Report) -> None:
    print(printable(f"{report.target}, as {report.user}"))
    for finding in report.findings:
        _print_finding(finding)
    if report.web_server:
        print(printable(report.web_server))
    print(printable(f"verdict: {report.verdict}"))


def _print_finding(finding: Finding) -> None:
    print(printable(finding.line))
    for line in finding.detail:
        print("    " + printable(line.expandtabs()))


def _wait_seconds(text: str) -> float:
    wait = seconds(text)
    if wait > MAX_WAIT_SECONDS:
        raise argparse.ArgumentTypeError(f"{text!r}: write {MAX_WAIT_SECONDS:g} or less")
    return wait


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"{called_as()} check",
        usage="%(prog)s SCRIPT [options]",
        description="Start a script as Apache's mod_fcgid and mod_fastcgi do, ask it for a page,"
        " stop it, and say what is wrong and what to do about it. The exit status is 1 if there is"
        " a fault; hints leave it 0.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "target",
        metavar="SCRIPT",
        help="a script that a Web server is to start; or an application, as for serve; or the"
        " address of one that runs, such as unix:/run/app/app.sock",
    )
    parser.add_argument(
        "--user",
        metavar="NAME",
        help="the Web server's user; by default www-data for root, or what this system calls it,"
        " and yourself for others",
    )
    parser.add_argument(
        "--url",
        metavar="URL",
        help="ask the real Web server as well, and say whether it or the application is at fault",
    )
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=_wait_seconds,
        default=WAIT_SECONDS,
        help=f"how long the Web server waits for the first answer; default {WAIT_SECONDS:g}, at"
        f" most {MAX_WAIT_SECONDS:g}",
    )
    return parser
