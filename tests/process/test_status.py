"""``--status-path`` and ``--ping-path``: what they say, and to whom; the rest is not theirs."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections import Counter

import pytest
import webserver_side as wire
from running import wait_until
from webserver_side import TransportConnection, cgi_params, request

STATUS, PING = "/gfcgi-status", "/gfcgi-ping"

APPLICATION = """\
import gfcgi, os, sys, time
def wait_for(name):
    open(name + ".called", "w").close()
    while not os.path.exists(name):
        time.sleep(0.01)  # the line
def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path.startswith("/wait"):
        wait_for(path[1:].encode("latin-1").decode())
    status = path[1:] if path[1:4].isdigit() else "200 OK"
    if path == "/fail":
        raise ValueError("on purpose")
    body = f"application {environ['SCRIPT_NAME']}|{path}".encode("latin-1")
    start_response(status, [("Content-Length", str(len(body)))])
    return [body]
"""
LINE = 1 + APPLICATION[: APPLICATION.index("# the line")].count("\n")


class Site:
    """A process with the application, asked as a Web server asks."""

    def __init__(self, process, address):
        self.process = process
        self.address = address

    def ask(self, path, *, body=b"", role=wire.RESPONDER, keep_conn=False, on=None, **params):
        method = params.pop("REQUEST_METHOD", "GET")
        path, _, query = path.partition("?")
        values = {**cgi_params(method, path, query, body), **params}
        values = {name: value for name, value in values.items() if value is not None}
        connection = on or TransportConnection(self.address)
        try:
            connection.send(request(1, values, body, role=role, keep_conn=keep_conn))
            return connection.response(1)
        finally:
            if on is None:
                connection.close()

    def status(self):
        return json.loads(self.ask(f"{STATUS}?json").body)

    def in_application(self, path, **params):
        """Whether the application, and not a page of ours, has answered."""
        return self.ask(path, **params).body.startswith(b"application ")


@pytest.fixture
def site(start, tmp_path):
    """Start the application with both pages, and options of a test's own."""
    (tmp_path / "app.py").write_text(APPLICATION)

    def site(*options, pages=(f"--status-path={STATUS}", f"--ping-path={PING}"), **settings):
        address = str(tmp_path / "app.sock")
        process = start(
            *["-m", "gfcgi", "app:application", "--bind", f"unix:{address}", *pages, *options],
            **settings,
        )
        process.until_logged("listening on|Listening at")
        return Site(process, address)

    return site


@pytest.fixture
def waiting(tmp_path):
    """Ask for a path that waits until the test ends, in a thread."""
    threads = []

    def waiting(site, name):
        thread = threading.Thread(target=site.ask, args=(f"/{name}",))
        thread.start()
        threads.append((name, thread))

    yield waiting
    for name, _ in threads:
        (tmp_path / name).touch()
    for _, thread in threads:
        thread.join(60)


def called(tmp_path, name):
    wait_until((tmp_path / f"{name}.called").exists, f"{name} to be called")


# -- which path it is


def test_without_the_options_both_paths_are_the_applications(site):
    plain = site(pages=())
    assert plain.in_application(STATUS)
    assert plain.in_application(PING)


@pytest.mark.parametrize(
    "path",
    [
        f"/{STATUS}",
        f"{STATUS}/",
        f"{STATUS}x",
        f"{STATUS}//",
        f"/x{STATUS}",
        f"{STATUS};x",
        f"{STATUS}\0",
        f"{STATUS} ",
        "/%67fcgi-status",
        STATUS.upper(),
        "/gfcgi-status/../gfcgi-status",
        "/gfcgi\u2010status",
        "",
    ],
)
def test_any_other_path_is_the_applications(site, path):
    """A page that a stranger may not see has no second way to it."""
    serving = site()
    assert serving.in_application(path)
    assert serving.in_application(path, REMOTE_ADDR="192.0.2.1")


@pytest.mark.parametrize(
    ("params", "options"),
    [
        ({"SCRIPT_NAME": "/app", "PATH_INFO": STATUS}, ()),
        ({"SCRIPT_NAME": f"/app{STATUS}", "PATH_INFO": None}, ("--script-name", "/app")),
        ({"SCRIPT_NAME": "", "PATH_INFO": f"/app{STATUS}"}, ("--script-name", "/app")),
        (
            {"SCRIPT_NAME": STATUS, "PATH_INFO": None, "SERVER_SOFTWARE": "nginx/1.22.1"},
            (),
        ),
        (
            {
                "SCRIPT_NAME": f"/app{STATUS}",
                "PATH_INFO": None,
                "SCRIPT_FILENAME": f"proxy:fcgi://localhost{STATUS}",
            },
            (),
        ),
    ],
)
def test_path_is_that_below_the_mount_point_as_the_application_sees_it(site, params, options):
    serving = site(*options)
    assert serving.ask("/x", **params).body.startswith(b"gfcgi ")


