#!/usr/bin/env gfcgi
def application(environ, start_response):
    body = b"<html><body><h2>hello world</h2></body></html>"
    status = "200 OK"
    headers = [("Content-Type", "text/html"), ("Content-Length", str(len(body)))]
    start_response(status, headers)
    return [body]


if __name__ == "__main__":
    import gfcgi

    gfcgi.run(application)
