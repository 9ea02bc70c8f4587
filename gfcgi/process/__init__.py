"""A process of ours: how it was started, its sockets, its signals, its log. Standard library only.

Nothing here imports gevent before the standard library is patched: ``gfcgi.server`` is imported
inside functions.
"""
