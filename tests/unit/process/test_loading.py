"""gfcgi.process.loading: the application that a person names."""

from __future__ import annotations

import inspect
import sys
from importlib import import_module

import pytest

from gfcgi.errors import AppImportError, ConfigError
from gfcgi.process.loading import load

APPLICATION = "def application(environ, start_response): return []\n"


@pytest.fixture(autouse=True)
def as_before(monkeypatch, tmp_path):
    """Loading changes the process, as running the script would: this test's changes are undone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.setattr(sys, "argv", sys.argv[:])
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    yield
    for name in [name for name in sys.modules if name.startswith("gfcgi_t")]:
        del sys.modules[name]


@pytest.fixture
def write(tmp_path):
    def write(name, text):
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write


@pytest.mark.parametrize(
    ("target", "named"),
    [
        ("gfcgi_t1", "application"),
        ("gfcgi_t1:other", "other"),
        ("gfcgi_t1:site.handler", "handler"),
        ("gfcgi_t1.py", "application"),
        ("./gfcgi_t1.py:other", "other"),
        ("gfcgi_t2.fcgi", "app"),
    ],
)
def test_every_kind_of_target_is_found(write, target, named):
    functions = (
        "def application(environ, start_response): pass\n"
        "def other(environ, start_response): pass\n"
        "class site:\n    def handler(environ, start_response): pass\n"
    )
    write("gfcgi_t1.py", functions)
    write("gfcgi_t2.fcgi", "def app(environ, start_response): pass\n")
    loaded = load(target)
    assert loaded.application.__name__ == named
    assert loaded.keywords == {}
    assert loaded.name == target.partition(":")[0]


def test_a_package_module_in_the_current_directory_is_found(tmp_path, write):
    (tmp_path / "gfcgi_t3").mkdir()
    write("gfcgi_t3/__init__.py", "")
    write("gfcgi_t3/wsgi.py", APPLICATION)
    sys.path[:] = [path for path in sys.path if path]
    assert load("gfcgi_t3.wsgi").application.__module__ == "gfcgi_t3.wsgi"
    assert sys.path[0] == str(tmp_path)


def test_a_file_finds_its_package_in_the_current_directory(tmp_path, write):
    (tmp_path / "gfcgi_t21").mkdir()
    write("gfcgi_t21/__init__.py", "")
    write("gfcgi_t21/handler.py", APPLICATION)
    write("gfcgi_t21/gfcgi_t22.py", "from gfcgi_t21.handler import application\n")
    sys.path[:] = [path for path in sys.path if path]
    assert load("gfcgi_t21/gfcgi_t22.py").application.__module__ == "gfcgi_t21.handler"
    assert sys.path[:2] == [str(tmp_path / "gfcgi_t21"), str(tmp_path)]


def test_a_script_is_the_main_program(write, tmp_path):
    path = write(
        "gfcgi_t4.fcgi",
        "import sys\n"
        "app = lambda *_: (__name__, __file__, sys.argv, sys.path[0],"
        " sys.modules['__main__'].__file__)\n",
    )
    seen = load("gfcgi_t4.fcgi").application()
    assert seen == ("__main__", path, [path], str(tmp_path), path)


def test_a_py_file_is_a_module_of_its_own_name(write):
    write(
        "gfcgi_t5.py", "import sys\napp = lambda *_: (__name__, sys.modules[__name__].app is app)\n"
    )
    assert load("gfcgi_t5.py").application() == ("gfcgi_t5", True)


def test_a_py_file_has_a_loader_that_tells_its_lines(write):
    """Since Python 3.15 what shows a traceback through a module without one warns."""
    path = write("gfcgi_t5.py", "# encoding: latin-1\nwhat = 'caf\xe9'\n" + APPLICATION)
    loaded = sys.modules[load(f"{path}:application").application.__module__]
    assert loaded.__spec__.loader is loaded.__loader__
    assert repr(loaded) == f"<module 'gfcgi_t5' from {path!r}>"
    assert inspect.getsource(loaded.application) == APPLICATION


def test_a_py_file_does_not_take_the_place_of_a_module_in_use(write):
    json = import_module("json")
    write("json.py", APPLICATION)
    assert load("./json.py").application.__module__ == "json"
    assert sys.modules["json"] is json


def test_a_run_line_hands_over_and_starts_nothing(write):
    write(
        "gfcgi_t6.fcgi",
        "import gfcgi\n"
        "def mine(environ, start_response): pass\n"
        "if __name__ == '__main__':\n"
        "    gfcgi.run(mine, bind='unix:/run/x', debug=True)\n"
        "    after = True\n",
    )
    loaded = load("gfcgi_t6.fcgi")
    assert loaded.application.__name__ == "mine"
    assert loaded.keywords == {"bind": "unix:/run/x", "debug": True}
    assert sys.modules["__main__"].after


def test_a_named_callable_wins_over_the_run_line_whose_options_hold(write):
    write(
        "gfcgi_t7.fcgi",
        "import gfcgi\n"
        "def mine(environ, start_response): pass\n"
        "def other(environ, start_response): pass\n"
        "gfcgi.run(mine, debug=True)\n",
    )
    loaded = load("gfcgi_t7.fcgi:other")
    assert loaded.application.__name__ == "other"
    assert loaded.keywords == {"debug": True}


def test_a_script_may_exit_with_what_run_returns(write):
    write(
        "gfcgi_t8.fcgi",
        "import gfcgi, sys\ndef mine(environ, start_response): pass\nsys.exit(gfcgi.run(mine))\n",
    )
    assert load("gfcgi_t8.fcgi").application.__name__ == "mine"


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("", "write module:callable"),
        (":app", "write module:callable"),
        ("gfcgi_t10:", "write module:callable"),
        ("gfcgi_t10:a..b", "write module:callable"),
        ("..gfcgi_t10", "write module:callable"),
        ("gfcgi_nowhere", "there is no module gfcgi_nowhere"),
        ("gfcgi_nowhere.wsgi:app", "there is no module gfcgi_nowhere"),
        ("json.gfcgi_nowhere", r"there is no module json\.gfcgi_nowhere"),
        ("gfcgi_nowhere.fcgi", "No such file or directory"),
        ("./", "Is a directory"),
        ("gfcgi_t10", "there is no application and no app in it"),
        ("gfcgi_t10.py:site.handler", r"there is no site\.handler in it"),
        ("gfcgi_t10:number", "number cannot be called: it is of type int"),
        ("gfcgi_t11.fcgi", "what it gives to gfcgi.run cannot be called: it is of type NoneType"),
    ],
)
def test_a_target_that_names_nothing_is_misuse_with_the_reason(write, target, reason):
    write("gfcgi_t10.py", "number = 3\nclass site: pass\n")
    write("gfcgi_t11.fcgi", "import gfcgi\ngfcgi.run(None)\n")
    with pytest.raises(ConfigError, match=rf"^TARGET: '{target}': .*{reason}") as caught:
        load(target)
    assert not isinstance(caught.value, AppImportError)
    assert caught.value.option == "target"


def test_a_file_that_was_taken_for_a_module_is_told_from_one(write):
    write("gfcgi_t20.wsgi", "def application(environ, start_response): pass\n")
    with pytest.raises(ConfigError, match=r"for the file, write \./gfcgi_t20\.wsgi$"):
        load("gfcgi_t20.wsgi")
    assert load("./gfcgi_t20.wsgi").application.__name__ == "application"


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("import gfcgi_nowhere", ModuleNotFoundError),
        ("import gfcgi_t12.gfcgi_nowhere", ModuleNotFoundError),
        ("def (", SyntaxError),
        ("1 / 0", ZeroDivisionError),
        ("raise SystemExit(4)", SystemExit),
        ("import gfcgi\ngfcgi.Options(backlog=0)", ConfigError),
        ("raise ModuleNotFoundError('unnamed')", ModuleNotFoundError),
    ],
)
@pytest.mark.parametrize("target", ["gfcgi_t12", "gfcgi_t12.py", "gfcgi_t12.fcgi"])
def test_what_fails_inside_the_application_keeps_its_own_exception(write, target, code, cause):
    write("gfcgi_t12.py", code)
    write("gfcgi_t12.fcgi", code)
    with pytest.raises(AppImportError, match=f"{target}: {cause.__name__} while") as caught:
        load(target)
    assert type(caught.value.__cause__) is cause


def test_an_interrupt_is_not_the_applications_fault(write):
    write("gfcgi_t13.fcgi", "raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        load("gfcgi_t13.fcgi")


FACTORY = """\
def create_app():
    def made(environ, start_response): pass
    return made
