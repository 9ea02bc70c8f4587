"""Name-value pairs (§3.4): there and back, and nothing but RemoteProtocolError for the rest."""

from __future__ import annotations

import pytest
import webserver_side as wire
from fuzz.protocol import check_pairs
from hypothesis import given
from hypothesis import strategies as st
from replay.strategies import octets, pair_lists

from gfcgi.errors import LimitExceeded, RemoteProtocolError
from gfcgi.protocol import decode_pairs, decode_params, encode_pairs

names = st.sampled_from(
    [
        "REQUEST_URI",
        "SERVER_NAME",
        "SERVER_PORT",
        "REDIRECT_STATUS",
        "PATH_INFO",
        "HTTP_HOST",
        "",
        "A",
    ]
)
requests = st.lists(
    st.tuples(names, st.sampled_from(["", "1", "example.org", "x" * 200])), max_size=9
)

blocks = st.one_of(
    st.binary(max_size=60),
    pair_lists.map(lambda pairs: wire.pairs(octets(pairs))),
    st.builds(lambda pairs, end: wire.pairs(octets(pairs))[:end], pair_lists, st.integers(0, 500)),
)


@given(pair_lists)
def test_what_is_encoded_is_decoded_again(pairs):
    block = encode_pairs(pairs)
    assert block == wire.pairs(octets(pairs))
    assert decode_pairs(block) == tuple(pairs)


@given(pair_lists)
def test_no_pair_is_lost_by_making_a_dict_of_them(pairs):
    params, repeated = decode_params(encode_pairs(pairs))
    assert sorted([*params.items(), *repeated]) == sorted(pairs)
    assert [name for name, _ in params.items()] == list(dict.fromkeys(n for n, _ in pairs))


@given(pair_lists)
def test_short_lengths_may_be_written_long(pairs):
    assert decode_pairs(wire.pairs(octets(pairs), four=True)) == tuple(pairs)


@given(blocks)
def test_any_block_is_decoded_as_the_specification_reads_or_refused_and_the_bound_is_exact(block):
    check_pairs(block)


@given(requests, requests, st.integers(0, 9), st.none() | st.integers(0, 500))
def test_what_is_expected_after_other_requests_changes_nothing(before, after, kept, end):
    usual = wire.pairs(octets(before))
    for _ in range(32):  # it is not learnt every time
        decode_params(usual)
    block = wire.pairs(octets([*before[:kept], *after]))[:end]
    try:
        pairs = decode_pairs(block)
    except RemoteProtocolError as error:
        with pytest.raises(RemoteProtocolError, match=error.reason):
            decode_params(block)
        return
    params, repeated = decode_params(block)
    assert (list(params.items()), list(repeated)) == first_and_repeated(pairs)
    if pairs:
        with pytest.raises(LimitExceeded):
            decode_params(block, max_pairs=len(pairs) - 1)
    assert decode_params(block, max_pairs=len(pairs)) == (params, repeated)


def first_and_repeated(pairs):
    """The first pair of each name, and all others, by their order alone."""
    first, repeated = [], []
    for pair in pairs:
        (repeated if pair[0] in dict(first) else first).append(pair)
    return first, repeated
