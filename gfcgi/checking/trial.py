"""The trial: start it as Apache does, ask it for a page, watch it answer, stop it."""

from __future__ import annotations

import json
import os
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gfcgi.checking.asking import Asked, ask
from gfcgi.checking.findings import Answer, Finding, fault, hint
from gfcgi.checking.processes import Started
from gfcgi.checking.said import (
    Context,
    explain_complaint,
    explain_end,
    explain_log,
    explain_traceback,
    other_server,
)
from gfcgi.process.other_servers import IMPORTS

__all__ = ["FCGID_ENVIRON", "Tried", "Way", "try_it"]

FASTCGI_ENVIRON: Final[Mapping[str, str]] = {}
"""What mod_fastcgi gives to a script's process: nothing, unless -initial-env says more."""
FCGID_ENVIRON: Final = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
"""What mod_fcgid gives to it: Apache's own PATH, unless FcgidInitialEnv says more."""

STOP_SECONDS: Final = 4.0
"""mod_fcgid kills what has not ended 8 seconds after its first SIGTERM."""
SLOW_SECONDS: Final = 2.0
"""An answer that takes longer is worth a hint: mod_fcgid starts a process for each that waits."""
WATCH_SECONDS: Final = 10.0
"""How long the second process, which watches, may take."""
WATCHED_REQUESTS: Final = 3
"""The first may import and compile; what blocks in both of the others is not chance."""
PREVIEW_BYTES: Final = 200


@dataclass(frozen=True)
class Way:
    """How something is started: the command, and the one for the process that is watched.

    ``watched`` is called with the descriptor that the process is to write to; None if there is no
    Python to watch it with.
    """

    command: Sequence[str]
    context: Context
    python_command: Sequence[str] | None
    kind: str
    mount: str = ""

    def ask(self, started: Started, seconds: float) -> Asked:
        return ask(
            started.address,
            seconds,
            ended=lambda: started.ended,
            script_name=self.mount,
            path_info="" if self.mount else "/",
        )

    def watched(self, fd: int) -> list[str]:
        assert self.python_command is not None
        inside = ["-m", "gfcgi.checking.inside", str(fd), self.kind, self.context.target]
        return [*self.python_command, *inside]


@dataclass
class Tried:
    """What came of a trial; ``steady``: asked once more, it gave the same page."""

    findings: list[Finding]
    answer: Answer | None = None
    steady: bool = False

    @property
    def works(self) -> bool:
        return self.answer is not None and self.answer.status < 500


def try_it(way: Way, wait_seconds: float, deadline: float) -> Tried:
    """Start it twice: as Apache does, and where it answers once more to watch it.

    ``wait_seconds`` is how long the Web server waits for the first answer; ``deadline`` is when
    all must be over, of the monotonic clock.
    """
    tried = _start_and_ask(way, FASTCGI_ENVIRON, wait_seconds)
    left = deadline - time.monotonic() - 2 * STOP_SECONDS
    if not tried.works and not _named(tried, "too-slow") and left > 1:
        with_path = _start_and_ask(way, FCGID_ENVIRON, min(wait_seconds, left))
        if with_path.works:
            with_path.findings.insert(0, _needs_path())
            tried = with_path
    if tried.works and way.python_command:
        seconds = min(WATCH_SECONDS, deadline - time.monotonic() - STOP_SECONDS)
        if seconds > 1:
            tried.findings += _watch(way, seconds, tried)
    return tried


def _named(tried: Tried, name: str) -> bool:
    return any(finding.name == name for finding in tried.findings)


def _needs_path() -> Finding:
    return fault(
        "needs-path",
        "it works with PATH in its environment and not without: mod_fcgid passes PATH, mod_fastcgi"
        " passes nothing",
        "-initial-env PATH=/usr/local/bin:/usr/bin:/bin in FastCgiConfig, or set os.environ there",
    )


def _start_and_ask(way: Way, environ: Mapping[str, str], wait_seconds: float) -> Tried:
    context = way.context
    try:
        started = Started(way.command, context.user, environ, context.directory)
    except OSError as error:
        return Tried([_cannot_start(error, context)])
    try:
        asked = way.ask(started, wait_seconds)
        in_time, left = started.stop(STOP_SECONDS)
        return Tried(list(_judge(asked, started, in_time, left, way, wait_seconds)), asked.answer)
    finally:
        started.stop(0)
        started.clean_up()


def _cannot_start(error: OSError, context: Context) -> Finding:
    return fault(
        "cannot-start",
        f"the system does not start {context.target}: {error.strerror}",
        f"try it by hand: sudo -u {context.user.name} env -i {shlex.quote(context.target)}",
    )


def _judge(
    asked: Asked, started: Started, in_time: bool, left: bool, way: Way, wait_seconds: float
) -> Iterator[Finding]:
    context, stderr = way.context, started.stderr
    answer = asked.answer
    if answer is None:
        yield _no_answer(asked, started, context, wait_seconds)
        return
    if answer.status >= 500:
        yield _failed(answer, asked.stderr, stderr, context)
    else:
        if context.source.other:
            yield _works_with_another(context)
        if answer.status == 400:
            yield _bad_request(answer)
        logged = list(explain_log(stderr))
        yield from logged
        failed = asked.failure == "cut" or b": the application failed" in stderr
        if failed and not any(one.kind == "fault" for one in logged):
            yield _cut(asked, stderr, context)
    if answer.seconds > SLOW_SECONDS:
        yield hint(
            "slow",
            f"the first answer took {answer.seconds:.1f} s",
            f"import less at the start: {shlex.quote(context.python)} -X importtime shows what"
            " takes how long",
        )
    if started.stdout.strip():
        yield hint(
            "stdout",
            f"it writes to standard output: {_preview(started.stdout)}",
            "leave print() out, or print to sys.stderr: Apache puts it into its error log, other"
            " servers throw it away",
        )
    if not in_time:
        yield fault(
            "stubborn",
            f"it does not end {STOP_SECONDS:g} s after SIGTERM: mod_fcgid kills such a process,"
            " mod_fastcgi leaves it running",
            "let the application handle no SIGTERM, and start no thread that is not a daemon",
        )
    elif left:
        yield hint(
            "left-behind",
            "processes that it started went on when it had ended",
            "end them when the process ends (atexit), or start them elsewhere",
        )


