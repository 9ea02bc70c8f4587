"""``gfcgi check``: faults made on disk for real, each named, and gone when its line is followed."""

from __future__ import annotations

import http.server
import json
import os
import pwd
import re
import shlex
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gfcgi.checking import run, trial
from gfcgi.checking.findings import Report
from gfcgi.checking.run import check
from gfcgi.commands import main

ROOT = Path(__file__).resolve().parents[2]
ME = str(os.geteuid())
NOBODY = "nobody"
AS_ROOT = os.geteuid() == 0

APPLICATION = """\
def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'a page']
"""
RUN = """\
if __name__ == '__main__':
    import gfcgi
    gfcgi.run(application)
"""
GOOD = APPLICATION + RUN
FLUP_IMPORT = "from flup.server.fcgi import WSGIServer"
FLUP = f"{APPLICATION}{FLUP_IMPORT}\nWSGIServer(application).run()\n"
LINE = f"#!{sys.executable}\n"


def checked(target: Path | str, *, wait: float = 20, user: str = ME, **more: str) -> Report:
    return check(str(target), user=user, wait_seconds=wait, **more)


def write(path: Path, text: str, mode: int = 0o755) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def follow(line: str) -> None:
    """Run the command of a remedy as a person would, up to the comma that ends it."""
    command = line.partition("Remedy: ")[2].partition(", ")[0]
    subprocess.run(command, shell=True, check=True, timeout=60)


@dataclass(frozen=True)
class Fault:
    """A fault's name, how a script gets it, and how following its line takes it out again."""

    name: str
    text: str = LINE + GOOD
    mend: Callable[[Path, str], object] | str = GOOD
    mode: int = 0o755
    prepare: Callable[[Path], object] = lambda script: None
    wait: float = 20

    def apply_remedy(self, script: Path, line: str) -> None:
        if isinstance(self.mend, str):
            write(script, LINE + self.mend)
        else:
            self.mend(script, line)


def by_command(script: Path, line: str) -> None:
    follow(line)


def write_line(script: Path, line: str) -> None:
    """``make its first line #!...``."""
    first = line.partition("make its first line ")[2].partition(",")[0]
    body = script.read_text().lstrip("\n")
    if body.startswith("#!"):
        body = body.partition("\n")[2]
    script.write_text(f"{first}\n{body}")


def helper(text: str) -> Callable[[Path], object]:
    """A module beside the script."""
    return lambda script: write(script.parent / "helper_of_check.py", text)


def module_elsewhere(script: Path) -> None:
    (script.parent / "lib").mkdir()
    write(script.parent / "lib" / "module_of_check.py", "")


def add_path(script: Path, line: str) -> None:
    added = line.partition("before that line: ")[2]
    write(script, f"{LINE}{added}\n{script.read_text().partition(chr(10))[2]}")


def python_without_gfcgi(script: Path) -> None:
    venv(script, LINE_OF_VENV)


LINE_OF_VENV = "#!{}/venv/bin/python\n"


def venv(script: Path, line: str, *links: str) -> None:
    """A virtual environment beside the script, with what is linked into it."""
    place = script.parent / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True, timeout=60)
    packages = next(place.glob("lib/python*/site-packages"))
    for link in links:
        (packages / os.path.basename(link)).symlink_to(link)
    write(script, line.format(script.parent) + GOOD)


def python_without_gevent(script: Path) -> None:
    import gfcgi

    venv(script, LINE_OF_VENV, os.path.dirname(gfcgi.__file__))


def old_python(script: Path) -> None:
    """What an old Python prints when it is asked, from a program that is called as one."""
    names = {"gfcgi": "", "gevent": "", "pip": True}
    said = json.dumps({"version": [3, 6, 8], "executable": "old", **names})
    write(script.parent / "python3.6", f"#!/bin/sh\necho '{said}'\n")
    write(script, f"#!{script.parent}/python3.6\n{GOOD}")


