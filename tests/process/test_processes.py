"""Many processes: gunicorn's worker class, and ``--processes``."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import stat
from collections import Counter
from contextlib import ExitStack

import pytest
from running import wait_until

pytest.importorskip("gunicorn")

APPLICATION = """\
import os, sys, threading, time
def application(environ, start_response):
    path = environ['PATH_INFO']
    if path == '/spin':
        while True:
            pass
    if path == '/sleep':
        open('asleep', 'w').close()
        time.sleep(3600)
    if path == '/grow':
        kept.append(b'x' * 100_000_000)
    if path == '/fail':
        raise ValueError('on purpose')
    body = f'{VERSION} {os.getpid()} {threading.current_thread().name}'.encode()
    start_response('200 OK', [('Content-Type', 'text/plain'), ('Content-Length', str(len(body)))])
    return [body]
VERSION = 'one'
kept = []
open(f'loaded-{os.getpid()}', 'w').close()
"""

GUNICORN = "from gunicorn.app.wsgiapp import run; run(prog='gunicorn')"


@pytest.fixture
def site(tmp_path):

    script = tmp_path / "app.py"
    script.write_text(APPLICATION)
    return script


@pytest.fixture
def gunicorn(start, site, tmp_path):
    """Start gunicorn with our worker on a UNIX socket; wait until all its workers serve."""

    def gunicorn(*arguments, workers=2, ready=None, **settings):
        address = str(tmp_path / "app.sock")
        process = start(
            *["-c", GUNICORN, "app:application", "-k", "gfcgi.gunicorn.Worker"],
            *["-b", f"unix:{address}", "-w", str(workers), *arguments],
            **settings,
        )
        process.address = address
        process.until(lambda: "Listening at" in (ready or process.log)())
        return process

    return gunicorn


@pytest.fixture
def processes(start, site, tmp_path):
    """Start ``gfcgi --processes``."""

    def processes(*arguments, target="app:application", number=2, **settings):
        address = str(tmp_path / "app.sock")
        process = start(
            *["-m", "gfcgi", target, "--processes", str(number)],
            *["--bind", f"unix:{address}", *arguments],
            **settings,
        )
        process.address = address
        process.until_logged("Listening at")
        return process

    return processes


def answered(ask, process, path="/"):
    return ask(process.address, path).response().body.decode()


def booted(process):
    """The workers that gunicorn has started so far."""
    return [int(pid) for pid in re.findall(r"Booting worker with pid: (\d+)", process.log())]


def test_gunicorn_serves_fastcgi_with_our_worker_and_leaves_nothing_behind(gunicorn, ask):
    process = gunicorn()
    version, pid, _ = answered(ask, process).split()
    assert version == "one"
    assert int(pid) in booted(process)
    process.send(signal.SIGTERM)
    assert process.wait() == 0
    assert not os.path.exists(process.address)


@pytest.mark.parametrize("asked", [False, True])
def test_gunicorns_control_socket_is_there_where_it_is_asked_for(gunicorn, tmp_path, asked):
    environ = {**os.environ, "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    arguments = ["--control-socket", str(tmp_path / "asked.ctl")] if asked else []
    process = gunicorn("--log-level", "debug", *arguments, env=environ)
    if asked:
        process.until((tmp_path / "asked.ctl").exists)
    else:
        process.until_logged("Control socket disabled")
    assert not list(tmp_path.glob("**/gunicorn.ctl"))


def test_processes_binds_as_ever_and_leaves_nothing_behind(processes, ask, tmp_path):
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(tmp_path / "app.sock"))
    process = processes("--socket-mode", "0606")
    assert stat.S_IMODE(os.stat(process.address).st_mode) == 0o606
    version, pid, _ = answered(ask, process).split()
    assert version == "one"
    assert int(pid) in booted(process)
    process.send(signal.SIGTERM)
    assert process.wait() == 0
    assert not os.path.exists(process.address)


def test_without_gunicorn_one_line_says_what_to_install(start, site):
    process = start(
        "-c",
        "import sys; sys.modules['gunicorn'] = None; sys.argv[1:] = ['app', '--processes', '2']\n"
        "from gfcgi.commands import main; sys.exit(main())",
    )
    assert process.wait() == 2
    assert process.log() == (
        "gfcgi: --processes: gunicorn starts the processes, and is not installed:"
        " pip install 'gfcgi[gunicorn]'\n"
    )


def test_sighup_brings_a_new_version(processes, site, ask):
    process = processes()
    answered(ask, process)
    site.write_text(APPLICATION.replace("'one'", "'version two'"))
    process.send(signal.SIGHUP)
    process.until(lambda: answered(ask, process).startswith("version two"))


def test_a_new_version_that_cannot_be_loaded_leaves_the_old_one_serving(
    processes, site, ask, tmp_path
):
    process = processes()
    process.until(lambda: len(list(tmp_path.glob("loaded-*"))) == 2)
    site.write_text("1 / 0")
    process.send(signal.SIGHUP)
    process.until_logged("the old one serves on:\n.*Traceback")
    assert "ZeroDivisionError" in process.log()
    assert answered(ask, process).startswith("one")
    assert len(booted(process)) == 2
    site.write_text(APPLICATION.replace("'one'", "'repaired'"))
    process.send(signal.SIGHUP)
    process.until(lambda: answered(ask, process).startswith("repaired"))


STARTED_AWAY = """\
import os, sys
os.mkdir('away')
os.chdir('away')
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def test_a_new_version_that_cannot_be_started_leaves_the_old_one_serving(
    start, site, ask, tmp_path
):
    away = tmp_path / "away"
    arguments = ["-m", "gfcgi", site, "--processes", "1", "--bind", f"unix:{tmp_path}/app.sock"]
    process = start("-c", STARTED_AWAY, *arguments)
    process.address = str(tmp_path / "app.sock")
    process.until(lambda: list(away.glob("loaded-*")))
    shutil.rmtree(away)
    process.send(signal.SIGHUP)
    process.until_logged(r"the old one serves on:\s+it could not be started: .*No such file")
    assert answered(ask, process).startswith("one")
    assert len(booted(process)) == 1
    process.send(signal.SIGTERM)
    assert process.wait() == 0


