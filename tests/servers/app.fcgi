#!/usr/bin/env python3
"""The application behind every column: a plain WSGI script, checked by wsgiref.validate.

What it does is chosen by the first segment of PATH_INFO. Under CGI a process lives for
one request, so what a test must see later is written to files in ``state/`` beside the
script: ``note`` adds a line to TOKEN.log, ``wait_for`` waits until the test makes a file.
"""

import hashlib
import json
import os
import threading
import time
from urllib.parse import parse_qs
from wsgiref.validate import validator

STATE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "state")
BLOCK = bytes(range(256)) * 256
WAIT_SECONDS = 20.0


def note(token, event, **values):
    """Append one JSON line to TOKEN.log, in one write."""
    line = json.dumps({"event": event, "pid": os.getpid(), **values}) + "\n"
    with open(os.path.join(STATE, token + ".log"), "ab", buffering=0) as log:
        log.write(line.encode())


def wait_for(token, name):
    """Wait until the test has made the file TOKEN.NAME; False after WAIT_SECONDS."""
    path = os.path.join(STATE, token + "." + name)
    until = time.monotonic() + WAIT_SECONDS
    while not os.path.exists(path):
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def memory():
    """Resident memory of this process in KiB: now, and the highest so far."""
    with open("/proc/self/status") as status:
        found = dict(line.split(":", 1) for line in status if line.startswith("Vm"))
    return int(found["VmRSS"].split()[0]), int(found["VmHWM"].split()[0])


START_KIB = memory()[0]
counting = threading.Lock()
sleeping = 0
peak = 0
gave_up = False


def show_environ(request):
    """Every value of environ that is text or truth, as JSON."""
    plain = {key: value for key, value in request.environ.items() if isinstance(value, (str, bool))}
    return request.json(plain)


def hello(request):
    return request.text("hello " + request.arg("name", "world"))


def form(request):
    fields = parse_qs(
        request.environ["wsgi.input"].read(-1).decode("ascii"), keep_blank_values=True
    )
    return request.json(fields)


def upload(request):
    """Read the body in blocks to its end; answer its length and hash."""
    digest, count, reads = hashlib.sha256(), 0, 0
    while block := request.environ["wsgi.input"].read(65536):
        digest.update(block)
        count += len(block)
        reads += 1
    _, highest = memory()
    return request.json(
        {
            "method": request.environ["REQUEST_METHOD"],
            "sha256": digest.hexdigest(),
            "bytes": count,
            "reads": reads,
            "content_length": request.environ.get("CONTENT_LENGTH"),
            "transfer_encoding": request.environ.get("HTTP_TRANSFER_ENCODING"),
            "start_kib": START_KIB,
            "highest_kib": highest,
        }
    )


def first_read(request):
    """Note the first block of the body, wait for the test's word, then read the rest."""
    first = request.environ["wsgi.input"].read(1)
    note(request.token, "first", bytes=len(first))
    waited = wait_for(request.token, "go")
    rest = 0
    try:
        while block := request.environ["wsgi.input"].read(65536):
            rest += len(block)
    except ConnectionError as error:
        note(request.token, "aborted", error=type(error).__name__)
        raise
    note(request.token, "whole")
    return request.json({"waited": waited, "bytes": len(first) + rest})


def early(request):
    """Answer an upload without reading any of it."""
    return request.text("no, thank you", status="403 Forbidden")


def status(request):
    """Answer with the status asked for, a Location and two cookies, a body where one may be."""
    code = request.arg("code", "200")
    extra = [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]
    if code in ("201", "302"):
        extra.append(("Location", request.arg("location", "/elsewhere")))
    if code in ("204", "304"):
        request.start(code + " Nothing", extra)
        return []
    return request.text("status " + code, status=code + " Chosen", extra=extra)


def large(request):
    """Answer with one header of so many bytes."""
    return request.text("large", extra=[("X-Large", "v" * int(request.arg("bytes", "1")))])


def write_errors(request):
    """Write to wsgi.errors and wait for the test to have found it before answering."""
    errors = request.environ["wsgi.errors"]
    errors.write("first line " + request.token + "\n")
    errors.flush()
    if request.arg("gated", "") == "1" and not wait_for(request.token, "seen"):
        return request.text("never seen", status="500 Not Seen")
    return request.text("written")


def fail(request):
    raise RuntimeError("this exception is meant " + request.token)


