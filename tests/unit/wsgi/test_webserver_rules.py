"""The table of corrections, against the bytes of the Web servers that made each necessary."""

from __future__ import annotations

import logging

import pytest
from replay import Capture, captures

from gfcgi.http_fields import SINGLETONS, variable_name
from gfcgi.protocol import NEED_DATA, ApplicationConnection, BeginRequest
from gfcgi.wsgi.webserver_quirks import ERROR_LINE_CHARACTERS, recognise
from gfcgi.wsgi.webserver_rules import RULES, BadRequest, Rules, parse_switch

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
    "http-transfer-encoding": (
        {"HTTP_TRANSFER_ENCODING": "chunked"},
        {"gfcgi.absent": "HTTP_TRANSFER_ENCODING"},
    ),
    "host": ({"HTTP_HOST": ""}, {"gfcgi.absent": "HTTP_HOST"}),
    "rewritten-in-place": (
        {"SCRIPT_NAME": "/hello.fcgi", "PATH_INFO": "/x", "SCRIPT_URL": "/shop/x"},
        {"SCRIPT_NAME": "/shop", "PATH_INFO": "/x"},
    ),
    "included-path": (
        {"SCRIPT_NAME": "/d/a.fcgi/pi", "PATH_INFO": "/pi", "SERVER_PROTOCOL": "INCLUDED"},
        {"SCRIPT_NAME": "/d/a.fcgi", "PATH_INFO": "/pi"},
    ),
    "error-document": (
        {"REQUEST_METHOD": "GET", "REDIRECT_REQUEST_METHOD": "POST", "CONTENT_LENGTH": "3"},
        {"CONTENT_LENGTH": "0"},
    ),
    "server-port": ({"SERVER_PORT": "", "HTTPS": "on"}, {"SERVER_PORT": "443"}),
    "request-method": ({}, {"REQUEST_METHOD": "GET"}),
    "query-string": ({}, {"QUERY_STRING": ""}),
    "server-protocol": ({}, {"SERVER_PROTOCOL": "HTTP/1.0"}),
}
"""Rule: params as an operator's setting or an odd Web server makes them, and what must change."""


SILENT = {"no-script-name", "no-path-info"}
"""Rules that the log does not name: CGI/1.1 lets these variables be absent."""


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
        original = Rules(switches=[rule]).apply(begin.params, begin.repeated)
    assert (f"rule {rule}:" in caplog.text) is (rule not in SILENT)
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
    expected = dict(expected)
    assert expected.pop("gfcgi.absent", None) not in params
    assert expected.items() <= params.items()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_can_be_left_out_and_put_in(rule, caplog):
    """A rule that guesses is off until it is named; every other one is on until it is."""
    if rule.name in PROVED_BY:
        begin = requests(capture_named(PROVED_BY[rule.name]))[0]
        params, repeated = begin.params, begin.repeated
    else:
        params, repeated = WITHOUT_CAPTURE[rule.name][0], ()
    applied = {}
    mount = "/app" if rule.name == "mount" else None
    trusted = ["127.0.0.0/8"] if rule.name == "forwarded" else []
    for switches in ((), (f"{rule.name}=on",), (f"{rule.name}=off",)):
        rules = Rules(mount, trusted, switches)
        caplog.clear()
        with caplog.at_level(logging.INFO, "gfcgi.wsgi"):
            original = rules.apply(dict(params), repeated)
        applied[switches[-1:]] = f"rule {rule.name}:" in caplog.text
        if rule.silent:
            name = {"no-script-name": "SCRIPT_NAME", "no-path-info": "PATH_INFO"}[rule.name]
            applied[switches[-1:]] = original.get(name, "") is None
    assert list(applied.values()) == [not rule.guesses, True, False]


def test_of_two_switches_of_a_rule_the_last_counts():
    params = {"HTTP_HOST": ""}
    Rules(switches=["host", "host=off"]).apply(params, ())
    assert params["HTTP_HOST"] == ""


@pytest.mark.parametrize(
    ("text", "switch"),
    [("slash", ("slash", True)), ("slash=on", ("slash", True)), ("slash=off", ("slash", False))],
)
def test_a_switch_names_a_rule(text, switch):
    assert parse_switch(text) == switch