def _no_answer(asked: Asked, started: Started, context: Context, wait_seconds: float) -> Finding:
    if asked.failure == "ended":
        status = started.ended
        assert status is not None
        return explain_end(status, started.stdout, started.stderr, context)
    if asked.failure == "timeout":
        return _too_slow(started, context, wait_seconds)
    if context.source.other and asked.failure == "closed":
        return other_server(context.source)
    tail = tuple(started.stderr.decode("utf-8", "replace").splitlines()[-20:])
    return fault(
        "no-answer",
        f"it gives no answer: {asked.reason}",
        "see what it says below" if tail else "see what it does when a request comes",
        tail,
    )


def _too_slow(started: Started, context: Context, wait_seconds: float) -> Finding:
    text = started.stderr.decode("utf-8", "replace")
    loaded = " serves " in text
    if not loaded:
        # A thread can keep the process there when the script has failed.
        failed = explain_traceback(text, context, "while it was loaded")
        if failed is not None:
            return failed
    if loaded:
        what = "the application did not answer"
        remedy = "see what its page for / waits for"
    else:
        what = "the script did not get to gfcgi.run"
        remedy = "see what it waits for while it is loaded, or move that into the first request"
    return fault(
        "too-slow",
        f"no answer in {wait_seconds:g} s: {what}; mod_fastcgi waits 30 s, mod_fcgid 40 s",
        f"{remedy}; -idle-timeout or FcgidIOTimeout has Apache wait longer",
        tuple(text.splitlines()[-20:]),
    )


def _failed(answer: Answer, fcgi_stderr: str, stderr: bytes, context: Context) -> Finding:
    text = fcgi_stderr or stderr.decode("utf-8", "replace")
    found = explain_traceback(text, context, "as it answered")
    if found is not None:
        return found
    refused = explain_complaint(tuple(stderr.decode("utf-8", "replace").splitlines()))
    if refused is not None:
        return refused
    return fault(
        "application-fails",
        f"the application answers {answer.status} {answer.reason}",
        "see what it says below",
        tuple(text.splitlines()[-20:]),
    )


def _cut(asked: Asked, stderr: bytes, context: Context) -> Finding:
    text = asked.stderr or stderr.decode("utf-8", "replace")
    found = explain_traceback(text, context, "in the middle of its answer")
    if found is not None:
        return found
    return fault(
        "cut",
        f"its answer begins and is cut off: {asked.reason}",
        "see what it says below",
        tuple(text.splitlines()[-20:]),
    )


def _works_with_another(context: Context) -> Finding:
    source = context.source
    return hint(
        "other-server",
        f"line {source.other_line} imports {source.other}, and it answers with that",
        f"replace line {source.other_line} by {IMPORTS[source.other]}",
    )


def _bad_request(answer: Answer) -> Finding:
    return hint(
        "bad-request",
        "the application answers 400 to a request for / with the host localhost",
        "allow the site's own host in the framework (Django: ALLOWED_HOSTS)",
    )


def _preview(output: bytes) -> str:
    text = " ".join(output[:PREVIEW_BYTES].decode("utf-8", "replace").split())
    return repr(text)


# --- the process that is watched -----------------------------------------------------------------


def _watch(way: Way, seconds: float, tried: Tried) -> list[Finding]:
    """Start it once more with an eye on the application, and ask it some times."""
    reading, writing = os.pipe()
    with open(reading, "rb") as told:
        try:
            started = Started(
                way.watched(writing),
                way.context.user,
                FCGID_ENVIRON,
                way.context.directory,
                pass_fds=(writing,),
            )
        except OSError:
            return []
        finally:
            os.close(writing)
        until = time.monotonic() + seconds
        try:
            for _ in range(WATCHED_REQUESTS):
                if (left := until - time.monotonic()) > 0:
                    again = way.ask(started, left).answer
                    tried.steady = bool(again and tried.answer and again.body == tried.answer.body)
            started.stop(STOP_SECONDS)
            os.set_blocking(told.fileno(), False)
            lines = (told.read() or b"").splitlines()
        finally:
            started.stop(0)
            started.clean_up()
    return list(_seen([json.loads(line) for line in lines]))


def _seen(told: Sequence[Mapping[str, object]]) -> Iterator[Finding]:
    refused = list(dict.fromkeys(str(one["refused"]) for one in told if "refused" in one))
    for text in refused:
        if "string" in text:
            continue  # gfcgi sends a str, and its log says so
        yield fault(
            "validate",
            f"wsgiref.validate refuses what the application does: {text}",
            "change it: another WSGI server may refuse it too (PEP 3333)",
        )
    blocked = [one for one in told if isinstance(one.get("blocked"), float)]
    # Once can be this machine's fault, which had something else to do.
    if len({one["call"] for one in blocked}) > 1:
        worst = max(blocked, key=lambda one: float(str(one["blocked"])))
        yield fault(
            "blocking",
            f"for {worst['blocked']:.1f} s nobody else was answered while the application stood in"
            f" {worst['place']}",
            "use a call that is cooperative, or have it run in a thread: gevent.get_hub()"
            ".threadpool.apply(function)",
        )
