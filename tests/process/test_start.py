"""What a script that a Web server starts does not wait for."""

from __future__ import annotations

import os
import signal
import socket
import sys

import pytest

from gfcgi import plugins

NOT_NEEDED = """
    argparse asyncio difflib email gettext http ipaddress json multiprocessing pathlib random shlex
    shutil tempfile unittest urllib.parse uuid wsgiref xml zipfile
    gevent.pywsgi gevent.resolver gevent.threadpool
    gfcgi.commands gfcgi.configurations gfcgi.process.loading gfcgi.process.unix gfcgi.client
    gfcgi.wsgi.cgi
    importlib.metadata
"""
"""Each takes a part of the time until the first answer, and some of it for good: memory."""
NEEDED = {"pathlib"} if sys.version_info >= (3, 15) else set()
"""By ``traceback``, which gevent imports."""

MODULES = """\
import sys
before = set(sys.modules)
def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [' '.join(set(sys.modules) - before).encode()]
import gfcgi
gfcgi.run(application)
"""


@pytest.mark.skipif(plugins.may_be_installed(), reason="gevent looks for a plugin, and finds one")
def test_what_the_first_answer_does_not_need_is_not_imported_for_it(
    start, ask, tmp_path, monkeypatch
):
    for name in os.environ:
        if name.startswith("GFCGI_"):  # the suite's own, not options
            monkeypatch.delenv(name)
    script = tmp_path / "modules.fcgi"
    script.write_text(MODULES)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "web.sock"))
        listening.listen()
        process = start(script, stdin=listening)
        response = ask(listening.getsockname()).response(1)
    assert response.status == 200, process.log()
    imported = response.body.decode().split()
    assert {"gevent.socket", "gevent.ssl", "gfcgi.server.server"} <= set(imported)
    assert set(imported) & set(NOT_NEEDED.split()) <= NEEDED
    process.send(signal.SIGTERM)
    assert process.wait() == 0
