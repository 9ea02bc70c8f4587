"""gfcgi.foreign_options: what is said of options that are not ours names ours that exist."""

from __future__ import annotations

import re
from dataclasses import fields

from gfcgi.foreign_options import FOREIGN, OURS, SHORT, misspelt_variables
from gfcgi.options import Options, variable_names

NAMES = {option.name for option in fields(Options)}
VARIABLES = [name for option in fields(Options) for name in variable_names(option)]


def test_the_table_names_options_that_there_are():
    assert set(OURS.values()) <= NAMES
    for text in FOREIGN.values():
        assert set(re.findall(r"\{(\w+)\}", text)) <= set(OURS)
    assert set(filter(None, SHORT.values())) <= set(FOREIGN)


def test_a_misspelt_variable_is_named_with_the_right_one():
    environ = dict.fromkeys(["GFCGI_BNID", "GFCGI_LOGLEVEL", "GFCGI_BIND", "OTHER_BNID"], "x")
    assert misspelt_variables(environ, VARIABLES) == [
        "GFCGI_BNID is no option; did you mean GFCGI_BIND?",
        "GFCGI_LOGLEVEL is no option; did you mean GFCGI_LOG_LEVEL?",
    ]


def test_variables_of_ours_that_are_no_options_are_left_alone():
    others = ["GFCGI_COMPILE", "GFCGI_REQUIRE_SERVERS", "GFCGI_MOD_FASTCGI", "GFCGI_SERVERS_MATRIX"]
    others += ["GFCGI_RENEWAL_SECONDS"]
    assert not misspelt_variables(dict.fromkeys(others, "1"), VARIABLES)