def broken_python(script: Path) -> None:
    write(script.parent / "python3", "#!/bin/sh\necho No module named encodings >&2\nexit 1\n")
    write(script, f"#!{script.parent}/python3\n{GOOD}")


def by_gfcgi(text: str, python: str = sys.executable) -> Callable[[Path], object]:
    """Have bin/gfcgi of a virtual environment be the script's interpreter."""

    def prepare(script: Path) -> None:
        program = script.parent / "gfcgi"
        lines = [f"#!{python}", "import sys", "from gfcgi.commands import main", "sys.exit(main())"]
        write(program, "\n".join(lines) + "\n")
        write(script, f"#!{program}\n{text}")

    return prepare


def venv_that_was_moved(script: Path) -> None:
    by_gfcgi(GOOD, "/srv/moved/bin/python")(script)


def raising(statement: str) -> str:
    return LINE + statement + "\n" + GOOD


FAULTS = [
    Fault("not-executable", mode=0o644, mend=by_command),
    Fault("writable-script", mode=0o777, mend=by_command),
    Fault("writable-directory", prepare=lambda script: script.parent.chmod(0o777), mend=by_command),
    Fault("no-line", GOOD, write_line),
    Fault("no-line", "\n" + LINE + GOOD, write_line),
    Fault("crlf", (LINE + GOOD).replace("\n", "\r\n"), by_command),
    Fault("bom", "\ufeff" + LINE + GOOD, by_command),
    Fault("empty", ""),
    Fault("long-line", f"#!{sys.executable} {'-q ' * 90}\n{GOOD}"),
    Fault("no-interpreter", f"#!/srv/none/bin/python3\n{GOOD}", write_line),
    Fault("no-interpreter", f"#!python3\n{GOOD}", write_line),
    Fault("no-interpreter", f"#!/usr/bin/env python3.99\n{GOOD}", write_line),
    Fault("no-interpreter", f"#!/etc/passwd\n{GOOD}", write_line),
    Fault("env-arguments", f"#!/usr/bin/env python3 -u\n{GOOD}"),
    Fault("no-interpreter", prepare=venv_that_was_moved, mend=write_line),
    Fault("syntax-error", prepare=by_gfcgi("def broken(:\n" + GOOD)),
    Fault("missing-package", prepare=by_gfcgi("import package_that_nobody_has\n" + GOOD)),
    Fault("misuse", prepare=by_gfcgi("print('no application')\n")),
    Fault("python-broken", prepare=broken_python),
    Fault("python-too-old", prepare=old_python, mend=write_line),
    Fault("no-gfcgi", prepare=python_without_gfcgi, mend=write_line),
    Fault("no-gevent", prepare=python_without_gevent, mend=write_line),
    Fault("syntax-error", raising("def broken(:")),
    Fault("syntax-error", raising("print 'of Python 2'")),
    Fault("missing-package", raising("import package_that_nobody_has")),
    Fault("module-path", raising("import module_of_check"), add_path, prepare=module_elsewhere),
    Fault("import-error", raising("from os import what_it_has_not")),
    Fault("raises", raising("1 / 0")),
    Fault("missing-file", raising("open('settings.ini')")),
    Fault("permission", raising("raise PermissionError(13, 'Permission denied', '/srv/log')")),
    Fault("environment", raising("import os; os.environ['DATABASE_URL']")),
    Fault(
        "needs-path",
        raising("import os; os.environ['PATH']"),
        "import os; os.environ.setdefault('PATH', '/usr/bin:/bin')\n" + GOOD,
    ),
    Fault("no-run", LINE + APPLICATION),
    Fault("run-not-reached", LINE + APPLICATION + RUN.replace("__main__", "main")),
    Fault("run-not-reached", LINE + APPLICATION + "import sys; sys.exit()\n" + RUN),
    Fault(
        "other-server",
        LINE + FLUP,
        lambda script, line: write(
            script, LINE + FLUP.replace(FLUP_IMPORT, line.partition(" by ")[2])
        ),
    ),
    Fault("ends", raising("import sys; sys.exit(3)")),
    Fault("ends", raising("import os; os.kill(os.getpid(), 9)")),
    Fault("cgi-script", LINE + "print('Content-Type: text/html')\nprint()\nprint('hello')\n"),
    Fault("misuse", LINE + GOOD.replace("(application)", "(application, bakclog=3)")),
    Fault(
        "misuse", LINE + GOOD.replace("(application)", f"(application, bind='unix:/{'x' * 200}')")
    ),
    Fault("too-slow", raising("import time; time.sleep(60)"), wait=1),
    Fault(
        "too-slow",
        LINE + GOOD.replace("    start", "    import time; time.sleep(60)\n    start"),
        wait=4,
    ),
    Fault("application-fails", LINE + GOOD.replace("    return", "    1 / 0\n    return")),
    Fault(
        "application-fails", LINE + "def application(environ, start_response): return []\n" + RUN
    ),
    Fault(
        "application-fails",
        LINE + GOOD.replace("return [b'a page']", "yield b'a'; 1 / 0"),
    ),
    Fault(
        "content-length",
        LINE + GOOD.replace("('Content-Type'", "('Content-Length', '7'), ('Content-Type'"),
    ),
    Fault(
        "blocking",
        LINE
        + GOOD.replace(
            "    start_",
            "    import gevent.monkey as m; m.get_original('time', 'sleep')(.3)\n    start_",
        ),
        GOOD.replace("    start_", "    import time; time.sleep(.3)\n    start_"),
    ),
    Fault("validate", LINE + GOOD.replace("[('Content-Type', 'text/plain')]", "[]")),
    Fault(
        "late-modules",
        raising("import helper_of_check"),
        "import gfcgi.patched\nimport helper_of_check\n" + GOOD,
        prepare=helper("import socket\nclass Own(socket.socket): pass\n"),
    ),
    Fault(
        "stubborn",
        raising("import atexit, time; atexit.register(time.sleep, 99)"),
    ),
]


