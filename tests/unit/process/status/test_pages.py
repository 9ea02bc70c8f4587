"""What is gathered for the status page."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from gfcgi import limits
from gfcgi.options import Options
from gfcgi.process.status.pages import Status
from gfcgi.wsgi.observed import Observed


def status_of(*paths: str) -> Status:
    """The status of a process in which there are requests for these paths, the oldest first."""
    requests = []
    for age, path in enumerate(reversed(paths)):
        observed = Observed({"REQUEST_METHOD": "GET", "PATH_INFO": path}, None, None)
        observed.began -= age
        requests.append(SimpleNamespace(observed=observed))
    status = Status(Options(status_path="/status"))
    server: Any = SimpleNamespace(
        requests=requests, connections=0, open_connections=[], stopping=False
    )
    status.watch(server)
    return status


def test_requests_are_shown_the_oldest_first_and_no_more_than_people_read() -> None:
    paths = [f"/{number}" for number in range(limits.STATUS_REQUESTS + 7)]
    shown = status_of(*paths).snapshot()
    assert [one.path for one in shown.standing] == paths[: limits.STATUS_REQUESTS]
    assert shown.more == 7
    assert shown.own["running"] == len(paths)


def test_a_path_is_shown_as_far_as_people_read_it() -> None:
    (one,) = status_of("/" + "x" * 5000).snapshot().standing
    assert one.path == "/" + "x" * 999 + "..."
