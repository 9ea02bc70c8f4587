"""gfcgi.process.stacks: the application's own line is found among all the others."""

from __future__ import annotations

import json
import os
import sys
import threading

import gfcgi
from gfcgi.process.stacks import in_debugger, is_library, place_of, stack_of

INSTALLED = os.path.join(sys.prefix, "lib", "site-packages", "framework", "views.py")


def frame_in(filename, call=None, name="view", **names):
    """The frame of a function in a file of that name, which calls ``call`` or is innermost."""
    source = f"def {name}():\n    return call()\n"
    names["call"] = call or sys._getframe
    exec(compile(source, filename, "exec"), names)
    return names[name]()


def test_the_innermost_line_of_the_applications_own_is_its_place():
    places = []
    names = {"place": lambda: places.append(place_of(sys._getframe(1)))}
    exec(compile("def query():\n    place()\n", INSTALLED, "exec"), names)
    frame_in("/srv/app.py", names["query"])
    assert places == ["/srv/app.py, line 2, in query"]
    frame_in("/srv/app.py", names["place"])
    assert places[1:] == ["/srv/app.py, line 2"]


def test_a_script_below_pythons_prefix_is_still_the_applications():
    """As /usr/lib/cgi-bin is, where Python is in /usr."""
    assert not is_library(frame_in(os.path.join(sys.base_prefix, "lib", "cgi-bin", "app.fcgi")))


def test_what_is_installed_and_what_is_pythons_own_is_not():
    assert is_library(frame_in(INSTALLED))
    assert is_library(frame_in(json.__file__))
    assert is_library(frame_in("<frozen importlib._bootstrap>"))


def test_without_a_frame_it_is_code_in_c():
    assert place_of(None) == "code in C"
    assert stack_of(None) == []


def test_the_stack_ends_where_gfcgi_calls_the_application():
    gateway = os.path.join(os.path.dirname(gfcgi.__file__), "wsgi", "gateway.py")
    found = []

    def innermost():
        found.extend(stack_of(sys._getframe()))

    frame_in(gateway, lambda: frame_in("/srv/app.py", innermost), name="outside")
    assert found[-1].endswith("in innermost")
    assert '  File "/srv/app.py", line 2, in view' in found
    assert not any("outside" in line for line in found)


def test_the_stack_has_the_application_where_it_waits_for_gfcgi():
    """For a body, or for a Web server that reads slowly; in a thread by Python's own locks."""
    ours = os.path.join(os.path.dirname(gfcgi.__file__), "wsgi", "input.py")

    def function(name, filename, body, **names):
        exec(compile(f"def {name}():\n    return {body}\n", filename, "exec"), names)
        return names[name]

    look = {"stack_of": stack_of, "frame": sys._getframe}
    wait = function("wait", threading.__file__, "stack_of(frame())", **look)
    ask = function("ask", ours, "wait()", wait=wait)
    read = function("read", ours, "ask()", ask=ask)
    view = function("view", "/srv/app.py", "read()", read=read)
    outside = function("outside", ours, "view()", view=view)
    names = [line.rpartition(" in ")[2] for line in outside()]
    assert names == ["view", "read", "ask", "wait"]


def test_a_stack_has_no_more_lines_than_are_read():
    def deeper(depth):
        return deeper(depth - 1) if depth else stack_of(sys._getframe())

    assert len(deeper(200)) == 40


def test_a_debugger_is_seen_where_it_stands_and_not_where_it_has_started_the_program():
    at_breakpoint = frame_in(
        "/srv/app.py", lambda: frame_in("<debugger>", name="input", __name__="pdb")
    )
    assert in_debugger(at_breakpoint)
    started = frame_in("<debugger>", lambda: frame_in("/srv/app.py"), __name__="pdb")
    assert not in_debugger(started)