@pytest.fixture
def script(tmp_path: Path) -> Path:
    return tmp_path / "app.fcgi"


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A directory that every user can enter, which pytest's own is not."""
    import shutil
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="gfcgi-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Machines that run tests have much else to do: a late answer or end says nothing of them."""
    monkeypatch.setattr(trial, "SLOW_SECONDS", 15.0)
    monkeypatch.setattr(trial, "STOP_SECONDS", 20.0)
    monkeypatch.setattr(trial, "WATCH_SECONDS", 60.0)
    monkeypatch.setattr(run, "MAX_SECONDS", 240.0)


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """No check leaves a process, whatever it was that it started."""
    before = children()
    yield
    assert children() <= before


def children() -> set[str]:
    """Our own children that run, or that have ended and nobody has waited for."""
    found = set()
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = place.read_text("latin-1").rpartition(")")[2].split()[1]
        except OSError:
            continue
        if parent == str(os.getpid()):
            found.add(place.parent.name)
    return found


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{FAULTS.index(fault)}-{fault.name}")
def test_a_fault_is_named_and_following_its_line_leads_to_a_page(script, fault, monkeypatch):
    write(script, fault.text, fault.mode)
    fault.prepare(script)
    with monkeypatch.context() as patched:
        if fault.name in ("stubborn", "too-slow"):
            patched.setattr(trial, "STOP_SECONDS", 2.0)
        report = checked(script, wait=fault.wait)
    found = [finding for finding in report.findings if finding.kind == "fault"]
    assert [finding.name for finding in found] == [fault.name], report
    assert found[0].line.count("\n") == 0
    assert not report.good
    fault.apply_remedy(script, found[0].line)
    mended = checked(script)
    assert mended.good, mended
    assert mended.answer is not None
    assert mended.answer.body == b"a page"


