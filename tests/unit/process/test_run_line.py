"""gfcgi.process.run_line: what a script asks for is read before it runs."""

from __future__ import annotations

import pytest

from gfcgi.process.run_line import threads_asked_for


@pytest.mark.parametrize(
    ("source", "number"),
    [
        ("import gfcgi\ngfcgi.run(application, threads=8)", 8),
        ("from gfcgi import run\nif True:\n    run(application, bind='fd:0', threads=2)", 2),
        ("gfcgi.run(application)", 0),
        ("gfcgi.run(application)  # threads=8", 0),
        ("gfcgi.run(application, threads=N)", 0),
        ("gfcgi.run(application, threads='8')", 0),
        ("gfcgi.run(application, threads=True)", 0),
        ("pool.start(threads=8)", 0),
        ("threads = 8\nruns(threads=8)", 0),
        ("this is no Python, threads=8", 0),
        ("threads\0=8", 0),
    ],
)
def test_a_number_in_the_run_line_counts(tmp_path, source, number):
    script = tmp_path / "script.fcgi"
    script.write_text(source)
    assert threads_asked_for(str(script)) == number


def test_a_file_that_is_loaded_as_a_module_does_not_run_its_main_part(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("if __name__ == '__main__':\n    gfcgi.run(application, threads=8)")
    assert threads_asked_for(str(script)) == 0
    script.write_text("gfcgi.run(application, threads=8)")
    assert threads_asked_for(str(script)) == 8


@pytest.mark.parametrize("target", ["module:app", "no-such-file.py", ":", ""])
def test_what_cannot_be_looked_at_asks_for_none(target):
    assert threads_asked_for(target) == 0
