#!/usr/bin/env python3
"""Hash uploads of any size while they arrive: at most 64 KB of one is in memory.

Open the page in a browser, or `curl -T some.file http://127.0.0.1:8000/`.
"""

import hashlib

PAGE = b"""<!DOCTYPE html>
<title>upload</title>
<p><input type="file" id="file"> <output id="answer"></output>
<script>
document.getElementById("file").onchange = async event => {
  const answer = await fetch("", {method: "PUT", body: event.target.files[0]});
  document.getElementById("answer").textContent = await answer.text();
};
</script>
"""


def application(environ, start_response):
    if environ["REQUEST_METHOD"] not in ("POST", "PUT"):
        start_response("200 OK", [("Content-Type", "text/html")])
        return [PAGE]
    digest = hashlib.sha256()
    size = 0
    # An upload that is cut off raises gfcgi.RequestAborted here: it never looks like a short file.
    while chunk := environ["wsgi.input"].read(65536):
        digest.update(chunk)
        size += len(chunk)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{size} bytes, sha256 {digest.hexdigest()}\n".encode()]


if __name__ == "__main__":
    import gfcgi

    gfcgi.run(application)