@pytest.mark.parametrize("text", [GOOD, APPLICATION, "import socket\n" + GOOD])
def test_a_script_that_gfcgi_runs_is_good(script, text):
    """With or without the call of gfcgi.run, whatever it imports first."""
    by_gfcgi(text)(script)
    report = checked(script)
    assert report.good, report
    assert not report.findings, report


def test_there_are_enough_kinds_of_faults():
    assert len({fault.name for fault in FAULTS}) >= 25


# --- what needs two users ------------------------------------------------------------------------


def other_user() -> str:
    """Somebody who is not allowed what the mode does not say: root is allowed everything."""
    return NOBODY if AS_ROOT else ME


def test_a_directory_on_the_way_that_the_user_cannot_enter_is_named(open_folder):
    private = open_folder / "private"
    private.mkdir()
    script = write(private / "app.fcgi", LINE + GOOD)
    private.chmod(0o700 if AS_ROOT else 0o600)
    try:
        report = checked(script, user=other_user())
        found = next(one for one in report.findings if str(private) in one.text)
        assert found.name == "closed-directory"
        private.chmod(0o600) if not AS_ROOT else follow(found.line)
        private.chmod(0o701) if not AS_ROOT else None
        after = checked(script, user=other_user())
        assert not [one for one in after.findings if str(private) in one.text]
    finally:
        private.chmod(0o755)


def test_a_script_that_only_another_may_execute_or_read_is_named(open_folder):
    script = write(open_folder / "app.fcgi", LINE + GOOD, 0o700 if AS_ROOT else 0o077)
    names = checked(script, user=other_user()).names()
    assert {"unreadable", "not-executable"} <= set(names)


def test_a_python_in_a_private_directory_is_named(open_folder):
    private = open_folder / "private"
    private.mkdir()
    (private / "python3").symlink_to(sys.executable)
    script = write(open_folder / "app.fcgi", f"#!{private}/python3\n{GOOD}")
    private.chmod(0o700 if AS_ROOT else 0o600)
    try:
        found = next(
            one for one in checked(script, user=other_user()).findings if str(private) in one.text
        )
    finally:
        private.chmod(0o755)
    assert found.name in ("closed-directory", "no-interpreter")


# --- what is not there ---------------------------------------------------------------------------


def test_a_missing_script_a_dangling_link_and_a_directory_are_named(tmp_path):
    assert checked(tmp_path / "none.fcgi").names() == ["missing"]
    (tmp_path / "link.fcgi").symlink_to("nowhere")
    assert checked(tmp_path / "link.fcgi").names() == ["missing"]
    assert checked(tmp_path).names() == ["directory"]


# --- hints ---------------------------------------------------------------------------------------

HINTS = {
    "str-body": GOOD.replace("b'a page'", "'a page'"),
    "stdout": "print('debugging')\n" + GOOD,
    "slow": "import time; time.sleep(2.2)\n" + GOOD,
    "bad-request": GOOD.replace("200 OK", "400 Bad Request"),
    "bind-directory": GOOD.replace("(application)", "(application, bind='unix:/none/of/it')"),
    "left-behind": "import subprocess; subprocess.Popen(['sleep', '99'])\n" + GOOD,
}


@pytest.mark.parametrize("name", HINTS)
def test_what_works_but_could_be_better_is_a_hint_and_leaves_the_verdict_good(
    script, name, monkeypatch
):
    monkeypatch.setattr(trial, "SLOW_SECONDS", 2.0)
    report = checked(write(script, LINE + HINTS[name]))
    assert report.good, report
    assert name in report.names()
    assert all(finding.remedy for finding in report.findings)


def test_processes_in_sessions_of_their_own_do_not_outlive_the_check(script):
    """The autouse fixture sees to it that none is left."""
    text = "import subprocess; p = subprocess.Popen(['sleep', '99'], start_new_session=True)\n"
    report = checked(write(script, LINE + text + GOOD))
    assert "left-behind" in report.names()


