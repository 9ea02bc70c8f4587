"""Scripts of other FastCGI servers: with one line changed they serve, unchanged they are told."""

from __future__ import annotations

import os
import signal
import socket

import pytest

APPLICATION = """\
def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'%s' % environ.get('app.mode', 'a page').encode()]
"""
FLUP = f"""{APPLICATION}
if __name__ == '__main__':
    from gfcgi.compat.flup import WSGIServer
    import sys
    sys.exit(WSGIServer(application, environ={{'app.mode': 'flup'}}).run() and 7)
"""
FLIPFLOP = f"""{APPLICATION}
from gfcgi.compat.flipflop import WSGIServer
WSGIServer(application).run()
"""
GEVENT_FASTCGI = f"""{APPLICATION}
from gfcgi.compat.gevent_fastcgi import FastCGIServer, WSGIRequestHandler
FastCGIServer('app.sock', WSGIRequestHandler(application)).serve_forever()
"""


@pytest.mark.parametrize(
    ("text", "body", "signum", "status"),
    [
        (FLUP, b"flup", signal.SIGTERM, 0),
        (FLIPFLOP, b"a page", signal.SIGTERM, 0),
    ],
)
def test_a_script_of_theirs_serves_the_socket_on_descriptor_0(
    start, ask, tmp_path, text, body, signum, status
):
    (tmp_path / "app.fcgi").write_text(text)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "web.sock"))
        listening.listen()
        process = start("app.fcgi", stdin=listening)
        assert ask(listening.getsockname()).response(1).body == body
    process.send(signum)
    assert process.wait() == status


def test_a_server_of_gevent_fastcgi_listens_where_it_says(start, ask, tmp_path):
    (tmp_path / "app.py").write_text(GEVENT_FASTCGI)
    process = start("app.py")
    process.until_logged("listening on")
    assert ask(str(tmp_path / "app.sock")).response(1).body == b"a page"
    process.send(signal.SIGTERM)
    assert process.wait() == 0


def test_gfcgi_takes_the_application_of_such_a_script(start, ask, tmp_path):
    (tmp_path / "app.fcgi").write_text(FLUP)
    process = start("-m", "gfcgi", "app.fcgi", "--bind", f"unix:{tmp_path}/other.sock")
    process.until_logged("listening on")
    assert ask(f"{tmp_path}/other.sock").response(1).body == b"flup"


@pytest.mark.parametrize(
    ("package", "line"),
    [
        ("flup.server.fcgi", "from gfcgi.compat.flup import WSGIServer"),
        ("flipflop", "from gfcgi.compat.flipflop import WSGIServer"),
        ("gevent_fastcgi.server", "from gfcgi.compat.gevent_fastcgi import FastCGIServer"),
    ],
)
def test_a_script_that_still_imports_them_is_told_which_line_to_change(
    start, tmp_path, package, line
):
    script = tmp_path / "app.fcgi"
    script.write_text(f"{APPLICATION}import sys\nfrom {package} import WSGIServer\n")
    sys_path = {**os.environ, "PYTHONPATH": ""}
    process = start("-m", "gfcgi", "app.fcgi", env=sys_path)
    assert process.wait() == 3
    (said,) = process.log().splitlines()
    assert f"{script}, line 5: {package.partition('.')[0]} is not installed" in said
    assert line in said
    assert "Traceback" not in said


def test_cgi_can_be_forced(start, tmp_path):
    (tmp_path / "app.fcgi").write_text(FLUP.replace("application,", "application, forceCGI=True,"))
    environ = {"REQUEST_METHOD": "GET", "SERVER_PROTOCOL": "HTTP/1.1", "SERVER_NAME": "h"}
    environ |= {"SERVER_PORT": "80", "PATH": os.environ["PATH"], "SCRIPT_NAME": ""}
    process = start("app.fcgi", env=environ)
    assert process.wait() == 0
    assert process.popen.stdout.read().endswith(b"\r\n\r\nflup")


def test_bottle_finds_its_server(start, ask, tmp_path):
    pytest.importorskip("bottle")
    (tmp_path / "site_of_check.py").write_text(
        "import bottle\n"
        "@bottle.get('/')\n"
        "def page():\n    return 'a page'\n"
        "bottle.run(server='gfcgi.compat.bottle:FastCGI', bind='unix:app.sock', quiet=True)\n"
    )
    process = start("site_of_check.py")
    process.until_logged("listening on")
    assert ask(str(tmp_path / "app.sock")).response(1).status in (200, 404)


def test_paste_finds_its_server(start, ask, tmp_path):
    loadwsgi = pytest.importorskip("paste.deploy.loadwsgi")
    assert loadwsgi
    (tmp_path / "site_of_paste.py").write_text(f"{APPLICATION}def make(conf): return application\n")
    (tmp_path / "app.ini").write_text(
        "[app:main]\npaste.app_factory = site_of_paste:make\n\n"
        f"[server:main]\nuse = egg:gfcgi\nbind = unix:{tmp_path}/app.sock\n"
    )
    serve = (
        "import sys; sys.path.insert(0, sys.argv[1]); ini = f'config:{sys.argv[1]}/app.ini'\n"
        "from paste.deploy import loadapp, loadserver; loadserver(ini)(loadapp(ini))"
    )
    process = start("-c", serve, tmp_path)
    process.until_logged("listening on")
    assert ask(str(tmp_path / "app.sock")).response(1).body == b"a page"
