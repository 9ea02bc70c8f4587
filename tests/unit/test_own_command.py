"""gfcgi.own_command: the words that start this program again, also from an archive."""

from __future__ import annotations

import sys
import zipapp

import pytest

from gfcgi.commands.own_name import called_as
from gfcgi.own_command import own_archive, own_command


@pytest.fixture
def directory(tmp_path, monkeypatch):
    """One that Python can start as a program, beside the current directory."""
    directory = tmp_path / "packed"
    directory.mkdir()
    (directory / "__main__.py").write_text("")
    monkeypatch.chdir(tmp_path)
    return directory


@pytest.mark.parametrize("name", ["/venv/bin/gfcgi", "/site/gfcgi/__main__.py", "-c", "", None])
def test_what_is_installed_is_started_as_a_module(monkeypatch, name):
    monkeypatch.setattr(sys, "argv", [] if name is None else [name])
    assert own_archive() is None
    assert own_command() == [sys.executable, "-m", "gfcgi"]


def test_an_archive_that_is_a_program_starts_itself(monkeypatch, directory, tmp_path):
    zipapp.create_archive(directory, "app.pyz", interpreter=sys.executable)
    monkeypatch.setattr(sys, "argv", ["./app.pyz"])
    assert own_archive() == f"{tmp_path}/app.pyz"
    assert own_command() == [f"{tmp_path}/app.pyz"]
    assert called_as() == "app.pyz"


def test_an_archive_that_is_none_is_given_to_python(monkeypatch, directory, tmp_path):
    zipapp.create_archive(directory, "app.pyz")
    monkeypatch.setattr(sys, "argv", ["app.pyz"])
    assert own_command() == [sys.executable, f"{tmp_path}/app.pyz"]


def test_so_is_one_that_is_not_packed(monkeypatch, directory, tmp_path):
    monkeypatch.setattr(sys, "argv", ["packed"])
    assert own_command() == [sys.executable, f"{tmp_path}/packed"]
    monkeypatch.setattr(sys, "argv", [str(tmp_path)])
    assert own_archive() is None
