"""gfcgi.server.get_values: what a Web server may ask for."""

from __future__ import annotations

import pytest

from gfcgi.options import Options
from gfcgi.server.get_values import values_of

NAMES = ("FCGI_MAX_CONNS", "FCGI_MAX_REQS", "FCGI_MPXS_CONNS")


def values(names=NAMES, **options):
    return values_of(Options(**options), names)


def test_the_three_names_of_the_specification_have_values():
    assert values(max_connections=7, max_concurrent_requests=9) == {
        "FCGI_MAX_CONNS": "7",
        "FCGI_MAX_REQS": "9",
        "FCGI_MPXS_CONNS": "1",
    }


@pytest.mark.parametrize(
    ("most", "on_one", "requests", "multiplexing"),
    [(10, 4, "4", "1"), (4, 10, "4", "1"), (10, 2, "2", "1"), (10, 1, "10", "0")],
)
def test_requests_are_bounded_by_the_connection_where_it_can_have_several(
    most, on_one, requests, multiplexing
):
    found = values(max_concurrent_requests=most, max_concurrent_requests_per_connection=on_one)
    assert (found["FCGI_MAX_REQS"], found["FCGI_MPXS_CONNS"]) == (requests, multiplexing)


def test_other_names_are_left_out_and_order_and_choice_are_the_askers():
    assert list(values(("FCGI_MPXS_CONNS", "FCGI_NONSENSE", "", "FCGI_MAX_CONNS"))) == [
        "FCGI_MPXS_CONNS",
        "FCGI_MAX_CONNS",
    ]
    assert values(()) == {}
