#!/usr/bin/env python3
"""Flask's application object, and gfcgi."""

import os
import sys

import gfcgi.patched  # before Flask takes hold of locks and sockets

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "project"))

from app import app as application

if __name__ == "__main__":
    gfcgi.run(application)
