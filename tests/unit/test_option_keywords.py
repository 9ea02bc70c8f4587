"""gfcgi.option_keywords: a type checker lets through what ``Options`` takes, and nothing else."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from dataclasses import fields
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

import pytest

import gfcgi
from gfcgi.errors import ConfigError
from gfcgi.option_keywords import OptionKeywords
from gfcgi.option_parsers import STDERR_WAYS
from gfcgi.options import Options

HINTS = get_type_hints(OptionKeywords)

TEXTS = {
    "bind": "127.0.0.1:9000",
    "allow_from": "::1",
    "trusted_proxies": "::1",
    "status_allow": "::1",
    "no_cooperative": "file-locks",
    "rules": "host-port=on",
}
"""Of the options that take several texts, one that is right."""

UNCHECKED = "def application(environ, start_response):\n    return []\n"


def values(name: str) -> dict[object, object]:
    """A value of each type that somebody may hand in, by its type."""
    text = TEXTS.get(name, "7")
    return {int: 7, float: 7.5, bool: True, None: None, list: [text], tuple: (text,)}


def alternatives(hint: object) -> set[object]:
    """The types that a hint names, without what they contain; a float may be an int (PEP 484)."""
    is_union = get_origin(hint) not in (None, list, tuple, Literal)
    parts = get_args(hint) if is_union else (hint,)
    found = {None if part is type(None) else get_origin(part) or part for part in parts}
    return found | ({int} if float in found else set())


def accepts(name: str, value: object) -> bool:
    try:
        Options.from_sources({name: value})
    except ConfigError:
        return False
    return True


def test_every_option_is_a_keyword_and_every_keyword_an_option():
    assert list(HINTS) == [option.name for option in fields(Options)]
    assert not OptionKeywords.__required_keys__


@pytest.mark.parametrize("name", HINTS)
def test_a_keyword_has_the_types_that_its_option_takes(name):
    """All of them and no other. A text is left out: from the environment every option is one."""
    taken = {kind for kind, value in values(name).items() if accepts(name, value)}
    assert taken == alternatives(HINTS[name]) - {str, Literal}


@pytest.mark.parametrize("name", HINTS)
def test_an_options_own_value_is_a_keyword_again(name):
    own = alternatives(get_type_hints(Options)[name])
    if get_origin(HINTS[name]) is Literal:
        assert own == {str}
    else:
        assert own <= alternatives(HINTS[name])


def test_the_words_of_a_literal_are_those_that_its_option_takes():
    assert get_args(HINTS["stderr"]) == STDERR_WAYS


@pytest.fixture(scope="module")
def complaints(tmp_path_factory):
    """What ``mypy --strict`` says of scripts that call ``gfcgi.run``: the lines for each."""
    pytest.importorskip("mypy")
    directory = tmp_path_factory.mktemp("scripts")
    calls = {
        "right": 'bind=["unix:/run/a.sock"], socket_mode="0660", socket_owner=33, http=True,'
        ' allow_from="::1", idle_timeout_seconds=5, stderr="at-once", debug=False',
        "nothing": "",
        "misspelt": "max_params_byte=1",
        "wrong_type": "backlog=1.5",
        "wrong_word": 'stderr="at_once"',
        "wrong_list": "bind=[9000]",
    }
    for name, keywords in calls.items():
        script = f"import gfcgi\n{UNCHECKED}gfcgi.run(application, {keywords})\n"
        (directory / f"{name}.py").write_text(script)
    environ = dict(os.environ)
    package = Path(gfcgi.__file__).parents[1]
    if package not in map(Path, (sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))):
        environ["MYPYPATH"] = str(package)  # mypy does not look where an editable install leads
    flags = ["--strict", "--allow-untyped-defs", "--allow-untyped-calls", "--no-error-summary"]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file=", "--follow-imports=silent", *flags]
        + [f"{name}.py" for name in calls],
        cwd=directory,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert not done.stderr
    assert done.returncode == 1, done.stdout
    lines = re.findall(r"^(\w+)\.py:\d+: error: (.*)$", done.stdout, re.MULTILINE)
    return {name: [text for of, text in lines if of == name] for name in calls}


@pytest.mark.parametrize("name", ["right", "nothing"])
def test_mypy_finds_nothing_wrong_with_a_right_call(complaints, name):
    assert complaints[name] == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("misspelt", 'Unexpected keyword argument "max_params_byte"'),
        ("wrong_type", 'Argument "backlog" to "run" has incompatible type "float"'),
        ("wrong_word", 'Argument "stderr" to "run" has incompatible type'),
        ("wrong_list", 'incompatible type "int"; expected "str"'),
    ],
)
def test_mypy_says_what_is_wrong_with_a_call(complaints, name, said):
    assert len(complaints[name]) == 1
    assert said in complaints[name][0]
