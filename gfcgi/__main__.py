"""``python -m gfcgi``."""

from __future__ import annotations

import sys

from gfcgi.commands import main

if __name__ == "__main__":
    sys.exit(main())
