"""Many requests at once, a connection each."""

from __future__ import annotations

import contextlib
import selectors
import time
from typing import Any

from .exchange import DEADLINE_SECONDS
from .harness import wait_until
from .site import Site


def sleepers(site: Site, count: int, query: str) -> tuple[list[dict[str, Any]], float]:
    """Send ``count`` requests to /sleep at once; return the answers and the seconds.

    One that the Web server is known to refuse by itself is sent again, as its user would do.
    """
    answers: list[dict[str, Any]] = []
    server = site.column.server
    refused, logged = 0, server.refusals(site.error_log())
    began = time.monotonic()
    with contextlib.ExitStack() as clients, selectors.DefaultSelector() as waiting:

        def send() -> None:
            client = clients.enter_context(site.client())
            target = f"{site.mount}/sleep?{query}"
            client.send("GET", target, headers={"Connection": "close"})
            waiting.register(client.connection.sock, selectors.EVENT_READ, client)

        for _ in range(count):
            send()
        while len(answers) < count:
            ready = waiting.select(DEADLINE_SECONDS)
            assert ready, f"{len(answers)} of {count} answers came"
            for key, _ in ready:
                waiting.unregister(key.fileobj)
                reply = key.data.reply()
                if server.refused(reply):
                    refused += 1
                    time.sleep(0.01)
                    send()
                else:
                    answers.append(reply.json())
        elapsed = time.monotonic() - began
    if refused:
        # The Web server's log has every one of them: gfcgi had no part in it.
        wait_until(
            lambda: server.refusals(site.error_log()) == logged + refused, f"{refused} in the log"
        )
    return answers, elapsed
