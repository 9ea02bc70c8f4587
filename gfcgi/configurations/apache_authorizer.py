"""Authorizers of Apache: an application decides whether a request may pass.

The modules are mod_authnz_fcgi and mod_fastcgi.
"""

from __future__ import annotations

from gfcgi.configurations.apache_site import USER, configured
from gfcgi.configurations.deployment import Deployment

__all__ = ["apache_authnz", "fastcgi_authorizer"]


def apache_authnz(deployment: Deployment) -> str:
    """mod_authnz_fcgi guards the URL, where Apache has files or another application.

    - With ``access`` Apache asks the application about every request. ``RequireBasicAuth Off``: the
      application may look at cookies, at name and password, or at anything else, and the client
      gets the application's page if it refuses. ``UserExpr``: the application names the user in
      ``Variable-REMOTE_USER``. ``DefaultUser``: without it Apache answers 500.
    - The module connects over TCP only, and anew for each question.
    """
    provider, lines = _PROVIDERS[deployment.authorizer or "access"]
    body = "\n".join("    " + line.format(name=deployment.name) for line in lines)
    text = f"""\
AuthnzFcgiDefineProvider {provider} {deployment.name} fcgi://{deployment.address}/
<Location {deployment.url}>
{body}
</Location>
"""
    return configured(
        deployment, "authnz_fcgi auth_basic", [*deployment.how_to_start(USER), ""], text
    )


_BASIC = ["AuthType Basic", 'AuthName "{name}"']
_PASSWORDS = [
    "# Apache has the passwords in a file: sudo htpasswd -c /etc/apache2/{name}.htpasswd NAME",
    "AuthUserFile /etc/apache2/{name}.htpasswd",
]
_PROVIDERS = {
    "access": (
        "authn",
        [
            *_BASIC,
            "# The application looks at the whole request and names the user in",
            "# Variable-REMOTE_USER. If it refuses, the client gets its page.",
            "AuthnzFcgiCheckAuthnProvider {name} Authoritative On RequireBasicAuth Off \\",
            '    UserExpr "%{{reqenv:REMOTE_USER}}" DefaultUser visitor',
            "Require valid-user",
        ],
    ),
    "authn": ("authn", [*_BASIC, "AuthBasicProvider {name}", "Require valid-user"]),
    "authz": ("authz", [*_BASIC, "AuthBasicProvider file", *_PASSWORDS, "Require {name}"]),
    "authnz": ("authnz", [*_BASIC, "AuthBasicProvider {name}", "Require {name}"]),
}
"""For each kind: the type of the provider and the lines of the Location."""


def fastcgi_authorizer(deployment: Deployment) -> str:
    """mod_fastcgi has three kinds. Each names the application by its script.

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
    }[deployment.authorizer or "access"]
    body = "\n".join(
        "    " + line.format(name=deployment.name, script=deployment.script) for line in lines
    )
    return f"<Location {deployment.url}>\n{body}\n</Location>\n"