class site:
    make = staticmethod(create_app)
def broken(): 1 / 0
def nothing(): pass
"""


@pytest.mark.parametrize(
    "target", ["gfcgi_t30:create_app()", "gfcgi_t30.py:create_app()", "./gfcgi_t30.py:site.make()"]
)
def test_a_factory_is_called_for_the_application(write, target):
    write("gfcgi_t30.py", FACTORY)
    assert load(target).application.__name__ == "made"


def test_a_factory_that_fails_is_the_applications_failure(write):
    write("gfcgi_t31.py", FACTORY)
    with pytest.raises(AppImportError, match="gfcgi_t31: ZeroDivisionError") as caught:
        load("gfcgi_t31:broken()")
    assert type(caught.value.__cause__) is ZeroDivisionError


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("gfcgi_t32:create_app", r"takes no environ: if it makes .*, write create_app\(\)$"),
        ("gfcgi_t32:nothing()", r"nothing\(\) cannot be called: it is of type NoneType"),
        ("gfcgi_t32:asgi", "asgi is an ASGI application, and gfcgi serves WSGI"),
    ],
)
def test_what_is_no_wsgi_application_is_known_before_it_is_called(write, target, reason):
    write("gfcgi_t32.py", FACTORY + "async def asgi(scope, receive, send): pass\n")
    with pytest.raises(ConfigError, match=reason):
        load(target)


@pytest.mark.parametrize("named", ["gfcgi_t33:app", "t33/file.py", "t33/file.py:app"])
def test_a_run_line_may_name_the_application(write, tmp_path, named):
    write("gfcgi_t33.py", "def app(environ, start_response): pass\n")
    (tmp_path / "t33").mkdir()
    write("t33/file.py", "def app(environ, start_response): pass\n")
    write("gfcgi_t33.fcgi", f"import gfcgi\ngfcgi.run({named!r}, debug=True)\n")
    loaded = load("gfcgi_t33.fcgi")
    assert (loaded.application.__name__, loaded.keywords) == ("app", {"debug": True})


def test_a_run_line_may_name_a_file_beside_the_script(write, tmp_path):
    (tmp_path / "t34").mkdir()
    write("t34/beside.py", "import gfcgi\ndef app(environ, start_response): pass\n")
    write("t34/site.fcgi", "import gfcgi\ngfcgi.run('beside.py')\n")
    assert load("t34/site.fcgi").application.__name__ == "app"