@pytest.mark.parametrize("text", ["", "=on", "repeated-names=off", "slash=", "slash=yes", "slash "])
def test_a_switch_that_names_no_rule_is_refused(text):
    with pytest.raises(ValueError, match=r"no such rule|NAME=on"):
        parse_switch(text)


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
        ("CONTENT_LENGTH", "", "5", "5"),
        ("HTTP_HOST", "example.com:8080", "example.com", "example.com"),
        ("HTTP_USER_AGENT", "a", "b", "b"),
        ("HTTP_X_FORWARDED_FOR", "203.0.113.9", "10.0.0.1", "203.0.113.9, 10.0.0.1"),
    ],
)
def test_repeated_names_are_put_together(name, first, second, expected):
    params = {name: first}
    Rules().apply(params, ((name, second),))
    assert params[name] == expected


@pytest.mark.parametrize("field", sorted(SINGLETONS))
def test_of_a_field_that_is_no_list_the_last_value_counts(field):
    name = variable_name(field)
    params = {name: "7"}
    if name != "CONTENT_LENGTH":
        Rules().apply(params, ((name, "8"), (name, "9")))
        assert params[name] == "9"


@pytest.mark.parametrize("repeated", [("",), ("11", ""), ("", "")])
def test_an_empty_length_overrides_one(repeated):
    """nginx's auth_request: fastcgi_param CONTENT_LENGTH "" behind the stock file's line."""
    params = {"CONTENT_LENGTH": "11"}
    Rules().apply(params, tuple(("CONTENT_LENGTH", value) for value in repeated))
    assert "CONTENT_LENGTH" not in params


def test_a_length_behind_an_override_is_a_length():
    params = {"CONTENT_LENGTH": "11"}
    Rules().apply(params, (("CONTENT_LENGTH", ""), ("CONTENT_LENGTH", "5")))
    assert params["CONTENT_LENGTH"] == "5"


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
        ({"HTTP_HOST": "", "SERVER_PORT": "8080"}, None),
    ],
)
def test_nginx_has_its_port_back_where_the_operator_says_so(params, host):
    params = {"SERVER_SOFTWARE": "nginx/1.22.1", **params}
    Rules(switches=["host-port=on"]).apply(params, ())
    assert params.get("HTTP_HOST") == host


BEHIND_NGINX = {
    "SERVER_SOFTWARE": "nginx/1.22.1",
    "HTTP_HOST": "example.com",
    "SERVER_PORT": "8080",
    "REMOTE_ADDR": "198.51.100.1",
}


def test_what_the_web_server_says_of_the_host_stands():
    """A container's port may be mapped: docker run -p 80:8080."""
    params = dict(BEHIND_NGINX)
    assert "HTTP_HOST" not in Rules().apply(params, ())
    assert params["HTTP_HOST"] == "example.com"


@pytest.mark.parametrize("field", ["FOR", "PROTO", "HOST", "PORT"])
def test_a_header_of_a_stranger_switches_no_rule_off(field):
    params = BEHIND_NGINX | {f"HTTP_X_FORWARDED_{field}": "https"}
    Rules(switches=["host-port"]).apply(params, ())
    assert params["HTTP_HOST"] == "example.com:8080"


def test_a_trusted_proxy_has_a_port_of_its_own():
    params = BEHIND_NGINX | {"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_PROTO": "https"}
    Rules(None, ["10.0.0.1"], ["host-port"]).apply(params, ())
    assert params["HTTP_HOST"] == "example.com"


