"""Importing gfcgi does nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

import gfcgi

HEAVY = ("gevent", "greenlet", "socket", "ssl", "threading", "logging", "argparse", "dataclasses")


def test_importing_gfcgi_loads_nothing_heavy_and_patches_nothing():
    script = (
        "import sys, os, signal\n"
        "before = signal.getsignal(signal.SIGTERM), dict(os.environ), os.fork\n"
        "import gfcgi\n"
        "after = signal.getsignal(signal.SIGTERM), dict(os.environ), os.fork\n"
        "assert before == after\n"
        "print(gfcgi.__version__, *sorted(sys.modules))\n"
    )
    # -S -I -X importtime would hide what site brings in; what it brings in is subtracted instead.
    bare = subprocess.run(
        [sys.executable, "-c", "import sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    version, *modules = done.stdout.split()
    assert version == gfcgi.__version__
    loaded = set(modules) - set(bare.stdout.split())
    assert not loaded.intersection(HEAVY)
    assert {name for name in loaded if name.startswith("gfcgi")} == {"gfcgi", "gfcgi._version"}


@pytest.mark.parametrize("name", gfcgi.__all__)
def test_every_exported_name_can_be_had(name):
    assert getattr(gfcgi, name) is getattr(gfcgi, name)
    assert name in dir(gfcgi)


def test_a_name_that_is_not_exported_is_an_attribute_error_and_patches_nothing():
    for name in ("patched", "nonsense", "_private", "__path_to_nowhere__"):
        if name in vars(gfcgi):  # a submodule that another test imported
            continue
        with pytest.raises(AttributeError, match=name):
            getattr(gfcgi, name)
