"""gfcgi.server.own_pages: which request is for a page of ours, and who asks."""

from __future__ import annotations

import pytest

from gfcgi.protocol import BeginRequest
from gfcgi.server.own_pages import Asked, OwnPages
from gfcgi.wsgi.webserver_rules import Rules

PARAMS = {"REQUEST_METHOD": "GET", "SCRIPT_NAME": "/app", "REMOTE_ADDR": "192.0.2.1"}


def answer(
    role: int = 1,
    repeated: tuple[tuple[str, str], ...] = (),
    rules: Rules | None = None,
    **more: str,
) -> str | None:
    """Which page it is and who asks; None where the application is asked."""

    def page(name: str):  # type: ignore[no-untyped-def]
        return lambda asked: f"{name} for {asked.client}".encode()

    pages = OwnPages({"/status": page("status"), "/é": page("é")}, rules or Rules())
    params = {**PARAMS, **more}
    before = params.copy()
    make = pages.find(BeginRequest(1, role, True, params, repeated))
    assert params == before, "they are the application's"
    return None if make is None else make().decode()


def test_page_is_found_by_its_path() -> None:
    assert answer(PATH_INFO="/status") == "status for 192.0.2.1"
    assert answer(PATH_INFO="/é".encode().decode("latin-1")) == "é for 192.0.2.1"


@pytest.mark.parametrize("path", ["", "/", "/x", "/xstatus", "/x/status", "/status/", "status"])
def test_all_other_paths_are_the_applications(path: str) -> None:
    assert answer(PATH_INFO=path) is None


@pytest.mark.parametrize("role", [2, 3])
def test_only_a_responder_has_pages(role: int) -> None:
    assert answer(role, PATH_INFO="/status") is None


def test_request_that_contradicts_itself_is_left_to_the_gateway_which_refuses_it() -> None:
    repeated = (("CONTENT_LENGTH", "2"),)
    assert answer(repeated=repeated, PATH_INFO="/status", CONTENT_LENGTH="1") is None


def test_a_rule_that_is_left_out_does_not_find_the_page() -> None:
    params = {"SCRIPT_NAME": "/status", "SERVER_SOFTWARE": "nginx/1.22"}
    assert answer(**params) == "status for 192.0.2.1"
    assert answer(rules=Rules(switches=("nginx-path=off",)), **params) is None


def test_client_is_whom_a_trusted_proxy_names_and_else_unknown() -> None:
    trusting = Rules(trusted_proxies=("192.0.2.0/24",))
    forwarded = {"PATH_INFO": "/status", "HTTP_X_FORWARDED_FOR": "127.0.0.1, 203.0.113.9"}
    assert answer(rules=trusting, **forwarded) == "status for 203.0.113.9"
    assert answer(**forwarded) == "status for None"
    silent = Rules(trusted_proxies=("192.0.2.0/24",), switches=("forwarded=off",))
    assert answer(rules=silent, **forwarded) == "status for None"


def test_what_is_asked_has_the_params_as_the_application_would_see_them() -> None:
    seen: list[Asked] = []

    def page(asked: Asked) -> bytes:
        seen.append(asked)
        return b""

    pages = OwnPages({"/status": page}, Rules("/app"))
    make = pages.find(BeginRequest(1, 1, True, {"SCRIPT_NAME": "/app/status"}, ()))
    assert make is not None
    make()
    assert (seen[0].params["SCRIPT_NAME"], seen[0].params["PATH_INFO"]) == ("/app", "/status")
    assert seen[0].params["QUERY_STRING"] == ""