@pytest.mark.parametrize(
    ("script_name", "path_info", "url", "expected"),
    [
        # RewriteRule ^(.*)$ hello.fcgi/$1, in the directory of the URL /sub/
        ("/sub/hello.fcgi", "/a/b", "/sub/a/b", ("/sub", "/a/b")),
        # RewriteRule ^$ hello.fcgi: the directory of the script
        ("/sub/hello.fcgi", None, "/sub/", ("/sub", "/")),
        ("/hello.fcgi", None, "/", ("", "/")),
        # RewriteRule ^ hello.fcgi: every URL, and nothing says where the mount point ends
        ("/hello.fcgi", None, "/a/b", ("/hello.fcgi", "")),
        ("/hello.fcgi", None, "/a/b/", ("/hello.fcgi", "")),
        ("/sub/hello.fcgi", "", "/sub/a", ("/sub/hello.fcgi", "")),
        # The path that is left would end with a slash
        ("/hello.fcgi", "/b", "/a//b", ("/hello.fcgi", "/b")),
        # A rule that makes another path
        ("/hello.fcgi", "/articles/1", "/1", ("/hello.fcgi", "/articles/1")),
        ("/hello.fcgi", "x", "/ax", ("/hello.fcgi", "x")),
    ],
)
@pytest.mark.parametrize(
    "how",
    [
        lambda url: {"REDIRECT_URL": url, "REDIRECT_STATUS": "200"},
        lambda url: {"SCRIPT_URL": url},
    ],
    ids=["htaccess", "virtual-host"],
)
def test_a_rewritten_path_is_taken_from_the_url_where_that_is_certain(
    how, script_name, path_info, url, expected
):
    params = {"SCRIPT_NAME": script_name, **how(url)}
    if path_info is not None:
        params["PATH_INFO"] = path_info
    Rules().apply(params, ())
    assert (params["SCRIPT_NAME"], params["PATH_INFO"]) == expected


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"SCRIPT_NAME": "/a.fcgi/pi", "PATH_INFO": "/pi"}, "/a.fcgi"),
        ({"SCRIPT_NAME": "/a.fcgi", "PATH_INFO": "/pi"}, "/a.fcgi"),
        ({"SCRIPT_NAME": "/a.fcgi", "PATH_INFO": ""}, "/a.fcgi"),
        ({"SCRIPT_NAME": "/pi/pi", "PATH_INFO": "/pi"}, "/pi"),
    ],
)
def test_an_included_page_has_its_path_once(params, expected):
    params = {**params, "SERVER_PROTOCOL": "INCLUDED"}
    Rules().apply(params, ())
    assert params["SCRIPT_NAME"] == expected


def test_a_path_that_ends_as_the_script_does_stays_where_nothing_is_included():
    params = {"SCRIPT_NAME": "/pi", "PATH_INFO": "/pi", "SERVER_PROTOCOL": "HTTP/1.1"}
    Rules().apply(params, ())
    assert (params["SCRIPT_NAME"], params["PATH_INFO"]) == ("/pi", "/pi")


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
        ({"SERVER_NAME": "_", "SERVER_ADDR": "192.0.2.1"}, "192.0.2.1"),
        ({"SERVER_NAME": "_", "HTTP_HOST": "", "SERVER_ADDR": "unix:"}, "localhost"),
        ({"SERVER_NAME": "_", "HTTP_HOST": "a:8080"}, "a"),
        ({"SERVER_NAME": "*.example.com", "HTTP_HOST": "b.example.com"}, "b.example.com"),
        ({"SERVER_NAME": r"~^(?<app>.+)\.example$", "HTTP_HOST": "b.example"}, "b.example"),
        ({"SERVER_NAME": "_", "HTTP_HOST": "a/b?c"}, "localhost"),
        ({"SERVER_NAME": "my_app"}, "my_app"),
        ({"SERVER_NAME": "bücher.example"}, "bücher.example"),
        ({"SERVER_NAME": "_" * 10000 + "!"}, "localhost"),
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


@pytest.mark.parametrize("proxy", ["::ffff:10.0.0.1", "::FFFF:10.0.0.1", "::ffff:a00:1"])
@pytest.mark.parametrize("trusted", ["10.0.0.0/8", "::ffff:10.0.0.0/104"])
def test_a_proxy_is_trusted_in_every_form_of_its_address(proxy, trusted):
    params = FORWARDED | {"REMOTE_ADDR": proxy, "HTTP_X_FORWARDED_FOR": "203.0.113.9"}
    Rules(None, [trusted]).apply(params, ())
    assert params["REMOTE_ADDR"] == "203.0.113.9"


def test_a_hop_is_trusted_in_every_form_of_its_address():
    params = FORWARDED | {"HTTP_X_FORWARDED_FOR": "203.0.113.9, [::FFFF:10.0.0.7]:4711"}
    Rules(None, ["10.0.0.1", "10.0.0.7"]).apply(params, ())
    assert params["REMOTE_ADDR"] == "203.0.113.9"


@pytest.mark.parametrize("peer", ["unix:", "", "10.0.0.1:80", "010.0.0.1", "10.0.0.1%eth0"])
def test_what_is_no_address_is_trusted_with_nothing(peer):
    params = FORWARDED | {"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": "203.0.113.9"}
    Rules(None, ["0.0.0.0/0", "::/0"]).apply(params, ())
    assert params["REMOTE_ADDR"] == peer


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
