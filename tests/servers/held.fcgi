#!/usr/bin/env python3
"""Requests that stay until they are let go, so that a test can have hundreds of them at once.

What has been counted is in state/counts.json beside the script; state/open lets them go.
/busy takes 4 ms of the processor instead.
"""

import json
import os
import threading
import time
from urllib.parse import parse_qs

STATE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "state")
counts = {"here": 0, "most": 0, "whole": 0, "aborted": 0}
counting = threading.Lock()
gate = threading.Event()


def count(name, change=1):
    """Change one number and write all of them down, whole for whoever reads them just now."""
    with counting:
        counts[name] += change
        counts["most"] = max(counts["most"], counts["here"])
        path = os.path.join(STATE, "counts.json")
        with open(path + ".new", "w") as file:
            json.dump(counts, file)
        os.rename(path + ".new", path)


def watch():
    """Open the gate when the test says so."""
    while not os.path.exists(os.path.join(STATE, "open")):
        time.sleep(0.01)
    gate.set()


def hold(body):
    """Read a byte of the body, wait at the gate, read the rest; return the length of all."""
    count("here")
    try:
        length = len(body.read(1))
        gate.wait()
        while block := body.read(65536):
            length += len(block)
        count("whole")
        return length
    except ConnectionError:
        count("aborted")
        raise
    finally:
        count("here", -1)


def application(environ, start_response):
    answer = "ready"
    if environ["PATH_INFO"] == "/hold":
        number = parse_qs(environ["QUERY_STRING"])["number"][0]
        answer = f"{number} {hold(environ['wsgi.input'])}"
    elif environ["PATH_INFO"] == "/busy":
        until = time.thread_time() + 0.004
        while time.thread_time() < until:
            pass
    headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(answer)))]
    start_response("200 OK", headers)
    return [answer.encode()]


if __name__ == "__main__":
    import gfcgi

    count("most", 0)
    threading.Thread(target=watch, daemon=True).start()
    gfcgi.run(application)
