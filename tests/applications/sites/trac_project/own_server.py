"""own_server.py PORT MOUNT: tracd."""

import sys
from pathlib import Path

from trac.web.standalone import main

HERE = Path(__file__).resolve().parent

port, mount = sys.argv[1:]
password_file = f"--basic-auth=env,{HERE / 'htpasswd'},Probe"
where = ["--hostname=127.0.0.1", f"--port={port}", f"--base-path={mount}"]
sys.argv[1:] = ["--single-env", password_file, *where, str(HERE / "env")]
main()
