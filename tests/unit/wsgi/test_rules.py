"""The table of corrections, against the bytes of the Web servers that made each necessary."""

from __future__ import annotations

import logging

import pytest
from replay import Capture, captures

from gfcgi.protocol import NEED_DATA, ApplicationConnection, BeginRequest
from gfcgi.wsgi.rules import RULES, BadRequest, Rules
from gfcgi.wsgi.webservers import ERROR_LINE_CHARACTERS, recognise

CAPTURES = captures()
WITH_PATHS = [capture for capture in CAPTURES if "script_name" in capture.facts]

PROVED_BY = {
    "httpoxy": "caddy-env/get_proxyhdr.bin",
    "http-content-length": "caddy-env/post_form.bin",
    "http-content-type": "caddy-env/post_form.bin",
    "proxied-path": "apache-proxypass/get_nested.bin",
    "nginx-path": "nginx-nosplit/abort_before.bin",
    "rewritten-path": "fcgid-rewrite/get_nested.bin",
    "slash": "lighttpd-rootnofix/get_mount_slash.bin",
    "no-script-name": "haproxy-wsgi/get_mount_slash.1.bin",
    "no-path-info": "apache-files/get_mount.bin",
    "content-length": "caddy-split/post_chunked.bin",
    "content-type": "nginx-split/get_query.bin",
    "host-port": "nginx-keepalive/abort_before.bin",
    "server-name": "lighttpd-ext/get_http10.bin",
}
"""Rule: a capture that it must apply to."""

WITHOUT_CAPTURE = {
    "mount": (
        {"SCRIPT_NAME": "", "PATH_INFO": "/app/x"},
        {"SCRIPT_NAME": "/app", "PATH_INFO": "/x"},
    ),
    "encoded-path-info": (
        {
            "SCRIPT_NAME": "/app/x y",
            "PATH_INFO": "/x%20y",
            "SCRIPT_FILENAME": "proxy:fcgi://localhost:9000/x%20y",
        },
        {"SCRIPT_NAME": "/app", "PATH_INFO": "/x y"},
    ),
    "redirected-authorization": (
        {"REDIRECT_HTTP_AUTHORIZATION": "Basic eA=="},
        {"HTTP_AUTHORIZATION": "Basic eA=="},
    ),
    "forwarded": (
        {"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "203.0.113.9"},
        {"REMOTE_ADDR": "203.0.113.9"},
    ),
    "server-port": ({"SERVER_PORT": "", "HTTPS": "on"}, {"SERVER_PORT": "443"}),
    "request-method": ({}, {"REQUEST_METHOD": "GET"}),
    "query-string": ({}, {"QUERY_STRING": ""}),
    "server-protocol": ({}, {"SERVER_PROTOCOL": "HTTP/1.0"}),
}
"""Rule: params as an operator's setting or an odd Web server makes them, and what must change."""


def requests(capture: Capture) -> list[BeginRequest]:
    core = ApplicationConnection()
    core.receive_data(capture.content)
    begun = []
    while (event := core.next_event()) is not NEED_DATA:
        if isinstance(event, BeginRequest):
            begun.append(event)
            core.send_end(event.request_id)
    return begun


def capture_named(name: str) -> Capture:
    return next(capture for capture in CAPTURES if capture.name == name)


def test_every_rule_is_proved():
    assert {rule.name for rule in RULES} == PROVED_BY.keys() | WITHOUT_CAPTURE.keys()


@pytest.mark.parametrize("rule", PROVED_BY)
def test_a_rule_applies_to_the_bytes_that_made_it_necessary(rule, caplog):
    begin = requests(capture_named(PROVED_BY[rule]))[0]
    before = dict(begin.params)
    with caplog.at_level(logging.INFO, "gfcgi.wsgi"):
        original = Rules().apply(begin.params, begin.repeated)
    assert f"rule {rule}:" in caplog.text
    changed = {name for name in before | begin.params if before.get(name) != begin.params.get(name)}
    assert changed == original.keys()
    assert {name: before.get(name) for name in changed} == original


@pytest.mark.parametrize("rule", WITHOUT_CAPTURE)
def test_a_rule_applies_to_params_made_by_hand(rule, caplog):
    params, expected = WITHOUT_CAPTURE[rule]
    params = dict(params)
    with caplog.at_level(logging.INFO, "gfcgi.wsgi"):
        Rules("/app", ["127.0.0.0/8"]).apply(params, ())
    assert f"rule {rule}:" in caplog.text
    assert expected.items() <= params.items()


@pytest.mark.parametrize("capture", WITH_PATHS, ids=lambda capture: capture.name)
def test_recorded_requests_have_the_path_that_wsgi_wants(capture):
    facts = capture.facts
    for begin in requests(capture):
        Rules(facts.get("script_name_option")).apply(begin.params, begin.repeated)
        path = begin.params["SCRIPT_NAME"], begin.params["PATH_INFO"]
        assert path == (facts["script_name"], facts["path_info"])


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda capture: capture.name)
def test_every_recorded_request_ends_with_what_pep_3333_asks_for(capture):
    for begin in requests(capture):
        Rules(capture.facts.get("script_name_option")).apply(begin.params, begin.repeated)
        params = begin.params
        assert params["SERVER_NAME"] and params["SERVER_PORT"]  # noqa: PT018
        assert ":" not in params["SERVER_NAME"]
        assert not params["SCRIPT_NAME"].endswith("/")
        assert "HTTP_PROXY" not in params
        assert {"PATH_INFO", "QUERY_STRING", "SERVER_PROTOCOL"} <= params.keys()


