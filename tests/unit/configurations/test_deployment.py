"""gfcgi.configurations.deployment: targets, mount points, and what would have to be quoted."""

from __future__ import annotations

import pytest

from gfcgi.addresses import TCPAddress, UnixAddress, parse_address
from gfcgi.configurations.deployment import (
    Deployment,
    comment,
    host_form,
    kind,
    locate_target,
    parse_url,
)
from gfcgi.errors import ConfigError
from gfcgi.targets import Target


@pytest.mark.parametrize(
    ("text", "target", "name"),
    [
        ("/srv/a/hello.fcgi", Target(path="/srv/a/hello.fcgi"), "hello"),
        ("hello.fcgi", Target(path="/here/hello.fcgi"), "hello"),
        ("../x/./app.v2.fcgi", Target(path="/x/app.v2.fcgi"), "app-v2"),
        ("site.py", Target(path="/here/site.py"), "site"),
        ("site.py:make", Target(path="/here/site.py", attribute="make"), "site"),
        ("a.fcgi:app", Target(path="/here/a.fcgi", attribute="app"), "a"),
        ("bin/started", Target(path="/here/bin/started"), "started"),
        ("mysite.wsgi", Target(module="mysite.wsgi"), "mysite"),
        ("mysite.wsgi:x.y", Target(module="mysite.wsgi", attribute="x.y"), "mysite"),
        ("flask_app", Target(module="flask_app"), "flask_app"),
        ("-x.py", Target(path="/here/-x.py"), "x"),
        ("é.app", Target(module="é.app"), "app"),
    ],
)
def test_target_is_read_as_serve_reads_it(text, target, name):
    found = locate_target(text, "/here")
    assert (found, found.name) == (target, name)


def test_target_is_written_as_serve_reads_it():
    for text in ("/srv/hello.fcgi", "/srv/site.py:make", "mysite.wsgi", "mysite.wsgi:x.y"):
        assert str(locate_target(text, "/here")) == text


@pytest.mark.parametrize(
    "text", ["", ":", "a:", ":app", "a..b", "a:b-c", "a:b:c", "a b", "/srv/a b.fcgi", "/x/$.py"]
)
def test_target_that_names_nothing_or_would_have_to_be_quoted_is_refused(text):
    with pytest.raises(ConfigError) as caught:
        locate_target(text, "/here")
    assert caught.value.source == "TARGET"
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    ("url", "mount"),
    [("/", ""), ("/app", "/app"), ("/app/", "/app"), ("/a/b.c/~d", "/a/b.c/~d"), ("//", "")],
)
def test_url_is_a_mount_point(url, mount):
    assert parse_url(url) == mount


@pytest.mark.parametrize(
    "url",
    ["", "app", "app/", "/a//b", "/a/../b", "/.", "/a b", "/é", "/%61", "/a?b", "/a#b", "/a\n"],
)
def test_url_that_is_no_plain_path_is_refused(url):
    with pytest.raises(ValueError, match="write"):
        parse_url(url)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("unix:/run/a.sock", "unix"),
        ("unix:@a", "abstract"),
        ("127.0.0.1:1", "tcp"),
        ("fd:0", "inherited"),
    ],
)
def test_kind_of_address(address, expected):
    assert kind(parse_address(address)) == expected


@pytest.mark.parametrize(
    ("host", "form"),
    [("127.0.0.1", "IPv4"), ("::1", "IPv6"), ("localhost", "name"), ("1.example.org", "name")],
)
def test_form_of_a_host(host, form):
    assert host_form(host) == form


@pytest.mark.parametrize(
    ("changed", "source"),
    [
        ({"python": "/a b/python"}, "--python"),
        ({"directory": "/a'b"}, "--directory"),
        ({"server_name": "a;b"}, "--server-name"),
        ({"address": UnixAddress("/run/{x}.sock")}, "--bind"),
        ({"address": TCPAddress('a"b', 9000)}, "--bind"),
        ({"listen": TCPAddress("a;b", 80)}, "--listen"),
    ],
)
def test_what_would_have_to_be_quoted_is_refused_by_its_option(changed, source):
    values = {"target": Target(module="app"), "address": UnixAddress("/run/a.sock"), **changed}
    with pytest.raises(ConfigError) as caught:
        Deployment(**values)
    assert caught.value.source == source


