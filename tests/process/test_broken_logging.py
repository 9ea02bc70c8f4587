"""An application whose logging raises: the server starts, and every request is answered."""

from __future__ import annotations

import signal

import pytest

SCRIPT = """\
import logging

class Raising(logging.Handler):
    def emit(self, record):
        raise LookupError("in a handler")

def no(record):
    raise LookupError("in a filter")

{setup}

def application(environ, start_response):
    if environ["PATH_INFO"] == "/fail":
        raise ValueError("of the application")
    start_response("200 OK", [])
    return [b"hello"]

import gfcgi
gfcgi.run(application, bind="unix:web.sock")
"""
SETUPS = {
    "handler of root": "logging.getLogger().addHandler(Raising())",
    "filter of root's handler": """
handler = logging.StreamHandler()
handler.addFilter(no)
logging.getLogger().addHandler(handler)
logging.getLogger().setLevel("DEBUG")
""",
    "filter of gfcgi's loggers": """
for name in ("process", "server", "wsgi"):
    logging.getLogger("gfcgi." + name).addFilter(no)
""",
    "handler of gfcgi": "logging.getLogger('gfcgi').addHandler(Raising())",
}


@pytest.mark.parametrize("setup", SETUPS)
def test_no_logging_of_the_applications_keeps_the_server_from_starting_or_answering(
    start, ask, tmp_path, setup
):
    script = tmp_path / "app.fcgi"
    script.write_text(SCRIPT.format(setup=SETUPS[setup]))
    process = start(script)
    path = str(tmp_path / "web.sock")
    process.until((tmp_path / "web.sock").exists)
    process.until_logged("listening on")
    assert ask(path, "/hello").response(1).body == b"hello"
    assert ask(path, "/fail").response(1).status == 500
    process.until_logged("ValueError: of the application")
    assert ask(path, "/hello").response(1).body == b"hello"
    process.send(signal.SIGTERM)
    assert process.wait() == 0