def test_path_beside_the_mount_point_is_the_applications(site):
    serving = site("--script-name", "/app")
    assert serving.in_application("/x", SCRIPT_NAME=STATUS, PATH_INFO="")
    assert serving.in_application("/x", SCRIPT_NAME="/app", PATH_INFO="", REQUEST_URI=STATUS)


def test_an_authorizer_is_never_answered_for(site):
    """pong would let everybody in."""
    assert site().in_application(PING, role=wire.AUTHORIZER)


def test_both_pages_cannot_have_one_path(start, tmp_path):
    (tmp_path / "app.py").write_text(APPLICATION)
    process = start(
        *["-m", "gfcgi", "app:application", "--bind", f"unix:{tmp_path}/app.sock"],
        *["--status-path", "/x", "--ping-path", "/x"],
    )
    assert process.wait() == 2
    assert process.log().endswith("--ping-path: '/x': the status page has this path\n")


# -- who may see it


@pytest.mark.parametrize(
    ("allowed", "address", "status", "ping"),
    [
        ("", "127.0.0.1", 200, 200),
        ("", "127.8.9.1", 200, 200),
        ("", "::1", 200, 200),
        ("", "::ffff:127.0.0.1", 200, 200),
        ("", "192.0.2.1", 403, 403),
        ("", "unix:", 403, 403),
        ("", "localhost", 403, 403),
        ("", "127.0.0.1, 192.0.2.1", 403, 403),
        ("", "", 403, 200),
        ("", None, 403, 200),
        ("192.0.2.0/24,2001:db8::/32", "192.0.2.77", 200, 200),
        ("192.0.2.0/24,2001:db8::/32", "2001:db8::7", 200, 200),
        ("192.0.2.0/24,2001:db8::/32", "127.0.0.1", 403, 403),
    ],
)
def test_only_those_who_are_allowed_see_it(site, allowed, address, status, ping):
    """Who has no address is a Web server's own health check, and may ping."""
    serving = site(*(["--status-allow", allowed] if allowed else []))
    shown = serving.ask(STATUS, REMOTE_ADDR=address)
    assert shown.status == status
    assert (b"in flight" in shown.body) is (status == 200)
    assert serving.ask(PING, REMOTE_ADDR=address).status == ping


@pytest.mark.parametrize(
    "field", ["HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP", "HTTP_VIA"]
)
def test_a_proxy_that_is_not_trusted_hides_who_asks(site, field):
    """Behind a proxy on this machine everybody has its address."""
    serving = site()
    for page in (STATUS, PING):
        refused = serving.ask(page, **{field: "127.0.0.1"})
        assert refused.status == 403
        assert b"--trusted-proxies" in refused.body


@pytest.mark.parametrize(
    ("forwarded", "status"),
    [
        ("127.0.0.1", 200),  # somebody on this machine asked the proxy
        ("192.0.2.1", 403),
        ("127.0.0.1, 192.0.2.1", 403),  # and said what the proxy was to believe
        ("192.0.2.1, 127.0.0.1", 403),
        ("", 200),
    ],
)
def test_a_proxy_that_is_trusted_says_who_asks(site, forwarded, status):
    serving = site("--trusted-proxies", "127.0.0.1")
    assert serving.ask(STATUS, HTTP_X_FORWARDED_FOR=forwarded).status == status


def test_a_trusted_proxy_that_does_not_say_who_asks_shows_it_to_nobody(site):
    serving = site("--trusted-proxies", "127.0.0.1")
    assert serving.ask(STATUS, HTTP_VIA="1.1 proxy").status == 403


# -- what it says


def test_every_request_is_counted_by_its_status_and_the_pages_apart(site):
    serving = site()
    asked = Counter()
    for path, kind, number in (
        ("/", "2xx", 5),
        ("/304 Not Modified", "3xx", 4),
        ("/404 Not Found", "4xx", 3),
        ("/fail", "5xx", 2),
    ):
        for _ in range(number):
            serving.ask(path)
            asked[kind] += 1
    for _ in range(3):
        serving.ask(PING)
    found = serving.status()
    assert {kind: count for kind, count in found["all"]["by_status"].items() if count} == asked
    assert found["all"]["requests"] == 14
    assert found["all"]["own_pages"] == 4
    assert found["all"]["running"] == 0
    assert found["pid"] == serving.process.pid
    assert 0 < found["all"]["per_second"]["60"] < 14 * 1000
    assert found["connections"]["most"] == 10_000
    assert found["all"]["memory_bytes"] > 1_000_000