def test_a_mount_point_is_told_in_any_script():
    params = {"SCRIPT_NAME": "", "PATH_INFO": "/café/x".encode().decode("latin-1")}
    Rules("/café").apply(params, ())
    assert params["SCRIPT_NAME"].encode("latin-1").decode() == "/café"
    assert params["PATH_INFO"] == "/x"


def test_rules_applied_twice_change_nothing_more():
    for capture in WITH_PATHS:
        for begin in requests(capture):
            mount = capture.facts.get("script_name_option")
            Rules(mount).apply(begin.params, begin.repeated)
            if begin.params.get("PATH_INFO") == "":
                continue  # nginx's rule needs PATH_INFO to be absent, and it is there now
            assert Rules(mount).apply(begin.params, ()) == {}


def test_a_rule_is_logged_once(caplog):
    rules = Rules()
    with caplog.at_level(logging.INFO, "gfcgi.wsgi"):
        for _ in range(3):
            rules.apply({"HTTP_PROXY": "x"}, ())
    assert caplog.text.count("rule httpoxy") == 1


@pytest.mark.parametrize(
    ("name", "first", "second", "expected"),
    [
        ("HTTP_COOKIE", "a=1", "b=2", "a=1; b=2"),
        ("HTTP_X_DUP", "one", "two", "one, two"),
        ("REMOTE_USER", "from-header", "set-by-hand", "set-by-hand"),
        ("CONTENT_LENGTH", "5", "5", "5"),
    ],
)
def test_repeated_names_are_put_together(name, first, second, expected):
    params = {name: first}
    Rules().apply(params, ((name, second),))
    assert params[name] == expected


def test_two_different_lengths_are_refused():
    with pytest.raises(BadRequest, match="CONTENT_LENGTH"):
        Rules().apply({"CONTENT_LENGTH": "5"}, (("CONTENT_LENGTH", "6"),))


@pytest.mark.parametrize(
    ("params", "host"),
    [
        ({"HTTP_HOST": "a", "SERVER_PORT": "80"}, "a"),
        ({"HTTP_HOST": "a", "SERVER_PORT": "443", "HTTPS": "on"}, "a"),
        ({"HTTP_HOST": "a", "SERVER_PORT": "443"}, "a:443"),
        ({"HTTP_HOST": "a:81", "SERVER_PORT": "8080"}, "a:81"),
        ({"HTTP_HOST": "[::1]", "SERVER_PORT": "8080"}, "[::1]:8080"),
        ({"HTTP_HOST": "[::1]:81", "SERVER_PORT": "8080"}, "[::1]:81"),
        ({"HTTP_HOST": "", "SERVER_PORT": "8080"}, ""),
        ({"HTTP_HOST": "a", "SERVER_PORT": "8080", "HTTP_X_FORWARDED_FOR": "203.0.113.9"}, "a"),
    ],
)
def test_nginx_has_its_port_back(params, host):
    params = {"SERVER_SOFTWARE": "nginx/1.22.1", **params}
    Rules().apply(params, ())
    assert params["HTTP_HOST"] == host


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({"SERVER_NAME": "a"}, "a"),
        ({"SERVER_NAME": "a:8080"}, "a"),
        ({"SERVER_NAME": "[::1]:8080"}, "[::1]"),
        ({"SERVER_NAME": "[::1]"}, "[::1]"),
        ({"SERVER_NAME": "::1"}, "[::1]"),
        ({"SERVER_NAME": "", "HTTP_HOST": "[::1]:8080"}, "[::1]"),
        ({"SERVER_NAME": "", "HTTP_HOST": "a:8080", "SERVER_ADDR": "192.0.2.1"}, "a"),
        ({"SERVER_NAME": "", "HTTP_HOST": "", "SERVER_ADDR": "2001:db8::1"}, "[2001:db8::1]"),
        ({"HTTP_HOST": ":80", "SERVER_ADDR": "2001:db8::1"}, "[2001:db8::1]"),
        ({}, "localhost"),
    ],
)
def test_server_name_is_a_host_alone(params, name):
    Rules().apply(params, ())
    assert params["SERVER_NAME"] == name


