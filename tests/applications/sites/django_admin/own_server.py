"""own_server.py PORT MOUNT: the server of ``manage.py runserver``, which knows no mount points."""

import os
import sys

from django.core.servers.basehttp import run
from django.core.wsgi import get_wsgi_application


def mounted(application, mount):
    """What PEP 3333 asks of a server for an application at ``mount``."""

    def at_mount(environ, start_response):
        path = environ["PATH_INFO"]
        if path != mount and not path.startswith(mount + "/"):
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"not below the mount point"]
        environ["SCRIPT_NAME"], environ["PATH_INFO"] = mount, path[len(mount) :]
        return application(environ, start_response)

    return at_mount


os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
port, mount = sys.argv[1:]
run("127.0.0.1", int(port), mounted(get_wsgi_application(), mount), threading=True)
