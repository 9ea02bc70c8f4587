"""A set of HTTP requests: valid, broken, and made to be understood in two ways."""

from __future__ import annotations

import random
from collections.abc import Iterator

__all__ = ["connections", "mutated"]

METHODS = [b"GET", b"POST", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"M-SEARCH", b"get", b"CONNECT"]
BROKEN_METHODS = [b"", b"G(T", b"GE\xc9", b"GET:", b"G\x00T", b"\x16\x03\x01", b"\x80"]

TARGETS = [
    b"/",
    b"/a?b=c&d",
    b"/caf%C3%A9/x%20y",
    b"//x/../y",
    b"/a#b",
    b"/;p=1",
    b"/?",
    b'/[]|\\^`{}"',
    b"*",
    b"http://x/a?b",
    b"HTTP://x:80",
    b"http://x?q",
]
BROKEN_TARGETS = [
    b"",
    b"a",
    b"x:80",
    b"/a b",
    b"/caf\xe9",
    b"/\x00",
    b"/\x7f",
    b"/a\tb",
    b"/a\rb",
    b"/%00",
    b"*a",
    b"/" + b"x" * 9000,
]

VERSIONS = [b"HTTP/1.1", b"HTTP/1.0", b"HTTP/1.2"]
BROKEN_VERSIONS = [
    b"",
    b"HTTP/0.9",
    b"HTTP/2.0",
    b"HTTP/1",
    b"HTTP/1.10",
    b"HTTP/11",
    b"http/1.1",
    b"HTTP/1.1 ",
    b"HTTP/ 1.1",
    b"HTTP/1.1\t",
    b"HTTP/x.1",
    b"ICY/1.1",
    b"HTTP/1.1\x00",
    b"HTTP/-1.1",
]

FIELDS = [
    b"X-A: 1",
    b"X-A:1",
    b"X-A:\t1 \t",
    b"X-A:",
    b"x-a: caf\xe9",
    b"X-A: a  b\tc",
    b"Accept: */*, a/b",
    b"Cookie: a=1; b=2",
    b"Cookie: c=3",
    b"Connection: close",
    b"Connection: keep-alive",
    b"Connection: x, CLOSE",
    b"Connection: keep-alive, x",
    b"Content-Type: a/b",
    b"Referer: /there",
    b"Upgrade: websocket",
    b"Expect: 100-continue",
    b"X_A: dropped",
    b"Proxy: evil",
    b"!#$%&'*+-.^_`|~: x",
    b"X-Long: " + b"x" * 3000,
    b"User-Agent: one",
    b"User-Agent: two",
    b"Keep-Alive: 5",
    b"TE: trailers",
]
BROKEN_FIELDS = [
    b"X-A : 1",
    b" X-A: 1",
    b"\tX-A: 1",
    b": 1",
    b"X-A",
    b"X A: 1",
    b"X-A: a\x00b",
    b"X-A: a\x01b",
    b"X-A: a\x7fb",
    b"X-A: a\x1b[31mb",
    b"X-A: a\rb",
    b"X-A: a\r\n b",
    b"X-A: a\r\n\tb",
    b"X-A: a\n b",
    b"X-\xc4: 1",
    b"X(A): 1",
    b"X-A\x00: 1",
    b"X-A: \x0b1",
    b"X-A: 1\x0c",
    b"GET / HTTP/1.1",
    b"X-A: 1\r",
    b"X-A: \r\n",
    b"Host: y",
    b"Host : y",
    b"host: x",
    b"X-Long: " + b"x" * 70_000,
    b"\r\n".join([b"X-Many: 1"] * 150),
]

HOSTS = [
    b"x",
    b"x:80",
    b"",
    b"evil.example",
    b"evil.example:80",
    b"x.evil.example",
    b"x@evil.example",
    b"evil.example@x",
    b"x/evil",
    b"x evil",
    b"x, evil",
    b"[::1",
    b"::1",
    b"x:y",
    b"127.1",
    b"x\x00",
]

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"

