"""Name-value pairs (§3.4): there and back, and nothing but RemoteProtocolError for the rest."""

from __future__ import annotations

import pytest
import webserver_side as wire
from hypothesis import given
from hypothesis import strategies as st
from replay.strategies import octets, pair_lists

from gfcgi.errors import LimitExceeded, RemoteProtocolError
from gfcgi.protocol import decode_pairs, decode_params, encode_pairs

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
def test_any_block_is_decoded_as_the_specification_reads_or_refused(block):
    try:
        expected = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in wire.parse_pairs(block)]
    except wire.WireError:
        expected = None
    if expected is None:
        for decode in (decode_pairs, decode_params):
            with pytest.raises(RemoteProtocolError):
                decode(block)
    else:
        assert list(decode_pairs(block)) == expected
        params, repeated = decode_params(block)
        assert sorted([*params.items(), *repeated]) == sorted(expected)


@given(blocks, st.integers(0, 8))
def test_the_bound_on_pairs_is_exact(block, most):
    try:
        pairs = decode_pairs(block)
    except RemoteProtocolError:
        return
    if len(pairs) > most:
        with pytest.raises(LimitExceeded):
            decode_params(block, max_pairs=most)
    else:
        decode_params(block, max_pairs=most)
