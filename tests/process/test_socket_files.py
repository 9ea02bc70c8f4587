"""Socket files of real processes: whose they are, when they go, and what is never touched."""

from __future__ import annotations

import os
import signal
import socket

import pytest


@pytest.fixture
def path(tmp_path):
    return f"{tmp_path}/app.sock"


@pytest.fixture
def serve(start, hello):
    return lambda *more: start("-m", "gfcgi", hello, "--bind", "unix:app.sock", *more)


def test_a_file_left_by_a_killed_process_is_replaced(serve, ask, path):
    killed = serve()
    killed.until_logged("listening on")
    killed.send(signal.SIGKILL)
    killed.wait()
    assert os.path.exists(path)
    serve().until_logged("listening on")
    assert ask(path).response(1).status == 200


def test_a_live_process_is_named_and_goes_on(serve, ask, path):
    living = serve()
    living.until_logged("listening on")
    refused = serve()
    assert refused.wait() == 2
    (line,) = refused.log().splitlines()
    assert line.startswith(f"gfcgi: --bind: unix:{path}: process {living.pid} of ")
    assert f"(uid {os.getuid()}) listens there already" in line
    assert ask(path).response(1).status == 200


def test_of_two_processes_that_start_together_one_serves_and_one_is_refused(serve, ask, path):
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(path)
    both = [serve(), serve()]
    outcomes = {
        process.until_logged("listening on|listens there already")[0]: process for process in both
    }
    assert outcomes.keys() == {"listening on", "listens there already"}
    assert outcomes["listens there already"].wait() == 2
    assert ask(path).response(1).status == 200
    serving = outcomes["listening on"]
    serving.send(signal.SIGTERM)
    assert serving.wait() == 0
    assert not os.path.exists(path)


def test_a_file_that_is_no_socket_is_never_removed(serve, path):
    with open(path, "w") as precious:
        precious.write("precious")
    refused = serve()
    assert refused.wait() == 2
    line = f"gfcgi: --bind: unix:{path}: this file is no socket, and is left alone\n"
    assert refused.log() == line
    with open(path) as precious:
        assert precious.read() == "precious"


def test_another_process_in_our_place_keeps_its_file_when_we_end(serve, ask, path):
    first = serve()
    first.until_logged("listening on")
    os.unlink(path)
    serve().until_logged("listening on")
    first.send(signal.SIGTERM)
    assert first.wait() == 0
    assert ask(path).response(1).status == 200


def test_a_mode_and_several_addresses(serve, ask, path):
    process = serve("--socket-mode", "0660", "--bind", "127.0.0.1:0", "--bind", "[::1]:0")
    found = process.until_logged(r"listening on 127.0.0.1:(\d+)")
    v6 = process.until_logged(r"listening on \[::1\]:(\d+)")
    assert os.stat(path).st_mode & 0o777 == 0o660
    for address in (path, ("127.0.0.1", int(found[1])), ("::1", int(v6[1]))):
        assert ask(address).response(1).status == 200


def test_an_abstract_socket_is_served(start, ask, hello):
    name = f"@gfcgi-{os.getpid()}"
    start("-m", "gfcgi", hello, "--bind", f"unix:{name}").until_logged(f"listening on unix:{name}")
    assert ask("\0" + name[1:]).response(1).status == 200


def test_fd_n_is_served(start, ask, hello):
    with socket.create_server(("127.0.0.1", 0)) as given:
        fd = given.fileno()
        start("-m", "gfcgi", hello, "--bind", f"fd:{fd}", pass_fds=[fd]).until_logged(
            rf"listening on 127.0.0.1:\d+ \(descriptor {fd}\)"
        )
        assert ask(given.getsockname()).response(1).status == 200
