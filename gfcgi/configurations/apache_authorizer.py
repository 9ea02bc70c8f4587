"""Apache asking an application whether a request may pass: mod_authnz_fcgi and mod_fastcgi."""

from __future__ import annotations

from gfcgi.configurations.site import Site, comment

__all__ = ["apache_authnz", "fastcgi_authorizer"]

USER = "www-data"


def apache_authnz(site: Site) -> str:
    """mod_authnz_fcgi, for what Apache has at the URL, files or another application.

    - ``access`` has the application asked for every request. ``RequireBasicAuth Off``: it looks at
      cookies or whatever else there is, name and password among them, and its own page goes out
      where it refuses. ``UserExpr``: its ``Variable-REMOTE_USER`` is who the user is;
      ``DefaultUser``, because without one Apache answers 500.
    - The module connects over TCP only, once for each question.
    """
    provider, lines = _PROVIDERS[site.authorizer or "access"]
    body = "\n".join("    " + line.format(name=site.name) for line in lines)
    head = comment(
        f"/etc/apache2/conf-available/{site.name}.conf",
        "",
        *site.how_to_start(USER),
        "",
        "Then:",
        f"  sudo a2enmod authnz_fcgi auth_basic && sudo a2enconf {site.name}",
        "  sudo apachectl configtest && sudo systemctl restart apache2",
    )
    return f"""\
{head}
AuthnzFcgiDefineProvider {provider} {site.name} fcgi://{site.address}/
<Location {site.url}>
{body}
</Location>
"""


_BASIC = ["AuthType Basic", 'AuthName "{name}"']
_PASSWORDS = [
    "# Passwords are in a file of Apache's: sudo htpasswd -c /etc/apache2/{name}.htpasswd NAME",
    "AuthUserFile /etc/apache2/{name}.htpasswd",
]
_PROVIDERS = {
    "access": (
        "authn",
        [
            *_BASIC,
            "# The application looks at the request itself, and can say who it is in",
            "# Variable-REMOTE_USER; its page goes out where it refuses.",
            "AuthnzFcgiCheckAuthnProvider {name} Authoritative On RequireBasicAuth Off \\",
            '    UserExpr "%{{reqenv:REMOTE_USER}}" DefaultUser visitor',
            "Require valid-user",
        ],
    ),
    "authn": ("authn", [*_BASIC, "AuthBasicProvider {name}", "Require valid-user"]),
    "authz": ("authz", [*_BASIC, "AuthBasicProvider file", *_PASSWORDS, "Require {name}"]),
    "authnz": ("authnz", [*_BASIC, "AuthBasicProvider {name}", "Require {name}"]),
}
"""For each kind the type of the provider, and what stands in the Location."""


def fastcgi_authorizer(site: Site) -> str:
    """mod_fastcgi's three; each knows the application by its script.

    - ``AuthBasicAuthoritative Off``: without it mod_auth_basic looks for the password first.
    """
    lines = {
        "access": ["FastCgiAccessChecker {script}"],
        "authn": [
            *_BASIC,
            "AuthBasicAuthoritative Off",
            "FastCgiAuthenticator {script}",
            "Require valid-user",
        ],
        "authz": [*_BASIC, *_PASSWORDS, "FastCgiAuthorizer {script}", "Require valid-user"],
    }[site.authorizer or "access"]
    body = "\n".join("    " + line.format(name=site.name, script=site.script) for line in lines)
    return f"<Location {site.url}>\n{body}\n</Location>\n"
