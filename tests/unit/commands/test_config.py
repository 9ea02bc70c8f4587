"""gfcgi.commands.config: the configuration on standard output, misuse with status 2."""

from __future__ import annotations

import os
import sys
import zipapp

import pytest

from gfcgi.commands import main
from gfcgi.configurations import SERVERS, configuration
from gfcgi.own_command import own_command


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
        (
            "nginx a.fcgi --static /a=/srv/a --static /b=/srv/b",
            {"static": ["/a=/srv/a", "/b=/srv/b"]},
        ),
        ("nginx a.fcgi --tls /c.pem /k.pem", {"tls": ("/c.pem", "/k.pem")}),
        (
            "nginx a.fcgi --bind 127.0.0.1:1 --bind 127.0.0.1:2",
            {"bind": ["127.0.0.1:1", "127.0.0.1:2"]},
        ),
        ("nginx a.fcgi --directory /srv", {"directory": "/srv"}),
    ],
)
def test_every_option_is_passed_on(capsys, arguments, asked):
    assert main(["config", *arguments.split()]) == 0
    here = {"python": sys.executable, "command": own_command(), "directory": os.getcwd()}
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


def test_what_was_printed_from_an_archive_names_the_archive(capsys, monkeypatch, tmp_path):
    """A shiv's Python, and a pex's, has no gfcgi."""
    zipapp.create_archive(package(tmp_path), tmp_path / "gfcgi.pyz", interpreter=sys.executable)
    monkeypatch.setattr(sys, "argv", [f"{tmp_path}/gfcgi.pyz"])
    for arguments, line in {
        "systemd mysite": f"ExecStart={tmp_path}/gfcgi.pyz mysite\n",
        "nginx mysite": f"sudo -u www-data {tmp_path}/gfcgi.pyz mysite --bind ",
        "lighttpd mysite --spawn": f'"{tmp_path}/gfcgi.pyz mysite"',
        "spawn-fcgi mysite": f" -- {tmp_path}/gfcgi.pyz mysite\n",
        "systemd mysite --python /venv/bin/python": "ExecStart=/venv/bin/python -m gfcgi mysite\n",
    }.items():
        assert main(["config", *arguments.split()]) == 0
        assert line in capsys.readouterr().out, arguments


def test_an_archives_name_that_would_have_to_be_quoted_is_refused(capsys, monkeypatch, tmp_path):
    zipapp.create_archive(package(tmp_path), tmp_path / "my app.pyz", interpreter="/bin/sh")
    monkeypatch.setattr(sys, "argv", [f"{tmp_path}/my app.pyz"])
    assert main(["config", "systemd", "mysite"]) == 2
    assert capsys.readouterr().err.startswith(
        f"gfcgi: the program's path: '{tmp_path}/my app.pyz' would"
    )


def package(tmp_path):
    directory = tmp_path / "package"
    directory.mkdir()
    (directory / "__main__.py").write_text("")
    return directory