def test_request_that_nobody_waits_for_any_more_has_no_answer(site, tmp_path):
    serving = site()
    with TransportConnection(serving.address) as connection:
        connection.send(request(1, cgi_params(path="/wait")))
        called(tmp_path, "wait")
    (tmp_path / "wait").touch()
    wait_until(lambda: serving.status()["all"]["by_status"]["none"] == 1, "it to be counted")
    assert serving.status()["all"]["requests"] == 1


@pytest.mark.parametrize("options", [(), ("--threads", "3")], ids=["greenlets", "threads"])
def test_requests_in_flight_have_their_age_and_the_line_where_they_stand(
    site, waiting, tmp_path, options
):
    serving = site(*options)
    waiting(serving, "wait-é")
    called(tmp_path, "wait-é")
    waiting(serving, "wait-2")
    called(tmp_path, "wait-2")
    found = serving.status()
    assert [one["path"] for one in found["in_flight"]] == ["/wait-é", "/wait-2"]
    assert found["in_flight"][0]["seconds"] >= found["in_flight"][1]["seconds"] > 0
    assert found["all"]["running"] == 2
    assert {one["method"] for one in found["in_flight"]} == {"GET"}
    # Now and then a thread is looked at while it looks for the file.
    wait_until(
        lambda: all(
            f"{tmp_path}/app.py, line {LINE}" in one["place"]
            for one in serving.status()["in_flight"]
        ),
        "both to stand in the line where they wait",
    )


def test_page_is_there_when_all_threads_are_busy_and_says_who_waits_in_line(
    site, waiting, tmp_path
):
    serving = site("--threads", "1")
    waiting(serving, "wait-1")
    called(tmp_path, "wait-1")
    waiting(serving, "wait-2")
    wait_until(lambda: serving.status()["all"]["waiting"] == 1, "the second to wait in line")
    assert [one["place"] for one in serving.status()["in_flight"]][1] == "waits in line"
    assert serving.ask(PING).body == b"pong\n"


def test_page_is_there_when_no_more_requests_are_taken(site, waiting, tmp_path):
    serving = site("--max-concurrent-requests", "1", "--queue-timeout-seconds", "60")
    waiting(serving, "wait-1")
    called(tmp_path, "wait-1")
    assert serving.status()["all"]["running"] == 1
    assert serving.ask(PING).status == 200
    waiting(serving, "wait-2")
    wait_until(lambda: serving.status()["all"]["waiting"] == 1, "the second to wait in line")
    assert [one["place"] for one in serving.status()["in_flight"]][1] == "waits in line"
    assert serving.ask(PING).status == 200


def test_page_comes_beside_other_requests_of_its_connection(site, tmp_path):
    serving = site()
    with TransportConnection(serving.address) as connection:
        connection.send(request(1, cgi_params(path="/wait"), keep_conn=True))
        called(tmp_path, "wait")
        connection.send(request(2, cgi_params(path=f"{STATUS}"), keep_conn=True))
        assert b"GET /wait" in connection.response(2).body
        connection.send(request(3, cgi_params(path=PING), keep_conn=True))
        assert connection.response(3).body == b"pong\n"
        (tmp_path / "wait").touch()
        assert connection.response(1).body == b"application |/wait"


def test_kept_connection_goes_on_after_a_page_that_was_sent_a_body(site):
    serving = site()
    with TransportConnection(serving.address) as connection:
        refused = serving.ask(
            STATUS, REQUEST_METHOD="POST", body=b"x" * 200_000, on=connection, keep_conn=True
        )
        assert refused.status == 405
        assert serving.ask("/", on=connection, keep_conn=True).body == b"application |/"
        assert serving.ask(PING, on=connection).body == b"pong\n"
        connection.wait_closed()


@pytest.mark.parametrize("page", [STATUS, PING])
def test_head_has_the_length_and_no_body(site, page):
    serving = site()
    head = serving.ask(page, REQUEST_METHOD="HEAD")
    assert (head.status, head.body) == (200, b"")
    assert int(head.header("Content-Length")) >= 5
    assert head.header("Cache-Control") == "no-store"


@pytest.mark.parametrize(
    ("accept", "kind", "begins"),
    [
        ("*/*", "text/plain; charset=utf-8", b"gfcgi "),
        ("application/json", "application/json; charset=utf-8", b"{"),
        ("text/html,*/*;q=0.1", "text/html; charset=utf-8", b"<!DOCTYPE html>"),
    ],
)
def test_form_is_the_one_that_is_asked_for(site, accept, kind, begins):
    shown = site().ask(STATUS, HTTP_ACCEPT=accept)
    assert shown.header("Content-Type") == kind
    assert shown.body.startswith(begins)


WITHOUT_PROMETHEUS = (
    "import sys; sys.modules['prometheus_client'] = None\n"
    "from gfcgi.commands import main; sys.exit(main())"
)


