"""The other side of the wire: the part of a Web server.

``request`` sends one request over a transport connection and yields the answer as it comes.
``http`` is an HTTP front for development: it turns the requests of a browser or curl into FastCGI.
Both run on gevent. In a program that is not patched they block like any other call.
"""
