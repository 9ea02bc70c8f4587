"""The same script, started in every way there is."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = b"<html><body><h2>hello world</h2></body></html>"

# As systemd does it: the variable names the process that the program becomes.
AS_SYSTEMD = (
    "import os, sys\n"
    "count, out = int(sys.argv[1]), sys.argv[2:]\n"
    "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(count), LISTEN_FDNAMES='x')\n"
    "os.execv(sys.executable, [sys.executable, *out])\n"
)

FAMILIES = {
    "unix": lambda directory: (socket.AF_UNIX, f"{directory}/web.sock"),
    "ipv4": lambda directory: (socket.AF_INET, ("127.0.0.1", 0)),
    "ipv6": lambda directory: (socket.AF_INET6, ("::1", 0)),
}


@pytest.fixture(params=FAMILIES)
def listening(request, tmp_path):
    """A socket that a Web server listens on and passes down, in blocking mode."""
    family, address = FAMILIES[request.param](tmp_path)
    with socket.socket(family) as sock:
        sock.bind(address)
        sock.listen()
        yield sock


def address_of(sock):
    name = sock.getsockname()
    return name if isinstance(name, str) else name[:2]


@pytest.mark.parametrize("how", ["script", "command"])
def test_a_listening_socket_on_descriptor_0_is_served(start, ask, hello, listening, how):
    arguments = [hello] if how == "script" else ["-m", "gfcgi", hello]
    process = start(*arguments, stdin=listening)
    response = ask(address_of(listening)).response(1)
    assert (response.status, response.body) == (200, PAGE)
    process.until_logged(r"listening on .* \(descriptor 0\)")
    assert "started with a listening socket on descriptor 0, process" in process.log()
    process.send(signal.SIGTERM)
    assert process.wait() == 0
    if listening.family == socket.AF_UNIX:  # not ours: whoever made it removes it
        assert os.path.exists(listening.getsockname())


def test_it_starts_in_an_empty_environment(start, ask, hello, tmp_path, package_home):
    """mod_fastcgi starts applications without PATH, HOME or LANG."""
    (tmp_path / "bare.py").write_text(f"import sys; sys.path[:0] = {package_home!r}\n")
    script = tmp_path / "bare.fcgi"
    script.write_text("import bare\n" + hello.read_text())
    with socket.create_server(("127.0.0.1", 0)) as listening:
        process = start(script, stdin=listening, env={}, stdout=None)
        response = ask(address_of(listening)).response(1)
    assert response.body == PAGE
    process.send(signal.SIGTERM)
    assert process.wait() == 0


def test_requests_that_wait_for_the_start_are_answered_though_it_is_told_to_stop_meanwhile(
    start, ask, hello, tmp_path
):
    """As at a graceful restart of Apache while mod_fastcgi's script is starting."""
    script = tmp_path / "told.fcgi"
    told = (
        "import os, signal, gfcgi.process.patching as patching\n"
        "def patch(*arguments, before=patching.patch):\n"
        "    os.kill(os.getpid(), signal.SIGUSR1)\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    before(*arguments)\n"
        "patching.patch = patch\n"
    )
    script.write_text(told + hello.read_text())
    with socket.create_server(("127.0.0.1", 0)) as listening:
        waiting = [ask(listening.getsockname()) for _ in range(3)]
        process = start(script, stdin=listening)
    assert [connection.response(1).body for connection in waiting] == [PAGE] * 3
    assert process.wait() == 0
    assert "stopped by SIG" in process.log()


@pytest.fixture
def package_home():
    """Where gfcgi is imported from: a Web server's environment has no PYTHONPATH."""
    import gfcgi

    return [str(Path(gfcgi.__file__).parents[1]), *filter(None, sys.path)]


