"""What a person sees first: gfcgi alone, its help, its version, and options of other servers."""

from __future__ import annotations

import re
import sys
from dataclasses import fields

import pytest

from gfcgi.commands import arguments, main
from gfcgi.errors import ConfigError
from gfcgi.options import Options

COMMANDS = ["check", "config", "record", "replay", "request", "show"]


def printed(capsys, *arguments):
    try:
        status = main(list(arguments))
    except SystemExit as ended:
        status = ended.code
    return status or 0, *capsys.readouterr()


def test_alone_it_shows_what_there_is_to_do(capsys):
    status, out, err = printed(capsys)
    assert (status, err) == (2, "")
    for command in COMMANDS:
        assert command in out
    assert "--http" in out


def test_help_fits_a_screen_and_names_the_rest(capsys):
    """80 columns, 24 lines with the command's own and the next prompt."""
    status, out, _ = printed(capsys, "--help")
    lines = out.splitlines()
    assert status == 0
    assert len(lines) <= 22
    assert max(map(len, lines)) <= 80
    assert "  -b, --bind ADDRESS" in out
    assert "--help-all" in out
    assert printed(capsys, "-h")[1] == out


def test_help_shows_a_per_cent_sign_as_it_is(capsys, monkeypatch):
    """To argparse it is the beginning of a place for a value."""
    monkeypatch.setattr(arguments, "_help", lambda option: "of 100 % sure (%d)")
    status, out, _ = printed(capsys, "--help-all")
    assert status == 0
    assert "of 100 % sure (%d)" in out


def test_help_all_has_every_option_and_its_short_form(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    _, out, _ = printed(capsys, "--help-all")
    for one in fields(Options):
        option = one.name.replace("_", "-")
        assert f"--{option}" in out
    assert re.search(r"-b[ ,].*--bind ADDRESS", out)


@pytest.mark.parametrize(
    ("argv0", "name"),
    [
        ("/usr/local/bin/gfcgi", "gfcgi"),
        ("gfcgi.pyz", "gfcgi.pyz"),
        ("/lib/gfcgi/__main__.py", "python -m gfcgi"),
    ],
)
@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_it_calls_itself_as_it_was_called(capsys, monkeypatch, argv0, name, command):
    monkeypatch.setattr(sys, "argv", [argv0])
    _, out, _ = printed(capsys, *filter(None, [command]), "--help")
    assert out.startswith(f"usage: {name} {command}".rstrip() + " ")


def test_version_says_the_build_and_what_it_runs_on(capsys):
    status, out, _ = printed(capsys, "--version")
    assert status == 0
    python = ".".join(map(str, sys.version_info[:3]))
    pattern = r"gfcgi \S+ \((pure Python|compiled)\), gevent \S+, greenlet \S+, CPython {}\S*, \w+"
    assert re.fullmatch(pattern.format(re.escape(python)), out.strip())


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["--workers", "4"], "use --processes instead"),
        (["-w", "4"], "use --processes instead"),
        (["-w4"], "use --processes instead"),
        (["--workers=4"], "use --processes instead"),
        (["-p", "4"], "use --processes instead"),
        (["--max-children=4"], "use --processes instead"),
        (["--access-logfile", "-"], "use --access-log instead"),
        (["--access-logformat", "%(h)s"], "use --access-log-format instead"),
        (["--log-format=%(addr)"], "use --access-log-format instead"),
        (["--logto=/var/log/app.log"], "standard error; --access-log has the requests"),
        (["--stats", ":9191"], "use --status-path instead"),
        (["--socket", "x.sock"], "use --bind instead"),
        (["--chmod-socket=660"], "use --socket-mode instead"),
        (["--max-threads", "8"], "use --threads instead"),
        (["--bnid", "x"], "did you mean --bind?"),
        (["--log-lvel=info"], "did you mean --log-level?"),
    ],
)
def test_options_of_other_servers_and_misspelt_ones_are_answered_with_ours(capsys, arguments, hint):
    status, out, err = printed(capsys, "app:app", *arguments)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert hint in err


def test_what_nobody_knows_is_an_unrecognized_argument(capsys):
    status, _, err = printed(capsys, "app:app", "--zzzzzz")
    assert status == 2
    assert err.endswith("error: unrecognized arguments: --zzzzzz\n")


def test_a_target_is_still_required(capsys):
    assert "required: TARGET" in printed(capsys, "--debug")[2]


@pytest.mark.parametrize(
    ("keyword", "hint"),
    [
        ("bindAddress", "use bind= instead"),
        ("maxSpare", "threads= is how many at most"),
        ("maxThreads", "use threads= instead"),
        ("multithreaded", "threads="),
        ("workers", "use processes= instead"),
        ("num_workers", "use processes= instead"),
        ("bnd", "did you mean bind=?"),
        ("zzzzz", "no such option"),
    ],
)
def test_keywords_of_other_servers_are_answered_with_ours(keyword, hint):
    with pytest.raises(ConfigError, match=re.escape(hint)):
        Options.from_sources({keyword: 1})
