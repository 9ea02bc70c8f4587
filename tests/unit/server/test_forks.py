"""gfcgi.server.forks and Server: a forked child has no part in serving, patched or not."""

from __future__ import annotations

import gc
import os

from running.script import serving

from gfcgi.server.forks import call_in_children

FORKING = """
import os, sys
def application(environ, start_response):
    if environ["PATH_INFO"] == "/pid":
        return answer(start_response, os.getpid())
    pid = os.fork()
    if pid == 0:
        if environ["PATH_INFO"] == "/write":
            start_response("200 OK", [("Content-Type", "text/plain")])(b"from the child")
        if environ["PATH_INFO"] == "/exit":
            sys.exit(3)
        return answer(start_response, "from the child")
    status = os.waitpid(pid, 0)[1]
    return answer(start_response, os.waitstatus_to_exitcode(status))
def run(application, run=__import__("gfcgi").run, **options):
    run(application, patch=False, **options)
__import__("gfcgi").run = run
"""


class Told:
    def __init__(self) -> None:
        self.pipe = os.pipe()

    def tell(self) -> None:
        os.write(self.pipe[1], b"told")


def test_a_method_is_called_in_the_child_alone_while_its_object_lives():
    kept, gone = Told(), Told()
    call_in_children(kept.tell)
    call_in_children(gone.tell)
    pipe = gone.pipe
    del gone
    gc.collect()
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    os.close(kept.pipe[1])
    os.close(pipe[1])
    with open(kept.pipe[0], "rb") as told, open(pipe[0], "rb") as silent:
        assert (told.read(), silent.read()) == (b"told", b"")


def test_without_patching_too_the_child_ends_with_its_request_and_answers_nothing(tmp_path):
    with serving(tmp_path, FORKING) as served:
        for path, status in {"/exit": 3, "/return": 0, "/write": 0}.items():
            assert served.get(path) == str(status)
        assert served.get("/pid") == str(served.process.pid)
        assert "Traceback" not in served.log()