def broken(request):
    """Answer with the first half of a response; after a pause raise an exception, or go on.

    With gated=1 the pause is over when the test says go.
    """
    extra = [("Content-Length", "12000")] if request.arg("length", "") else []
    extra.append(("Cache-Control", "max-age=600"))
    request.start("200 OK", [("Content-Type", "text/plain"), *extra])
    note(request.token, "broken")

    def body():
        yield b"first\n" * 1000
        if request.arg("gated", "") == "1":
            wait_for(request.token, "go")
        time.sleep(float(request.arg("pause", "0")))
        if request.arg("whole", ""):
            yield b"other\n" * 1000
            return
        raise RuntimeError("this exception is meant " + request.token)

    return body()


def sleep(request):
    """Sleep; with expect=N stay until N such requests are here at once, or the wait is over."""
    global sleeping, peak, gave_up
    with counting:
        sleeping += 1
        peak = max(peak, sleeping)
    expect, until = int(request.arg("expect", "1")), time.monotonic() + WAIT_SECONDS
    try:
        time.sleep(float(request.arg("seconds", "0.5")))
        while peak < expect and not gave_up:
            gave_up = time.monotonic() > until
            time.sleep(0.02)
        return request.json({"pid": os.getpid(), "peak": peak})
    finally:
        with counting:
            sleeping -= 1


class Noted:
    """An iterable that notes how far it came and that it was closed."""

    def __init__(self, request):
        self.request = request
        self.count = 0
        self.done = False
        note(request.token, "begin")

    def __iter__(self):
        return self

    def __next__(self):
        block = self.block(self.count)
        if block is None:
            self.done = True
            raise StopIteration
        self.count += 1
        return block

    def block(self, at):
        """The block number ``at``, or None at the end."""
        raise NotImplementedError

    def close(self):
        _, highest = memory()
        note(
            self.request.token,
            "close",
            done=self.done,
            blocks=self.count,
            start_kib=START_KIB,
            highest_kib=highest,
        )


class Download(Noted):
    """``mib`` MiB in blocks of 64 KiB, noting every sixteenth."""

    def block(self, at):
        if at % 16 == 0:
            note(self.request.token, "mib", mib=at // 16)
        return BLOCK if at < 16 * int(self.request.arg("mib", "1")) else None


class Events(Noted):
    """Server-sent events; with gated=1 each waits until the test has the one before."""

    def block(self, at):
        if at == int(self.request.arg("count", "5")):
            return None
        gated = at > 0 and self.request.arg("gated", "") == "1"
        if gated and not wait_for(self.request.token, str(at - 1)):
            return None
        return f"data: {at}\n\n".encode()


class Trickle(Noted):
    """A block, then, when the test says go, small ones at a rest for as long as anyone listens."""

    def block(self, at):
        if at == 0:
            self.until = time.monotonic() + float(self.request.arg("seconds", "20"))
            return BLOCK
        if at == 1:
            wait_for(self.request.token, "go")
        time.sleep(0.01)
        return BLOCK[:8192] if time.monotonic() < self.until else None


def download(request):
    length = 1048576 * int(request.arg("mib", "1"))
    extra = [("Content-Length", str(length))]
    request.start("200 OK", [("Content-Type", "application/octet-stream"), *extra])
    return Download(request)


def events(request):
    headers = [("Content-Type", "text/event-stream"), ("X-Accel-Buffering", "no")]
    request.start("200 OK", headers)
    return Events(request)


def trickle(request):
    headers = [("Content-Type", "application/octet-stream"), ("X-Accel-Buffering", "no")]
    request.start("200 OK", headers)
    return Trickle(request)


class Request:
    """One request: environ, the query's arguments and the usual answers."""

    def __init__(self, environ, start_response):
        self.environ = environ
        self.start = start_response
        self.arguments = parse_qs(environ.get("QUERY_STRING", ""))
        self.token = self.arg("token", "none")

    def arg(self, name, default):
        return self.arguments.get(name, [default])[0]

    def text(self, text, status="200 OK", kind="text/plain; charset=utf-8", extra=()):
        body = text.encode()
        headers = [("Content-Type", kind), ("Content-Length", str(len(body))), *extra]
        self.start(status, headers)
        return [body]

    def json(self, value):
        return self.text(json.dumps(value), kind="application/json")


ACTIONS = {
    "environ": show_environ,
    "hello": hello,
    "form": form,
    "upload": upload,
    "first_read": first_read,
    "early": early,
    "status": status,
    "large": large,
    "errors": write_errors,
    "raise": fail,
    "broken": broken,
    "sleep": sleep,
    "download": download,
    "events": events,
    "trickle": trickle,
}


def act(environ, start_response):
    request = Request(environ, start_response)
    name = environ["PATH_INFO"].strip("/").partition("/")[0]
    action = ACTIONS.get(name or "environ")
    if action is None:
        return request.text("no such action", status="404 Not Found")
    return action(request)


application = validator(act)

if __name__ == "__main__":
    import gfcgi

    gfcgi.run(application)
