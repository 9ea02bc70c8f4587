"""The WSGI bridge (PEP 3333): one request in, the application called, its response out."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterable
from typing import Any, Final

from gfcgi.errors import RequestAborted
from gfcgi.printing import printable
from gfcgi.protocol.records import Role
from gfcgi.wsgi.environ import content_length, data_length, make_environ
from gfcgi.wsgi.errors import ErrorStream
from gfcgi.wsgi.files import FileWrapper
from gfcgi.wsgi.input import Input
from gfcgi.wsgi.request import Request, name_of
from gfcgi.wsgi.response import Response
from gfcgi.wsgi.rules import BadRequest, Rules
from gfcgi.wsgi.webservers import ERROR_LINE_CHARACTERS

__all__ = ["Application", "Gateway"]

log = logging.getLogger("gfcgi.wsgi")

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[Any]]

_AUTHORIZER, _FILTER = int(Role.AUTHORIZER), int(Role.FILTER)
_ROLE_NAMES: Final = {int(role): role.name for role in Role}


class Gateway:
    """Serves requests with a WSGI application; never raises out of a call.

    ``multiprocess`` says whether another process may serve the same application, ``run_once``
    whether this one ends after the request (CGI); ``rules`` correct what Web servers send;
    ``report`` logs a format and its values where a stranger is to blame.
    """

    def __init__(
        self,
        application: Application,
        *,
        multithread: bool = True,
        multiprocess: bool = False,
        run_once: bool = False,
        debug: bool = False,
        rules: Rules | None = None,
        report: Callable[..., None] = log.warning,
    ) -> None:
        self.application = application
        self.debug = debug
        self._report = report
        self._rules = rules if rules is not None else Rules()
        self._constants: dict[str, Any] = {
            "wsgi.version": (1, 0),
            "wsgi.multithread": multithread,
            "wsgi.multiprocess": multiprocess,
            "wsgi.run_once": run_once,
            "wsgi.file_wrapper": FileWrapper,
            # As mod_wsgi has it: the end of the input is certain without a CONTENT_LENGTH.
            "wsgi.input_terminated": True,
        }
        self._warned_of_body = False
        self._warned_of_head = False

    def __call__(self, request: Request) -> None:
        """Answer one request, to its end."""
        errors = ErrorStream(request)
        response = Response(request, self)
        try:
            try:
                environ = self._environ(request, errors)
            except BadRequest as refused:
                self._report(
                    "%s, from %s, was refused: %s",
                    name_of(request),
                    printable(request.params.get("REMOTE_ADDR", "an unknown address")),
                    refused,
                )
                response.no_body = request.params.get("REQUEST_METHOD") == "HEAD"
                response.refuse("400 Bad Request", str(refused))
                return
            response.no_body = environ["REQUEST_METHOD"] == "HEAD"
            result: Any = self.application(environ, response.start_response)
            try:
                errors.flush()
                response.send(result)
            finally:
                if type(result) is not list:
                    close = getattr(result, "close", None)
                    if close is not None:
                        close()
            errors.flush()
            response.finish()
        except RequestAborted as aborted:
            self._aborted(request, response, aborted)
        except BaseException as error:
            if request.aborted.is_set() and not isinstance(error, Exception):
                # The server stops and has killed what still ran.
                return
            self._failed(request, response, errors, error)

    def _environ(self, request: Request, errors: ErrorStream) -> dict[str, Any]:
        environ = make_environ(request.params, request.repeated, self._rules)
        role = request.role
        length = content_length(environ)
        if role == _AUTHORIZER:
            # It has no STDIN (§6.3); what CONTENT_LENGTH it is told is the protected request's.
            length = 0
            environ.pop("CONTENT_LENGTH", None)
        environ.update(self._constants)
        environ["wsgi.input"] = Input(request.stdin, length)
        environ["wsgi.errors"] = errors
        errors.line_characters = ERROR_LINE_CHARACTERS.get(environ["gfcgi.webserver"])
        environ["gfcgi.role"] = _ROLE_NAMES[role]
        environ["gfcgi.aborted"] = request.aborted
        if role == _FILTER and request.data is not None:
            environ["gfcgi.data"] = Input(
                request.data, data_length(environ), "the file to be filtered", "FCGI_DATA_LENGTH"
            )
        return environ

    def warn_of_body(self, body: str | bytes) -> None:
        """Say, once for the application, what should be a list of bytes."""
        if self._warned_of_body:
            return
        self._warned_of_body = True
        application: Any = self.application
        while hasattr(application, "__wrapped__"):
            application = application.__wrapped__
        code = getattr(application, "__code__", None)
        if code is None:
            code = getattr(type(application).__call__, "__code__", None)
        log.warning(
            "the application %s%s returns %s where WSGI wants a list of bytes; it is sent as one "
            "piece, encoded as its Content-Type says. Change its line to: return %s",
            getattr(application, "__name__", None) or repr(application),
            f" ({code.co_filename}, line {code.co_firstlineno})" if code is not None else "",
            type(body).__name__,
            "[body]" if isinstance(body, bytes) else "[body.encode('utf-8')]",
        )

    def warn_of_head(self, request: Request, length: int, most: int) -> None:
        """Say, once for the application, that a header block of ``length`` bytes is a long one."""
        if not self._warned_of_head:
            self._warned_of_head = True
            log.warning(
                "%s: a header block of %d bytes: nginx takes %d unless fastcgi_buffer_size says"
                " more; further ones are not logged",
                name_of(request),
                length,
                most,
            )

    def _aborted(self, request: Request, response: Response, error: RequestAborted) -> None:
        """The Web server has gone, or the body broke off: usual, so no more than a line."""
        log.debug("%s: %s", name_of(request), error)
        try:
            if request.aborted.is_set() or response.headers_sent:
                request.finish(app_status=1)
            else:
                status = "408 Request Timeout" if request.timed_out else "400 Bad Request"
                response.refuse(status, str(error), app_status=1)
        except RequestAborted:
            pass

    def _failed(
        self, request: Request, response: Response, errors: ErrorStream, error: BaseException
    ) -> None:
        gone = request.aborted.is_set()
        log.error(
            "%s: the application failed",
            name_of(request),
            exc_info=error,
            extra={"only_here": gone},
        )
        text = "".join(traceback.format_exception(error))
        errors.flush()
        if not gone:  # else it would come to the log once more
            errors.write(text)
        try:
            if response.headers_sent:
                request.finish(app_status=1)
            else:
                detail = text if self.debug else ""
                response.refuse("500 Internal Server Error", detail, app_status=1)
        except RequestAborted:
            pass