def test_the_host_of_other_web_servers_is_what_the_client_sent():
    params = {"SERVER_SOFTWARE": "lighttpd/1.4", "HTTP_HOST": "a", "SERVER_PORT": "8080"}
    Rules().apply(params, ())
    assert params["HTTP_HOST"] == "a"


FORWARDED = {
    "REMOTE_ADDR": "10.0.0.1",
    "REMOTE_PORT": "4711",
    "SERVER_NAME": "inner",
    "SERVER_PORT": "8080",
    "HTTP_HOST": "inner:8080",
    "REQUEST_SCHEME": "http",
}


@pytest.mark.parametrize(
    ("header", "value", "expected"),
    [
        ("FOR", "203.0.113.9, 10.0.0.2", {"REMOTE_ADDR": "203.0.113.9"}),
        ("FOR", "198.51.100.1, 203.0.113.9", {"REMOTE_ADDR": "203.0.113.9"}),
        ("FOR", "not an address", {"REMOTE_ADDR": "not an address"}),
        ("FOR", "203.0.113.9:4711, 10.0.0.2:80", {"REMOTE_ADDR": "203.0.113.9"}),
        ("FOR", "2001:db8::9, 10.0.0.2", {"REMOTE_ADDR": "2001:db8::9"}),
        ("FOR", "[2001:db8::9]:4711, ::ffff:10.0.0.2", {"REMOTE_ADDR": "2001:db8::9"}),
        ("FOR", "[2001:db8::9]", {"REMOTE_ADDR": "2001:db8::9"}),
        ("FOR", "10.0.0.3, 10.0.0.2", {"REMOTE_ADDR": "10.0.0.3"}),
        ("FOR", " , ", {"REMOTE_ADDR": "10.0.0.1"}),
        ("FOR", "[]", {"REMOTE_ADDR": "[]"}),
        ("FOR", ":80", {"REMOTE_ADDR": ":80"}),
        ("PROTO", "https", {"HTTPS": "on", "REQUEST_SCHEME": "https", "SERVER_PORT": "443"}),
        ("PROTO", "gopher", {"REQUEST_SCHEME": "http", "SERVER_PORT": "8080"}),
        ("PROTO", "https, http", {"REQUEST_SCHEME": "http"}),
        ("HOST", "example.com", {"HTTP_HOST": "example.com", "SERVER_NAME": "example.com"}),
        ("HOST", "example.com:81", {"SERVER_NAME": "example.com", "SERVER_PORT": "81"}),
        ("HOST", "example.com:", {"SERVER_NAME": "example.com", "SERVER_PORT": "80"}),
        ("HOST", "[::1]", {"SERVER_NAME": "[::1]", "SERVER_PORT": "80"}),
        ("HOST", "[::1]:81", {"SERVER_NAME": "[::1]", "SERVER_PORT": "81"}),
        ("PORT", "8443", {"SERVER_PORT": "8443", "HTTP_HOST": "inner:8080"}),
        ("PORT", "²", {"SERVER_PORT": "8080"}),
    ],
)
def test_a_trusted_proxy_is_believed_and_no_other(header, value, expected):
    trusted = FORWARDED | {f"HTTP_X_FORWARDED_{header}": value}
    Rules(None, ["10.0.0.0/8"]).apply(trusted, ())
    assert expected.items() <= trusted.items()
    stranger = FORWARDED | {f"HTTP_X_FORWARDED_{header}": value, "REMOTE_ADDR": "192.0.2.1"}
    before = dict(stranger)
    Rules(None, ["10.0.0.0/8"]).apply(stranger, ())
    assert {name: stranger[name] for name in before} == before


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"HTTP_X_FORWARDED_HOST": "a", "HTTPS": "on"}, {"SERVER_PORT": "443"}),
        (
            {"HTTP_X_FORWARDED_PORT": "8443", "HTTP_X_FORWARDED_PROTO": "https", "HTTP_HOST": "a"},
            {"SERVER_PORT": "8443", "HTTP_HOST": "a:8443"},
        ),
        (
            {"HTTP_X_FORWARDED_PORT": "443", "HTTP_X_FORWARDED_PROTO": "https", "HTTP_HOST": "a"},
            {"SERVER_PORT": "443", "HTTP_HOST": "a"},
        ),
        ({"HTTP_X_FORWARDED_PORT": "8443", "HTTP_X_FORWARDED_HOST": "a"}, {"HTTP_HOST": "a:8443"}),
    ],
)
def test_port_and_host_of_a_trusted_proxy_agree(params, expected):
    params = FORWARDED | params
    Rules(None, ["10.0.0.0/8"]).apply(params, ())
    assert expected.items() <= params.items()


