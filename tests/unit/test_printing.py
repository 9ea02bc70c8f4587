"""gfcgi.printing: what strangers write cannot control a terminal or forge an entry of a log."""

from __future__ import annotations

import sys

import pytest

from gfcgi.printing import harmless, one_entry, traceback_text

FORGED = "2026-11-25 12:00:00,000 gfcgi[1] ERROR: forged"


def raised(error, cause=None):
    try:
        raise error from cause
    except BaseException as caught:
        return caught


def at_the_margin(text):
    return [line for line in text.split("\n") if line and not line.startswith((" ", "\t"))]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\n\tcaf\xe9", "plain\n\tcaf\xe9"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("a\rb\x0bc\x85d\u2028e\u202ef", "a\\rb\\x0bc\\x85d\\u2028e\\u202ef"),
        ("\x9b31m\x7f\x00", "\\x9b31m\\x7f\\x00"),
    ],
)
def test_control_characters_are_escaped_but_line_feeds_and_tabs(text, shown):
    assert harmless(text) == shown


def test_lines_after_the_first_of_an_entry_are_indented():
    assert (
        one_entry("first\nsecond\n third\n\nlast\r") == "first\n    second\n third\n\n    last\\r"
    )


def test_a_traceback_without_anything_odd_is_pythons_own():
    import traceback

    error = raised(ValueError("said"), KeyError("cause"))
    assert traceback_text(error) == "".join(traceback.format_exception(error))


@pytest.mark.parametrize("text", [f"said\n{FORGED}", f"\n{FORGED}", f"\n\n{FORGED}\n{FORGED}"])
def test_the_text_of_an_exception_forges_no_entry(text):
    cause = raised(KeyError("cause"), None)
    shown = traceback_text(raised(ValueError(text), cause))
    assert FORGED in shown
    assert all(
        line.startswith(("Traceback", "KeyError", "ValueError", "The above"))
        for line in at_the_margin(shown)
    )
    assert traceback_text(ValueError(text)).split("\n")[0].startswith("ValueError: ")


def test_the_text_of_an_exception_controls_no_terminal():
    shown = traceback_text(raised(ValueError("\x1b[2J\x1b]0;evil\x07")))
    assert "\x1b" not in shown
    assert "ValueError: \\x1b[2J\\x1b]0;evil\\x07\n" in shown


def test_a_syntax_error_shows_its_line():
    with pytest.raises(SyntaxError) as caught:
        compile("a = (1\nb\x0c = \x1b[2J", "a\nfile", "exec")
    shown = traceback_text(caught.value)
    assert "SyntaxError" in shown
    assert "\x1b" not in shown


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.11 has notes and groups")
def test_notes_and_groups_forge_no_entry():
    error = ValueError("said")
    error.add_note(f"note\n{FORGED}\n\nTraceback (most recent call last):\n{FORGED}\x1b")
    shown = traceback_text(raised(error))
    assert "\x1b" not in shown
    assert at_the_margin(shown) == ["Traceback (most recent call last):", "ValueError: said"]
    group = ExceptionGroup(f"group\n{FORGED}", [error, KeyError("x")])  # noqa: F821
    assert FORGED in traceback_text(raised(group))
    assert FORGED not in at_the_margin(traceback_text(raised(group)))
