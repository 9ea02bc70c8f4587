"""PHP-FPM at a UNIX socket: ``serve_php_fpm.py PROGRAM ADDRESS PROCESSES``.

So many processes, each of which has one request at a time; nothing else is set.
"""

from __future__ import annotations

import os
import pwd
import sys
from pathlib import Path


def main() -> None:
    program, address, processes = sys.argv[1:]
    user = pwd.getpwuid(os.getuid())[0]
    config = Path(f"{address}.conf")
    config.write_text(f"""\
[global]
error_log = /dev/stderr
[hello]
listen = {address}
listen.backlog = 2048
user = {user}
group = {user}
pm = static
pm.max_children = {processes}
""")
    arguments = ["--nodaemonize", "--allow-to-run-as-root", "--fpm-config", str(config)]
    os.execvp(program, [program, *arguments])


if __name__ == "__main__":
    main()