def test_a_version_that_cannot_be_loaded_is_a_page_until_it_is_repaired(processes, site, ask):
    process = processes("--reload", number=1)
    answered(ask, process)
    site.write_text("1 / 0")
    process.until(lambda: ask(process.address).response().status == 500)
    assert "could not be started" in answered(ask, process)
    site.write_text(APPLICATION.replace("'one'", "'repaired'"))
    process.until(lambda: answered(ask, process).startswith("repaired"))


def test_a_worker_that_spins_is_replaced_and_its_stack_is_in_the_log(gunicorn, ask):
    process = gunicorn("--timeout", "2", workers=1)
    spinning = ask(process.address, "/spin")
    process.until_logged(r"no sign of life for 2 s \(timeout\): the worker is ended, in .*app\.py")
    spinning.wait_closed()
    line = APPLICATION.split("\n").index("            pass") + 1
    assert re.search(rf'app\.py", line ({line - 1}|{line}), in application', process.log())
    assert int(answered(ask, process).split()[1]) == booted(process)[-1]


def test_a_request_gets_the_hooks_the_access_log_and_statsd(gunicorn, ask, tmp_path):
    (tmp_path / "conf.py").write_text(
        "def pre_request(worker, req):\n"
        "    if req.path == '/refused': raise ValueError\n"
        "    print('pre', req.method, req.uri, dict(req.headers)['HOST'], flush=True)\n"
        "def post_request(worker, req, environ, resp):\n"
        "    print('post', environ['PATH_INFO'], resp.status_code, resp.sent, flush=True)\n"
    )
    with ExitStack() as stack:
        statsd = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        statsd.bind(("127.0.0.1", 0))
        stdout = stack.enter_context(open(tmp_path / "stdout", "wb"))
        statsd.settimeout(60)
        process = gunicorn(
            *["-c", "conf.py", "--access-logfile", "access.log", "--worker-tmp-dir", tmp_path],
            *["--access-logformat", '"%(r)s" %(s)s %(b)s %({content-type}o)s %({host}i)s'],
            *["--statsd-host", f"127.0.0.1:{statsd.getsockname()[1]}"],
            workers=1,
            stdout=stdout,
        )
        body = answered(ask, process, "/x\ny")
        assert ask(process.address, "/fail").response().status == 500
        assert ask(process.address, "/refused").response().status == 500
        lines = f"pre GET /x\ny localhost\npost /x\ny 200 {len(body)}\npre GET /fail"
        process.until(lambda: "post /refused 500" in (tmp_path / "stdout").read_text())
        assert lines in (tmp_path / "stdout").read_text()
        process.until(lambda: (tmp_path / "access.log").read_text().count("\n") == 3)
        logged = (tmp_path / "access.log").read_text().splitlines()
        assert logged[0] == f'"GET /x\\ny HTTP/1.1" 200 {len(body)} text/plain localhost'
        assert [line.split('"')[2].split()[0] for line in logged] == ["200", "500", "500"]
        told = ""
        while "request.status.500" not in told:
            told += statsd.recv(4096).decode() + "\n"
        assert "gunicorn.request.status.200:1|c" in told