LENGTHS = [
    (b"Content-Length: 0", b""),
    (b"Content-Length: 3", b"abc"),
    (b"content-length:3", b"abc"),
    (b"Content-Length: 0003", b"abc"),
    (b"Content-Length: 37", SMUGGLED),
]
BROKEN_LENGTHS = [
    b"Content-Length: %b" % length
    for length in (
        b"",
        b"-1",
        b"+3",
        b"3 3",
        b"3,3",
        b"3, 3",
        b"3,4",
        b"0x3",
        b"3.0",
        b"3a",
        b"\xb2",
        b"1e1",
        b"3;",
        b'"3"',
        b"0" * 18 + b"3",
        b"9" * 18,
        b"9" * 19,
        b"9" * 30,
        b"3\x00",
        b"3\x0b",
        b"3\r\n ",
        b"_3",
        b"1_0",
    )
] + [
    b"Content-Length: 0\r\nContent-Length: 37",
    b"Content-Length: 37\r\nContent-Length: 0",
    b"Content-Length: 3\r\nContent-Length: 3",
    b"Content-Length: 3\r\ncontent-length: 4",
    b"Content-Length : 3",
    b"Content_Length: 3",
    b"Content-Length: 3\r\nX-A: 1\r\nContent-Length: 37",
]

CHUNKED = [
    b"0\r\n\r\n",
    b"3\r\nabc\r\n0\r\n\r\n",
    b"3\r\nabc\r\n10\r\n" + b"x" * 16 + b"\r\n0\r\n\r\n",
    b"3;a=b\r\nabc\r\n0;x\r\n\r\n",
    b"003\r\nabc\r\n000\r\n\r\n",
    b"3 \r\nabc\r\n0\t\r\n\r\n",
    b"A\r\n0123456789\r\n0\r\n\r\n",
    b"a\r\n0123456789\r\n0\r\n\r\n",
    b'3;"a\\"b"\r\nabc\r\n0\r\n\r\n',
    b"3\r\nabc\r\n0\r\nX-T: 1\r\nX-U: 2\r\n\r\n",
    b"3\r\nabc\r\n0\r\nX-T: 1\n\n",
    b"0\r\n\n",
]
BROKEN_CHUNKED = [
    b"3\nabc\r\n0\r\n\r\n",
    b"3\r\nabc\n0\r\n\r\n",
    b"3\r\nabcd\r\n0\r\n\r\n",
    b"3\r\nab\r\n0\r\n\r\n",
    b"\r\n",
    b"x\r\n",
    b"-3\r\nabc\r\n0\r\n\r\n",
    b"+3\r\nabc\r\n0\r\n\r\n",
    b"0x3\r\nabc\r\n0\r\n\r\n",
    b" 3\r\nabc\r\n0\r\n\r\n",
    b"3 ;a\r\nabc\r\n0\r\n\r\n",
    b"3_0\r\nabc\r\n",
    b"3\r\nabc0\r\n\r\n",
    b"3;a\nb\r\nabc\r\n0\r\n\r\n",
    b"3;a\rb\r\nabc\r\n0\r\n\r\n",
    b"3;a\x00\r\nabc\r\n0\r\n\r\n",
    b"3;\x01\r\nabc\r\n0\r\n\r\n",
    b"3;" + b"e" * 5000 + b"\r\nabc\r\n0\r\n\r\n",
    b"3\r\nabcX",
    b"0" * 17 + b"3\r\nabc\r\n0\r\n\r\n",
    b"0" * 21 + b"3\r\nabc\r\n0\r\n\r\n",
    b"F" * 17 + b"\r\nabc",
    b"F" * 16 + b"\r\nabc",
    b"3\r\nabc\r\n0\r\nX-T : 1\r\n\r\n",
    b"3\r\nabc\r\n0\r\nX-T\r\n\r\n",
    b"0\r\n X: 1\r\n\r\n",
    b"0\r\nX: 1\r\n 2\r\n\r\n",
    b"0\r\nContent-Length: 3\r\n\r\n",
    b"0\r\nContent-Length: x\r\n\r\n",
    b"0\r\nTransfer-Encoding: gzip\r\n\r\n",
    b"0\r\nX: \x00\r\n\r\n",
    b"0\r\nX: \x01\r\n\r\n",
    b"0\r\n",
    b"3\r\nab",
    b"3\r\nabc\r\n",
    b"3\r\nabc\r\n0",
    b"0\rx",
    b"0;\r\n\rx",
    b"\xb2\r\nab\r\n0\r\n\r\n",
    b"3\r\nabc\r\n\r\n0\r\n\r\n",
    b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
]
CODINGS = [b"Transfer-Encoding: chunked", b"transfer-encoding:CHUNKED"]
BROKEN_CODINGS = [
    b"Transfer-Encoding: %b" % coding
    for coding in (
        b"",
        b"gzip",
        b"gzip, chunked",
        b"chunked, gzip",
        b"chunked, chunked",
        b"identity",
        b"xchunked",
        b"chunked\x00",
        b"\x0bchunked",
        b"chunked;a=b",
        b'"chunked"',
        b"chun ked",
        b"chunked,",
        b"\r\n chunked",
    )
] + [
    b"Transfer-Encoding : chunked",
    b"Transfer_Encoding: chunked",
    b"Transfer-Encoding\x00: chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip",
    b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nContent-Length: 37",
    b"Content-Length: 3\r\nTransfer-Encoding: chunked",
    b"Content-Length: 3\r\nTransfer-Encoding: x",
    b"X-A: 1\r\nTransfer-Encoding: chunked\r\nX-B: 2\r\nContent-Length: 3",
]

