"""gfcgi.targets: which application a TARGET means, for every command alike."""

from __future__ import annotations

import pytest

from gfcgi.configurations import configuration
from gfcgi.errors import ConfigError
from gfcgi.process.loading import load
from gfcgi.targets import Target, parse_target


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("mysite", Target(module="mysite")),
        ("mysite.wsgi", Target(module="mysite.wsgi")),
        ("mysite.wsgi:make.app", Target(module="mysite.wsgi", attribute="make.app")),
        ("my-site:app", Target(module="my-site", attribute="app")),
        ("2fast", Target(module="2fast")),
        ("é.app", Target(module="é.app")),
        ("hello.fcgi", Target(path="hello.fcgi")),
        ("site.py:app", Target(path="site.py", attribute="app")),
        ("./started", Target(path="./started")),
        ("/srv/a b/app.py", Target(path="/srv/a b/app.py")),
        ("mysite:create_app()", Target(module="mysite", attribute="create_app", factory=True)),
        ("./x:a.make()", Target(path="./x", attribute="a.make", factory=True)),
    ],
)
def test_a_target_is_a_module_or_a_file_and_perhaps_a_callable(text, target):
    assert parse_target(text) == target
    assert str(target) == text


NONSENSE = [
    "",
    ":",
    "a:",
    ":app",
    "a..b",
    "a.",
    ".a",
    "a:b-c",
    "a:1",
    "a:b:c",
    "a b",
    "a:b.",
    "a\n",
    "a:b(1)",
    "a:()",
    "a()",
    "a:b()()",
]


@pytest.mark.parametrize("text", NONSENSE)
def test_every_command_refuses_the_same_with_the_same_words(text):
    said = set()
    for command in (parse_target, load, lambda text: configuration("nginx", text)):
        with pytest.raises(ConfigError) as caught:
            command(text)
        said.add((str(caught.value), caught.value.option, caught.value.source))
    reason = "write module:callable, module, or the path of a script"
    assert said == {(f"TARGET: {text!r}: {reason}", "target", "TARGET")}


APPLICATION = "def app(environ, start_response): pass\nclass made:\n    app = app\n"


@pytest.mark.parametrize(
    "text", ["gfcgi_t50", "gfcgi-t50", "5gfcgi:app", "gfcgi_t50:made.app", "./gfcgi-t50.fcgi:app"]
)
def test_every_command_accepts_the_same(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    monkeypatch.setattr("sys.argv", [])
    for name in ("gfcgi_t50.py", "gfcgi-t50.py", "5gfcgi.py", "gfcgi-t50.fcgi"):
        (tmp_path / name).write_text(APPLICATION)
    assert load(text).application.__name__ == "app"
    assert text.lstrip("./") in configuration("systemd", text, directory="/srv")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("hello.fcgi", "/here/hello.fcgi"),
        ("../x/./hello.fcgi", "/x/hello.fcgi"),
        ("/srv/hello.fcgi", "/srv/hello.fcgi"),
        ("mysite", ""),
    ],
)
def test_a_relative_path_begins_at_the_directory_that_is_given(text, path):
    assert parse_target(text).located("/here").path == path
