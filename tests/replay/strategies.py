"""What hypothesis draws: params, records right and wrong, and places to cut."""

from __future__ import annotations

import webserver_side as wire
from hypothesis import strategies as st

from .captures import captures
from .script import scripts

latin_1 = st.characters(min_codepoint=0, max_codepoint=255)
short_text = st.text(latin_1, max_size=20)
# Around the length that takes four bytes to write.
long_text = st.builds(
    lambda text, length: (text * 300)[:length],
    st.text(latin_1, min_size=1, max_size=5),
    st.integers(120, 300),
)
names_and_values = st.one_of(short_text, short_text, long_text)
pair_lists = st.lists(st.tuples(names_and_values, names_and_values), max_size=8)
params = st.dictionaries(names_and_values, names_and_values, max_size=8)


def octets(pairs: list[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """Pairs of latin-1 str as the bytes that they stand for."""
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs]


request_ids = st.sampled_from([1, 2, 3, 255, 256, 4097, 65534, 65535])
roles = st.sampled_from([wire.RESPONDER, wire.AUTHORIZER, wire.FILTER])
stream_pieces = st.one_of(
    st.binary(min_size=1, max_size=50),
    st.integers(1, 70_000).map(lambda length: b"s" * length),
)

_contents = st.one_of(
    st.just(b""),
    st.just(b""),
    st.binary(max_size=20),
    st.builds(
        lambda role, flags: role.to_bytes(2, "big") + bytes([flags, 0, 0, 0, 0, 0]),
        st.integers(0, 4),
        st.integers(0, 255),
    ),
    pair_lists.map(lambda pairs: wire.pairs(octets(pairs))),
)

#: A record that may be right or wrong in its place, but for its version.
records = st.builds(
    lambda kind, request_id, content, padding: wire.record(
        kind, request_id, content, padding=padding
    ),
    st.one_of(st.sampled_from([1, 2, 4, 4, 5, 5, 8, 9]), st.integers(0, 255)),
    st.sampled_from([0, 1, 1, 1, 2, 65535]),
    _contents,
    st.sampled_from([0, 0, 1, 7, 255]),
)
record_sequences = st.lists(records, max_size=12).map(b"".join)

_SAMPLES = [capture.content for capture in captures()[::20] if capture.facts["bytes"] < 3000] + [
    script.content for script in scripts() if len(script.content) < 3000
]


@st.composite
def mutations(
    draw: st.DrawFn, samples: list[bytes] = _SAMPLES, words: tuple[bytes, ...] = ()
) -> bytes:
    """One of the samples with some of its bytes changed, left out, doubled or put in.

    The samples are the corpus' if none are given. ``words`` are put in as they are.
    """
    content = bytearray(draw(st.sampled_from(samples)))
    for _ in range(draw(st.integers(1, 4))):
        # Most of what can go wrong is in the headers at the beginning.
        at = draw(st.integers(0, min(len(content), 64) if draw(st.booleans()) else len(content)))
        match draw(st.sampled_from(["change", "change", "drop", "double", "insert", "cut"])):
            case "change":
                content[at : at + 1] = bytes([draw(st.integers(0, 255))])
            case "drop":
                del content[at : at + draw(st.integers(1, 16))]
            case "double":
                content[at:at] = content[at : at + draw(st.integers(1, 64))]
            case "insert":
                word = st.sampled_from(words) if words else st.nothing()
                content[at:at] = draw(word | st.binary(min_size=1, max_size=16))
            case "cut":
                del content[at:]
    return bytes(content)


#: Anything that might arrive.
wire_bytes = st.one_of(st.binary(max_size=100), record_sequences, record_sequences, mutations())


def cut(content: bytes, places: list[int]) -> list[bytes]:
    """Cut ``content`` at these places, each taken modulo its length."""
    edges = [0, *sorted(place % (len(content) + 1) for place in places), len(content)]
    return [content[edges[at] : edges[at + 1]] for at in range(len(edges) - 1)]


cut_places = st.lists(st.integers(0, 100_000), max_size=12)
