"""gfcgi.checking.users: whose rights count."""

from __future__ import annotations

import os
import pwd

import pytest

from gfcgi.checking.users import User, find_user
from gfcgi.errors import ConfigError

NOBODY = User("nobody", 65_534, 65_534, (65_534,))


def test_a_user_is_found_by_name_and_by_number():
    me = pwd.getpwuid(os.geteuid())
    assert find_user(me.pw_name) == find_user(str(me.pw_uid))
    assert find_user(me.pw_name).is_us


def test_root_gets_the_web_servers_user_and_others_themselves(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 12_345)
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: pwd.struct_passwd(("me", "", uid, 1, *"abc")))
    assert find_user(None).name == "me"
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    known = {"apache": pwd.struct_passwd(("apache", "", 48, 48, *"abc"))}
    monkeypatch.setattr(pwd, "getpwnam", known.__getitem__)
    assert find_user(None).name == "apache"
    known.clear()
    assert find_user(None).uid == 0


@pytest.mark.parametrize("name", ["nobody-of-this-name", "4294967295999", "-1"])
def test_a_user_that_there_is_not_is_misuse(name):
    with pytest.raises(ConfigError, match="no such user"):
        find_user(name)


@pytest.mark.parametrize(
    ("mode", "uid", "gid", "may"),
    [
        (0o100, 7, 8, True),
        (0o011, 7, 8, False),  # the owner has the owner's bits alone
        (0o010, 9, 8, True),
        (0o101, 9, 8, False),
        (0o001, 9, 9, True),
        (0o110, 9, 9, False),
    ],
)
def test_of_another_user_the_bits_say_what_it_may_do(monkeypatch, tmp_path, mode, uid, gid, may):
    file = tmp_path / "file"
    file.touch()
    found = list(file.stat())
    found[0], found[4], found[5] = 0o100000 | mode, 7, 8
    monkeypatch.setattr(os, "geteuid", lambda: 1)
    monkeypatch.setattr(os, "stat", lambda path: os.stat_result(found))
    assert User("other", uid, gid, (gid,)).may(os.X_OK, str(file)) is may


def test_of_what_cannot_be_seen_nothing_may_be_done(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1)
    assert not NOBODY.may(os.R_OK, "/none/of/it")
    assert not NOBODY.can_be_used


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can ask for others")
def test_root_asks_with_the_users_rights_and_has_its_own_again(tmp_path):
    file = tmp_path / "file"
    file.touch(0o600)
    before = os.geteuid(), os.getegid(), os.getgroups()
    assert not NOBODY.may(os.R_OK, str(file))
    assert NOBODY.may(os.R_OK, "/etc/passwd")
    assert (os.geteuid(), os.getegid(), os.getgroups()) == before
