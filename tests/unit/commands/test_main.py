"""gfcgi.commands: the command line, with what would serve replaced."""

from __future__ import annotations

import runpy
import sys

import pytest

from gfcgi.commands import main, serve
from gfcgi.commands.arguments import with_bare_options
from gfcgi.errors import ConfigError
from gfcgi.options import Options
from gfcgi.process.loading import Loaded
from gfcgi.process.parents import Starter

HTTP = "127.0.0.1:8000"


def application(environ, start_response):
    return []


@pytest.fixture
def served(monkeypatch):
    """No surroundings; what would be patched, loaded, bound and served is noted."""
    done = []
    for name in [name for name in serve.os.environ if name.startswith(("GFCGI_", "FCGI_"))]:
        monkeypatch.delenv(name)

    def load(target, beside):
        done.append(f"load {target}")
        return Loaded(application, {}, target)

    def note(application, options, listeners, **more):
        done.append((options, listeners, more))

    places = {
        "patching.patch": lambda left_out: done.append("patch"),
        "patching.warn_of_late_modules": lambda: None,
        "patching.warn_of_late_options": lambda options: None,
        "log.set_up_logging": lambda options: None,
        "inherited.is_listening": lambda fd: False,
        "inherited.listen_fds": lambda environ: (),
        "inherited.unused": lambda environ, used: [],
        "parents.starter": lambda: Starter.OTHER,
        "listeners.adopt_all": lambda fds: [f"adopted {fd}" for fd in fds],
        "listeners.bind_all": lambda options: [f"bound {b}" for b in options.bind],
        "serving.serve": note,
    }
    for place, double in places.items():
        monkeypatch.setattr(f"gfcgi.process.{place}", double)
    monkeypatch.setattr("gfcgi.process.loading.load", load)
    return done


@pytest.mark.parametrize("arguments", [["app:x", "--backlog", "3"], ["serve", "app:x"]])
def test_serve_is_what_it_does_by_default(served, arguments):
    assert main(arguments) == 0
    assert served[:2] == ["patch", "load app:x"]
    assert served[-1][2]["name"] == "app:x"


def test_no_patch_leaves_the_standard_library_alone(served):
    assert main(["app", "--no-patch"]) == 0
    assert "patch" not in served


@pytest.mark.parametrize(
    ("arguments", "fd0", "fds", "listeners", "started", "http"),
    [
        (["--bind", "fd:5"], True, (3,), ["bound fd:5"], "started with --bind", None),
        (["--http"], True, (3,), [], "started with --http", HTTP),
        (["--http", "--bind", "fd:5"], True, (), ["bound fd:5"], "started with --bind", HTTP),
        ([], True, (3,), ["adopted 0"], "started with a listening socket on descriptor 0", None),
        ([], False, (3, 4), ["adopted 3", "adopted 4"], "started with LISTEN_FDS", None),
        ([], False, (), ["bound 127.0.0.1:9000"], "started without --bind", None),
    ],
)
def test_where_it_listens(served, monkeypatch, arguments, fd0, fds, listeners, started, http):
    monkeypatch.setattr("gfcgi.process.inherited.is_listening", lambda fd: fd0)
    monkeypatch.setattr("gfcgi.process.inherited.listen_fds", lambda environ: fds)
    assert main(["app", *arguments]) == 0
    _, got, more = served[-1]
    assert got == listeners
    assert more == {"name": "app", "started": started, "http": http, "starter": Starter.OTHER}


def test_an_address_in_the_environment_is_listened_on(served, monkeypatch):
    monkeypatch.setenv("GFCGI_BIND", "127.0.0.1:9001")
    assert main(["app"]) == 0
    assert served[-1][1] == ["bound 127.0.0.1:9001"]
    assert served[-1][2]["started"] == "started with GFCGI_BIND"


@pytest.mark.parametrize("keywords", [{"bind": "fd:5"}, {"http": True}])
@pytest.mark.parametrize("variable", [{}, {"GFCGI_BIND": "fd:6"}])
def test_a_web_servers_socket_comes_before_where_a_script_or_a_variable_listens(
    served, monkeypatch, keywords, variable
):
    """As for a script that is started by itself."""
    for name, value in variable.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("gfcgi.process.inherited.is_listening", lambda fd: fd == 0)
    monkeypatch.setattr(
        "gfcgi.process.loading.load", lambda target, beside: Loaded(application, keywords, target)
    )
    assert main(["app"]) == 0
    _, listeners, more = served[-1]
    assert (listeners, more["http"]) == (["adopted 0"], None)


