"""Make the project environment, with one user who may do everything."""

import base64
import hashlib
from pathlib import Path

from trac.admin.console import TracAdmin

HERE = Path(__file__).resolve().parent

admin = TracAdmin(str(HERE / "env"))
for command in (
    "initenv Probe sqlite:db/trac.db",
    "permission add anna TRAC_ADMIN",
    "config set trac never_obfuscate_mailto true",
):
    assert not admin.onecmd(command), command
password = base64.b64encode(hashlib.sha1(b"geheim").digest()).decode("ascii")
(HERE / "htpasswd").write_text(f"anna:{{SHA}}{password}\n")
