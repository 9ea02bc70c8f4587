"""One process of ours: how it was started, its sockets, its signals, its log. Begin with ``start``.

Nothing here imports gevent before the standard library is patched: ``gfcgi.server`` is imported
inside functions.
"""