def test_programs_that_the_application_starts_do_not_get_the_listening_socket(start, ask, tmp_path):
    script = tmp_path / "child.fcgi"
    script.write_text(
        "import subprocess, sys\n"
        'LOOK = \'import os; print([os.readlink(f"/proc/self/fd/{fd}") for fd in'
        ' os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")]'
        ', sorted(set(os.environ) & {"LISTEN_FDS", "LISTEN_PID"}))\'\n'
        "def application(environ, start_response):\n"
        "    start_response('200 OK', [('Content-Type', 'text/plain')])\n"
        "    return [subprocess.run([sys.executable, '-c', LOOK], stdout=subprocess.PIPE).stdout]\n"
        "import gfcgi\n"
        "gfcgi.run(application)\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as listening:
        process = start(script, stdin=listening)
        response = ask(address_of(listening)).response(1)
        assert response.status == 200, process.log()
        assert b"'/dev/null'" in response.body
        assert b"socket:" not in response.body
        assert response.body.rstrip().endswith(b"[]")


@pytest.mark.parametrize("how", ["script", "command"])
def test_sockets_of_systemd_are_served(start, ask, hello, how):
    arguments = [hello] if how == "script" else ["-m", "gfcgi", hello]
    v6 = socket.create_server(("::1", 0), family=socket.AF_INET6)
    with socket.create_server(("127.0.0.1", 0)) as one, v6 as two:
        held = [one.fileno(), two.fileno()]

        def as_3_and_4():
            copies = [os.dup(fd) for fd in held]
            high = [os.dup2(fd, 100 + number) for number, fd in enumerate(copies)]
            for number, fd in enumerate(high):
                os.dup2(fd, 3 + number)

        process = start("-c", AS_SYSTEMD, "2", *arguments, preexec_fn=as_3_and_4, close_fds=False)
        for sock in (one, two):
            assert ask(address_of(sock)).response(1).body == PAGE
        process.until_logged("started with LISTEN_FDS, process")
        process.send(signal.SIGTERM)
        assert process.wait() == 0


def run_as_cgi(*arguments, query=""):
    """Run a script as a Web server runs a CGI program."""
    environ = {
        **os.environ,
        "GATEWAY_INTERFACE": "CGI/1.1",
        "REQUEST_METHOD": "GET",
        "QUERY_STRING": query,
        "SCRIPT_NAME": next(f"/{one.name}" for one in arguments if isinstance(one, Path)),
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
    }
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=60,
    )


def test_a_cgi_request_is_answered_without_importing_gevent(hello):
    hello.write_text(
        hello.read_text()
        + "    import sys\n"
        + "    assert 'gevent' not in sys.modules and 'gfcgi.server' not in sys.modules\n"
    )
    done = run_as_cgi(hello)
    assert done.returncode == 0, done.stderr
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    assert body == PAGE
    assert b"Content-Type: text/html" in head
    assert b"Status: 200 OK" in head


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("--debug", ["--debug"]),
        ("--help", ["--help"]),
        ("--bind%3D127.0.0.1:0", ["--bind=127.0.0.1:0"]),
        ("more+--debug", ["more", "--debug"]),
        ("+--debug", ["", "--debug"]),
        ("a=b", []),
        ("", []),
    ],
)
@pytest.mark.parametrize("options", [[], ["--params-timeout-seconds", "9"]])
def test_the_words_of_a_query_are_no_options_of_a_script_that_gfcgi_runs(
    hello, query, words, options
):
    """Apache passes them to a CGI program, behind the arguments of the #! line."""
    hello.write_text(hello.read_text().replace("    body = ", "    raise ValueError\n    body = "))
    done = run_as_cgi("-m", "gfcgi", *options, hello, *words, query=query)
    assert b"Status: 500" in done.stdout
    assert b"The application failed. Its error log says why." in done.stdout


def test_a_cgi_program_may_have_options_of_its_own_behind_the_script(hello):
    hello.write_text(hello.read_text().replace("    body = ", "    raise ValueError\n    body = "))
    for query, words in (("", []), ("a=b", []), ("a+b", ["a", "b"])):
        done = run_as_cgi("-m", "gfcgi", hello, "--debug", *words, query=query)
        assert b"Traceback" in done.stdout


