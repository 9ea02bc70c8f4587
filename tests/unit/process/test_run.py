"""gfcgi.process.run: which surroundings win, with what would serve replaced."""

from __future__ import annotations

import os
import sys
from types import ModuleType

import pytest

from gfcgi.process.parents import Starter
from gfcgi.process.run import run
from gfcgi.process.start import EXIT_MISUSE


@pytest.fixture
def surroundings(monkeypatch):
    """No surroundings at all; what is set up and served is noted and not done."""
    for name in [name for name in os.environ if name.startswith(("GFCGI_", "LISTEN_", "FCGI_"))]:
        monkeypatch.delenv(name)
    for name in ("GATEWAY_INTERFACE", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)
    done = []

    def replace(name, attributes):
        monkeypatch.setattr(name, attributes)

    replace("gfcgi.process.inherited.is_listening", lambda fd: False)
    replace("gfcgi.process.inherited.unused", lambda environ, used: [])
    replace("gfcgi.process.patching.patch", lambda left_out: done.append("patch"))
    replace("gfcgi.process.patching.warn_of_late_modules", lambda: done.append("warn"))
    replace("gfcgi.process.log.set_up_logging", lambda options: None)
    replace("gfcgi.process.listeners.adopt_all", lambda fds: [f"adopted {fd}" for fd in fds])
    replace(
        "gfcgi.process.listeners.bind_all", lambda options: [f"bound {b}" for b in options.bind]
    )
    replace("sys.argv", ["/srv/my app.fcgi"])

    def serve(application, options, listeners, **more):
        done.append((application, list(listeners), more))

    replace("gfcgi.process.serving.serve", serve)
    return done


def application(environ, start_response):
    return []


def served(done):
    """What was served last."""
    return done[-1]


def test_it_patches_before_anything_is_made(surroundings):
    run(application, bind="unix:/run/a.sock")
    assert surroundings[:2] == ["patch", "warn"]
    assert served(surroundings) == (
        application,
        ["bound unix:/run/a.sock"],
        {
            "name": "/srv/my app.fcgi",
            "started": "started with bind=",
            "http": None,
            "starter": Starter.OTHER,
        },
    )


def test_it_does_not_patch_when_told_so(surroundings):
    run(application, bind="unix:/run/a.sock", patch=False)
    assert "patch" not in surroundings


def test_http_alone_listens_nowhere_else(surroundings):
    run(application, http=True)
    _, listeners, more = served(surroundings)
    assert listeners == []
    assert more["http"] == "127.0.0.1:8000"
    assert more["started"] == "started with http="


def test_the_environment_says_where_too(surroundings, monkeypatch):
    monkeypatch.setenv("GFCGI_BIND", "127.0.0.1:9001")
    run(application)
    _, listeners, more = served(surroundings)
    assert listeners == ["bound 127.0.0.1:9001"]
    assert more["started"] == "started with GFCGI_BIND"


def test_descriptor_0_wins_over_everything(surroundings, monkeypatch, caplog):
    caplog.set_level("INFO", "gfcgi")
    monkeypatch.setattr("gfcgi.process.inherited.is_listening", lambda fd: fd == 0)
    monkeypatch.setenv("GATEWAY_INTERFACE", "CGI/1.1")
    monkeypatch.setenv("REQUEST_METHOD", "GET")
    run(application, bind="unix:/run/a.sock", http=True)
    _, listeners, more = served(surroundings)
    assert listeners == ["adopted 0"]
    assert more["http"] is None
    assert "not listening on unix:/run/a.sock" in caplog.text


def test_systemds_sockets_win_over_bind_and_their_variables_go(surroundings, monkeypatch):
    monkeypatch.setattr("gfcgi.process.inherited.listen_fds", lambda environ: (3, 4))
    monkeypatch.setenv("LISTEN_FDS", "2")
    run(application, bind="unix:/run/a.sock")
    assert served(surroundings)[1] == ["adopted 3", "adopted 4"]
    assert "LISTEN_FDS" not in os.environ


