#!/usr/bin/env python3
"""The script whose start is measured; it looks as README shows."""

from applications import hello as application

if __name__ == "__main__":
    import gfcgi

    gfcgi.run(application)
