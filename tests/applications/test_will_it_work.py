"""What the page "Will my application work?" says of frameworks and libraries, each as it says.

Every script runs in a process of its own with default options.
"""

from __future__ import annotations

import contextlib
import http.server
import os
import shutil
import socketserver
import ssl
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from running.script import ServedScript, serving

from .deployments import installed

Serve = Callable[..., ServedScript]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Serve a script's application, and stop it at the end."""
    with ExitStack() as ending:
        yield lambda script, **environ: ending.enter_context(serving(tmp_path, script, **environ))


def seconds_for(call: Callable[[], object]) -> float:
    began = time.monotonic()
    call()
    return time.monotonic() - began


# --- databases -----------------------------------------------------------------------------------

DJANGO = """
import os, time
import django
from django.conf import settings
settings.configure(
    SECRET_KEY="x", ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"],
    DATA_UPLOAD_MAX_MEMORY_SIZE=10_000_000,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "site.db",
                           "ATOMIC_REQUESTS": True, "OPTIONS": {"timeout": 60}}},
)
django.setup()
from asgiref.sync import async_to_sync, sync_to_async
from django.core.wsgi import get_wsgi_application
from django.db import connection, models, transaction
from django.http import HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
class Note(models.Model):
    text = models.CharField(max_length=20)
    class Meta: app_label = "notes"
with connection.schema_editor() as editor:
    editor.create_model(Note)
connection.close()
@csrf_exempt
def write(request):
    Note.objects.create(text="x")
    time.sleep(0.1)
    return HttpResponse(str(len(request.body)))
@transaction.non_atomic_requests
def count(request): return HttpResponse(str(Note.objects.count()))
@transaction.non_atomic_requests
def quick(request): return HttpResponse("quick")
urlpatterns = [path("write", write), path("count", count), path("quick", quick)]
application = get_wsgi_application()
"""


@installed("django")
def test_django_writes_to_sqlite_in_many_requests_at_once(serve: Serve) -> None:
    """50 transactions, each of 100 ms and with 1 MB read inside it; others are not held up."""
    served = serve(DJANGO)
    body = b"x" * 1_000_000
    times: list[float] = []
    done = threading.Event()

    def ask_meanwhile() -> None:
        while not done.is_set():
            times.append(seconds_for(lambda: served.get("/quick")))
            time.sleep(0.02)

    thread = threading.Thread(target=ask_meanwhile)
    thread.start()
    try:
        with ThreadPoolExecutor(50) as clients:
            # Each sends its body while the application reads it, inside the transaction.
            responses = list(
                clients.map(lambda _: served.ask("/write", body, 120).response(1), range(50))
            )
    finally:
        done.set()
        thread.join()
    assert [response.status for response in responses] == [200] * 50, served.log()
    assert {response.body for response in responses} == {b"1000000"}
    assert served.get("/count") == "50"
    assert statistics.median(times) < 0.1


SQLALCHEMY = """
import time
from sqlalchemy import create_engine, text
engine = create_engine("sqlite:///shop.db")
with engine.begin() as connection: connection.execute(text("create table sold (number)"))
def application(environ, start_response):
    with engine.begin() as connection:
        connection.execute(text("insert into sold values (1)"))
        time.sleep(0.05)
    with engine.connect() as connection:
        return answer(start_response, connection.execute(text("select 1 from sold")).scalar())
"""
# peewee has a subclass of threading.local, which cannot be put right once it is there.
PEEWEE = """
import gfcgi.patched
import time
import peewee
database = peewee.SqliteDatabase("shop.db")
class Sold(peewee.Model):
    number = peewee.IntegerField()
    class Meta: database = database
database.create_tables([Sold])
database.close()
def application(environ, start_response):
    with database.connection_context():
        with database.atomic():
            Sold.create(number=1)
            time.sleep(0.05)
        return answer(start_response, int(Sold.select().count() > 0))
"""


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(SQLALCHEMY, marks=installed("sqlalchemy"), id="sqlalchemy"),
        pytest.param(PEEWEE, marks=installed("peewee"), id="peewee"),
    ],
)
def test_other_mappers_write_to_sqlite_at_once(serve: Serve, script: str) -> None:
    assert serve(script).at_once(["/"] * 8) == ["1"] * 8