def test_workers_retire_after_max_requests(gunicorn, ask):
    process = gunicorn("--max-requests", "3", workers=1)
    counts = Counter(answered(ask, process).split()[1] for _ in range(20))
    *retired, _last = counts.values()  # who had connected before the worker stops is answered
    assert retired
    assert all(count >= 3 for count in retired)
    assert process.log().count("Autorestarting worker") >= len(retired)


def test_a_worker_that_has_grown_is_replaced(processes, ask):
    process = processes("--max-memory-bytes", "120000000", number=1)
    first = answered(ask, process, "/grow").split()[1]
    process.until_logged("Autorestarting worker: it takes ")
    process.until(lambda: answered(ask, process).split()[1] != first)


def test_a_bound_on_memory_that_no_worker_can_keep_has_no_effect(processes, ask):
    process = processes("--max-memory-bytes", "1000", number=1)
    process.until_logged("max_memory_bytes=1000 is less than the process takes")
    assert answered(ask, process).startswith("one")


def test_sigusr1_reopens_log_files(gunicorn, ask, tmp_path):
    log, old = tmp_path / "access.log", tmp_path / "old.log"
    process = gunicorn("--access-logfile", "access.log", workers=1)
    answered(ask, process)
    process.until(lambda: "GET /" in log.read_text())
    log.rename(old)
    process.send(signal.SIGUSR1)
    process.until(lambda: answered(ask, process) and log.exists() and "GET /" in log.read_text())


def test_workers_end_where_their_arbiter_was_killed(gunicorn, ask):
    process = gunicorn(workers=1)
    worker = int(answered(ask, process).split()[1])
    process.send(signal.SIGKILL)
    wait_until(lambda: "Parent changed, shutting down" in process.log(), "the worker to notice")
    wait_until(lambda: f"Worker exiting (pid: {worker})" in process.log(), "its end")


@pytest.mark.parametrize(
    ("hook", "status"),
    [("pre_request(worker, req)", 500), ("post_request(worker, req, environ, resp)", 200)],
)
def test_a_hook_that_raises_a_timeout_of_gevents_leaves_no_request_without_an_answer(
    gunicorn, ask, tmp_path, hook, status
):
    """It is no Exception, but a BaseException."""
    (tmp_path / "conf.py").write_text(f"def {hook}:\n    import gevent\n    raise gevent.Timeout\n")
    process = gunicorn("-c", "conf.py", "--graceful-timeout", "120", workers=1)
    assert ask(process.address).response().status == status
    process.until_logged(f"Exception in {hook.partition('(')[0]} hook")
    process.send(signal.SIGTERM)
    assert process.wait() == 0


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGQUIT])
def test_a_stop_waits_for_requests_as_long_as_gunicorn_says_and_sigquit_does_not(
    gunicorn, ask, tmp_path, signum
):
    process = gunicorn("--graceful-timeout", "3" if signum == signal.SIGTERM else "60")
    asleep = ask(process.address, "/sleep")
    process.until((tmp_path / "asleep").exists)
    process.send(signum)
    assert process.wait() == 0
    asleep.wait_closed()
    assert ("still running after 1.5 seconds" in process.log()) is (signum == signal.SIGTERM)