@pytest.fixture
def without_prometheus(start, tmp_path):
    """Start the application where prometheus-client is not installed."""
    (tmp_path / "app.py").write_text(APPLICATION)

    def without_prometheus(*options):
        address = str(tmp_path / "app.sock")
        process = start(
            *["-c", WITHOUT_PROMETHEUS, "app:application", "--bind", f"unix:{address}"],
            *["--status-path", STATUS, *options],
        )
        process.until_logged("listening on|Listening at")
        return Site(process, address)

    return without_prometheus


def test_without_prometheus_client_openmetrics_alone_is_missing(without_prometheus):
    serving = without_prometheus()
    for asked in ({"HTTP_ACCEPT": "application/openmetrics-text"}, {}):
        refused = serving.ask(STATUS if asked else f"{STATUS}?openmetrics", **asked)
        assert refused.status == 501
        assert refused.body == (
            b"prometheus-client writes this form, and is not installed:"
            b" pip install 'gfcgi[metrics]'\n"
        )
    assert serving.ask(f"{STATUS}?text").status == 200
    assert serving.ask(f"{STATUS}?html").status == 200
    assert serving.status()["complete"] is True


def test_openmetrics_is_read_by_its_parser(site):
    parser = pytest.importorskip("prometheus_client.openmetrics.parser")
    serving = site()
    for _ in range(3):
        serving.ask("/")
    shown = serving.ask(f"{STATUS}?openmetrics")
    assert shown.header("Content-Type").startswith("application/openmetrics-text; version=1.0.0")
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in parser.text_string_to_metric_families(shown.body.decode())
        for sample in family.samples
    }
    assert found["gfcgi_requests_total", "2xx"] == 3
    assert found["gfcgi_request_seconds_count",] == 3


# -- the end


def test_ping_says_503_while_the_process_drains(site, waiting, tmp_path):
    serving = site("--graceful-timeout-seconds", "30")
    with TransportConnection(serving.address) as connection:
        connection.send(request(1, cgi_params(path="/wait"), keep_conn=True))
        called(tmp_path, "wait")
        serving.process.send(signal.SIGTERM)
        serving.process.until_refusing(serving.address)
        connection.send(request(2, cgi_params(path=PING), keep_conn=True))
        ping = connection.response(2)
        assert (ping.status, ping.body) == (503, b"draining\n")
        connection.send(request(3, cgi_params(path=STATUS, query="json"), keep_conn=True))
        assert json.loads(connection.response(3).body)["draining"] is True
        (tmp_path / "wait").touch()
        assert connection.response(1).status == 200
    assert serving.process.wait() == 0


# -- several processes


@pytest.fixture
def gunicorn():
    pytest.importorskip("gunicorn")


def pids_asked(serving, pids):
    """Ask until each of so many processes has answered."""
    wait_until(lambda: pids.add(serving.status()["pid"]) or len(pids) == 2, "both processes")


def test_sums_over_several_processes_are_those_of_all_requests(gunicorn, site, tmp_path):
    pytest.importorskip("prometheus_client")
    serving = site("--processes", "2", env={**os.environ, "TMPDIR": str(tmp_path)})
    pids_asked(serving, pids := set())
    for _ in range(50):
        serving.ask("/")
    wait_until(lambda: serving.status()["all"]["requests"] == 50, "the sum")
    found = serving.status()
    assert found["processes"].keys() == {str(pid) for pid in pids}
    assert sum(one["requests"] for one in found["processes"].values()) == 50
    assert found["complete"] is True
    serving.process.send(signal.SIGTERM)
    assert serving.process.wait() == 0
    assert not list(tmp_path.glob("gfcgi-status-*"))


def test_counts_of_a_worker_that_has_ended_stay(gunicorn, site):
    pytest.importorskip("prometheus_client")
    serving = site("--processes", "2")
    pids_asked(serving, before := set())
    for _ in range(20):
        serving.ask("/")
    wait_until(lambda: serving.status()["all"]["requests"] == 20, "the sum")
    serving.process.send(signal.SIGHUP)

    def renewed():
        found = serving.status()
        assert found["all"]["requests"] == 20
        return len(found["processes"]) == 2 and not before & set(map(int, found["processes"]))

    wait_until(renewed, "two other workers")
    assert serving.status()["ended"]["requests"] == 20


def test_without_prometheus_client_each_process_says_that_it_speaks_for_itself(
    gunicorn, without_prometheus
):
    serving = without_prometheus("--processes", "2")
    found = serving.status()
    assert found["complete"] is False
    assert found["note"] == (
        f"This page has the numbers of process {found['pid']} alone, one of several. With"
        " pip install 'gfcgi[metrics]' it has those of all."
    )
