"""What the pages have people write by hand, beside what is printed, does what they say."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

import gfcgi
from gfcgi.configurations import configuration

from .applications import Application, Bound, wait_for_socket
from .exchange import HTTPClient
from .harness import REPOSITORY, PrivateRoot, Program, free_port, need, wait_until
from .https import Files, need_mod_openssl
from .webservers import (
    H2O,
    ApacheFastcgi,
    ApacheFcgid,
    ApacheProxy,
    HAProxy,
    Lighttpd,
    Nginx,
    Place,
    WebServer,
)
from .webservers.apache import Apache, environment_by

pytestmark = pytest.mark.servers

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

ENVIRON = """\
#!/usr/bin/env python3
import json


def application(environ, start_response):
    names = "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "wsgi.url_scheme", "HTTP_AUTHORIZATION"
    names += ("HTTP_HOST",)
    body = json.dumps({name: environ.get(name) for name in names} | {"who": "WHO"}).encode()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [body]


if __name__ == "__main__":
    import gfcgi

    gfcgi.run(application)
"""


def blocks(page: str, language: str) -> list[str]:
    """The blocks of a page in one language that ``gfcgi config`` did not print."""
    text = (REPOSITORY / "docs" / page).read_text("utf-8")
    return [body for of, body in BLOCK.findall(text) if of == language and body[:1] != "#"]


def block(page: str, language: str, beginning: str) -> str:
    (found,) = (body for body in blocks(page, language) if body.startswith(beginning))
    return found


@dataclass(frozen=True)
class Changed(Place):
    """A place whose printed configuration a person goes on writing."""

    change: Callable[[str], str] = str

    def printed(self, server: str, **asked: Any) -> str:
        return self.change(super().printed(server, **asked))


@contextmanager
def running(
    server: WebServer,
    application: Application,
    change: Callable[[PrivateRoot], Callable[[str], str]],
    mount: str = "",
    asked: Callable[[PrivateRoot], dict[str, Any]] = lambda _: {},
    port: int = 0,
) -> Iterator[tuple[PrivateRoot, int]]:
    """A Web server with the application at ``mount``, its configuration changed."""
    root = PrivateRoot()
    with ExitStack() as stack:
        stack.callback(root.remove)
        script = root.script(root.write("conf/source.fcgi", ENVIRON), "hello.fcgi")
        address = application.address(root)
        port = port or free_port()
        place = Changed(root, port, mount, script, address, change(root), asked=asked(root))
        process = application.start(root, script, address)
        if process is not None:
            stack.callback(process.stop)
            wait_for_socket(process, address)
        start(stack, root, server.command(place), port, server)
        yield root, port


def start(
    stack: ExitStack, root: PrivateRoot, command: list[str], port: int, server: WebServer
) -> Program:
    program = Program(root, "webserver", command, server.environment())
    stack.callback(program.stop, server.stop_signal)
    wait_until(lambda: program.exited() or listening(port), "the Web server to listen")
    assert not program.exited(), root.read_logs()
    return program


def listening(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def get(port: int, path: str, **headers: str) -> Any:
    with HTTPClient(port) as client:
        return client.request("GET", path, None, headers)


# -- docs/howto/tls.md


LEADING = {
    "nginx": (Nginx(), Bound()),
    "apache-proxy": (ApacheProxy(modules=("proxy", "proxy_fcgi", "ssl")), Bound()),
    "apache-fcgid": (ApacheFcgid(modules=("fcgid", "ssl")), Application()),
    "apache-fastcgi": (ApacheFastcgi(modules=("ssl",)), Application()),
    "h2o": (H2O(), Bound()),
    "haproxy": (HAProxy(), Bound()),
    "lighttpd": (Lighttpd(), Bound()),
}
"""Those whose configuration says that HTTP leads to HTTPS. Caddy does so without being told."""


@pytest.mark.parametrize("name", LEADING)
def test_printed_configuration_serves_https_and_leads_everybody_there(name: str) -> None:
    """It names the ports 80 and 443; the test has others in their places."""
    server, application = LEADING[name]
    secure = free_port()
    if name == "lighttpd":
        need_mod_openssl()

    def asked(root: PrivateRoot) -> dict[str, Any]:
        files = Files.write(root)
        named = {} if name in ("haproxy", "lighttpd") else {"server_name": "hello.example.org"}
        pair = (str(files.both), str(files.both)) if name == "haproxy" else files.pair
        static = {} if name == "haproxy" else {"static": [f"/static={root.path / 'www'}"]}
        return {"listen": None, "tls": pair, **named, **static}

    def change(root: PrivateRoot) -> Callable[[str], str]:
        return lambda text: at_other_ports(text, plain, secure)

    plain = free_port()
    with running(server, application, change, asked=asked, port=plain):
        host = f"hello.example.org:{plain}" if name == "h2o" else "hello.example.org"
        for path in ("/a?b", "/static/a.txt?b"):
            reply = get(plain, path, Host=host)
            assert reply.status == 301, path
            assert (reply.header("Location") or "").replace(f":{plain}", "") == (
                f"https://hello.example.org{path}"
            )
        assert get_securely(secure)["wsgi.url_scheme"] == "https"


def at_other_ports(text: str, plain: int, secure: int) -> str:
    """Ports of 127.0.0.1 in place of 80 and 443, and nothing on IPv6."""
    ports = {"80": plain, "443": secure}
    text = re.sub(r" *listen \[::\]:\d+[^\n]*\n", "", text)  # nginx
    text = re.sub(r"(listen |bind :?)(80|443)\b", lambda m: f"{m[1]}{ports[m[2]]}", text)
    text = re.sub(r"(bind|listen) :?(\d+)", r"\1 127.0.0.1:\2", text)
    text = re.sub(
        r"<VirtualHost \*:(80|443)>",
        lambda m: f"Listen 127.0.0.1:{ports[m[1]]}\n<VirtualHost *:{ports[m[1]]}>",
        text,
    )
    text = re.sub(r"(port: |example\.org:)(80|443)\b", lambda m: f"{m[1]}{ports[m[2]]}", text)
    text = text.replace('"[::]:443"', f'"127.0.0.1:{free_port()}"')
    text = text.replace('":443"', f'"127.0.0.1:{secure}"')
    assert not re.search(r"\b(80|443)\b", text)
    return text


def get_securely(port: int) -> Any:
    context = ssl._create_unverified_context()
    client = http.client.HTTPSConnection("127.0.0.1", port, timeout=60, context=context)
    try:
        client.request("GET", "/x", headers={"Host": "hello.example.org"})
        return json.loads(client.getresponse().read())
    finally:
        client.close()


def test_haproxy_is_given_one_file_of_both_as_the_comment_says() -> None:
    root = PrivateRoot()
    try:
        files = Files.write(root)
        text = configuration("haproxy", "/srv/a.fcgi", tls=files.pair)
        (command,) = re.findall(r"^#   sudo (sh -c .*)$", text, re.MULTILINE)
        where = root.path / "run" / "a.pem"
        command = command.replace("/etc/haproxy/a.pem", str(where))
        subprocess.run(["/bin/sh", "-c", command], check=True, timeout=60)
        assert where.read_text() == files.both.read_text()
        assert where.stat().st_mode & 0o777 == 0o600
        assert "bind :443 ssl crt /etc/haproxy/a.pem\n" in text
    finally:
        root.remove()


# -- docs/howto/nginx.md


@pytest.mark.parametrize("name", ["2026-app", "a-name-of-more-than-32-characters", "x" * 21])
def test_nginx_takes_a_site_of_any_name(name: str) -> None:
    """Its variable for the port is a group of a regular expression too."""
    same = lambda _root: lambda text: text  # noqa: E731
    with running(Nginx(), Bound(), same, asked=lambda _root: {"name": name}) as (_, port):
        reply = get(port, "/x", Host=f"localhost:{port}")
        assert json.loads(reply.body)["HTTP_HOST"] == f"localhost:{port}"


@pytest.mark.parametrize("host", ["localhost", "10.0.0.7", "hello.example.org", "[::1]"])
def test_nginx_answers_other_machines_beside_a_default_site(host: str) -> None:
    """Debian's own site is the default one of its port; without a name ours answers before it."""
    other = "server { listen 127.0.0.1:PORT default_server; server_name _ taken.test; return 418; }"

    def change(root: PrivateRoot) -> Callable[[str], str]:
        return lambda text: (
            f"{other.replace('PORT', re.findall(r'listen .*:(.*);', text)[0])}\n{text}"
        )

    with running(Nginx(), Bound(), change) as (_, port):
        assert get(port, "/x", Host=host).status == 200
        assert get(port, "/x", Host="taken.test").status == 418


