"""gfcgi.process.broken: the page of an application that cannot be started."""

from __future__ import annotations

import pytest

from gfcgi.errors import AppImportError, ConfigError
from gfcgi.process.broken import BrokenApplication


def failure():
    try:
        try:
            raise ValueError("the database's password is secret")
        except ValueError as error:
            raise AppImportError("site: ValueError while it was loaded") from error
    except AppImportError as error:
        return error


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("error", [failure(), ConfigError("secret")])
def test_the_page_tells_what_happened_only_where_that_is_wanted(error, debug):
    sent = []
    application = BrokenApplication(error, debug=debug)
    for _ in range(2):
        page = b"".join(application({}, lambda *head: sent.append(head)))
        status, headers = sent[-1]
        assert status == "500 Internal Server Error"
        assert dict(headers)["Content-Length"] == str(len(page))
        assert dict(headers)["Cache-Control"] == "no-store"
        assert (b"secret" in page) is debug
    assert (__file__ in application.files) is (error.__cause__ is not None)
