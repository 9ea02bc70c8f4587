"""Real Web servers under load while everything goes wrong, and what became of every request.

``python -m chaos --seconds 600``, run in tests/, starts each Web server with the configuration
that ``gfcgi config`` prints, sends requests without a pause, and meanwhile kills, stops and starves
the application's processes. It prints what became of every request. One that is lost needs a
cause, in ``causes.py``; one without a cause, one that is answered wrong and one that hangs fail
the run.
"""