@pytest.fixture(scope="module")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server on a UNIX socket in a directory of its own; gives the directory."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not found or os.getuid() != 0:
        assert not os.environ.get("GFCGI_REQUIRE_SERVERS"), "PostgreSQL is to be tested here"
        pytest.skip("PostgreSQL is not installed, or this is not root, who can start it")
    programs = found[-1].parent
    # Its socket's path may have 107 bytes; and the user postgres must come there.
    root = Path("/tmp") / f"gfcgi-pg-{os.getpid()}"
    root.mkdir(mode=0o700)
    shutil.chown(root, "postgres", "postgres")
    as_postgres = {"user": "postgres", "group": "postgres", "extra_groups": [], "cwd": root}
    try:
        made = subprocess.run(
            [programs / "initdb", "-D", root / "data", "-A", "trust", "-U", "postgres", "-N"],
            capture_output=True,
            check=False,
            **as_postgres,
        )
        assert made.returncode == 0, made.stderr.decode()
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(root),
            "max_connections": "150",
            "fsync": "off",
        }
        with open(root / "log", "wb") as log:
            server = subprocess.Popen(
                [programs / "postgres", "-D", root / "data"]
                + [word for name in settings for word in ("-c", f"{name}={settings[name]}")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **as_postgres,
            )
        try:
            deadline = time.monotonic() + 60
            while "ready to accept connections" not in (root / "log").read_text():
                assert server.poll() is None, (root / "log").read_text()
                assert time.monotonic() < deadline, (root / "log").read_text()
                time.sleep(0.05)
            yield str(root)
        finally:
            server.terminate()
            server.wait(60)
    finally:
        shutil.rmtree(root)


POSTGRESQL = """
import DRIVER
running = most = 0
def application(environ, start_response):
    global running, most
    if environ["PATH_INFO"] == "/most":
        return answer(start_response, most)
    connection = DRIVER.connect(host=HOST, user="postgres", dbname="postgres")
    running += 1
    most = max(most, running)
    cursor = connection.cursor()
    cursor.execute("select pg_sleep(0.5), 7")
    found = cursor.fetchone()[1]
    running -= 1
    connection.close()
    return answer(start_response, found)
"""


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_queries_of_postgresql_wait_together(serve: Serve, postgresql: str, driver: str) -> None:
    """A8: 100 of 0.5 s; psycopg2 took them one after another, 50 s."""
    pytest.importorskip(driver)
    served = serve(POSTGRESQL.replace("DRIVER", driver).replace("HOST", repr(postgresql)))
    asked = [served.ask() for _ in range(100)]
    seconds = seconds_for(lambda: served.bodies(asked))
    assert seconds < 25
    assert int(served.get("/most")) > 20


# --- async views ---------------------------------------------------------------------------------

FLASK = """
import asyncio, contextvars
from flask import Flask, request
app = application = Flask(__name__)
number = contextvars.ContextVar("number")
running = most = 0
@app.get("/most")
def tell(): return str(most)
@app.get("/<path>")
async def view(path):
    global running, most
    number.set(path)
    running += 1; most = max(most, running)
    await asyncio.sleep(0.5)
    running -= 1
    return f"{number.get()} {request.path}"
"""


@installed("flask")
@installed("asgiref")
def test_async_views_of_flask_run_together(serve: Serve) -> None:
    """A3: all but one failed."""
    served = serve(FLASK)
    expected = [f"{n} /{n}" for n in range(20)]
    assert served.at_once(f"/{n}" for n in range(20)) == expected
    assert served.get("/most") == "20"


DJANGO_ASYNC = """
import asyncio, contextvars
import httpx
number = contextvars.ContextVar("number")
running = most = 0
def in_a_thread(text):
    "Synchronous code of an async view, which calls asynchronous code in turn."
    async def again():
        await asyncio.sleep(0.01)
        return text + number.get()
    return async_to_sync(again)()
@transaction.non_atomic_requests
async def view(request, path):
    global running, most
    number.set(path)
    running += 1; most = max(most, running)
    await asyncio.sleep(0.5)
    running -= 1
    note = await Note.objects.acreate(text=path)
    found = (await Note.objects.aget(pk=note.pk)).text
    texts = [n.text async for n in Note.objects.filter(pk=note.pk)]
    both = await sync_to_async(in_a_thread)("a")
    elsewhere = await sync_to_async(in_a_thread, thread_sensitive=False)("b")
    async with httpx.AsyncClient(trust_env=False) as client:
        replies = await asyncio.gather(*[client.get(URL + path) for _ in range(3)])
    said = {reply.text for reply in replies}
    return HttpResponse(f"{number.get()} {found} {texts} {both} {elsewhere} {said}")
@transaction.non_atomic_requests
def tell(request): return HttpResponse(str(most))
urlpatterns += [path("most", tell), path("async/<path>", view)]
"""


class Echo(http.server.BaseHTTPRequestHandler):
    """Answers with the path, after a while."""

    def do_GET(self) -> None:
        time.sleep(0.1)
        body = self.path.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


@contextlib.contextmanager
def echoing(context: ssl.SSLContext | None = None) -> Iterator[int]:
    """An HTTP server in this process; gives the port."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@installed("django")
@installed("httpx")
def test_async_views_of_django_run_together_with_its_mapper_and_httpx(serve: Serve) -> None:
    with echoing() as port:
        url = f"URL = 'http://127.0.0.1:{port}/'\n"
        served = serve(
            DJANGO.replace("application = get", DJANGO_ASYNC + url + "application = get")
        )
        expected = [f"{n} {n} ['{n}'] a{n} b{n} {{'/{n}'}}" for n in range(20)]
        assert served.at_once(f"/async/{n}" for n in range(20)) == expected
        assert served.get("/most") == "20"


# --- others --------------------------------------------------------------------------------------


@installed("loguru")
def test_loguru_logs_through_a_queue(serve: Serve) -> None:
    """A15: the import did not end."""
    served = serve("""
from loguru import logger
logger.remove()
logger.add("lines.txt", enqueue=True, format="{message}")
logger.info("start")
def application(environ, start_response):
    logger.info(environ["PATH_INFO"])
    logger.complete()
    return answer(start_response, open("lines.txt").read().split())
""")
    assert served.get("/one") == "['start', '/one']"


@installed("requests")
def test_requests_imported_before_patching_speaks_https(serve: Serve, tmp_path: Path) -> None:
    """A5: RecursionError at every call."""
    certificate = tmp_path / "certificate.pem"
    made = subprocess.run(
        f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
        f" -addext subjectAltName=IP:127.0.0.1 -keyout {certificate} -out {tmp_path}/only.pem",
        shell=True,
        capture_output=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    certificate.write_bytes(certificate.read_bytes() + (tmp_path / "only.pem").read_bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with echoing(context) as port:
        served = serve(f"""
import requests
def application(environ, start_response):
    found = requests.get("https://127.0.0.1:{port}" + environ["PATH_INFO"], verify="only.pem")
    return answer(start_response, found.text)
""")
        assert served.at_once(["/a", "/b", "/c"]) == ["/a", "/b", "/c"]
        assert "urllib3" not in served.log()


GRPC_SERVER = """
import sys, time
from concurrent.futures import ThreadPoolExecutor
import grpc
def wait(request, context):
    time.sleep(0.5)
    return request
handler = grpc.method_handlers_generic_handler(
    "test.Test", {"Wait": grpc.unary_unary_rpc_method_handler(wait)})
server = grpc.server(ThreadPoolExecutor(30), handlers=[handler])
port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(port, flush=True)
sys.stdin.read()
server.stop(None)
"""


@installed("grpc")
def test_calls_of_grpc_wait_together(serve: Serve) -> None:
    """A8: 20 of 0.5 s took 10 s, one after another."""
    with subprocess.Popen(
        [sys.executable, "-c", GRPC_SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as server:
        assert server.stdout is not None
        assert server.stdin is not None
        try:
            port = int(server.stdout.readline())
            served = serve(f"""
import grpc
call = None
running = most = 0
def application(environ, start_response):
    global call, running, most
    if environ["PATH_INFO"] == "/most":
        return answer(start_response, most)
    if call is None:
        call = grpc.insecure_channel("127.0.0.1:{port}").unary_unary("/test.Test/Wait")
    running += 1
    most = max(most, running)
    found = call(environ["PATH_INFO"].encode())
    running -= 1
    return answer(start_response, found.decode())
""")
            paths = [f"/{number}" for number in range(20)]
            assert served.at_once(paths) == paths
            assert served.get("/most") == "20"
        finally:
            server.stdin.close()
            server.wait(30)


# --- whole applications --------------------------------------------------------------------------

RADICALE = """
import os
here = os.getcwd()
with open("radicale.conf", "w") as file:
    file.write(f'''
[auth]
type = none
[rights]
type = authenticated
[storage]
filesystem_folder = {here}/collections
hook = sleep 0.1
[web]
type = none
''')
os.environ["RADICALE_CONFIG"] = f"{here}/radicale.conf"
from radicale import application as radicale
def application(environ, start_response):
    if environ["PATH_INFO"] == "/quick":
        return answer(start_response, "quick")
    environ["HTTP_AUTHORIZATION"] = "Basic YW5uYTp4"
    if environ["PATH_INFO"] == "/make":
        environ.update(PATH_INFO="/anna/work/", REQUEST_METHOD="MKCALENDAR")
    elif environ["REQUEST_METHOD"] == "POST":
        environ.update(REQUEST_METHOD="PUT", CONTENT_TYPE="text/calendar")
    return radicale(environ, start_response)
"""
EVENT = """BEGIN:VCALENDAR\r
VERSION:2.0\r
PRODID:tests\r
BEGIN:VEVENT\r
UID:NUMBER\r
DTSTAMP:20260101T000000Z\r
DTSTART:20260101T000000Z\r
SUMMARY:NUMBER\r
END:VEVENT\r
END:VCALENDAR\r
"""


@installed("radicale")
def test_radicale_with_a_storage_hook_takes_many_events_at_once(serve: Serve) -> None:
    """A1: it locks a file while the hook sleeps; the process stopped for good."""
    served = serve(RADICALE)
    assert served.ask("/make").response(1).status == 201
    putting = [
        served.ask(f"/anna/work/{n}.ics", EVENT.replace("NUMBER", str(n)).encode())
        for n in range(8)
    ]
    assert served.get("/quick") == "quick"
    statuses = [connection.response(1, 60).status for connection in putting]
    assert statuses == [201] * 8, served.log()
    assert "SUMMARY:7" in served.get("/anna/work/7.ics")


class Slow(socketserver.StreamRequestHandler):
    """An SMTP server that takes its time over each message."""

    def handle(self) -> None:
        self.wfile.write(b"220 slow\r\n")
        while line := self.rfile.readline():
            word = line[:4].upper().strip()
            if word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                while self.rfile.readline() not in (b".\r\n", b""):
                    pass
                time.sleep(0.2)
            self.wfile.write(b"250 done\r\n" if word != b"QUIT" else b"221 bye\r\n")


ROUNDUP = """
import roundup.instance
from roundup.date import Date
tracker = roundup.instance.open("home")
database = tracker.open("admin")
bob = database.user.create(username="bob", address="bob@shop.example", roles="User")
database.commit()
database.close()
def application(environ, start_response):
    if environ["PATH_INFO"] == "/quick":
        return answer(start_response, "quick")
    database = tracker.open("admin")
    try:
        if environ["PATH_INFO"] == "/count":
            return answer(start_response, len(database.issue.list()))
        message = database.msg.create(author="1", content="x", summary="x", date=Date("."))
        database.issue.create(title="x", messages=[message], nosy=[bob])
        database.commit()
    finally:
        database.close()
    return answer(start_response, "created")
"""


@installed("roundup")
def test_roundup_mails_slowly_inside_its_transactions(serve: Serve, tmp_path: Path) -> None:
    """A2: its issue tracker on SQLite sends mail before it commits."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Slow) as mail:
        mail.daemon_threads = True
        thread = threading.Thread(target=mail.serve_forever, args=(0.05,))
        thread.start()
        try:
            settings = "mail_domain=shop.example,admin_email=root,tracker_web=http://localhost/"
            settings += f",mail_host=127.0.0.1,mail_port={mail.server_address[1]}"
            for words in ["install", "classic", "sqlite", settings], ["initialise", "secret"]:
                done = subprocess.run(
                    [sys.executable, "-m", "roundup.scripts.roundup_admin", "-i", "home", *words],
                    cwd=tmp_path,
                    capture_output=True,
                    check=False,
                )
                assert done.returncode == 0, done.stderr
            served = serve(ROUNDUP)
            creating = [served.ask("/create") for _ in range(6)]
            assert served.get("/quick") == "quick"
            assert [c.response(1, 60).body for c in creating] == [b"created"] * 6, served.log()
            assert served.get("/count") == "6"
        finally:
            mail.shutdown()
            thread.join()
