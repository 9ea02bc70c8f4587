"""HAProxy: an fcgi-app with its frontend and backend."""

from __future__ import annotations

from gfcgi.configurations.deployment import PING_PATH, TIMEOUT_SECONDS, Deployment, comment
from gfcgi.limits import MAX_CONCURRENT_REQUESTS_PER_CONNECTION

__all__ = ["haproxy"]

USER = "haproxy"


def haproxy(deployment: Deployment) -> str:
    """The sections for one application.

    - ``docroot`` is required. gfcgi does not use it.
    - ``path-info`` says where SCRIPT_NAME ends. Without it there is no PATH_INFO.
    - HAProxy takes REMOTE_USER and AUTH_TYPE from Authorization without a check, and ``set-param``
      cannot make them empty. So Authorization leaves the request and comes back as a param.
    - ``http-reuse always`` uses kept connections for every request. It is safe: gfcgi closes none
      for an hour (idle_timeout_seconds), and HAProxy closes idle ones after seconds.
    - ``get-values`` asks gfcgi how many requests a connection may have (FCGI_MAX_REQS), and
      ``mpxs-conns`` sends so many at once. They are here only on request: before 3.4 HAProxy
      answers some requests of a burst with its own 500 (its issue 3346).
    - HAProxy passes both bodies on as they come, and has no limit for uploads.
    """
    application = [
        f"docroot {_document_root(deployment)}",
        f"path-info ^({deployment.pattern})(/.*){'?' if deployment.mount else ''}$",
        "set-param HTTP_AUTHORIZATION %[var(txn.authorization)]",
        "log-stderr global",
        "option keep-conn" if deployment.keep_conn else "no option keep-conn",
    ]
    if deployment.multiplex:
        application += [
            "# Many requests at once on one connection. HAProxy before 3.4 answers some requests",
            "# of a burst with its own 500 (its issue 3346). To prevent that, set max-reqs to 8",
            "# here and in gfcgi (--max-concurrent-requests-per-connection 8).",
            "option get-values",
            "option mpxs-conns",
            f"option max-reqs {MAX_CONCURRENT_REQUESTS_PER_CONNECTION}",
        ]
    backend = [
        "mode http",
        "timeout connect 5s",
        f"timeout server {TIMEOUT_SECONDS}s               # no output for so long: 504",
        f"use-fcgi-app {deployment.name}",
        "# From Authorization HAProxy would make a REMOTE_USER that nobody has checked.",
        "http-request set-var(txn.authorization) req.fhdr(Authorization)",
        "http-request del-header Authorization",
        *(["http-reuse always"] if deployment.keep_conn else []),
        *_servers(deployment),
    ]
    frontend = [
        *_bind(deployment),
        "mode http",
        f"timeout client {TIMEOUT_SECONDS}s",
        _use_backend(deployment),
    ]
    notes = [
        "At the end of /etc/haproxy/haproxy.cfg",
        "",
        *deployment.how_to_start(USER, ping=bool(deployment.others)),
        "",
        "Then:",
        "  sudo haproxy -c -f /etc/haproxy/haproxy.cfg && sudo systemctl reload haproxy",
    ]
    if any(one.socket_path for one in deployment.each()):
        notes += [
            "",
            "HAProxy changes its root directory and looks for the socket there. Remove `chroot`",
            "from `global` in Debian's haproxy.cfg, or use TCP.",
        ]
    if deployment.tls and deployment.tls.certificate != deployment.tls.key:
        both = f"{deployment.tls.certificate} {deployment.tls.key}"
        notes += [
            "",
            "HAProxy wants the certificate and its key in one file:",
            f"  sudo sh -c 'umask 077; cat {both} >{_one_file(deployment)}'",
        ]
    sections = [
        (f"fcgi-app {deployment.name}", application),
        (f"frontend {deployment.name}", frontend),
        (f"backend {deployment.name}", backend),
    ]
    texts = [
        "\n".join([title, *("    " + line for line in lines)]) + "\n" for title, lines in sections
    ]
    return "\n".join([comment(*notes), *texts])


def _servers(deployment: Deployment) -> list[str]:
    """The processes.

    ``check`` asks for the ping every 2 seconds; a process that stops says 503. Any answer but 5xx
    is a good one: a process without ``--ping-path`` has its application answer, 404 mostly, and
    does answer. ``redispatch 1`` sends a request that could not connect to the next process, and
    ``retry-on empty-response`` one that a process has died of: a GET only, as nobody knows what the
    dead process has done.
    """
    if not deployment.others:
        return [f"server {deployment.name} {_address(deployment)} proto fcgi"]
    return [
        "# The next process gets what one could not take, and a GET that one has died of.",
        "balance roundrobin",
        "option redispatch 1",
        "retry-on conn-failure empty-response",
        "http-request disable-l7-retry unless METH_GET",
        "# Health checks ask gfcgi itself (--ping-path). It says 503 while it stops.",
        "option httpchk",
        f"http-check send meth GET uri {deployment.mount}{PING_PATH}",
        "http-check expect ! rstatus ^5",
        *(
            f"server {deployment.name}-{number} {_address(one)} proto fcgi check"
            for number, one in enumerate(deployment.each(), 1)
        ),
    ]


def _address(deployment: Deployment) -> str:
    return f"unix@{deployment.socket_path}" if deployment.socket_path else str(deployment.address)


def _use_backend(deployment: Deployment) -> str:
    if not deployment.mount:
        return f"default_backend {deployment.name}"
    mount = deployment.mount
    return f"use_backend {deployment.name} if {{ path {mount} }} || {{ path_beg {mount}/ }}"


def _document_root(deployment: Deployment) -> str:
    if deployment.target.module:
        return deployment.directory
    return deployment.script.rpartition("/")[0] or "/"


def _bind(deployment: Deployment) -> list[str]:
    """Whoever asks by HTTP is led to HTTPS, as far as its port is known."""
    listen = deployment.listen
    ssl = f" ssl crt {_one_file(deployment)}" if deployment.tls else ""
    if listen is not None:
        return [f"bind {listen.host}:{listen.port}{ssl}"]
    if not deployment.tls:
        return ["bind :80"]
    return [
        "bind :80",
        f"bind :443{ssl}",
        "http-request redirect scheme https code 301 unless { ssl_fc }",
    ]


def _one_file(deployment: Deployment) -> str:
    tls = deployment.tls
    assert tls is not None
    if tls.certificate == tls.key:
        return tls.key
    return f"/etc/haproxy/{deployment.name}.pem"
