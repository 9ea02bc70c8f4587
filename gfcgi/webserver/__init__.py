"""The other side of the wire: what a Web server does with an application.

``request`` sends one request over a transport connection and gives the answer as it comes;
``http`` is an HTTP front for development that turns what a browser or curl asks into FastCGI.
Both run on gevent; in a program that is not patched they block like any other call.
"""