# --- examples, targets, addresses ----------------------------------------------------------------


@pytest.mark.parametrize("name", ["hello.fcgi", "streaming.py", "upload.py", "authorizer.py"])
def test_on_the_examples_it_finds_nothing(tmp_path, name):
    text = (ROOT / "examples" / name).read_text()
    report = checked(write(tmp_path / "app.fcgi", LINE + text.partition("\n")[2]))
    assert report.names() == []
    assert report.good


@pytest.mark.parametrize("target", ["flask_app.py:app", "upload.py:application"])
def test_an_application_that_gfcgi_loads_is_checked_without_a_script(monkeypatch, target):
    if target.startswith("flask"):
        pytest.importorskip("flask")
    monkeypatch.chdir(ROOT / "examples")
    report = checked(target)
    assert report.names() == []
    assert report.answer is not None
    assert report.answer.status == 200


def test_a_target_that_cannot_be_loaded_is_explained(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "site_of_check.py", "import package_that_nobody_has\n", 0o644)
    assert checked("site_of_check:app").names() == ["missing-package"]
    assert checked("no_module_of_this_name:app").names() == ["misuse"]


@pytest.fixture
def served(start, hello, tmp_path) -> str:
    """The hello example on a UNIX socket: its path."""
    path = f"{tmp_path}/app.sock"
    process = start("-m", "gfcgi", hello, "--bind", f"unix:{path}")
    process.until_logged("listening on")
    return path


def test_an_application_that_runs_is_asked_at_its_address(served):
    report = checked(f"unix:{served}")
    assert report.names() == []
    assert report.good


def test_a_socket_that_is_not_there_is_no_socket_or_that_nobody_listens_on_is_named(tmp_path):
    assert checked(f"unix:{tmp_path}/none.sock").names() == ["no-socket"]
    write(tmp_path / "file.sock", "")
    assert checked(f"unix:{tmp_path}/file.sock").names() == ["no-socket"]
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(f"{tmp_path}/stale.sock")
    assert checked(f"unix:{tmp_path}/stale.sock").names() == ["nobody-listens"]


def test_a_socket_that_the_user_may_not_write_to_is_named(open_folder):
    path = open_folder / "app.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        path.chmod(0o600 if AS_ROOT else 0o055)
        report = checked(f"unix:{path}", user=other_user(), wait=0.2)
        found = next(one for one in report.findings if one.name == "socket-mode")
        subprocess.run(found.remedy.partition("now: ")[2], shell=True, check=True, timeout=60)
        assert path.stat().st_mode & stat.S_IWOTH


def test_what_does_not_speak_fastcgi_or_says_nothing_is_named(website):
    host = website({}).partition("//")[2].rstrip("/")
    assert checked(host, wait=2).names() in (["no-fastcgi"], ["too-slow"])


# --- the real Web server -------------------------------------------------------------------------


@pytest.fixture
def website() -> Iterator[Callable[[dict[str, tuple[int, bytes]]], str]]:
    """A Web server with these pages: the URL of its root."""
    servers = []

    def serve(pages: dict[str, tuple[int, bytes]]) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = pages.get(self.path, (404, b"none"))
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_address[1]}/"

    yield serve
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("page", "name"),
    [
        ((200, b"a page"), None),
        ((200, b"another page"), "website-page"),
        ((200, b"#!/usr/bin/python3"), "website-source"),
        ((403, b""), "website-server"),
        ((502, b""), "website-server"),
    ],
)
def test_the_web_server_is_told_from_the_application(script, website, page, name):
    write(script, LINE + GOOD)
    report = checked(script, url=website({"/app": page}) + "app")
    assert report.names() == ([name] if name else [])
    assert report.good == (name in (None, "website-page"))
    assert report.web_server


