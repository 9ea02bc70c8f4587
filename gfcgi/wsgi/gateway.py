"""The gateway (PEP 3333): it calls the application for a request and sends the response."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final

from gfcgi.errors import RequestAborted, RequestTimedOut
from gfcgi.printing import printable, traceback_text
from gfcgi.protocol.records import Role
from gfcgi.unfailing_log import Log
from gfcgi.wsgi.advice import Advice
from gfcgi.wsgi.environ import content_length, data_length, make_environ
from gfcgi.wsgi.error_stream import ErrorStream
from gfcgi.wsgi.files import FileWrapper, giving_way
from gfcgi.wsgi.input import Input
from gfcgi.wsgi.request import Request, name_of
from gfcgi.wsgi.response import Response
from gfcgi.wsgi.webserver_quirks import ERROR_LINE_CHARACTERS
from gfcgi.wsgi.webserver_rules import BadRequest, Rules

__all__ = ["Application", "Gateway"]

log = Log("gfcgi.wsgi")

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[Any]]

_AUTHORIZER, _FILTER = int(Role.AUTHORIZER), int(Role.FILTER)
_ROLE_NAMES: Final = {int(role): role.name for role in Role}


class Gateway:
    """Serves requests with a WSGI application. A call never raises.

    ``multiprocess``: another process may serve the same application. ``run_once``: this process
    ends after the request (CGI). ``rules`` correct what Web servers send. ``report`` takes a format
    and its values, and logs what a client can cause as often as it likes. ``give_way`` lets other
    requests have a turn, where reading a file takes long.
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
        give_way: Callable[[], None] | None = None,
    ) -> None:
        self.application = application
        self._advice = Advice(application)
        self.debug = debug
        self._report = report
        self.on_exit: Callable[[BaseException], object] | None = None
        """Called with what ends the application's process, SystemExit for one, where it is set."""
        self._rules = rules if rules is not None else Rules()
        self._constants: dict[str, Any] = {
            "wsgi.version": (1, 0),
            "wsgi.multithread": multithread,
            "wsgi.multiprocess": multiprocess,
            "wsgi.run_once": run_once,
            "wsgi.file_wrapper": FileWrapper if give_way is None else giving_way(give_way),
            # mod_wsgi's key: the input has an end even without a CONTENT_LENGTH.
            "wsgi.input_terminated": True,
        }

    def __call__(self, request: Request) -> None:
        """Answer one request and end it."""
        errors = ErrorStream(request)
        response = Response(request, errors, self._advice)
        result: Any = None
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
            response.webserver = environ["gfcgi.webserver"]
            result = self.application(environ, response.start_response)
            if errors.unfinished:
                errors.flush()
            response.send(result)
        except BaseException as error:
            try:
                self._ended_by(request, response, errors, error)
            except BaseException:
                self._unended(request, response)
        finally:
            if type(result) is not list and result is not None:
                self._close(request, errors, result)

    def _close(self, request: Request, errors: ErrorStream, result: Any) -> None:
        """Call ``close`` of what the application returned. The HTTP client has its response."""
        try:
            close = getattr(result, "close", None)
            if close is not None:
                close()
        except (RequestAborted, RequestTimedOut) as ended:
            log.debug("%s: close(): %s", name_of(request), ended)
        except BaseException as error:
            with suppress(BaseException):  # as in _unended; the request has its end
                log.error(
                    "%s: close() of the application's response failed",
                    name_of(request),
                    exc_info=error,
                    extra={"only_here": True},
                )
        with suppress(BaseException):
            errors.flush()

    def _environ(self, request: Request, errors: ErrorStream) -> dict[str, Any]:
        environ = make_environ(request.params, request.repeated, self._rules)
        role = request.role
        length = content_length(environ)
        if role == _AUTHORIZER:
            # An Authorizer has no STDIN (§6.3); the CONTENT_LENGTH is the protected request's.
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

    def _ended_by(
        self, request: Request, response: Response, errors: ErrorStream, error: BaseException
    ) -> None:
        """End a request for which something was raised, and say so."""
        if isinstance(error, RequestAborted):
            self._aborted(request, response, error)
            return
        if self.on_exit is not None and not isinstance(error, Exception):
            self.on_exit(error)
        # Else the server is stopping, and has killed this request.
        if isinstance(error, Exception) or not request.aborted.is_set():
            self._failed(request, response, errors, error)

    def _unended(self, request: Request, response: Response) -> None:
        """End a request that could not be ended in order.

        A ``gevent.Timeout`` that the application has left behind goes off anywhere, also in the log
        handler or the error log that is told of its failure. Nobody else would end the request.
        """
        if not (response.finished or request.aborted.is_set()):
            self._end_failed(request, response, "")

    def _aborted(self, request: Request, response: Response, error: RequestAborted) -> None:
        """End a request whose Web server has gone or whose body broke off; that is usual."""
        log.debug("%s: %s", name_of(request), error)
        try:
            if response.finished or request.aborted.is_set():
                return
            if response.headers_sent:
                response.cut()
            else:
                status = "408 Request Timeout" if request.timed_out else error.http_status
                response.refuse(status, str(error), app_status=1)
        except RequestAborted:
            pass

    def _failed(
        self, request: Request, response: Response, errors: ErrorStream, error: BaseException
    ) -> None:
        """End a request whose application has raised ``error``."""
        if isinstance(error, RequestTimedOut) and request.aborted.is_set():
            log.debug("%s: %s", name_of(request), error)  # it was answered, and that was logged
            return
        # Its text cannot go with the request any more.
        too_late = response.finished or request.aborted.is_set()
        log.error(
            "%s: the application failed",
            name_of(request),
            exc_info=error,
            extra={"only_here": too_late},
        )
        text = ""
        try:
            text = traceback_text(error)
            errors.write("" if too_late else text)
            errors.flush()
        except Exception as failure:
            # An exception that cannot be shown, or an error log that takes nothing.
            log.warning("%s: wsgi.errors: %r", name_of(request), failure)
        finally:
            if not too_late:
                self._end_failed(request, response, text)

    def _end_failed(self, request: Request, response: Response, text: str) -> None:
        try:
            if response.headers_sent:
                response.cut()
            else:
                detail = text if self.debug else ""
                response.refuse("500 Internal Server Error", detail, app_status=1)
        except RequestAborted:
            pass
