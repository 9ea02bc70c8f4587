"""own_server.py PORT MOUNT: the server of ``flask run``, with Werkzeug's own way to mount."""

import sys

from app import app
from werkzeug.exceptions import NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.serving import run_simple

port, mount = sys.argv[1:]
mounted = DispatcherMiddleware(NotFound(), {mount: app}) if mount else app
run_simple("127.0.0.1", int(port), mounted, threaded=True)