# -- docs/howto/several-sites.md


def test_nginx_refuses_two_applications_of_one_name() -> None:
    printed = configuration("nginx", "/srv/one/app.fcgi", url="/one", listen="127.0.0.1:80")
    again = configuration("nginx", "/srv/two/app.fcgi", url="/two", listen="127.0.0.1:81")
    root = PrivateRoot()
    try:
        params = Path("/etc/nginx/fastcgi_params")
        config = f"pid {root.path}/run/pid; events {{}} http {{ {printed}\n{again}\n}}"
        config = config.replace("include fastcgi_params", f"include {params}")
        path = root.write("conf/nginx.conf", config)
        done = subprocess.run(
            [need("nginx"), "-t", "-c", path, "-e", root.path / "logs" / "error.log"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode
        assert 'duplicate upstream "app"' in done.stderr
    finally:
        root.remove()


@pytest.mark.parametrize("server", [ApacheProxy(), ApacheFcgid()], ids=["proxy", "fcgid"])
def test_two_applications_of_different_names_share_an_apache(server: Apache) -> None:
    """Each at a path of one site."""
    with ExitStack() as stack:
        root = PrivateRoot()
        stack.callback(root.remove)
        port = free_port()
        texts = []
        application: Application = Bound() if isinstance(server, ApacheProxy) else Application()
        for name in ("blog", "shop"):
            source = root.write("conf/source.fcgi", ENVIRON.replace("WHO", name))
            script = root.script(source, f"{name}.fcgi")
            address = application.address(root)
            if address.path:
                address = type(address)(path=str(root.path / "run" / f"{name}.sock"))
            process = application.start(root, script, address)
            if process is not None:
                stack.callback(process.stop)
                wait_for_socket(process, address)
            texts.append(server.application(Place(root, port, f"/{name}", script, address)))
        both = "\n".join(texts)

        class Both(type(server)):  # type: ignore[misc]
            def application(self, place: Place) -> str:
                return both

        place = Place(
            root, port, "/blog", root.path / "www" / "blog.fcgi", application.address(root)
        )
        start(stack, root, Both().command(place), port, server)
        for name in ("blog", "shop"):
            seen = get(port, f"/{name}/x").json()
            assert (seen["who"], seen["SCRIPT_NAME"]) == (name, f"/{name}")


def test_two_mod_fcgid_applications_share_the_last_limit() -> None:
    """docs/howto/apache-mod_fcgid.md: of two FcgidMaxRequestLen the last counts for both."""

    def change(root: PrivateRoot) -> Callable[[str], str]:
        return lambda text: f"{text}\nFcgidMaxRequestLen 1000\n"

    with running(ApacheFcgid(), Application(), change) as (_, port), HTTPClient(port) as client:
        assert client.request("POST", "/", b"x" * 900, {}).status == 200
        assert client.request("POST", "/", b"x" * 200_000, {}).status == 500


# -- docs/howto/shared-hosting.md


@dataclass(frozen=True)
class SharedHost(Apache):
    """An Apache whose owner lets its users write an .htaccess, for mod_fcgid or plain CGI."""

    handler: str = "fcgid"
    modules: tuple[str, ...] = ("fcgid", "rewrite")

    def application(self, place: Place) -> str:
        root = place.root.path
        own = {
            "fcgid": f"FcgidIPCDir {root}/run\nFcgidProcessTableFile {root}/run/fcgid_shm\n"
            + environment_by("FcgidInitialEnv"),
            "cgi": f"ScriptSock {root}/run/cgid.sock\n" + environment_by("SetEnv"),
        }[self.handler]
        return f"""\
{own}
Alias {place.mount}/ {place.script.parent}/
<Directory {place.script.parent}>
    AllowOverride AuthConfig FileInfo Options
    Require all granted
</Directory>"""


@pytest.mark.parametrize("mount", ["", "/app"])
@pytest.mark.parametrize("handler", ["fcgid", "cgi"])
def test_printed_htaccess_has_the_script_answer_for_all_that_is_no_file(
    handler: str, mount: str
) -> None:
    server = SharedHost(
        handler=handler,
        modules=("fcgid" if handler == "fcgid" else "cgid", "rewrite"),
    )
    with ExitStack() as stack:
        root = PrivateRoot()
        stack.callback(root.remove)
        source = root.write("conf/source.fcgi", ENVIRON)
        # Beside the document root, as a user's directory is.
        root.directory("home")
        script = root.script(source, "../home/app.fcgi").resolve()
        root.write("home/.htaccess", configuration("htaccess", str(script), url=mount or "/"))
        root.write("home/style.css", "body {}\n")
        port = free_port()
        place = Place(root, port, mount, script, Application().address(root))
        start(stack, root, server.command(place), port, server)
        assert get(port, f"{mount}/style.css").body == b"body {}\n"
        for path in ("/", "/a", "/a/b/", "/a%20b", "/a%3Fb/50%25/x;y", "/caf%C3%A9", "/a+b&c=d"):
            seen = get(port, f"{mount}{path}?q=1%262", Authorization="Basic eDp5").json()
            wanted = unquote(path).encode().decode("latin-1")
            assert (seen["SCRIPT_NAME"], seen["PATH_INFO"]) == (mount, wanted)
            assert seen["QUERY_STRING"] == "q=1%262"
            assert seen["HTTP_AUTHORIZATION"] == "Basic eDp5"


def test_ftp_alone_is_enough_for_plain_cgi_without_gevent() -> None:
    """The package's directory beside the script, a Python without site-packages."""
    (script,) = (
        body
        for body in re.findall(
            r"^```python\n(.*?)^```$",
            (REPOSITORY / "docs" / "howto" / "shared-hosting.md").read_text("utf-8"),
            re.MULTILINE | re.DOTALL,
        )
    )
    with ExitStack() as stack:
        root = PrivateRoot()
        stack.callback(root.remove)
        shutil.copytree(
            Path(gfcgi.__file__).parent,
            root.path / "www" / "gfcgi",
            ignore=shutil.ignore_patterns("*.so", "__pycache__"),
        )
        path = root.write("www/app.cgi", script, 0o755)
        environ = {
            "GATEWAY_INTERFACE": "CGI/1.1",
            "REQUEST_METHOD": "GET",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "SCRIPT_NAME": "/app.cgi",
            "PATH_INFO": "/",
        }
        done = subprocess.run(
            [sys.executable, "-S", path],  # -S: without site-packages, so without gevent
            env=environ,
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.endswith(b"\r\n\r\nhello world\n")


def test_mod_fcgid_serves_a_changed_script_that_was_told_to_reload() -> None:
    """docs/howto/shared-hosting.md: mod_fcgid itself does not notice."""
    script = ENVIRON.replace("run(application)", "run(application, reload=True)")
    assert script != ENVIRON
    with ExitStack() as stack:
        root = PrivateRoot()
        stack.callback(root.remove)
        path = root.script(root.write("conf/source.fcgi", script), "app.fcgi")
        root.write("www/.htaccess", configuration("htaccess", str(path)))
        port = free_port()
        server = SharedHost()
        place = Place(root, port, "", path, Application().address(root))
        start(stack, root, server.command(place), port, server)
        assert get(port, "/").json()["who"] == "WHO"
        path.write_text(path.read_text().replace("WHO", "changed"))
        wait_until(lambda: get(port, "/").json()["who"] == "changed", "the new version", pause=0.2)
