"""gfcgi.process.parents: who has started the process."""

from __future__ import annotations

import os

import pytest

from gfcgi.process import parents
from gfcgi.process.parents import Starter, starter


@pytest.mark.parametrize(
    ("parent", "group", "who"),
    [
        ("apache2", "apache2", Starter.WEB_SERVER),
        ("sh", "httpd", Starter.WEB_SERVER),
        ("lighttpd", "sh", Starter.WEB_SERVER),
        ("multiwatch", "multiwatch", Starter.MANAGER),
        ("systemd", "python", Starter.OTHER),
        ("bash", "python3", Starter.OTHER),
        ("", "python3", Starter.MANAGER),
        ("bash", parents.GONE, Starter.OTHER),
        ("apache2", parents.GONE, Starter.WEB_SERVER),
        ("", parents.GONE, Starter.MANAGER),
    ],
)
def test_a_web_server_is_the_parent_or_has_made_the_group(monkeypatch, parent, group, who):
    names = {os.getppid(): parent, os.getpgrp(): group}
    if os.getppid() == os.getpgrp():
        monkeypatch.setattr(os, "getppid", lambda: -1)
        names[-1] = parent
    monkeypatch.setattr(parents, "_name", names.__getitem__)
    assert starter() is who


def test_names_are_the_systems():
    with open(f"/proc/{os.getpid()}/comm") as file:
        assert parents._name(os.getpid()) == file.read().strip()
    assert parents._name(2**30) == parents.GONE


def test_a_process_that_is_hidden_is_not_taken_for_one_that_is_gone(monkeypatch):
    def hidden(*_args, **_more):
        raise FileNotFoundError

    monkeypatch.setattr("builtins.open", hidden)
    assert parents._name(os.getpid()) == ""
