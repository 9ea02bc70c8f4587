"""gfcgi.commands.config: the configuration on standard output, misuse with status 2."""

from __future__ import annotations

import os
import sys

import pytest

from gfcgi.commands import main
from gfcgi.configurations import SERVERS, configuration


def test_configuration_is_printed(capsys):
    arguments = "nginx /srv/hello.fcgi --url /app --bind 127.0.0.1:9000 --streaming --no-keep-conn"
    assert main(["config", *arguments.split(), "--python", "/venv/bin/python"]) == 0
    assert capsys.readouterr().out == configuration(
        "nginx",
        "/srv/hello.fcgi",
        url="/app",
        bind="127.0.0.1:9000",
        streaming=True,
        keep_conn=False,
        python="/venv/bin/python",
    )


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        ("lighttpd a.fcgi --spawn --processes 2", {"spawn": True, "processes": 2}),
        ("apache-authnz a.fcgi --authorizer authz", {"authorizer": "authz"}),
        ("haproxy a.fcgi --multiplex --listen 8080", {"multiplex": True, "listen": "8080"}),
        ("caddy a.fcgi --server-name example.org", {"server_name": "example.org"}),
        ("nginx a.fcgi --directory /srv", {"directory": "/srv"}),
    ],
)
def test_every_option_is_passed_on(capsys, arguments, asked):
    assert main(["config", *arguments.split()]) == 0
    here = {"python": sys.executable, "directory": os.getcwd()}
    expected = configuration(arguments.split()[0], "a.fcgi", **{**here, **asked})
    assert capsys.readouterr().out == expected


def test_directory_that_is_printed_is_found_from_anywhere(capsys):
    assert main(["config", "systemd", "mysite", "--directory", "."]) == 0
    assert f"WorkingDirectory={os.getcwd()}\n" in capsys.readouterr().out


def test_misuse_names_option_and_value_and_prints_nothing_else(capsys):
    assert main(["config", "nginx", "a.fcgi", "--url", "app"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("gfcgi: --url: 'app': ")
    assert said.err.count("\n") == 1


def test_unknown_server_is_answered_with_those_that_there_are(capsys):
    assert main(["config", "iis", "a.fcgi"]) == 2
    assert ", ".join(SERVERS) in capsys.readouterr().err


def test_help_says_what_each_server_is(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["config", "--help"])
    assert caught.value.code == 0
    said = capsys.readouterr().out
    for name, about in SERVERS.items():
        assert f"  {name} " in said
        assert about.text in said
