"""In which form the status is shown."""

from __future__ import annotations

import pytest

from gfcgi.process.status.forms import FORMS, form_for

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=underscores;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.2"
)


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", "text"),
        ("*/*", "text"),
        (BROWSER, "html"),
        (PROMETHEUS, "openmetrics"),
        ("application/json", "json"),
        ("application/json, text/html;q=0.9", "json"),
        ("text/html;q=0.1, application/json;q=0.2", "json"),
        ("TEXT/HTML", "html"),
        ("application/*", "json"),
        ("image/png", "text"),
        ("text/html;q=0, text/plain;q=0.1", "text"),
        ("text/html;q=much", "html"),
        (",;,=;q", "text"),
    ],
)
def test_header_field_accept_chooses(accept: str, form: str) -> None:
    assert form_for("", accept) == form


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("query", ["{}", "{}=1", "x=1&{}", "{}&x"])
def test_query_comes_before_accept(form: str, query: str) -> None:
    assert form_for(query.format(form), "text/html, application/json") == form


def test_query_that_names_no_form_changes_nothing() -> None:
    assert form_for("jsonx&xjson=html&q=json", BROWSER) == "html"
