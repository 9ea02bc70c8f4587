#!/usr/bin/env python3
"""A FastCGI application without gfcgi: its responses break off as the query string asks.

For ``measure_cuts``. Started with an address, or with the listening socket on descriptor 0.
``?how=`` is one of the WAYS; with ``&length=1`` there is a Content-Length. Each request is noted in
``state/seen.log`` beside the script.
"""

import os
import socket
import struct
import sys
import threading
import time
from urllib.parse import parse_qs

HEADER = struct.Struct(">BBHHBx")
BEGIN_REQUEST, ABORT_REQUEST, END_REQUEST, PARAMS, STDIN, STDOUT = 1, 2, 3, 4, 5, 6
GET_VALUES, GET_VALUES_RESULT = 9, 10
VALUES = b"\x0f\x01FCGI_MPXS_CONNS1"
FIRST = b"first\n" * 1000
SEEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "state", "seen.log")


def record(kind, request_id, content=b""):
    return HEADER.pack(1, kind, request_id, len(content), 0) + content


def pairs(block):
    at, found = 0, {}
    while at < len(block):
        lengths = []
        for _ in range(2):
            length = block[at]
            if length >= 128:
                length = struct.unpack_from(">I", block, at)[0] & 0x7FFFFFFF
                at += 3
            at += 1
            lengths.append(length)
        end = at + lengths[0]
        found[block[at:end].decode("latin-1")] = block[end : end + lengths[1]].decode("latin-1")
        at = end + lengths[1]
    return found


def exactly(sock, count):
    data = b""
    while len(data) < count:
        piece = sock.recv(count - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


def serve(sock):
    keep, params = {}, {}
    try:
        open_ = True
        while open_:
            _, kind, request_id, length, padding = HEADER.unpack(exactly(sock, HEADER.size))
            content = exactly(sock, length + padding)[:length]
            if kind == GET_VALUES:
                sock.sendall(record(GET_VALUES_RESULT, 0, VALUES))
            elif kind == BEGIN_REQUEST:
                keep[request_id], params[request_id] = content[2] & 1, b""
            elif kind == PARAMS:
                params[request_id] += content
            elif kind == STDIN and not length:
                values = pairs(params.pop(request_id))
                open_ = answer(sock, request_id, values, keep.pop(request_id))
    except (EOFError, OSError):
        pass
    finally:
        sock.close()


def answer(sock, request_id, params, keep):
    """Answer; return whether the connection stays open."""
    uri = params.get("REQUEST_URI", "")
    query = parse_qs(params.get("QUERY_STRING") or uri.partition("?")[2])
    how = query.get("how", ["whole"])[0]
    with open(SEEN, "a") as seen:
        seen.write(f"{uri} {keep}\n")
    head = b"Content-Type: text/plain\r\nCache-Control: max-age=600\r\n"
    if query.get("length"):
        head += b"Content-Length: %d\r\n" % (2 * len(FIRST))
    sock.sendall(record(STDOUT, request_id, head + b"Status: 200 OK\r\n\r\n" + FIRST))
    if how != "whole":
        time.sleep(0.3)
    if how == "close":
        return False
    if how == "abort":
        sock.sendall(record(ABORT_REQUEST, request_id))
        return False
    end = record(END_REQUEST, request_id, struct.pack(">IB3x", how != "whole", 0))
    sock.sendall(record(STDOUT, request_id) + end)
    return keep


def listen():
    if len(sys.argv) == 1:
        return socket.socket(fileno=os.dup(0))
    place = sys.argv[1]
    if place.startswith("unix:"):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(place[5:])
        listener.listen(100)
        return listener
    return socket.create_server(("127.0.0.1", int(place.rpartition(":")[2])))


if __name__ == "__main__":
    listener = listen()
    listener.setblocking(True)
    while True:
        connection, _ = listener.accept()
        connection.setblocking(True)
        threading.Thread(target=serve, args=[connection], daemon=True).start()