def test_where_both_fail_it_is_the_application(script, website):
    write(script, raising("1 / 0"))
    report = checked(script, url=website({"/": (500, b"")}))
    assert report.names() == ["raises", "website-application"]


def test_a_web_server_that_is_not_there_is_named(script):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/"
        report = checked(write(script, LINE + GOOD), url=url)
    assert report.names() == ["website-unreachable"]


# --- the command ---------------------------------------------------------------------------------


def test_the_command_prints_lines_and_a_verdict(script, capsys):
    write(script, LINE + GOOD)
    assert main(["check", str(script), "--user", ME]) == 0
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{script}, as ")
    assert last.startswith("verdict: good: 200 OK after ")


def test_a_fault_is_status_1_and_its_traceback_is_shown_without_control_characters(script, capsys):
    write(script, raising("raise ValueError('\\x1b[2J')"))
    assert main(["check", str(script), "--user", ME]) == 1
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\\x1b[2J" in out
    assert "Traceback" in out
    assert out.splitlines()[-1] == "verdict: 1 fault"


def test_json_has_it_all(script, capsys):
    write(script, LINE + GOOD, 0o644)
    assert main(["check", str(script), "--user", ME, "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["good"] is False
    assert said["findings"][0]["name"] == "not-executable"
    assert said["findings"][0]["remedy"] == f"chmod 755 {shlex.quote(str(script))}"


@pytest.mark.parametrize(
    "arguments",
    [
        ["app.fcgi", "--user", "nobody-of-this-name"],
        ["fd:0"],
        ["unix:"],
        ["app.fcgi", "--url", "ftp://localhost/"],
        ["app.fcgi", "--url", "http://localhost:http/"],
    ],
)
def test_misuse_is_one_line_and_status_2(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["check", *arguments]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_it_never_takes_longer_than_the_time_it_has(script, monkeypatch):
    """An application that never answers, and that ignores every wish to end."""
    monkeypatch.setattr(run, "MAX_SECONDS", 6.0)
    monkeypatch.setattr(trial, "STOP_SECONDS", 1.0)
    write(script, raising("import signal; signal.signal(15, signal.SIG_IGN)\nwhile True: pass"))
    start = time.monotonic()
    assert "too-slow" in checked(script, wait=40).names()
    assert time.monotonic() - start < 30


# --- the page of the docs ------------------------------------------------------------------------

PAGE = ROOT / "docs/howto/check.md"


def test_the_docs_show_what_the_command_prints(script, capsys):
    """The commands and the output of the page, for a script and a user of ours."""
    command, before, after = re.findall(r"```(?:sh|text)\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert shlex.split(command)[1:] == [
        "/srv/hello/venv/bin/gfcgi",
        "check",
        "/srv/hello/hello.fcgi",
    ]
    write(script, LINE + GOOD, 0o644)
    me = pwd.getpwuid(os.geteuid()).pw_name
    for shown in (before, after):
        main(["check", str(script), "--user", ME])
        printed = capsys.readouterr().out.replace(str(script), "/srv/hello/hello.fcgi")
        printed = printed.replace(f", as {me}\n", ", as www-data\n")
        assert re.sub(r"[0-9.]+ s\n", "0.21 s\n", printed) == shown
        script.chmod(0o755)


def test_the_docs_name_every_finding_and_no_other():
    source = "".join(path.read_text() for path in (ROOT / "gfcgi/checking").glob("*.py"))
    made = set(re.findall(r'\b(?:fault|hint|make)\(\s*"([a-z0-9-]+)"', source))
    made |= {"raises", "application-fails", "no-gfcgi", "no-gevent"}  # named by an expression
    table = PAGE.read_text().partition("## What it finds")[2]
    rows = "".join(re.findall(r"^\| (`.*?) \|", table, re.MULTILINE))
    named = set(re.findall(r"`([a-z0-9-]+)`", rows))
    assert named == made
