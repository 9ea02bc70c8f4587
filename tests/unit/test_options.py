"""gfcgi.options: every option from every source, checked the same way."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields

import pytest

from gfcgi import limits
from gfcgi.errors import ConfigError
from gfcgi.options import (
    GROUPS,
    Options,
    command_line_name,
    info_of,
    reference_table,
    variable_names,
)

# A value of each option as the environment has it, and what it means.
EXAMPLES = {
    "bind": ("unix:/run/a.sock,127.0.0.1:9000", ("unix:/run/a.sock", "127.0.0.1:9000")),
    "backlog": ("7", 7),
    "socket_mode": ("0660", 0o660),
    "socket_owner": ("www-data", "www-data"),
    "socket_group": ("33", "33"),
    "allow_from": ("10.0.0.0/8, ::1", ("10.0.0.0/8", "::1")),
    "http": ("localhost:8001", "localhost:8001"),
    "http_host": ("app.example.com, .test", ("app.example.com", ".test")),
    "debug": ("yes", True),
    "script_name": ("/app/", "/app"),
    "trusted_proxies": ("10.0.0.1,::1", ("10.0.0.1", "::1")),
    "rules": ("host-port=on, slash=off", ("host-port=on", "slash=off")),
    "stderr": ("with-stdout", "with-stdout"),
    "patch": ("OFF", False),
    "threads": ("8", 8),
    "processes": ("4", 4),
    "no_cooperative": ("file-locks", ("file-locks",)),
    "log_level": ("DEBUG", "debug"),
    "max_connections": ("1", 1),
    "max_concurrent_requests": ("2", 2),
    "max_concurrent_requests_per_connection": ("65535", 65535),
    "max_params_bytes": ("3", 3),
    "max_params_pairs": ("4", 4),
    "stdin_buffer_bytes": ("5", 5),
    "multiplexed_buffer_bytes": ("6", 6),
    "max_spool_bytes": ("0", 0),
    "max_drain_bytes": ("0", 0),
    "params_timeout_seconds": ("0.5", 0.5),
    "idle_timeout_seconds": ("1", 1.0),
    "stdin_timeout_seconds": ("1e3", 1000.0),
    "stdout_timeout_seconds": ("2.5", 2.5),
    "queue_timeout_seconds": ("0", 0.0),
    "request_timeout_seconds": ("4", 4.0),
    "graceful_timeout_seconds": ("3", 3.0),
    "block_log_seconds": ("0.5", 0.5),
    "block_kill_seconds": ("0", 0.0),
    "reload": ("on", True),
    "reload_file": ("settings.ini,/etc/app", ("settings.ini", "/etc/app")),
    "max_requests": ("0", 0),
    "max_memory_bytes": ("1000", 1000),
    "status_path": ("/gfcgi-status", "/gfcgi-status"),
    "ping_path": ("/gfcgi-ping", "/gfcgi-ping"),
    "status_allow": ("10.0.0.0/8,::1", ("10.0.0.0/8", "::1")),
    "access_log": ("/var/log/hello.log", "/var/log/hello.log"),
    "access_log_format": ("%(h)s", "%(h)s"),
    "slow_log_seconds": ("2.5", 2.5),
}


def test_every_option_has_an_example_here():
    assert list(EXAMPLES) == [option.name for option in fields(Options)]


@pytest.mark.parametrize(("name", "text", "value"), [(n, *e) for n, e in EXAMPLES.items()])
def test_an_option_is_read_from_each_source_and_names_it(name, text, value):
    for sources, spelt in [
        ({"keywords": {name: value}}, f"{name}="),
        ({"keywords": {name: text}}, f"{name}="),
        ({"command_line": {name: text}}, command_line_name(name)),
        ({"environ": {f"GFCGI_{name.upper()}": text}}, f"GFCGI_{name.upper()}"),
    ]:
        options = Options.from_sources(**sources)
        assert getattr(options, name) == value
        assert type(getattr(options, name)) is type(value)
        assert options.source_of(name) == spelt


def test_a_keyword_wins_over_the_command_line_over_the_environment_over_the_default():
    environ = {"GFCGI_BACKLOG": "3"}
    given = {"backlog": "2"}
    assert Options.from_sources({"backlog": 1}, given, environ).backlog == 1
    assert Options.from_sources({}, given, environ).backlog == 2
    assert Options.from_sources({}, {"backlog": None}, environ).backlog == 3
    assert Options.from_sources().backlog == limits.BACKLOG


def test_an_empty_variable_counts_as_not_set():
    assert Options.from_sources(environ={"GFCGI_BIND": "", "GFCGI_DEBUG": ""}) == Options()


def test_fcgi_web_server_addrs_sets_whom_to_let_in_unless_an_option_does():
    """FastCGI 1.0 §3.2."""
    environ = {"FCGI_WEB_SERVER_ADDRS": "192.0.2.1,192.0.2.2"}
    options = Options.from_sources(environ=environ)
    assert options.allow_from == ("192.0.2.1", "192.0.2.2")
    assert options.source_of("allow_from") == "FCGI_WEB_SERVER_ADDRS"
    environ["GFCGI_ALLOW_FROM"] = "192.0.2.3"
    assert Options.from_sources(environ=environ).allow_from == ("192.0.2.3",)
    assert Options.from_sources({"allow_from": "::1"}, {}, environ).allow_from == ("::1",)


WRONG = [
    ("bind", "9000", "write unix:PATH"),
    ("bind", ("127.0.0.1", 9000), "list of texts"),
    ("bind", 9000, "list of texts"),
    ("rules", "host-prt=on", "no such rule; did you mean host-port"),
    ("rules", "nonsense", "no such rule; the rules are httpoxy, "),
    ("rules", "slash=no", "write NAME=on or NAME=off"),
    ("rules", "slash=", "write NAME=on or NAME=off"),
    ("bind", ["fd:0", "x"], "x: write unix:PATH"),
    ("backlog", "0", "at least 1"),
    ("backlog", "-1", "at least 1"),
    ("backlog", "1.5", "whole number"),
    ("backlog", "١", "whole number"),
    ("backlog", True, "whole number"),
    ("backlog", None, "whole number"),
    ("backlog", 2**31, "at most 2147483647"),
    ("socket_mode", "rw", "octal"),
    ("socket_mode", "0890", "octal"),
    ("socket_mode", 660, "octal"),
    ("socket_mode", "01777", "octal"),
    ("socket_mode", True, "octal"),
    ("socket_owner", True, "name or a number"),
    ("socket_owner", -1, "name or a number"),
    ("allow_from", "example.org", "does not appear to be"),
    ("allow_from", "10.0.0.1/8", "host bits"),
    ("http", "localhost", "HOST:PORT"),
    ("http", 1.5, "HOST:PORT"),
    ("http", ":8000", "which address"),
    ("http_host", "http://a", "without scheme and port"),
    ("http_host", "a:80", "without scheme and port"),
    ("http_host", ".", "without scheme and port"),
    ("http_host", "*.a", "without scheme and port"),
    ("block_log_seconds", "-1", "a number of seconds, or 0"),
    ("block_log_seconds", True, "a number of seconds, or 0"),
    ("access_log", 1, "the path of a file, -, or syslog"),
    ("access_log", "", "the path of a file"),
    ("access_log_format", "%(x)s", "'%\\(x\\)s' is none of its atoms"),
    ("access_log_format", 1, "combined, json, or a format"),
    ("slow_log_seconds", "-1", "a number of seconds, or 0"),
    ("block_kill_seconds", "inf", "a number of seconds, or 0"),
    ("debug", "maybe", "one of 1, true"),
    ("debug", 1, "one of 1, true"),
    ("script_name", "app", "begins with a slash"),
    ("script_name", 1, "begins with a slash"),
    ("status_path", "status", "begins with a slash"),
    ("status_path", "/", "begins with a slash"),
    ("status_path", 1, "begins with a slash"),
    ("ping_path", "/ping?x", "without a query"),
    ("ping_path", "/a%20b", "without a query"),
    ("ping_path", "/a b", "without a query"),
    ("status_allow", "10.0.0.1/8", "has host bits set"),
    ("status_allow", "example.org", "does not appear to be"),
    ("trusted_proxies", "proxy", "does not appear to be"),
    ("log_level", "loud", "one of debug, info"),
    ("log_level", 10, "one of debug, info"),
    ("max_concurrent_requests_per_connection", 65536, "at most 65535"),
    ("max_drain_bytes", "-1", "at least 0"),
    ("idle_timeout_seconds", "soon", "seconds greater than 0"),
    ("idle_timeout_seconds", "nan", "seconds greater than 0"),
    ("idle_timeout_seconds", "inf", "seconds greater than 0"),
    ("idle_timeout_seconds", 0, "seconds greater than 0"),
    ("idle_timeout_seconds", False, "seconds greater than 0"),
    ("idle_timeout_seconds", None, "seconds greater than 0"),
    ("idle_timeout_seconds", 10**400, "seconds greater than 0"),
]


@pytest.mark.parametrize(("name", "value", "reason"), WRONG)
def test_a_wrong_value_is_refused_with_option_value_source_and_reason(name, value, reason):
    with pytest.raises(ConfigError, match=reason) as caught:
        Options.from_sources({name: value})
    assert caught.value.option == name
    assert caught.value.source == f"{name}="
    shown = ",".join(value) if name == "bind" and "x" in str(value) else str(value)
    assert shown in str(caught.value)
    with pytest.raises(ConfigError, match=reason):
        Options(**{name: value})


@pytest.mark.parametrize(
    ("sources", "start"),
    [
        ({"command_line": {"max_params_bytes": "x"}}, "--max-params-bytes: 'x': "),
        ({"command_line": {"bind": ["x"]}}, "--bind: 'x': "),
        ({"environ": {"GFCGI_LOG_LEVEL": "x"}}, "GFCGI_LOG_LEVEL: 'x': "),
        ({"environ": {"FCGI_WEB_SERVER_ADDRS": "x"}}, "FCGI_WEB_SERVER_ADDRS: 'x': "),
    ],
)
def test_the_source_is_named_as_the_person_wrote_it(sources, start):
    with pytest.raises(ConfigError) as caught:
        Options.from_sources(**sources)
    assert str(caught.value).startswith(start)


def test_an_unknown_keyword_is_refused_and_a_likely_one_offered():
    with pytest.raises(ConfigError, match=r"max_conections=: .* did you mean max_connections=\?"):
        Options.from_sources({"max_conections": 1})
    with pytest.raises(ConfigError, match=r"^zzz=: there is no such option$"):
        Options.from_sources({"zzz": 1})


def test_http_is_on_with_true_and_off_with_false():
    assert Options(http=True).http == "127.0.0.1:8000"
    assert Options(http=False).http is None
    assert Options(http=8080).http == "127.0.0.1:8080"
    assert Options(http="[::1]:0").http == "[::1]:0"


def test_texts_of_a_list_are_taken_apart_at_commas_and_stripped():
    assert Options(bind=["fd:0 , fd:3", "unix:/with space"]).bind == (
        "fd:0",
        "fd:3",
        "unix:/with space",
    )


def test_options_are_not_changed_after_they_were_checked():
    with pytest.raises(FrozenInstanceError):
        Options().backlog = 0


def test_options_that_were_made_directly_name_the_keyword():
    assert Options(backlog=1).source_of("backlog") == "backlog="


def test_the_defaults_are_the_limits_and_pass_their_own_checks():
    for option in fields(Options):
        limit = getattr(limits, option.name.upper(), option.default)
        assert option.default == limit
        assert info_of(option).parse(option.default) == option.default


def test_the_reference_table_has_every_name_of_every_option_once():
    table = reference_table()
    for option in fields(Options):
        for variable in variable_names(option):
            assert table.count(f"`{variable}`") == 1
        assert table.count(f"`{option.name}=`") == 1
        assert info_of(option).group in GROUPS
    assert "`--no-patch`" in table
    assert "`--http [HOST:PORT]`" in table
    assert "| `1048576` | bytes |" in table
    assert "| `0.5`" not in table
    assert "| `30` | seconds |" in table