def deployment(target="/srv/hello.fcgi", **values):
    values.setdefault("address", UnixAddress("/run/hello/hello.sock"))
    return Deployment(target=locate_target(target, "/here"), directory="/here", **values)


def test_gfcgi_is_the_program_for_a_script_as_for_a_module():
    assert deployment().program() == "python3 -m gfcgi /srv/hello.fcgi"
    assert deployment("a.py", python="/v/python").program() == "/v/python -m gfcgi /here/a.py"
    assert deployment("a:b").program() == "python3 -m gfcgi a:b"
    assert deployment("a.fcgi:b").program() == "python3 -m gfcgi /here/a.fcgi:b"


def test_environment_has_the_directory_of_modules_and_the_mount_where_it_is_to_be_told():
    script = {"GFCGI_RELOAD": "1"}
    told = {"GFCGI_SCRIPT_NAME": "/app"}
    assert deployment(mount="/app").environment() == script
    assert deployment(mount="/app").environment(tell_mount=True) == script | told
    assert deployment().environment(tell_mount=True) == script
    assert deployment("a").environment() == {"PYTHONPATH": "/here"}


def test_process_that_runs_on_its_own_makes_its_socket_where_the_web_server_may_connect():
    lines = deployment().how_to_start("caddy")
    assert lines[1:] == [
        "  sudo install -d -o caddy -g caddy /run/hello",
        "  sudo -u caddy python3 -m gfcgi /srv/hello.fcgi --bind unix:/run/hello/hello.sock",
    ]


@pytest.mark.parametrize("directory", ["/run", "/tmp", ""])
def test_directories_of_the_system_keep_their_owner(directory):
    lines = deployment(address=UnixAddress(f"{directory}/a.sock")).how_to_start("caddy")
    assert not any("install" in line for line in lines)


@pytest.mark.parametrize(
    ("user", "values", "changes"),
    [
        ("www-data", {}, ""),
        ("www-data", {"address": TCPAddress("::1", 9000)}, ", with `--bind [::1]:9000`"),
        ("caddy", {"mount": "/app"}, ", with `SocketUser=caddy`"),
        ("caddy", {"address": UnixAddress("@a")}, ", with `--bind unix:@a`"),
    ],
)
def test_comment_says_what_makes_the_units_of_systemd_fit(user, values, changes):
    first = deployment(**values).how_to_start(user)[0]
    assert first == (
        f"The application's process (`gfcgi config systemd` makes it start at boot{changes}):"
    )


def test_comment_has_the_units_of_systemd_told_the_mount_point_where_the_process_is():
    first = deployment(mount="/app").how_to_start("h2o", tell_mount=True)[0]
    assert first.endswith(" at boot, with `--url /app` and `SocketUser=h2o`):")


def test_process_of_a_module_is_started_where_the_module_is():
    assert deployment("a", address=UnixAddress("@a")).how_to_start("x")[1:] == [
        "  cd /here",
        "  sudo -u x python3 -m gfcgi a --bind unix:@a",
    ]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_process_on_this_machine_lets_the_web_server_in_by_itself(host):
    start = deployment(address=TCPAddress(host, 9000)).how_to_start("x")[-1]
    assert start.endswith(f"--bind {TCPAddress(host, 9000)}")


@pytest.mark.parametrize("host", ["10.0.0.7", "app.example.org"])
def test_process_on_another_machine_is_told_whom_to_let_in(host):
    start = deployment(address=TCPAddress(host, 9000)).how_to_start("x")[-1]
    assert f"--bind {host}:9000 --allow-from" in start


def test_process_is_told_its_mount_point_only_where_the_web_server_does_not():
    assert "--script-name" not in deployment(mount="/app").how_to_start("x")[-1]
    start = deployment(mount="/app").how_to_start("x", tell_mount=True)[-1]
    assert start.endswith("--script-name /app")


def test_comment_has_no_trailing_space():
    assert comment("a", "", " b ") == "# a\n#\n#  b\n"
