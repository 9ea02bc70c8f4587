"""gfcgi.server.background: work beside the requests, and another program."""

from __future__ import annotations

import os
import sys

import gevent
import pytest

from gfcgi.server.background import Background, run_program


def test_work_is_done_again_and_again(until):
    done = []
    background = Background(lambda: done.append(True), 0.01)
    background.start()
    until(lambda: len(done) >= 3)
    background.stop()
    done.clear()
    gevent.sleep(0.05)
    assert done == []


def test_who_wakes_it_does_not_wait_for_it(until):
    done = []
    background = Background(lambda: done.append(True), None)
    background.wake()
    background.start()
    until(lambda: len(done) == 1)
    background.wake()
    assert len(done) == 1
    until(lambda: len(done) == 2)
    background.stop()


def test_work_may_end_it(until):
    done = []

    def work():
        done.append(True)
        background.stop()

    background = Background(work, 0.01)
    background.start()
    until(lambda: done)
    background._greenlet.kill()


def test_other_requests_go_on_while_work_waits(until):
    done = []
    background = Background(lambda: background.pause(0.05) or done.append(True), 0.01)
    background.start()
    assert not done
    until(lambda: done)
    background.stop()


def run(code, tmp_path, **more):
    settings = {"environ": dict(os.environ), "directory": str(tmp_path), "keep": [], "seconds": 60}
    return run_program([sys.executable, "-c", code], **settings | more)


def test_what_a_program_prints_is_returned_wherever_it_prints_it(tmp_path):
    code = "import os, sys; print(os.getcwd(), flush=True); print(input.__name__, file=sys.stderr)"
    assert run(code, tmp_path) == f"{tmp_path}\ninput"


def test_only_the_end_of_much_is_returned(tmp_path):
    printed = run("print('x' * 100_000); print('the end')", tmp_path)
    assert printed.endswith("x\nthe end")
    assert len(printed) < 10_000


def test_it_gets_the_descriptors_that_it_is_given_and_no_others(tmp_path):
    reading, writing = os.pipe()
    try:
        run(f"import os; os.write({writing}, b'given')", tmp_path, keep=[writing])
        assert os.read(reading, 10) == b"given"
        assert "OSError" in run(f"import os; os.write({writing}, b'given')", tmp_path)
    finally:
        os.close(reading)
        os.close(writing)


def test_one_that_takes_too_long_is_killed(tmp_path):
    printed = run("import time; print('began', flush=True); time.sleep(600)", tmp_path, seconds=3)
    assert printed == "began\nit was not loaded after 3 seconds"


@pytest.mark.parametrize("seconds", [60])
def test_requests_go_on_while_it_runs(tmp_path, seconds):
    turns = []
    turner = gevent.spawn(lambda: [turns.append(gevent.sleep(0.005)) for _ in range(10)])
    run("import time; time.sleep(0.3)", tmp_path, seconds=seconds)
    turner.kill()
    assert len(turns) == 10
