"""gfcgi.http_fields: names and values of header fields, for both sides of the wire."""

from __future__ import annotations

import string

import pytest

from gfcgi.http_fields import (
    HOP_BY_HOP,
    SINGLETONS,
    is_token,
    join,
    parse_length,
    variable_name,
)

TCHAR = set("!#$%&'*+-.^_`|~" + string.digits + string.ascii_letters)
"""RFC 9110 §5.6.2."""


@pytest.mark.parametrize("code", range(256))
def test_a_token_has_the_characters_of_the_rfc_and_no_other(code):
    assert is_token(chr(code)) is (chr(code) in TCHAR)
    assert is_token(f"X{chr(code)}") is (chr(code) in TCHAR)


def test_a_token_is_not_empty():
    assert not is_token("")
    assert is_token("Content-Type")


def test_listed_names_are_tokens_in_lower_case():
    assert all(is_token(name) and name == name.lower() for name in HOP_BY_HOP | SINGLETONS)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HTTP_ACCEPT", "a, b"),
        ("HTTP_X_ANY", "a, b"),
        ("HTTP_COOKIE", "a; b"),
        ("HTTP_HOST", "b"),
        ("CONTENT_TYPE", "b"),
    ],
)
def test_a_field_that_comes_twice_is_a_list_unless_it_is_none(variable, value):
    assert join(variable, "a", "b") == value


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("0", 0),
        ("007", 7),
        ("9" * 18, 10**18 - 1),
        ("9" * 19, None),
        ("", None),
        ("-1", None),
        ("+1", None),
        (" 1", None),
        ("1\n", None),
        ("1_0", None),
        ("\u0663", None),
        ("\xb2", None),
    ],
)
def test_a_length_is_ascii_digits_and_fits_into_64_bits(text, length):
    assert parse_length(text) == length


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("Host", "HTTP_HOST"),
        ("X-Forwarded-For", "HTTP_X_FORWARDED_FOR"),
        ("content-type", "CONTENT_TYPE"),
        ("Content-Length", "CONTENT_LENGTH"),
    ],
)
def test_a_field_has_its_variable(field, name):
    assert variable_name(field) == name