def test_a_proxy_is_trusted_in_both_forms_of_its_address():
    params = FORWARDED | {"REMOTE_ADDR": "::ffff:10.0.0.1", "HTTP_X_FORWARDED_FOR": "203.0.113.9"}
    Rules(None, ["10.0.0.0/8"]).apply(params, ())
    assert params["REMOTE_ADDR"] == "203.0.113.9"


def test_an_empty_authorization_is_none():
    params = {"REDIRECT_HTTP_AUTHORIZATION": ""}
    Rules().apply(params, ())
    assert "HTTP_AUTHORIZATION" not in params


def test_an_error_document_keeps_the_path_of_its_script():
    begin = requests(capture_named("fastcgi-rewrite/errordoc404.bin"))[0]
    Rules().apply(begin.params, begin.repeated)
    assert begin.params["SCRIPT_NAME"] == "/ext.fcgi"


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda capture: capture.name)
def test_web_servers_are_recognised(capture):
    known = {
        "nginx": "nginx",
        "lighttpd": "lighttpd",
        "caddy": "Caddy",
        "h2o": "H2O",
        "haproxy": "HAProxy",
        "fcgid": "Apache mod_fcgid",
        "fastcgi": "Apache mod_fastcgi",
        "apache": "Apache",
        "authnz": "Apache",
        "cgi": "",
    }
    expected = known[capture.name.partition("/")[0].partition("-")[0]]
    for begin in requests(capture):
        assert recognise(begin.params).startswith(expected)
        assert bool(recognise(begin.params)) == bool(expected)


@pytest.mark.parametrize(
    ("software", "cut"),
    [
        ("Apache/2.4.71 (Unix) mod_fastcgi/mod_fastcgi-SNAP-0910052141", True),
        ("Apache/2.4.71 (Debian)", True),  # ServerTokens OS
        ("Apache", True),
        ("Apache/2.4.71 (Unix) mod_fcgid/2.3.9", False),
        ("nginx/1.22.1", False),
    ],
)
def test_error_lines_are_kept_short_wherever_it_may_be_mod_fastcgi(software, cut):
    assert (recognise({"SERVER_SOFTWARE": software}) in ERROR_LINE_CHARACTERS) is cut


@pytest.mark.parametrize(
    ("script_name", "path_info", "proxied"),
    [
        ("/x", "/x", "/x"),
        ("/x%41", "/x%41", "/x%2541"),
        ("/%", "/%", "/%25"),
        ("/app", "/a%20b", "/c"),
        ("/app", "/a%20b", "/a%20b"),
    ],
)
def test_a_path_info_that_is_decoded_stays(script_name, path_info, proxied):
    params = {
        "SCRIPT_NAME": script_name,
        "PATH_INFO": path_info,
        "SCRIPT_FILENAME": f"proxy:fcgi://localhost:9000{proxied}",
    }
    Rules().apply(params, ())
    assert (params["SCRIPT_NAME"], params["PATH_INFO"]) == (script_name, path_info)


@pytest.mark.parametrize(
    ("encoded", "decoded"),
    [
        ("/caf%C3%A9", "/caf\xc3\xa9"),
        ("/a%2Fb%20c%00", "/a/b c\0"),
        ("/%e4%E4\xe4", "/\xe4\xe4\xe4"),
        ("/100%/%zz%2/%2%41", "/100%/%zz%2/%2A"),
        ("/%252F", "/%2F"),
    ],
)
def test_a_proxied_path_is_decoded_once_and_by_bytes(encoded, decoded):
    params = {
        "SCRIPT_NAME": f"/app{decoded}",
        "SCRIPT_FILENAME": f"proxy:fcgi://localhost:9000{encoded}",
    }
    Rules().apply(params, ())
    assert (params["SCRIPT_NAME"], params["PATH_INFO"]) == ("/app", decoded)
