"""What the harness does where a Web server is missing."""

from __future__ import annotations

import pytest

from .harness import need


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GFCGI_REQUIRE_SERVERS", raising=False)
    monkeypatch.delenv("CI", raising=False)


def test_missing_program_skips_on_a_desk() -> None:
    with pytest.raises(pytest.skip.Exception, match="no-such-server is not installed"):
        need("no-such-server")


@pytest.mark.parametrize(("name", "value"), [("GFCGI_REQUIRE_SERVERS", "1"), ("CI", "true")])
def test_missing_program_fails_where_the_servers_are_required(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(pytest.fail.Exception, match="no-such-server is not installed"):
        need("no-such-server")
