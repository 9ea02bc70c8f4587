#!/usr/bin/env python3
"""An Authorizer: the Web server asks it who may see a file or a page of another application.

Visitors send name and password (HTTP's Basic scheme), or a signed cookie. This script sets the
cookie where it is mounted as a page. docs/howto/authorizer.md has the configurations.
"""

import base64
import hmac

SECRET = b"something that nobody else knows"
PASSWORDS = {"ada": b"lovelace", "eve": b"apple"}
STAFF = {"ada"}


def cookie(name):
    return f"visitor={name}.{hmac.digest(SECRET, name.encode(), 'sha256').hex()}"


def checked(name, password):
    return name if password and hmac.compare_digest(PASSWORDS.get(name, b""), password) else None


def visitor(environ):
    if "REMOTE_PASSWD" in environ:  # Apache has split the Authorization header
        return checked(environ["REMOTE_USER"], environ["REMOTE_PASSWD"].encode("latin-1"))
    if environ.get("FCGI_APACHE_ROLE") == "AUTHORIZER":  # Apache has checked the password
        return environ["REMOTE_USER"]
    shown = {one.strip() for one in environ.get("HTTP_COOKIE", "").replace(",", ";").split(";")}
    for name in PASSWORDS:
        if cookie(name) in shown:
            return name
    try:
        basic = base64.b64decode(environ.get("HTTP_AUTHORIZATION", "").removeprefix("Basic "))
    except ValueError:
        return None
    name, _, password = basic.partition(b":")
    return checked(name.decode("latin-1"), password)


def application(environ, start_response):
    user, body = visitor(environ), b""
    if user is None:
        status, headers = "401 Unauthorized", [("WWW-Authenticate", 'Basic realm="staff"')]
    elif environ["gfcgi.role"] != "AUTHORIZER":  # the page that sets the cookie
        status, body = "200 OK", b"Welcome.\n"
        headers = [("Set-Cookie", cookie(user) + "; Path=/; HttpOnly; SameSite=Lax")]
    elif user not in STAFF:
        status, headers = "403 Forbidden", []
    else:  # the protected page gets these as REMOTE_USER and AUTH_GROUP
        status = "200 OK"
        headers = [("Variable-REMOTE_USER", user), ("Variable-AUTH_GROUP", "staff")]
    start_response(status, [("Content-Type", "text/plain"), *headers])
    return [body]


if __name__ == "__main__":
    import gfcgi

    gfcgi.run(application)
