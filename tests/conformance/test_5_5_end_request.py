"""§5.5 END_REQUEST: statuses, and a page in STDOUT with every refusal."""

from __future__ import annotations

import webserver_side as wire
from running import RunningServer, wait_until
from webserver_side import TransportConnection


def waiting(key: str) -> dict[str, str]:
    return wire.cgi_params(path="/wait", query=f"key={key}")


def test_a_request_that_went_well_ends_with_zeros(connection: TransportConnection):
    connection.send(wire.request(1, wire.cgi_params()))
    response = connection.response(1)
    assert (response.app_status, response.protocol_status) == (0, wire.REQUEST_COMPLETE)


def test_a_request_whose_application_failed_says_so_in_its_app_status(
    connection: TransportConnection,
):
    connection.send(wire.request(1, wire.cgi_params(path="/fail"), keep_conn=True))
    response = connection.response(1)
    assert response.status == 500
    assert response.app_status != 0
    assert response.protocol_status == wire.REQUEST_COMPLETE
    assert b"ValueError: on purpose" in response.stderr
    assert b"Traceback" not in response.body
    connection.send(wire.request(1, wire.cgi_params()))
    assert connection.response(1).status == 200


def test_a_second_request_where_multiplexing_is_off_gets_cant_mpx_conn_and_a_page():
    with (
        RunningServer(max_concurrent_requests_per_connection=1) as server,
        server.connect() as connection,
    ):
        connection.send(wire.request(1, waiting("mpx"), keep_conn=True))
        server.wait_noted("mpx", "waiting")
        for _ in range(2):
            connection.send(wire.request(2, wire.cgi_params(), keep_conn=True))
            response = connection.response(2)
            assert response.protocol_status == wire.CANT_MPX_CONN
            assert response.status == 503
            assert response.body
            assert response.stdout_ended
        server.release("mpx")
        assert connection.response(1).body == b"waited mpx"
        connection.send(wire.request(2, wire.cgi_params(), keep_conn=True))
        assert connection.response(2).status == 200


def test_too_many_requests_on_a_connection_get_overloaded_and_a_page():
    with (
        RunningServer(max_concurrent_requests_per_connection=3) as server,
        server.connect() as connection,
    ):
        for request_id in (1, 2, 3):
            connection.send(wire.request(request_id, waiting("many"), keep_conn=True))
        connection.send(wire.request(4, wire.cgi_params(), keep_conn=True))
        response = connection.response(4)
        assert response.protocol_status == wire.OVERLOADED
        assert response.status == 503
        assert response.body
        server.release("many")
        for request_id in (1, 2, 3):
            assert connection.response(request_id).body == b"waited many"


def test_too_many_requests_in_all_get_overloaded_and_a_page():
    with RunningServer(max_concurrent_requests=2, queue_timeout_seconds=0) as server:
        with server.connect() as first, server.connect() as second:
            for connection in (first, second):
                connection.send(wire.request(1, waiting("all"), keep_conn=True))
            wait_until(lambda: server.state()["active_requests"] == 2, "two requests")
            response = server.get()
            assert response.protocol_status == wire.OVERLOADED
            assert response.status == 503
            assert response.body
            server.release("all")
            for connection in (first, second):
                assert connection.response(1).body == b"waited all"
        assert server.get().status == 200