def test_a_cgi_request_is_answered_without_patching(served, monkeypatch):
    monkeypatch.setenv("GATEWAY_INTERFACE", "CGI/1.1")
    monkeypatch.setenv("REQUEST_METHOD", "GET")
    monkeypatch.setattr("gfcgi.wsgi.cgi.serve_cgi", lambda *answered: served.append(answered))
    assert main(["app", "--debug"]) == 0
    assert served[0] == "load app"
    ((answered, options, observers),) = served[1:]
    assert answered is application
    assert observers == []
    assert options.debug


def test_the_scripts_options_win(served, monkeypatch):
    keywords = {"backlog": 7}
    monkeypatch.setattr(
        "gfcgi.process.loading.load", lambda target, beside: Loaded(application, keywords, target)
    )
    assert main(["app", "--backlog", "8", "--debug"]) == 0
    options = served[-1][0]
    assert (options.backlog, options.debug) == (7, True)


def test_a_wrong_option_is_found_before_the_application_is_loaded(served, capsys):
    assert main(["app", "--backlog", "0"]) == 2
    assert served == []
    assert capsys.readouterr().err.startswith("gfcgi: --backlog: '0': ")


def test_a_wrong_option_of_the_script_is_misuse_too(served, monkeypatch, capsys):
    monkeypatch.setattr(
        "gfcgi.process.loading.load", lambda target, beside: Loaded(application, {"x": 1}, target)
    )
    assert main(["app"]) == 2
    assert capsys.readouterr().err == "gfcgi: x=: there is no such option\n"


def test_the_default_address_in_use_is_named_as_if_it_had_been_given(served, monkeypatch, capsys):
    def taken(options):
        raise ConfigError("in use", option="bind", source=options.source_of("bind"))

    monkeypatch.setattr("gfcgi.process.listeners.bind_all", taken)
    assert main(["app"]) == 2
    assert capsys.readouterr().err == "gfcgi: --bind: in use\n"


def test_an_application_that_does_not_import_is_exit_3(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("gfcgi.process.patching.patch", lambda left_out: None)
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.setattr(sys, "argv", sys.argv[:])
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    script = tmp_path / "broken.fcgi"
    script.write_text("1 / 0\n")
    with pytest.raises(SystemExit) as caught:
        main([str(script)])
    assert caught.value.code == 3
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1] == f'  File "{script}", line 1, in <module>'
    assert lines[-2] == "ZeroDivisionError: division by zero"
    assert lines[-1] == f"gfcgi: TARGET: {script}: ZeroDivisionError while it was loaded"


@pytest.mark.parametrize(
    ("arguments", "filled"),
    [
        (["--http"], ["--http=127.0.0.1:8000"]),
        (["--http", "hello.fcgi"], ["--http=127.0.0.1:8000", "hello.fcgi"]),
        (["--http", "shop:app"], ["--http=127.0.0.1:8000", "shop:app"]),
        (["--http", "--debug"], ["--http=127.0.0.1:8000", "--debug"]),
        (["--http", "8001", "x"], ["--http", "8001", "x"]),
        (["--http", "[::1]:0", "x"], ["--http", "[::1]:0", "x"]),
        (["--http", ":8000", "x"], ["--http", ":8000", "x"]),
        (["--http", "0.0.0.0", "x"], ["--http", "0.0.0.0", "x"]),
        (["--http=x:y", "x"], ["--http=x:y", "x"]),
        (["x", "--bind", "fd:0"], ["x", "--bind", "fd:0"]),
    ],
)
def test_http_does_not_take_the_target_for_its_address(arguments, filled):
    assert with_bare_options(arguments) == filled


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["serve", "--help"]])
def test_questions_are_answered_with_exit_0(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 0
    assert capsys.readouterr().out


def test_help_all_says_every_default(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    with pytest.raises(SystemExit):
        main(["--help-all"])
    text = capsys.readouterr().out
    assert "default 2048 [GFCGI_BACKLOG]" in text
    assert "default 30 [GFCGI_PARAMS_TIMEOUT_SECONDS]" in text
    assert "if nothing did; on by default [GFCGI_PATCH]" in text
    assert "sent the request [GFCGI_DEBUG]" in text
    assert "[GFCGI_ALLOW_FROM, FCGI_WEB_SERVER_ADDRS]" in text


def test_the_package_can_be_run(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["gfcgi", "--version"])
    monkeypatch.delitem(sys.modules, "gfcgi.__main__", raising=False)
    with pytest.raises(SystemExit) as caught:
        runpy.run_module("gfcgi", run_name="__main__")
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith("gfcgi ")
    assert runpy.run_module("gfcgi.__main__", run_name="gfcgi.__main__")["main"] is main


def test_options_stay_texts_until_they_are_checked_in_one_place(served):
    assert main(["app", "--socket-mode", "0660", "--allow-from", "::1,10.0.0.0/8"]) == 0
    assert served[-1][0] == Options(
        socket_mode=0o660, allow_from=("::1", "10.0.0.0/8"), bind="127.0.0.1:9000"
    )
