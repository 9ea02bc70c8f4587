"""gfcgi.wsgi.response: files by wsgi.file_wrapper, from the kernel where it can."""

from __future__ import annotations

import io

import pytest

LONG = bytes(range(256)) * 1024  # 256 KB


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(LONG)
    return path


def sending(open_file, *, headers=(), block_size=None):
    """An application that returns a file by wsgi.file_wrapper, and what became of the file."""
    opened = []

    def application(environ, start_response):
        start_response("200 OK", list(headers))
        file = open_file()
        opened.append(file)
        more = () if block_size is None else (block_size,)
        return environ["wsgi.file_wrapper"](file, *more)

    application.opened = opened
    return application


def kinds(request):
    return [kind for kind, _ in request.calls]


def test_a_long_file_goes_from_the_kernel_with_its_length(ask, path):
    application = sending(lambda: path.open("rb"))
    request = ask(application)
    assert kinds(request) == ["stdout", "file", "end"]
    assert request.response.body == LONG
    assert request.response.header("Content-Length") == str(len(LONG))
    assert len(request.calls[0][1]) >= 32 * 1024  # the header block is not alone
    assert application.opened[0].closed


def test_a_short_file_leaves_in_one_write_with_the_end(ask, tmp_path):
    (tmp_path / "short").write_bytes(b"short")
    application = sending(lambda: (tmp_path / "short").open("rb"), block_size=2)
    request = ask(application)
    assert kinds(request) == ["end"]
    assert request.response.body == b"short"
    assert request.response.header("Content-Length") == "5"
    assert application.opened[0].closed


def test_a_file_is_sent_from_where_it_was_read_to(ask, path):
    def opened():
        file = path.open("rb")
        file.read(1000)
        return file

    request = ask(sending(opened))
    assert request.response.body == LONG[1000:]
    assert request.response.header("Content-Length") == str(len(LONG) - 1000)


@pytest.mark.parametrize("length", [0, 10, 40_000, len(LONG) - 1])
def test_a_file_is_sent_until_its_content_length_and_nothing_is_wrong_with_that(
    ask, path, length, caplog
):
    """PEP 3333: to the file's end, or until Content-Length bytes."""
    request = ask(sending(lambda: path.open("rb"), headers=[("Content-Length", str(length))]))
    assert request.response.body == LONG[:length]
    assert caplog.messages == []


@pytest.mark.parametrize("length", [0, 10, 40_000, 65_536])
def test_so_is_one_that_only_its_read_can_give(ask, length, caplog):
    request = ask(sending(lambda: io.BytesIO(LONG), headers=[("Content-Length", str(length))]))
    assert request.response.body == LONG[:length]
    assert caplog.messages == []


def test_a_file_shorter_than_its_content_length_is_logged(ask, path, caplog):
    length = str(len(LONG) + 5)
    request = ask(sending(lambda: path.open("rb"), headers=[("Content-Length", length)]))
    assert request.response.body == LONG
    assert caplog.messages == [
        "GET /: the application's body is 5 bytes short of its Content-Length"
    ]


@pytest.mark.parametrize("size", [5, len(LONG)])
def test_a_head_of_a_file_has_its_length_and_sends_nothing(ask, tmp_path, size, caplog):
    (tmp_path / "file").write_bytes(LONG[:size])
    application = sending(lambda: (tmp_path / "file").open("rb"))
    request = ask(application, "HEAD")
    assert request.response.body == b""
    assert request.response.header("Content-Length") == str(size)
    assert application.opened[0].closed
    assert caplog.records == []


def test_a_file_after_a_write_follows_it(ask, path):
    def application(environ, start_response):
        start_response("200 OK", [])(b"before")
        return environ["wsgi.file_wrapper"](path.open("rb"))

    request = ask(application)
    assert kinds(request) == ["stdout", "file", "end"]
    assert request.response.body == b"before" + LONG


def test_a_text_file_is_encoded_as_the_content_type_says(ask, tmp_path):
    text = "zeile\r\nücke\n" * 10_000
    (tmp_path / "text").write_text(text, "utf-16", newline="")
    request = ask(sending(lambda: (tmp_path / "text").open("r", encoding="utf-16", newline="")))
    assert "file" not in kinds(request)
    assert request.response.body == text.encode()


def test_a_wrapper_that_middleware_wraps_is_iterated(ask, path):
    def application(environ, start_response):
        start_response("200 OK", [])
        with path.open("rb") as file:
            yield from environ["wsgi.file_wrapper"](file)

    request = ask(application)
    assert request.response.body == LONG
    assert "file" not in kinds(request)


def test_a_file_that_fails_to_be_sent_is_closed_and_logged(ask, path, caplog):
    application = sending(lambda: path.open("rb"))

    def failing(environ, start_response):
        def send_file(fileno, offset, count):
            raise OSError("the file ended early")

        ask.request.send_file = send_file
        return application(environ, start_response)

    request = ask(failing)
    assert application.opened[0].closed
    assert request.app_status == 1
    assert "the file ended early" in caplog.text
