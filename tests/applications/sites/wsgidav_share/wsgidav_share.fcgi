#!/usr/bin/env python3
"""WsgiDAV with a directory that everybody may write to, and gfcgi."""

import os

from wsgidav.wsgidav_app import WsgiDAVApp

import gfcgi.patched  # before WsgiDAV takes hold of locks

SHARE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "project", "share")

applications = {}


def application(environ, start_response):
    """WsgiDAV wants to know its mount point beforehand."""
    mount = environ["SCRIPT_NAME"]
    if mount not in applications:
        applications[mount] = WsgiDAVApp(
            {
                "provider_mapping": {"/": SHARE},
                "mount_path": mount,
                "simple_dc": {"user_mapping": {"*": True}},
                "lock_storage": True,
                "property_manager": True,
                "verbose": 1,
            }
        )
    return applications[mount](environ, start_response)


if __name__ == "__main__":
    gfcgi.run(application)
