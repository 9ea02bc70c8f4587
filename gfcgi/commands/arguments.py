"""The command line's options, made from the fields of ``Options``."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import Field, fields
from typing import Any, Final

from gfcgi.options import GROUPS, Options, command_line_name, info_of, variable_names

__all__ = ["add_options", "common_options", "options_given", "with_bare_options"]

_NO_TARGET: Final = re.compile(r"[:\[].*|[0-9.]+")
"""Meant for a value, if a wrong one: the option itself says best what is wrong with it."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add every option, in its group. Values stay texts: ``Options`` reads and checks them."""
    for group, title in GROUPS.items():
        arguments = parser.add_argument_group(title)
        for option in fields(Options):
            if info_of(option).group == group:
                _add(arguments, option)


def _add(arguments: argparse._ArgumentGroup, option: Field[Any]) -> None:
    about = info_of(option)
    settings: dict[str, Any] = {
        "dest": option.name,
        "default": None,
        "help": _help(option).replace("%", "%%"),
    }
    if about.kind == "flag":
        settings["action"] = argparse.BooleanOptionalAction
    else:
        settings["metavar"] = about.value
    if about.kind == "list":
        settings["action"] = "append"
    if about.kind == "optional":
        settings |= {"nargs": "?", "const": about.bare}
    names = [*filter(None, [about.short]), command_line_name(option.name)]
    arguments.add_argument(*names, **settings)


def common_options() -> list[str]:
    """The common options as the short help has them, a line each."""
    lines = []
    for option in fields(Options):
        about = info_of(option)
        if about.brief:
            name = command_line_name(option.name)
            if about.kind == "optional":
                name += f" [{about.value}]"
            elif about.kind != "flag":
                name += f" {about.value}"
            short = f"{about.short}, " if about.short else ""
            lines.append(f"  {short + name:25}  {about.brief}")
    return lines


def _help(option: Field[Any]) -> str:
    default = option.default
    if isinstance(default, bool):
        shown = "; on by default" if default else ""
    elif default in (None, ()):
        shown = ""
    else:
        shown = f"; default {default:g}" if isinstance(default, float) else f"; default {default}"
    return f"{info_of(option).text}{shown} [{', '.join(variable_names(option))}]"


def options_given(parsed: argparse.Namespace) -> dict[str, object]:
    """What the person gave, by the names of the fields."""
    names = [option.name for option in fields(Options)]
    return {name: getattr(parsed, name) for name in names if getattr(parsed, name) is not None}


def with_bare_options(arguments: Sequence[str]) -> list[str]:
    """Give an option that may stand bare its value where the next argument is not meant for it.

    argparse would take the target for the value in ``--http hello.fcgi``.
    """
    bare = {
        command_line_name(option.name): info_of(option)
        for option in fields(Options)
        if info_of(option).kind == "optional"
    }
    filled: list[str] = []
    for index, argument in enumerate(arguments):
        about = bare.get(argument)
        following = arguments[index + 1] if index + 1 < len(arguments) else ""
        if about is None or _is_value(about.parse, following):
            filled.append(argument)
        else:
            filled.append(f"{argument}={about.bare}")
    return filled


def _is_value(parse: Any, text: str) -> bool:
    if _NO_TARGET.fullmatch(text):
        return True
    try:
        parse(text)
    except ValueError:
        return False
    return True