def test_an_exception_under_cgi_is_on_standard_error_once(tmp_path):
    script = tmp_path / "broken.fcgi"
    script.write_text("import gfcgi\ngfcgi.run(lambda environ, start_response: 1 / 0)\n")
    done = run_as_cgi(script)
    assert b"Status: 500" in done.stdout
    assert done.stderr.count(b"ZeroDivisionError: division by zero") == 1
    assert b"ERROR: GET /broken.fcgi: the application failed" in done.stderr


def test_without_surroundings_three_lines_say_how_to_run_the_script(hello):
    for stdin in (subprocess.DEVNULL, subprocess.PIPE):
        done = subprocess.run(
            [sys.executable, str(hello)],
            stdin=stdin,
            capture_output=True,
            check=False,
            text=True,
            timeout=60,
        )
        assert (done.returncode, done.stdout) == (2, "")
        assert len(done.stderr.splitlines()) == 3
        assert f"{sys.executable} -m gfcgi {hello} --http" in done.stderr
        assert f"{sys.executable} -m gfcgi {hello} --bind unix:" in done.stderr


def test_a_terminal_is_no_surrounding(hello, terminal):
    done = subprocess.run(
        [sys.executable, str(hello)],
        stdin=terminal[1],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 3


def test_bind_in_the_script_is_served_and_its_file_is_gone_afterwards(start, ask, hello, tmp_path):
    hello.write_text(
        hello.read_text().replace(
            "run(application)", "run(application, bind='unix:app.sock', socket_mode='0600')"
        )
        + "    print('after')\n"
    )
    process = start(hello)
    process.until_logged("started with bind=, process")
    path = f"{tmp_path}/app.sock"
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert ask(path).response(1).body == PAGE
    process.send(signal.SIGTERM)
    assert process.wait() == 0
    assert not os.path.exists(path)
    assert process.popen.stdout.read() == b"after\n"


def test_a_web_servers_socket_wins_over_bind(start, ask, hello, tmp_path):
    hello.write_text(
        hello.read_text().replace("run(application)", "run(application, bind='unix:app.sock')")
    )
    with socket.create_server(("127.0.0.1", 0)) as listening:
        process = start(hello, stdin=listening)
        assert ask(address_of(listening)).response(1).body == PAGE
    assert "not listening on unix:app.sock: started with a listening socket" in process.log()
    assert not os.path.exists(f"{tmp_path}/app.sock")


@pytest.mark.parametrize(
    ("call", "line"),
    [
        ("run(application, bind='9000')", "gfcgi: bind=: '9000': write unix:PATH"),
        ("run(application, backlog=0)", "gfcgi: backlog=: 0: it must be a whole number"),
        ("run(application, bound='x')", "gfcgi: bound=: there is no such option"),
        ("run(['x'], bind='127.0.0.1:0')", "gfcgi: gfcgi.run: the application cannot be called"),
        ("run('hello', bind='127.0.0.1:0')", "gfcgi: TARGET: 'hello': there is no module hello"),
        ("run(application, bind='0.0.0.0:0')", "gfcgi: bind=: 0.0.0.0:0: other machines"),
    ],
)
def test_wrong_use_in_a_script_is_one_line_and_exit_2(start, hello, call, line):
    hello.write_text(hello.read_text().replace("run(application)", call))
    process = start(hello)
    assert process.wait() == 2
    assert process.log().startswith(line)
    assert len(process.log().splitlines()) == 1


def test_what_was_imported_before_patching_is_named(start, ask, tmp_path):
    (tmp_path / "shop.py").write_text("import threading\nfrom time import sleep\n")
    script = tmp_path / "late.fcgi"
    early = "import threading, socket\nimport shop\nLOCK = threading.Lock()\n"
    early += "class Mine(socket.socket): pass\n"
    rest = "import gfcgi\ngfcgi.run(lambda e, s: [], bind='unix:late.sock')\n"
    script.write_text(early + rest)
    process = start(script)
    process.until_logged("listening on")
    (line,) = [line for line in process.log().splitlines() if "made cooperative" in line]
    assert "shop" not in line  # its reference to time.sleep is put right
    assert "__main__ (Mine, a subclass of socket.socket, a threading.Lock)" in line
    script.write_text("import gfcgi.patched\n" + early + rest.replace("late.sock", "early.sock"))
    process = start(script)
    process.until_logged("listening on")
    assert "made cooperative" not in process.log()


def test_patch_false_leaves_the_standard_library_alone(start, ask, tmp_path):
    script = tmp_path / "plain.fcgi"
    script.write_text(
        "import socket, threading, time\n"
        "before = socket.socket, time.sleep, threading.Lock\n"
        "def application(environ, start_response):\n"
        "    start_response('200 OK', [('Content-Type', 'text/plain')])\n"
        "    same = before == (socket.socket, time.sleep, threading.Lock)\n"
        "    return [str(same).encode()]\n"
        "import gfcgi\n"
        "gfcgi.run(application, bind='unix:plain.sock', patch=False)\n"
    )
    process = start(script)
    process.until_logged("listening on")
    assert ask(f"{tmp_path}/plain.sock").response(1).body == b"True"
    assert "made cooperative" not in process.log()


def test_wsgi_multiprocess_is_true_where_the_socket_was_inherited(start, ask, tmp_path):
    script = tmp_path / "tell.fcgi"
    script.write_text(
        "def application(environ, start_response):\n"
        "    start_response('200 OK', [('Content-Type', 'text/plain')])\n"
        "    return [str(environ['wsgi.multiprocess']).encode()]\n"
        "import gfcgi\n"
        "gfcgi.run(application, bind='unix:tell.sock')\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as listening:
        start(script, stdin=listening)
        assert ask(address_of(listening)).response(1).body == b"True"
    start(script).until_logged("listening on")
    assert ask(f"{tmp_path}/tell.sock").response(1).body == b"False"


@pytest.mark.parametrize("how", ["script", "command"])
@pytest.mark.parametrize("closed", ["1>&- 2>&-", "0<&- 1>&- 2>&-"])
def test_no_socket_takes_the_place_of_a_standard_descriptor_that_was_closed(
    start, ask, tmp_path, how, closed
):
    """Or what a program prints would go to a Web server (FastCGI 1.0 §2.2 leaves 0 alone open)."""
    script = tmp_path / "look.fcgi"
    script.write_text(
        "import os\n"
        "def application(environ, start_response):\n"
        "    os.system('echo printed; echo complained >&2')\n"
        "    start_response('200 OK', [('Content-Type', 'text/plain')])\n"
        "    return [' '.join(os.readlink(f'/proc/self/fd/{fd}') for fd in range(3)).encode()]\n"
        "if __name__ == '__main__':\n"
        "    import gfcgi\n"
        "    gfcgi.run(application)\n"
    )
    arguments = [script] if how == "script" else ["-m", "gfcgi", script]
    path = f"{tmp_path}/web.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        if closed.startswith("0"):
            settings = {"env": {**os.environ, "GFCGI_BIND": f"unix:{tmp_path}/app.sock"}}
            path = f"{tmp_path}/app.sock"
        else:
            settings = {"stdin": listening}
        closing = "import os, sys; os.execvp('sh', ['sh', '-c', sys.argv[1], *sys.argv[2:]])"
        command = f'exec "$0" "$@" {closed}'
        process = start("-c", closing, command, sys.executable, *arguments, **settings)
        process.until(lambda: os.path.exists(path))
        while True:
            try:
                response = ask(path).response(1)
                break
            except ConnectionRefusedError:  # bound, and does not listen yet
                continue
    assert response.body == b"/dev/null /dev/null /dev/null"
    process.send(signal.SIGTERM)
    assert process.wait() == 0


@pytest.mark.parametrize("how", ["script", "command"])
def test_a_listening_socket_is_served_where_there_is_no_dev_null(start, ask, hello, how):
    """As in the chroot that spawn-fcgi -c makes."""
    arguments = [str(hello)] if how == "script" else ["-m", "gfcgi", str(hello)]
    without = (
        "import os, runpy, sys\n"
        "os.devnull = '/nowhere/null'\n"
        "sys.argv = sys.argv[1:]\n"
        "if sys.argv[0] == '-m':\n"
        "    del sys.argv[0]\n"
        "    runpy.run_module('gfcgi', run_name='__main__', alter_sys=True)\n"
        "else:\n"
        "    runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as listening:
        process = start("-c", without, *arguments, stdin=listening)
        assert ask(address_of(listening)).response(1).body == PAGE
    process.send(signal.SIGTERM)
    assert process.wait() == 0


@pytest.mark.parametrize("how", ["script", "command"])
def test_a_script_behind_a_symbolic_link_finds_the_modules_beside_its_target(
    start, ask, hello, tmp_path, how
):
    for name in ("real", "linked"):
        (tmp_path / name).mkdir()
    (tmp_path / "real" / "beside.py").write_text(hello.read_text())
    script = tmp_path / "real" / "hello.fcgi"
    script.write_text("import beside, gfcgi, sys\n")
    with open(script, "a") as file:
        file.write("assert __file__.endswith('/linked/site.fcgi'), __file__\n")
        file.write(f"assert sys.path[0] == {str(tmp_path / 'real')!r}, sys.path\n")
        file.write("gfcgi.run(beside.application)\n")
    link = tmp_path / "linked" / "site.fcgi"
    link.symlink_to("../real/hello.fcgi")
    arguments = [link] if how == "script" else ["-m", "gfcgi", link]
    with socket.create_server(("127.0.0.1", 0)) as listening:
        process = start(*arguments, stdin=listening)
        assert ask(address_of(listening)).response(1).body == PAGE, process.log()


def test_the_command_answers_a_cgi_request_too(hello):
    done = run_as_cgi("-m", "gfcgi", hello)
    assert done.returncode == 0, done.stderr
    assert done.stdout.partition(b"\r\n\r\n")[2] == PAGE


PRINTING = """\
print("printed at its import")
def application(environ, start_response):
    print("printed for", environ["PATH_INFO"])
    if environ["PATH_INFO"] == "/fail":
        1 / 0
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return [b"ok"]
if __name__ == "__main__":
    import gfcgi
    gfcgi.run(application)
"""


@pytest.mark.parametrize("how", ["script", "command"])
def test_what_is_printed_is_in_the_error_log_with_the_end_of_its_line(start, ask, tmp_path, how):
    """Under mod_fastcgi and mod_fcgid standard output is the error log too, and no terminal."""
    script = tmp_path / "printing.fcgi"
    script.write_text(PRINTING)
    arguments = [script] if how == "script" else ["-m", "gfcgi", script]
    env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        open(tmp_path / "out", "w") as out,
    ):
        start(*arguments, stdin=listening, stdout=out, env=env)
        assert ask(address_of(listening), "/here").response(1).status == 200
    assert (tmp_path / "out").read_text() == "printed at its import\nprinted for /here\n"


@pytest.mark.parametrize("apache", [True, False])
def test_an_exception_is_once_in_an_error_log_that_gets_fcgi_stderr_too(
    start, start_by_apache, ask, tmp_path, apache
):
    """Apache puts both into one file; a Web server that somebody else started does not."""
    script = tmp_path / "failing.fcgi"
    script.write_text(PRINTING)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        begin = start_by_apache if apache else start
        process = begin("-m", "gfcgi", script, stdin=listening)
        response = ask(address_of(listening), "/fail").response(1)
    assert response.status == 500
    assert response.stderr.count(b"ZeroDivisionError: division by zero") == 1
    process.until_logged("ERROR: GET /fail: the application failed")
    assert process.log().count("ZeroDivisionError: division by zero") == (0 if apache else 1)
