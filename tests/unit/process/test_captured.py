"""gfcgi.process.captured: while a script is loaded, and only then, its gfcgi.run starts nothing."""

from __future__ import annotations

import pytest

import gfcgi
from gfcgi.process.captured import CapturedRun, capture


def application(environ, start_response):
    return []


def test_what_run_is_called_with_while_a_script_is_loaded_is_captured():
    with CapturedRun() as captured:
        assert not captured.called
        gfcgi.run(application, debug=True)
    assert captured.called
    assert captured.application is application
    assert captured.keywords == {"debug": True}


def test_run_outside_of_loading_is_not_captured():
    assert capture(application, {"debug": True}) is False


def test_run_is_itself_again_after_a_script_that_fails():
    with pytest.raises(ValueError, match="its own"), CapturedRun():
        raise ValueError("its own")
    assert capture(application, {}) is False
