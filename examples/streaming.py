#!/usr/bin/env python3
"""Server-sent events: the server tells a page the time, once a second.

Each open page is one request that does not end, and so one greenlet. Thousands of them sleep in
one process. `time.sleep` is gevent's: gfcgi patches the standard library before it serves.
"""

import time
from urllib.parse import parse_qs

PAGE = b"""<!DOCTYPE html>
<title>streaming</title>
<h2 id="clock">waiting for the first event</h2>
<script>
new EventSource("events").onmessage = event => {
  document.getElementById("clock").textContent = event.data;
};
</script>
"""


def events(count, seconds):
    sent = 0
    while (
        count == 0 or sent < count
    ):  # or until the browser leaves: then gfcgi closes this generator
        yield f"id: {sent}\ndata: {time.strftime('%H:%M:%S')}\n\n".encode()
        sent += 1
        time.sleep(seconds)


def application(environ, start_response):
    if not environ["PATH_INFO"].endswith("/events"):
        start_response("200 OK", [("Content-Type", "text/html")])
        return [PAGE]
    query = parse_qs(environ["QUERY_STRING"])
    count = int(query.get("count", ["0"])[0])
    seconds = float(query.get("seconds", ["1"])[0])
    start_response(
        "200 OK",
        [
            ("Content-Type", "text/event-stream"),
            ("Cache-Control", "no-store"),
            ("X-Accel-Buffering", "no"),  # nginx: pass each event on at once
        ],
    )
    return events(count, seconds)


if __name__ == "__main__":
    import gfcgi

    gfcgi.run(application)
