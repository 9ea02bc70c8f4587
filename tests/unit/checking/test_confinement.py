"""gfcgi.checking.confinement, on a /sys of our own."""

from __future__ import annotations

import os

import pytest

from gfcgi.checking.confinement import check_apparmor, check_selinux


@pytest.fixture
def root(tmp_path):
    """Write files below a root directory."""

    def root(**files):
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return str(tmp_path)

    return root


def test_where_selinux_is_off_or_permissive_it_says_nothing(root):
    assert not list(check_selinux("/srv/app.fcgi", root()))
    assert not list(check_selinux("/srv/app.fcgi", root(sys__fs__selinux__enforce="0")))


@pytest.mark.parametrize(
    ("label", "names"),
    [
        (b"system_u:object_r:httpd_sys_script_exec_t:s0\0", []),
        (b"unconfined_u:object_r:user_home_t:s0\0", ["selinux"]),
        (None, ["selinux"]),
    ],
)
def test_an_enforcing_selinux_wants_the_label_of_a_script(root, monkeypatch, label, names):
    def getxattr(path, name):
        if label is None:
            raise OSError("no label")
        return label

    monkeypatch.setattr(os, "getxattr", getxattr)
    found = list(check_selinux("/srv/app.fcgi", root(sys__fs__selinux__enforce="1\n")))
    assert [one.name for one in found] == names
    assert all(one.kind == "hint" and "chcon" in one.remedy for one in found)


def test_an_apparmor_profile_that_is_enforced_on_a_web_server_is_named(root):
    enabled = {"sys__module__apparmor__parameters__enabled": "Y\n"}
    profiles = "/usr/sbin/apache2 (enforce)\n/usr/sbin/nginx (complain)\n/usr/bin/man (enforce)\n"
    place = root(**enabled, sys__kernel__security__apparmor__profiles=profiles)
    (found,) = check_apparmor(place)
    assert (found.kind, found.name) == ("hint", "apparmor")
    assert "/usr/sbin/apache2" in found.text
    assert not list(check_apparmor(root(sys__module__apparmor__parameters__enabled="N\n")))
