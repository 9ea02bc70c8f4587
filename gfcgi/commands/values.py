"""Readers of arguments that several commands have."""

from __future__ import annotations

import argparse

from gfcgi import option_parsers
from gfcgi.addresses import InheritedSocket, TCPAddress, UnixAddress, parse_address
from gfcgi.errors import ConfigError

__all__ = ["number", "peer", "seconds"]


def seconds(text: str) -> float:
    """Read a time, for argparse."""
    try:
        return option_parsers.seconds(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None


def number(text: str) -> int:
    """Read a positive number, for argparse."""
    try:
        option_parsers.integer(1, 2**31 - 1)(text)
        return int(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None


def peer(text: str, source: str) -> UnixAddress | TCPAddress:
    """Read an address to connect to. Raises: ConfigError."""
    try:
        address = parse_address(text)
        if isinstance(address, InheritedSocket):
            raise ValueError("an inherited socket cannot be connected to")
    except ValueError as error:
        option = source.lower().strip("-")
        raise ConfigError(f"{text!r}: {error}", option=option, source=source) from None
    return address
