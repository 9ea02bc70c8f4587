"""gfcgi.configurations: what cannot be asked for."""

from __future__ import annotations

import pytest

from gfcgi.configurations import SERVERS, configuration
from gfcgi.errors import ConfigError


@pytest.mark.parametrize(
    ("server", "asked", "message"),
    [
        ("ngnix", {}, "SERVER: 'ngnix': did you mean nginx? there are apache-fcgid, "),
        ("xyz", {}, "SERVER: 'xyz': there are apache-fcgid, "),
        ("nginx", {"spawn": True}, "--spawn: nginx starts no processes; of use to apache-fcgid, "),
        ("nginx", {"url": "app"}, "--url: 'app': write a path"),
        ("nginx", {"bind": "nonsense"}, "--bind: 'nonsense': write unix:PATH"),
        ("nginx", {"bind": "fd:0"}, "--bind: 'fd:0': nginx can use a UNIX socket's path"),
        ("nginx", {"bind": "127.0.0.1:0"}, "--bind: '127.0.0.1:0': write the one address"),
        ("nginx", {"bind": "0.0.0.0:9000"}, "--bind: '0.0.0.0:9000': write the one address"),
        ("h2o", {"bind": "unix:@app"}, "--bind: 'unix:@app': h2o can use a UNIX socket's path"),
        (
            "apache-authnz",
            {"bind": "unix:/run/x"},
            "--bind: 'unix:/run/x': apache-authnz can use TCP",
        ),
        (
            "apache-fcgid",
            {"bind": "127.0.0.1:9"},
            "--bind: '127.0.0.1:9': apache-fcgid makes a socket",
        ),
        (
            "apache-fastcgi",
            {"bind": "[::1]:9"},
            "--bind: '[::1]:9': apache-fastcgi takes a host's name or an IPv4 address",
        ),
        (
            "systemd",
            {"bind": "localhost:9"},
            "--bind: 'localhost:9': systemd takes an IPv4 address (127.0.0.1:9000) or an IPv6",
        ),
        (
            "spawn-fcgi",
            {"bind": "localhost:9"},
            "--bind: 'localhost:9': spawn-fcgi takes an IPv4 address",
        ),
        ("h2o", {"bind": "unix:/a", "spawn": True}, "--bind: 'unix:/a': h2o makes a socket"),
        (
            "lighttpd",
            {"bind": "127.0.0.1:9", "spawn": True},
            "--bind: '127.0.0.1:9': lighttpd can use a UNIX socket's path (unix:/run/app.sock)",
        ),
        ("nginx", {"multiplex": True}, "--multiplex: nginx has no use for it; of use to haproxy"),
        ("h2o", {"keep_conn": False}, "--no-keep-conn: h2o has no use for it; of use to apache-pr"),
        ("nginx", {"processes": 2}, "--processes: 2: nginx has no use for it; of use to apache-f"),
        (
            "lighttpd",
            {"processes": 2},
            "--processes: 2: lighttpd starts processes only with --spawn",
        ),
        ("spawn-fcgi", {"processes": 0}, "--processes: 0: write a number of processes"),
        ("lighttpd", {"authorizer": "authn"}, "--authorizer: 'authn': lighttpd has access"),
        ("haproxy", {"server_name": "a"}, "--server-name: 'a': haproxy has no use for it; of use"),
        ("cgi-fcgi", {"url": "/app"}, "--url: '/app': cgi-fcgi has no use for it; of use to"),
        ("systemd", {"streaming": True}, "--streaming: systemd has no use for it; of use to"),
        ("nginx", {"name": "a b"}, "--name: 'a b': write letters, digits, - and _ only"),
        ("nginx", {"name": ""}, "--name: '': write letters"),
        (
            "caddy",
            {"keep_slashes": True},
            "--keep-slashes: caddy has no use for it; of use to apache-proxy, nginx",
        ),
        ("haproxy", {"static": ["/s=/srv"]}, "--static: '/s=/srv': haproxy has no use for it"),
        ("nginx", {"static": ["/static"]}, "--static: '/static': write URL=DIRECTORY, as in"),
        ("nginx", {"static": ["/static="]}, "--static: '/static=': write URL=DIRECTORY, as in"),
        ("nginx", {"static": ["static=/srv"]}, "--static: 'static=/srv': write a path of letters"),
        ("nginx", {"static": ["/=/srv"]}, "--static: '/=/srv': the application would have no URL"),
        ("nginx", {"static": ["/s=/"]}, "--static: '/s=/': everybody could read every file"),
        ("nginx", {"static": ["/s=../../.."]}, "--static: '/s=../../..': everybody could read"),
        ("nginx", {"static": ["/s=/a b"]}, "--static: '/s=/a b': the directory would have to be q"),
        (
            "caddy",
            {"static": ["/app=/srv/a"], "url": "/app"},
            "--static: '/app=/srv/a': the application itself is at /app",
        ),
        (
            "caddy",
            {"static": ["/app=/srv/a"], "url": "/app/x"},
            "--static: '/app=/srv/a': the application itself is at /app/x",
        ),
        (
            "apache-proxy",
            {"static": ["/s=/srv/a", "/s/=/srv/b"]},
            "--static: '/s/=/srv/b': /s is there twice",
        ),
        (
            "lighttpd",
            {"static": ["/s=/srv/a"], "authorizer": "access"},
            "--static: '/s=/srv/a': an authorizer guards all that is below its URL",
        ),
        (
            "lighttpd",
            {"bind": ["127.0.0.1:1", "127.0.0.1:2"]},
            "--bind: '127.0.0.1:2': lighttpd takes one address; of several use to apache-proxy",
        ),
        (
            "nginx",
            {"bind": ["127.0.0.1:1", "unix:/run/a", "127.0.0.1:1"]},
            "--bind: '127.0.0.1:1': it is there twice",
        ),
        ("nginx", {"bind": ["127.0.0.1:1", "x"]}, "--bind: 'x': write unix:PATH"),
        ("systemd", {"tls": ("c", "k")}, "--tls: 'c k': systemd has no use for it; of use to "),
        ("nginx", {"tls": ("/a b", "k")}, "--tls: '/a b k': '/a b' would have to be quoted"),
        ("nginx", {"listen": "x"}, "--listen: 'x': write PORT or ADDRESS:PORT"),
        ("nginx", {"listen": "0"}, "--listen: '0': write PORT or ADDRESS:PORT"),
        ("nginx", {"listen": "::1:80"}, "--listen: '::1:80': write PORT or ADDRESS:PORT"),
    ],
)
def test_what_cannot_be_is_refused_by_option_and_value(server, asked, message):
    with pytest.raises(ConfigError) as caught:
        configuration(server, "/srv/hello.fcgi", **asked)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("server", [name for name, about in SERVERS.items() if about.needs_script])
@pytest.mark.parametrize("target", ["mysite.wsgi", "/srv/site.py:app"])
def test_server_that_starts_scripts_is_given_one(server, target):
    with pytest.raises(ConfigError, match=f"TARGET: '{target}': {server} starts scripts"):
        configuration(server, target, spawn=True)
