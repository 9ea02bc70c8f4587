"""gfcgi.cooperative.shell: os.system returns what it always did."""

from __future__ import annotations

import pytest

COMMANDS = ["true", "exit 3", "kill -9 $$", "nonsense-that-is-no-command 2>/dev/null", "read x"]


def test_statuses_are_those_of_the_original(patched):
    script = (
        "import gevent, os\n"
        "from gevent.monkey import get_original\n"
        "gevent.sleep(0)\n"
        f"for command in {COMMANDS!r} + [b'exit 4']:\n"
        "    print(os.system(command), get_original('os', 'system')(command))\n"
    )
    words = patched(script)
    assert words[::2] == words[1::2]
    assert words[2:6:2] == [str(3 << 8), "9"]


def test_the_shell_has_inheritable_descriptors(patched):
    script = (
        "import gevent, os\n"
        "gevent.sleep(0)\n"
        "fd = os.open('out', os.O_CREAT | os.O_WRONLY)\n"
        "os.set_inheritable(fd, True)\n"
        "os.system(f'echo written >&{fd}')\n"
        "print(open('out').read())\n"
    )
    assert patched(script) == ["written"]


@pytest.mark.parametrize("command", ["None", "'a\\0b'"])
def test_what_is_no_command_is_refused_as_before(patched, command):
    script = (
        "import gevent, os\n"
        "from gevent.monkey import get_original\n"
        "gevent.sleep(0)\n"
        "for system in os.system, get_original('os', 'system'):\n"
        f"    try: system({command})\n"
        "    except Exception as error: print(type(error).__name__)\n"
    )
    first, second = patched(script)
    assert first == second
