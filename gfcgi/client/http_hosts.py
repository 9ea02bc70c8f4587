"""Which names the HTTP front answers to.

A page of another site can have its own name lead to this machine, and then read what the front
answers ("DNS rebinding"): for the browser it is the same site. The Host that the browser sends is
the other site's name, and shows it. An IP address as Host is no such name.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable

from gfcgi.addresses import parse_ip
from gfcgi.client.http_head import BadRequest
from gfcgi.client.params import HOST

__all__ = ["Hosts"]


class Hosts:
    """The names of a front that listens at ``bound``, a name or an IP address.

    These are: ``localhost`` and what ends with ``.localhost``; this machine's name; ``bound``
    itself; the ``allowed`` names, where ``.example.com`` is example.com and all below it, and ``*``
    is every name. An IP address is answered if it is a loopback one or that at which the client
    connected. A front that listens on all addresses answers to every IP address, as
    webpack-dev-server does: behind a port map the client's is another one.
    """

    def __init__(self, bound: str, allowed: Iterable[str] = ()) -> None:
        self._bound = bound.strip("[]").lower()
        self._allowed = tuple(name.lower().rstrip(".") for name in allowed)
        self._own = {self._bound, socket.gethostname().lower()}

    def check(self, host: str, local: str) -> None:
        """Look whether a request with the Host ``host`` is answered. No browser leaves it empty.

        ``local`` is the IP address at which the client connected. Raises: BadRequest.
        """
        if not host:
            return
        match = HOST.fullmatch(host)
        if match is None:
            raise BadRequest(f"the Host is {host!r}, which is no host")
        name = match[1].lower().strip("[]").rstrip(".")
        if not self._answers_to(name, local):
            raise BadRequest(
                f"This server does not answer to the name {name}, so that no other site can read"
                f" it under a name of its own. --http-host {name} (http_host=) allows the name.",
                status="421 Misdirected Request",
            )

    def _answers_to(self, name: str, local: str) -> bool:
        try:
            address = parse_ip(name)
        except ValueError:
            pass
        else:
            if parse_ip(local.partition("%")[0]) == address or address.is_loopback:
                return True
            try:
                if parse_ip(self._bound).is_unspecified:
                    return True
            except ValueError:
                pass  # a name was bound
        if name == "localhost" or name.endswith(".localhost") or name in self._own:
            return True
        return any(
            wanted in ("*", name) or (wanted.startswith(".") and ("." + name).endswith(wanted))
            for wanted in self._allowed
        )
