"""What Web servers are known to do wrong: for the page that the tables' run writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Defect:
    """One defect: of which server and versions, what it does, and what helps, in words."""

    server: str
    does: str
    helps: str


#: "Seen" is what the tests have met, "read" what its source or its issues say.
DEFECTS: Final = (
    Defect(
        "HAProxy before 2.6.14 (seen: 2.6.12)",
        "The whole process dies of a read that brings FCGI_STDERR and no FCGI_STDOUT (its issue"
        " 2150)",
        "Nothing to do: gfcgi knows the version and sends both together (`--stderr auto`)",
    ),
    Defect(
        "HAProxy before 3.4-dev10, and stable versions without that change (seen: 2.6.12)",
        "With `option mpxs-conns`, of many requests that begin at once some get a 500 of HAProxy's"
        " own, `IH--` in its log: those whose PARAMS do not fit into what is left of a buffer of"
        " 16 KB in which those of others wait to be sent (its issue 3346). Of 500 requests with"
        " few headers that came all at once a fifth got it, with 1.5 KB of cookies half. The"
        " application never hears of such a request",
        "Leave multiplexing out: one request at a time on kept connections has no such fault. Or"
        " let no more requests onto a connection than fit into the buffer: `option max-reqs 8`"
        " and as many in gfcgi, `--max-concurrent-requests-per-connection 8`, for `option"
        " get-values` replaces the first by the second",
    ),
    Defect(
        "HAProxy, all versions so far (seen: 2.6.12; read: 3.5-dev5)",
        "On END_REQUEST with FCGI_OVERLOADED it closes the connection, and the other requests that"
        " are multiplexed there get 502",
        "Nothing to do: gfcgi refuses a request of HAProxy with the page for 503 and"
        " FCGI_REQUEST_COMPLETE",
    ),
    Defect(
        "HAProxy (seen: 2.6.12)",
        "Until GET_VALUES is answered it puts as many requests on a new connection as `option"
        " max-reqs` says, also where gfcgi allows fewer; those too many get 503",
        "No larger `max-reqs` than gfcgi's `--max-concurrent-requests-per-connection`",
    ),
    Defect(
        "HAProxy (seen: 2.6.12)",
        "It closes a kept connection, and opens another for the next request, where the last byte"
        " that Content-Length has announced and END_REQUEST come in two reads",
        "It costs time and no request. An application that returns its body as a list of one, and"
        " not by a generator, has all of it sent at once",
    ),
    Defect(
        "HAProxy (seen: 2.6.12)",
        "A chunked upload of more than 16 KB gets 400",
        "Another Web server where uploads come without Content-Length",
    ),
    Defect(
        "Apache with any of its modules, and Caddy (seen: 2.4.71, 2.6.2)",
        "Two Cookie headers are joined by a comma, so that the second cookie is lost to a parser",
        "Browsers send one Cookie header; HTTP/2 may split it",
    ),
    Defect(
        "Apache mod_proxy_fcgi and mod_cgid since 2.4.59 (seen: 2.4.71)",
        "The application's Content-Length is left out: a response that is shorter looks complete",
        "`SetEnv ap_trust_cgilike_cl 1`",
    ),
    Defect(
        "Apache mod_cgid (seen: 2.4.71)",
        "A graceful restart of Apache restarts its daemon too, and requests of that moment get 503;"
        " where the body was not read, the response may be lost or cut off, be it one byte (a race"
        " of its own with cgi-fcgi, which ends as soon as it has the answer)",
        "mod_fcgid or mod_proxy_fcgi; an application that reads what it is sent",
    ),
    Defect(
        "Apache mod_fcgid (seen: with 2.4.71)",
        "A process has one request at a time. A graceful restart stops processes that still start,"
        " and their requests get 500",
        "mod_proxy_fcgi",
    ),
    Defect(
        "Apache mod_fastcgi (seen: SNAP-0910052141)",
        "A graceful restart throws the applications' sockets away as soon as the first process has"
        " ended: a request that Apache is still reading then may get 500. So may one that comes"
        " while the module makes the socket of a script that it starts. What runs is finished",
        "An application that is started on its own (`FastCgiExternalServer`)",
    ),
    Defect(
        "nginx (seen: 1.22.1)",
        "502 for response headers beyond `fastcgi_buffer_size`, of itself 4 KB",
        "`fastcgi_buffer_size 16k`, as `gfcgi config nginx` has it",
    ),
    Defect(
        "nginx (seen: 1.22.1), Caddy (2.6.2), H2O (2.2.5), mod_fastcgi, lighttpd (1.4.69) unless"
        " it streams",
        "A response without Content-Length that is cut off looks complete",
        "Give the response a Content-Length",
    ),
    Defect(
        "lighttpd (seen: 1.4.69)",
        "With `server.stream-request-body` a chunked upload gets 411; without streaming, an"
        " application goes on for an HTTP client that has left",
        "Choose by what the application does",
    ),
    Defect(
        "Caddy (seen: 2.6.2)",
        "FCGI_STDERR is logged nowhere; SIGUSR1 reloads nothing; the body of OPTIONS is dropped",
        "gfcgi's own log has exceptions too; `caddy reload`",
    ),
    Defect(
        "H2O (seen: 2.2.5)",
        "PATH_INFO is the whole path, SCRIPT_NAME is empty; an absolute-form target is taken for a"
        " path",
        "`--script-name /app`, as `gfcgi config h2o` says",
    ),
    Defect(
        "HAProxy (seen: 2.6.12)",
        "SERVER_NAME is the Host header with its port",
        "Nothing to do: gfcgi takes the port off",
    ),
    Defect(
        "lighttpd, Caddy and H2O (seen: 1.4.69, 2.6.2, 2.2.5)",
        "A header field X_Forwarded_For gets the same name as X-Forwarded-For, so that an HTTP"
        " client can pose as the proxy that `--trusted-proxies` believes",
        "A proxy that drops header fields with an underscore in their names, as nginx does",
    ),
)