def test_a_blocked_worker_is_named_in_gunicorns_error_log_file(gunicorn, ask, tmp_path):
    log = tmp_path / "error.log"
    log.touch()
    process = gunicorn("--timeout", "2", "--error-logfile", "error.log", ready=log.read_text)
    ask(process.address, "/spin")
    process.until(lambda: "the worker is ended, in" in log.read_text())
    assert log.read_text().count("in application") >= 2  # the watchdog has said it before


def test_sigusr2_starts_another_arbiter_on_the_same_sockets(processes, ask):
    process = processes()
    before = booted(process)
    process.send(signal.SIGUSR2)
    process.until(lambda: len(booted(process)) == 4)
    process.send(signal.SIGTERM)
    assert process.wait() == 0
    assert os.path.exists(process.address)
    assert int(answered(ask, process).split()[1]) not in before
    other = int(re.findall(r"serves .*, process (\d+)", process.log())[-1])
    wait_until(lambda: "Master has been promoted" in process.log(), "its promotion")
    os.kill(other, signal.SIGTERM)
    wait_until(lambda: not os.path.exists(process.address), "the end of the other one")


@pytest.mark.parametrize("way", ["descriptor 0", "LISTEN_FDS"])
def test_processes_serves_inherited_sockets_and_leaves_their_files(start, site, ask, tmp_path, way):
    path = str(tmp_path / "inherited.sock")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
        sock.listen()
        code = (
            "import os, sys\n"
            f"os.dup2({sock.fileno()}, {0 if way == 'descriptor 0' else 3})\n"
            "os.environ.update({})\n".format(
                "{}" if way == "descriptor 0" else "LISTEN_FDS='1', LISTEN_PID=str(os.getpid())"
            )
            + "os.execv(sys.executable, [sys.executable, '-m', 'gfcgi', 'app:application'])"
        )
        process = start(
            *["-c", code],
            env={**os.environ, "GFCGI_PROCESSES": "2"},
            pass_fds=[sock.fileno()],
        )
        process.until_logged("Listening at")
        process.address = path
        assert int(answered(ask, process).split()[1]) in booted(process)
        process.send(signal.SIGTERM)
        assert process.wait() == 0
        assert os.path.exists(path)
    assert f"started with {'a listening socket on descriptor 0' if way[0] == 'd' else way}" in (
        process.log()
    )


def test_threads_are_each_workers_own(processes, ask, tmp_path):
    process = processes("--threads", "2", number=1)
    ask(process.address, "/sleep")
    process.until((tmp_path / "asleep").exists)
    assert answered(ask, process).split()[2] == "gfcgi-2"


def test_an_application_that_cannot_have_threads_ends_the_start_with_one_line(processes, site):
    site.write_text("from gevent import monkey\nmonkey.patch_all()\n" + APPLICATION)
    process = processes("--threads", "2", number=2)
    assert process.wait() == 2
    said = re.findall(r"gfcgi: --threads: .*monkey\.patch_all.*", process.log())
    assert 1 <= len(said) <= len(booted(process)) <= 2
    assert "Traceback" not in process.log()


@pytest.mark.parametrize("patched", ["import gfcgi.patched\n", ""])
def test_a_script_may_ask_for_processes_itself(start, tmp_path, ask, patched):
    """Its workers have the application that it has made."""
    address = str(tmp_path / "app.sock")
    script = tmp_path / "script.py"
    script.write_text(
        f"{patched}{APPLICATION}\nimport gfcgi\ngfcgi.run(application, processes=2)\n"
    )
    process = start(script, env={**os.environ, "GFCGI_BIND": f"unix:{address}"})
    process.address = address
    process.until(lambda: len(booted(process)) == 2)
    worker = int(answered(ask, process).split()[1])
    os.kill(worker, signal.SIGKILL)
    process.until(lambda: len(booted(process)) == 3)
    process.send(signal.SIGHUP)
    process.until(lambda: len(booted(process)) == 5)
    assert answered(ask, process).startswith("one")
    process.send(signal.SIGTERM)
    assert process.wait() == 0


