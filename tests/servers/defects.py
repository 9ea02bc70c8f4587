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
        "It crashes when one read brings FCGI_STDERR and no FCGI_STDOUT, or only a part of a"
        " response's header fields (its issue 2150)",
        "gfcgi knows the version and sends both together (`--stderr auto`). Where many requests are"
        " multiplexed, HAProxy's reads end anywhere: do not multiplex",
    ),
    Defect(
        "HAProxy before 3.4-dev10, and stable versions without that change (seen: 2.6.12)",
        "With `option mpxs-conns`, of many requests that begin at once some get a 500 of HAProxy's"
        " own, `IH--` in its log. The PARAMS of requests wait in a buffer of 16 KB, and a request"
        " fails if its PARAMS do not fit into the rest (its issue 3346). Of 500 requests at once a"
        " fifth failed with few headers, half with 1.5 KB of cookies. The application never hears"
        " of such a request",
        "Do not multiplex: one request at a time on kept connections does not have this fault. Or"
        " let only so many requests onto a connection as fit into the buffer: `option max-reqs 8`"
        " and as many in gfcgi, `--max-concurrent-requests-per-connection 8`, because `option"
        " get-values` replaces the first by the second",
    ),
    Defect(
        "HAProxy before 3.2-dev5, and stable versions without that change (seen: 2.6.12)",
        "It does not notice that a connection ends within a record, as where a process is killed."
        " That request has no answer until `timeout server`, and the next one that is put on the"
        " connection gets 502 (its commit 5f927f603)",
        "A later version; a `timeout server` that is as short as the application allows",
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
        "Before GET_VALUES is answered, it puts as many requests on a new connection as `option"
        " max-reqs` says, even if gfcgi allows fewer; those beyond get 503",
        "A `max-reqs` that is not larger than gfcgi's `--max-concurrent-requests-per-connection`",
    ),
    Defect(
        "HAProxy (seen: 2.6.12)",
        "It closes a kept connection, and opens another for the next request, if the last byte of"
        " the Content-Length and END_REQUEST come in two reads",
        "It costs time, but no request. If the application returns its body as a list of one, and"
        " not as a generator, everything is sent at once",
    ),
    Defect(
        "HAProxy (seen: 2.6.12)",
        "A chunked upload of more than 16 KB gets 400",
        "Another Web server where uploads come without Content-Length",
    ),
    Defect(
        "Apache with any of its modules, and Caddy (seen: 2.4.71, 2.6.2)",
        "It joins two Cookie headers with a comma, so that a parser loses the second cookie",
        "Browsers send one Cookie header; HTTP/2 may split it",
    ),
    Defect(
        "Apache mod_proxy_fcgi and mod_cgid since 2.4.59 (seen: 2.4.71)",
        "It leaves out the application's Content-Length: a response that is shorter looks complete",
        "`SetEnv ap_trust_cgilike_cl 1`",
    ),
    Defect(
        "Apache mod_cgid (seen: 2.4.71)",
        "A graceful restart of Apache restarts its daemon too, and requests of that moment get 503."
        " If the application has not read the whole body, the response may be lost or cut off (a"
        " race with cgi-fcgi, which ends as soon as it has the answer)",
        "mod_fcgid or mod_proxy_fcgi; an application that reads the whole body",
    ),
    Defect(
        "Apache mod_fcgid (seen: with 2.4.71)",
        "A process has one request at a time. A graceful restart stops processes that still start,"
        " and their requests get 500",
        "mod_proxy_fcgi",
    ),
    Defect(
        "Apache mod_fastcgi (seen: SNAP-0910052141)",
        "A graceful restart removes the applications' sockets as soon as the first process has"
        " ended: a request that Apache is still reading then may get 500. So may a request that"
        " comes while the module makes the socket of a script. Running requests are finished",
        "An application that somebody else starts (`FastCgiExternalServer`)",
    ),
    Defect(
        "nginx (seen: 1.22.1)",
        "502 for response headers beyond `fastcgi_buffer_size`, by default 4 KB",
        "`fastcgi_buffer_size 16k`, as `gfcgi config nginx` prints it",
    ),
    Defect(
        "Caddy (2.6.2), H2O (2.2.5), mod_fastcgi, mod_fcgid, mod_cgid, lighttpd (1.4.69) unless"
        " it streams",
        "A response without Content-Length that breaks off looks complete, whatever the application"
        " does; [see above](#responses-that-break-off)",
        "Give the response a Content-Length",
    ),
    Defect(
        "lighttpd (seen: 1.4.69)",
        "With `server.stream-request-body` a chunked upload gets 411. Without it, an application"
        " goes on working for an HTTP client that has left",
        "Choose by what the application does",
    ),
    Defect(
        "Caddy (seen: 2.6.2)",
        "It logs FCGI_STDERR nowhere, reloads nothing on SIGUSR1, and drops the body of OPTIONS",
        "gfcgi's own log, which has exceptions too; `caddy reload`",
    ),
    Defect(
        "H2O (seen: 2.2.5)",
        "PATH_INFO is the whole path, and SCRIPT_NAME is empty. It takes an absolute-form target"
        " for a path",
        "`--script-name /app`, as `gfcgi config h2o` says",
    ),
    Defect(
        "HAProxy (seen: 2.6.12)",
        "SERVER_NAME is the Host header with its port",
        "Nothing to do: gfcgi removes the port",
    ),
    Defect(
        "lighttpd, Caddy and H2O (seen: 1.4.69, 2.6.2, 2.2.5)",
        "A header field X_Forwarded_For gets the same variable as X-Forwarded-For, so an HTTP"
        " client can pose as the proxy that `--trusted-proxies` believes",
        "A proxy that drops header fields with an underscore in their names, as nginx does",
    ),
    Defect(
        "HAProxy (seen: 2.6.12)",
        "502 for response headers of 15 KB or more: its buffer (`tune.bufsize`) less"
        " `tune.maxrewrite`",
        "`tune.bufsize 32768`; gfcgi warns of such headers",
    ),
    Defect(
        "lighttpd (seen: 1.4.69)",
        "502 for response headers of more than 64 KB",
        "Fewer or shorter cookies",
    ),
    Defect(
        "Apache mod_proxy_fcgi (seen: 2.4.71)",
        "It leaves out a variable of more than 16 KB, such as a certificate chain or a cookie"
        " beyond `LimitRequestFieldSize`",
        "Shorter values; mod_fcgid or mod_fastcgi",
    ),
    Defect(
        "Caddy (seen: 2.6.2)",
        "It cuts a variable at 64 KB, and passes the application's Status on as a header field",
        "Shorter values. gfcgi leaves Status out where it is 200",
    ),
    Defect(
        "Apache, for a script that it starts or that a Handler has (seen: 2.4.71)",
        "`//` in the path becomes `/`, whatever `MergeSlashes` says",
        "mod_proxy_fcgi or nginx with `gfcgi config --keep-slashes`",
    ),
    Defect(
        "nginx with `fastcgi_cache` (seen: 1.22.1)",
        "With a key that lacks the method, the answer to a HEAD, with its Content-Length and"
        " without a body, is given to the next GET, and that client waits for the body",
        '`fastcgi_cache_key "$request_method$scheme$host$request_uri"`',
    ),
)