def test_a_cgi_request_is_answered_without_patching(surroundings, monkeypatch):
    fake = ModuleType("gfcgi.wsgi.cgi")
    fake.serve_cgi = lambda application, options, observers: surroundings.append(
        (application, options.debug)
    )
    monkeypatch.setitem(sys.modules, "gfcgi.wsgi.cgi", fake)
    monkeypatch.setenv("GATEWAY_INTERFACE", "CGI/1.1")
    monkeypatch.setenv("REQUEST_METHOD", "GET")
    run(application, debug=True, bind="unix:/run/a.sock")
    assert surroundings == [(application, True)]


@pytest.mark.parametrize(
    ("argv", "script"),
    [(["/srv/my app.fcgi"], "'/srv/my app.fcgi'"), (["-c"], "SCRIPT"), ([], "SCRIPT")],
)
@pytest.mark.parametrize(
    ("executable", "python"), [("/my venv/bin/python", "'/my venv/bin/python'"), ("", "python3")]
)
def test_without_surroundings_it_says_how_to_run_it(
    surroundings, monkeypatch, capsys, argv, script, executable, python
):
    monkeypatch.setattr(sys, "argv", argv)
    monkeypatch.setattr(sys, "executable", executable)
    with pytest.raises(SystemExit) as caught:
        run(application)
    assert caught.value.code == 2
    assert surroundings == []
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert f" {python} -m gfcgi {script} --http" in lines[1]
    assert f" {python} -m gfcgi {script} --bind unix:/run/app.sock" in lines[2]


@pytest.mark.parametrize(
    ("call", "line"),
    [
        ({"backlog": 0}, "gfcgi: backlog=: 0: it must be a whole number of at least 1\n"),
        ({"blacklog": 1}, "gfcgi: blacklog=: there is no such option; did you mean backlog=?\n"),
    ],
)
def test_wrong_options_are_one_line_and_exit_2(surroundings, capsys, call, line):
    with pytest.raises(SystemExit) as caught:
        run(application, **call)
    assert caught.value.code == 2
    assert capsys.readouterr().err == line


def test_what_cannot_be_called_is_no_application(surroundings, capsys):
    with pytest.raises(SystemExit):
        run(["application"], bind="fd:0")
    assert "it is of type list" in capsys.readouterr().err


def test_an_application_that_is_named_is_loaded_after_patching(surroundings, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "argv", [f"{tmp_path}/site.fcgi"])
    (tmp_path / "beside.py").write_text(
        "import gfcgi\n"
        "def application(environ, start_response): pass\n"
        "gfcgi.run(application, backlog=7, debug=True)\n"
    )
    run("beside.py", bind="unix:/run/a.sock", backlog=8)
    assert surroundings[0] == "patch"
    assert served(surroundings)[0].__name__ == "application"
    assert served(surroundings)[1] == ["bound unix:/run/a.sock"]


def test_a_named_application_that_fails_is_exit_3_after_its_traceback(
    surroundings, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "argv", [f"{tmp_path}/site.fcgi"])
    (tmp_path / "broken.py").write_text("1 / 0\n")
    with pytest.raises(SystemExit) as caught:
        run("broken.py", bind="unix:/run/a.sock")
    assert caught.value.code == 3
    lines = capsys.readouterr().err.splitlines()
    assert lines[1] == f'  File "{tmp_path}/broken.py", line 1, in <module>'
    assert lines[-1].endswith("broken.py: ZeroDivisionError while it was loaded")


def test_a_closed_standard_error_does_not_hide_the_status(surroundings, monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    with pytest.raises(SystemExit) as caught:
        run(application)
    assert caught.value.code == EXIT_MISUSE


def test_a_name_is_found_for_code_without_a_file(surroundings, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["-c"])
    run(application, bind="fd:0")
    assert served(surroundings)[2]["name"] == "the application"


def test_a_socket_that_is_not_served_is_named_where_nothing_says_where_to_listen(
    surroundings, monkeypatch, capsys
):
    monkeypatch.setattr("gfcgi.process.inherited.unused", lambda environ, used: ["not used"])
    with pytest.raises(SystemExit):
        run(application)
    assert capsys.readouterr().err.startswith("gfcgi: not used\ngfcgi: no Web server started")


def test_a_socket_that_is_not_served_is_named_in_the_log(surroundings, monkeypatch, caplog):
    monkeypatch.setattr("gfcgi.process.inherited.unused", lambda environ, used: [f"used {used}"])
    run(application, bind="unix:/run/a.sock")
    assert "used ()" in caplog.text
