"""A response that is not whole ends as its Web server can show it, if the connection is its own."""

from __future__ import annotations

import gevent.event
import pytest
import webserver_side as wire
from wsgi_side import begin

SERVERS = {
    "nginx": "nginx/1.22.1",
    "HAProxy": "HAProxy 2.6.12",
    "lighttpd": "lighttpd/1.4.69",
    "unknown": "other/1.0",
}


def breaking(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"first"
    raise LookupError("in the middle")


def received(connection):
    """The records up to the end of the connection, as (type, request id, content)."""
    data = b""
    while block := connection.socket.recv(65536):
        data += block
    records, rest = wire.parse_records(data)
    assert rest == b""
    return [(record.type, record.request_id, record.content) for record in records]


@pytest.mark.parametrize("keep_conn", [True, False])
@pytest.mark.parametrize(
    ("server", "last"), [("nginx", wire.ABORT_REQUEST), ("HAProxy", wire.STDOUT)]
)
def test_a_cut_response_has_no_end_request_and_its_connection_ends(
    serving, server, last, keep_conn
):
    with serving(breaking) as site, site.connect() as connection:
        connection.send(
            begin(keep_conn=keep_conn, SERVER_SOFTWARE=SERVERS[server]), wire.stdin(1, b"")
        )
        records = received(connection)
        assert b"".join(content for _, _, content in records[:1]).endswith(b"first")
        assert wire.END_REQUEST not in [kind for kind, _, _ in records]
        assert [kind for kind, _, _ in records if kind != wire.STDERR][-1] == last
        connection.close()
        site.until_idle()


def test_error_output_that_cannot_come_alone_goes_to_the_log(serving, caplog):
    """HAProxy before 2.6.14 crashes on STDERR alone, and there is no more STDOUT."""
    with serving(breaking) as site, site.connect() as connection:
        connection.send(begin(SERVER_SOFTWARE=SERVERS["HAProxy"]), wire.stdin(1, b""))
        assert {kind for kind, _, _ in received(connection)} == {wire.STDOUT}
    (line,) = [line for line in caplog.messages if "error output" in line]
    assert "LookupError: in the middle" in line


def test_error_output_that_may_come_alone_comes_before_the_cut(serving):
    with serving(breaking) as site, site.connect() as connection:
        connection.send(begin(SERVER_SOFTWARE=SERVERS["lighttpd"]), wire.stdin(1, b""))
        records = received(connection)
        stderr = b"".join(content for kind, _, content in records if kind == wire.STDERR)
        assert b"LookupError: in the middle" in stderr


def test_other_web_servers_get_the_end_of_the_request(serving):
    with serving(breaking) as site, site.connect() as connection:
        connection.send(begin(SERVER_SOFTWARE=SERVERS["unknown"]), wire.stdin(1, b""))
        response = connection.response()
        assert (response.body, response.app_status) == (b"first", 1)
        connection.send(begin(SERVER_SOFTWARE=SERVERS["unknown"]), wire.stdin(1, b""))
        assert connection.response().body == b"first"


@pytest.mark.parametrize("server", ["nginx", "lighttpd"])
def test_a_connection_that_others_share_is_not_closed(serving, until, server):
    go_on = gevent.event.Event()

    def application(environ, start_response):
        if environ["PATH_INFO"] == "/breaking":
            return breaking(environ, start_response)
        start_response("200 OK", [])
        go_on.wait()
        return [b"of another"]

    software = SERVERS[server]
    with serving(application) as site, site.connect() as connection:
        connection.send(begin(1, path="/waiting", SERVER_SOFTWARE=software), wire.stdin(1, b""))
        until(lambda: site.server.active_requests == 1)
        connection.send(begin(2, path="/breaking", SERVER_SOFTWARE=software), wire.stdin(2, b""))
        response = connection.response(2)
        assert (response.body, response.app_status) == (b"first", 1)
        go_on.set()
        assert connection.response(1).body == b"of another"


CANT_MPX_CONN = 1


def beside(go_on):
    """An application with responses that break off, and others that wait."""

    def application(environ, start_response):
        if environ["PATH_INFO"] == "/breaking":
            return breaking(environ, start_response)
        start_response("200 OK", [])
        if environ["PATH_INFO"] == "/waiting":
            go_on.wait()
        return [b"of another"]

    return application


def ask(connection, request_id, path, upload=b""):
    """Send a request; with ``upload``, which is the beginning of its body, not the whole of it."""
    values = {"SERVER_SOFTWARE": SERVERS["HAProxy"]}
    connection.send(
        begin(request_id, path=path, **values),
        wire.stdin(request_id, upload, end=not upload),
    )


def read_cut(connection, request_id):
    """Read all that a response has before it breaks off."""
    while not connection.partial(request_id).stdout.endswith(b"first"):
        connection.read_any()


def cut_beside_one_that_waits(site, connection, until, upload=b""):
    """Have request 2 break off while request 1 waits."""
    ask(connection, 1, "/waiting", upload)
    until(lambda: site.server.active_requests == 1)
    ask(connection, 2, "/breaking")
    read_cut(connection, 2)


def test_a_shared_connection_shows_the_cut_when_the_others_are_done(serving, until):
    """HAProxy's client would wait for the rest of the Content-Length, or take it for whole."""
    go_on = gevent.event.Event()
    with serving(beside(go_on)) as site, site.connect() as connection:
        cut_beside_one_that_waits(site, connection, until)
        until(lambda: site.server.active_requests == 1)
        # What still comes is answered, and told to come no more.
        ask(connection, 3, "/at-once")
        response = connection.response(3)
        assert (response.body, response.protocol_status) == (b"of another", CANT_MPX_CONN)
        ask(connection, 4, "/breaking")
        read_cut(connection, 4)
        go_on.set()
        response = connection.response(1)
        assert (response.body, response.protocol_status) == (b"of another", CANT_MPX_CONN)
        connection.wait_closed()
        connection.close()
        site.until_idle()


def test_a_cut_request_that_is_aborted_costs_no_connection(serving, until):
    """Its client has left."""
    go_on = gevent.event.Event()
    with serving(beside(go_on)) as site, site.connect() as connection:
        cut_beside_one_that_waits(site, connection, until)
        connection.send(wire.abort_request(2))
        assert connection.response(2).ended
        go_on.set()
        assert connection.response(1).body == b"of another"
        ask(connection, 2, "/at-once")
        assert connection.response(2).body == b"of another"


def test_a_stop_ends_a_connection_with_a_cut_request_when_the_others_are_done(serving, until):
    go_on = gevent.event.Event()
    with serving(beside(go_on)) as site, site.connect() as connection:
        cut_beside_one_that_waits(site, connection, until)
        site.server.stop()
        go_on.set()
        assert connection.response(1).body == b"of another"
        connection.wait_closed()
        connection.close()
        until(lambda: site.server.connections == 0)


def test_what_is_aborted_beside_a_cut_request_ends_the_connection(serving, until):
    go_on = gevent.event.Event()
    with serving(beside(go_on)) as site, site.connect() as connection:
        cut_beside_one_that_waits(site, connection, until, upload=b"an upload")
        connection.send(wire.abort_request(1))
        assert connection.response(1).ended
        connection.wait_closed()
        connection.close()
        go_on.set()


def test_an_upload_that_still_comes_hinders_no_cut(serving):
    """The Web server sends on before it reads: what it sends is dropped, and it sees the cut."""
    with serving(breaking) as site, site.connect() as connection:
        connection.send(begin(SERVER_SOFTWARE=SERVERS["HAProxy"], CONTENT_LENGTH="2000000"))
        for _ in range(20):
            connection.send(wire.stdin(1, b"b" * 50_000, end=False))
        kinds = [kind for kind, _, _ in received(connection)]
        assert kinds[0] == wire.STDOUT
        assert wire.END_REQUEST not in kinds
        connection.close()
        site.until_idle()


def test_a_stop_waits_for_no_connection_that_was_cut(serving, until):
    with serving(breaking) as site, site.connect() as connection:
        connection.send(begin(SERVER_SOFTWARE=SERVERS["HAProxy"]), wire.stdin(1, b""))
        received(connection)
        site.server.stop()
        until(lambda: site.server.connections == 0)


def test_a_response_that_its_web_server_has_given_up_is_not_cut(serving, until):
    ended = []

    def application(environ, start_response):
        start_response("200 OK", [])
        try:
            yield b"first"
            environ["gfcgi.aborted"].wait()
            raise LookupError("afterwards")
        finally:
            ended.append(True)

    with serving(application) as site, site.connect() as connection:
        connection.send(begin(SERVER_SOFTWARE=SERVERS["HAProxy"]))
        connection.send(wire.stdin(1, b"an upload", end=False))
        connection.read_any()
        connection.send(wire.abort_request(1))
        assert connection.response().ended
        until(lambda: ended)
        connection.send(begin(SERVER_SOFTWARE=SERVERS["HAProxy"]), wire.stdin(1, b""))
        connection.read_any()
        connection.close()
        site.until_idle()
