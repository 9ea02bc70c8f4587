"""The layout of a record and the numbers of the specification (§3.3, §8 and Appendix A)."""

from __future__ import annotations

import pytest
import webserver_side as wire

from gfcgi.protocol import records
from gfcgi.protocol.records import ProtocolStatus, RecordType, Role


def test_the_numbers_are_the_specifications():
    for record_type in RecordType:
        assert getattr(wire, record_type.name) == record_type
    for role in Role:
        assert getattr(wire, role.name) == role
    for status in ProtocolStatus:
        assert getattr(wire, status.name) == status
    assert (len(RecordType), len(Role), len(ProtocolStatus)) == (11, 3, 4)
    assert (records.VERSION_1, records.HEADER_BYTES, records.KEEP_CONN) == (1, 8, 1)
    assert (records.NULL_REQUEST_ID, records.MAX_REQUEST_ID) == (0, 65535)


def test_every_body_of_fixed_size_has_eight_bytes():
    bodies = (records.BEGIN_REQUEST_BODY, records.END_REQUEST_BODY, records.UNKNOWN_TYPE_BODY)
    assert [body.size for body in (records.HEADER, *bodies)] == [8, 8, 8, 8]


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 65528, 65535])
def test_a_record_is_padded_to_a_multiple_of_eight(length: int):
    encoded = records.encode_record(RecordType.STDERR, 65535, b"x" * length)
    assert len(encoded) % 8 == 0
    (record,), rest = wire.parse_records(encoded)
    assert rest == b""
    assert record == wire.Record(wire.STDERR, 65535, b"x" * length, len(encoded) - 8 - length)
    assert record.padding < 8


def test_a_record_reads_as_in_the_specification():
    encoded = records.encode_record(RecordType.STDOUT, 0x1234, b"abc")
    assert encoded == b"\x01\x06\x12\x34\x00\x03\x05\x00abc\0\0\0\0\0"


def test_the_longest_content_without_padding_is_the_largest_multiple_of_eight():
    assert records.PADDED_CONTENT_BYTES % 8 == 0
    assert 0 < records.MAX_CONTENT_BYTES - records.PADDED_CONTENT_BYTES < 8
