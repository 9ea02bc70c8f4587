"""gfcgi.process.handing: while a script is loaded, and only then, its gfcgi.run hands over."""

from __future__ import annotations

import pytest

import gfcgi
from gfcgi.process.handing import capture, capturing


def application(environ, start_response):
    return []


def test_run_hands_over_the_application_and_the_options_while_a_script_is_loaded():
    with capturing() as handed:
        assert not handed.called
        gfcgi.run(application, debug=True)
    assert handed.called
    assert handed.application is application
    assert handed.keywords == {"debug": True}


def test_run_outside_of_loading_is_not_captured():
    assert capture(application, {"debug": True}) is False


def test_run_is_itself_again_after_a_script_that_fails():
    with pytest.raises(ValueError, match="its own"), capturing():
        raise ValueError("its own")
    assert capture(application, {}) is False