NEXT = b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n"
SPECIAL = b"\r\n\t :;,\x00\x01\x0b\x1b\x7f\x80\xff0123456789abcdefHTTP/*-+_"


def request(
    rng: random.Random,
    *,
    method: bytes | None = None,
    target: bytes | None = None,
    version: bytes | None = None,
    field: bytes | None = None,
    framing: bytes | None = None,
    body: bytes | None = None,
    hosts: int = 1,
    line_end: bytes = b"\r\n",
) -> bytes:
    """One request: what is not given is chosen, and valid."""
    fields = rng.sample(FIELDS, rng.randint(0, 3))
    fields += [b"Host: x"] * hosts
    if framing is None and body is None:
        kind = rng.randint(0, 2)
        if kind == 1:
            framing, body = rng.choice(LENGTHS)
        elif kind == 2:
            framing, body = rng.choice(CODINGS), rng.choice(CHUNKED)
    fields += [one for one in (field, framing) if one is not None]
    rng.shuffle(fields)
    line = b" ".join(
        (
            rng.choice(METHODS[:-1]) if method is None else method,
            rng.choice(TARGETS) if target is None else target,
            (b"HTTP/1.1" if rng.random() < 0.8 else rng.choice(VERSIONS))
            if version is None
            else version,
        )
    )
    return line_end.join([line, *fields, b"", b""]) + (body or b"")


def connections(seed: int = 0) -> Iterator[bytes]:
    """What clients send, each on a connection of its own: each kind of defect, one at a time, and
    then requests of which some bytes were changed.
    """
    rng = random.Random(seed)
    every = []
    for _ in range(3):
        every += [request(rng, method=method) for method in METHODS + BROKEN_METHODS]
        every += [request(rng, target=target) for target in TARGETS + BROKEN_TARGETS]
        every += [request(rng, version=version) for version in VERSIONS + BROKEN_VERSIONS]
        every += [request(rng, field=field) for field in FIELDS + BROKEN_FIELDS]
        every += [request(rng, framing=framing, body=body) for framing, body in LENGTHS]
        for framing in BROKEN_LENGTHS + BROKEN_CODINGS:
            bodies = (b"abc", SMUGGLED, rng.choice(CHUNKED))
            every += [request(rng, framing=framing, body=body) for body in bodies]
        for body in CHUNKED + BROKEN_CHUNKED:
            every.append(request(rng, framing=rng.choice(CODINGS), body=body))
        every += [request(rng, framing=coding, body=b"0\r\n\r\n") for coding in CODINGS]
        every += [request(rng, framing=CODINGS[0], body=CHUNKED[1], version=b"HTTP/1.0")]
        every += [request(rng, hosts=hosts, version=one) for hosts in (0, 2) for one in VERSIONS]
        every += [
            request(rng, line_end=end) for end in (b"\n", b"\r", b"\n\r", b"\r\r\n", b"\0\r\n")
        ]
        every += [
            start + request(rng) for start in (b"\r\n", b"\n", b"\r\n\r\n", b"\r", b" ", b"\t")
        ]
        every += [
            b"GET /\r\n\r\n",
            b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /\tHTTP/1.1\r\n\r\n",
        ]
    for one in every:
        yield one
        yield one + NEXT
    for one in every:
        yield mutated(one + NEXT, rng)


def mutated(sent: bytes, rng: random.Random) -> bytes:
    """Change some bytes: put in, take away, twice, cut."""
    data = bytearray(sent)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(5)
        if kind == 0:
            data[at:at] = bytes([rng.choice(SPECIAL)])
        elif kind == 1:
            data[at : at + 1] = bytes([rng.choice(SPECIAL)])
        elif kind == 2:
            del data[at : at + rng.randint(1, 4)]
        elif kind == 3:
            data[at:at] = data[at : at + rng.randint(1, 40)]
        elif rng.random() < 0.3:
            del data[at:]
    return bytes(data)
