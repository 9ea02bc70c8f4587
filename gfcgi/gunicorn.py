"""gunicorn's worker class: ``gunicorn -k gfcgi.gunicorn.Worker app:application`` serves FastCGI.

gunicorn binds, forks, watches and reloads; gfcgi answers the requests. Our options come by their
environment variables. The extra ``gfcgi[gunicorn]`` installs gunicorn.
"""

from __future__ import annotations

from gfcgi.process.workers.worker import Worker

__all__ = ["Worker"]
