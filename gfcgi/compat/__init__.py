"""Other FastCGI servers' names, for scripts that were written for them: one line changes.

``flup``, ``flipflop`` and ``gevent_fastcgi`` have the servers of these packages, ``paste`` and
``bottle`` what these look for. Nothing of gfcgi imports them.
"""