def test_a_preloaded_application_that_is_patched_is_watched_too(gunicorn, site, ask):
    site.write_text("import gfcgi.patched\n" + APPLICATION)
    process = gunicorn("--preload")
    worker = int(answered(ask, process).split()[1])
    os.kill(worker, signal.SIGKILL)
    process.until(lambda: len(booted(process)) == 3)
    assert f"Worker (pid:{worker}) was sent SIGKILL" in process.log()
    assert answered(ask, process).startswith("one")


def test_gunicorns_reloader_replaces_the_workers(gunicorn, site, ask):
    process = gunicorn("--reload", "--reload-engine", "poll", workers=1)
    answered(ask, process)
    site.write_text(APPLICATION.replace("'one'", "'version two'"))
    process.until(lambda: answered(ask, process).startswith("version two"))


@pytest.mark.parametrize(
    ("target", "arguments", "status", "said"),
    [
        ("app:nothing", [], 2, "there is no nothing in it"),
        ("broken", [], 3, "ZeroDivisionError"),
        ("app:application", ["--http", "127.0.0.1:0"], 2, "it is for development, with one"),
        ("app:application", ["--processes", "-1"], 2, "--processes: '-1': "),
        ("app:application", ["--status-path", "/x", "--ping-path", "/x"], 2, "--ping-path: '/x': "),
    ],
)
def test_what_cannot_be_served_ends_with_a_status_and_leaves_nothing_behind(
    start, site, tmp_path, target, arguments, status, said
):
    (tmp_path / "broken.py").write_text("1 / 0")
    process = start(
        *["-m", "gfcgi", target, "--bind", f"unix:{tmp_path}/app.sock", "--processes", "2"],
        *arguments,
    )
    assert process.wait() == status
    assert said in process.log()
    assert not (tmp_path / "app.sock").exists()


@pytest.mark.parametrize(
    ("arguments", "variables", "said"),
    [
        ([], {"GFCGI_THREADS": "x"}, "GFCGI_THREADS: 'x'"),
        (["--certfile", "app.py"], {}, "FastCGI has no TLS"),
    ],
)
def test_gunicorn_says_what_its_worker_cannot_use(gunicorn, arguments, variables, said):
    process = gunicorn(*arguments, env={**os.environ, **variables})
    assert process.wait() == 2
    assert said in process.log()
    assert booted(process) == []


def test_our_options_come_by_variables_and_gunicorns_by_its_own(processes, gunicorn, ask):
    process = gunicorn("-e", "GFCGI_SCRIPT_NAME=/mounted", "-e", "GFCGI_DEBUG=1", workers=1)
    assert b"ValueError: on purpose" in ask(process.address, "/fail").response().body


def test_gunicorns_own_options_come_by_its_variable(processes, ask, tmp_path):
    process = processes(
        env={**os.environ, "GUNICORN_CMD_ARGS": "--access-logfile access.log --workers 1"}
    )
    answered(ask, process)
    process.until(lambda: "GET /" in (tmp_path / "access.log").read_text())
    process.until(lambda: len(booted(process)) == 2)  # --processes says how many


def test_what_gunicorns_variable_cannot_say_has_no_effect(processes, ask, tmp_path):
    process = processes(
        *["--graceful-timeout-seconds", "2"],
        number=1,
        env={**os.environ, "GUNICORN_CMD_ARGS": "--graceful-timeout 1"},
    )
    assert process.log().count("GUNICORN_CMD_ARGS: --graceful-timeout has no effect") == 1
    asleep = ask(process.address, "/sleep")
    process.until((tmp_path / "asleep").exists)
    process.send(signal.SIGTERM)
    assert process.wait() == 0
    asleep.wait_closed()
    assert "still running after 2 seconds" in process.log()  # gunicorn has not killed it before
