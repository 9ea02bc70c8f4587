"""nginx's auth_request: a subrequest without a body, of a request that has one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from .applications import Bound
from .columns import Column
from .site import Site
from .webservers import Nginx, Place

pytestmark = pytest.mark.servers


class AskingPlace(Place):
    """A place whose printed configuration asks the application first, as nginx's manual shows."""

    def printed(self, server: str, **asked: Any) -> str:
        printed = super().printed(server, **asked)
        before, location, behind = printed.partition("    location ~ ")
        assert location
        inside = behind.partition("{")[2].partition("\n    }")[0]
        ask = (
            f"location = {self.mount}/environ {{\n internal;\n fastcgi_pass_request_body off;\n"
            f'{inside}\n fastcgi_param CONTENT_LENGTH "";\n}}\n'
        )
        asked_first = behind.replace("{", f"{{\n auth_request {self.mount}/environ;", 1)
        return before + ask + location + asked_first


@dataclass(frozen=True)
class Asking(Nginx):
    """nginx with that question."""

    def command(self, place: Place) -> list[str]:
        return super().command(AskingPlace(**vars(place)))


def test_a_post_that_is_asked_for_first_reaches_the_application() -> None:
    """Debian's fastcgi_params have a CONTENT_LENGTH too; the empty one behind it overrides it."""
    site = Site(Column("nginx-auth-request", Asking(), Bound()))
    with site.running():
        answer = site.request("POST", "/upload", b"hello world")
        assert answer.status == 200, answer
        assert answer.json()["bytes"] == 11
