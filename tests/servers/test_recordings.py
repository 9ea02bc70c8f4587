"""A recording made behind a real Web server replays with the same answers, byte for byte."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gfcgi.client.recording import read_recording
from gfcgi.commands import main

from .applications import Address, Bound, wait_for_socket
from .columns import Column
from .harness import REPOSITORY, PrivateRoot, Program, python_environment
from .site import Site
from .webservers import ApacheProxy, HAProxy, Nginx

pytestmark = pytest.mark.servers

SECRET = b"s3cr3t"

#: A directory into which the redacted recordings go, as tests/corpus/recordings has them.
KEEP = os.environ.get("GFCGI_KEEP_RECORDINGS")
SERVERS = [Nginx(), ApacheProxy(), HAProxy()]


@dataclass(frozen=True)
class Recorded(Bound):
    """The application behind `gfcgi record`, which stands where the Web server looks."""

    redact: tuple[str, ...] = ()
    applications: list[Program] = field(default_factory=list, compare=False)
    """For the test to stop, whatever happens: the site knows the recorder alone."""

    def behind(self, root: PrivateRoot) -> Address:
        return Address(path=str(root.path / "run" / "behind.sock"))

    def start(self, root: PrivateRoot, script: Path, address: Address) -> Program | None:
        behind = self.behind(root)
        application = Program(root, "behind", self.command(script, behind), python_environment())
        self.applications.append(application)
        wait_for_socket(application, behind)
        recorder = [sys.executable, "-m", "gfcgi", "record", "--listen", address.bind]
        recorder += ["--to", behind.bind, str(root.path / "tmp" / "recording"), *self.redact]
        return Program(root, "application", recorder, python_environment())


@pytest.mark.parametrize("redact", [(), ("--redact",)], ids=["whole", "redacted"])
@pytest.mark.parametrize("example", ["hello.fcgi", "upload.py"])
@pytest.mark.parametrize(
    "server", [Nginx(), ApacheProxy(), HAProxy()], ids=["nginx", "apache", "haproxy"]
)
def test_a_recording_replays_with_the_same_answers(server, example, redact, capsys, request):
    recorded = Recorded(redact=redact)
    column = Column(f"{type(server).__name__}-recorded", server, recorded)
    site = Site(column, REPOSITORY / "examples" / example, ready="/")
    faults = []
    try:
        site.start()
        try:
            pages = [site.get("/", Cookie="id=s3cr3t", Authorization="Bearer s3cr3t")]
            body = SECRET * (500 if KEEP else 50_000)
            pages += [site.request("PUT", "/?q=s3cr3t", body), site.get("/a%20b")]
            assert [page.status for page in pages] == [200, 200, 200]
            # The Web server first, as a kept connection ends with it; then who records.
            faults += site.server.stop(column.server.stop_signal)
            faults += site.application.stop()
            file = site.root.path / "tmp" / "recording"
            pieces = read_recording(str(file)).pieces
            for side in ("web server", "application"):
                # A secret may lie across two pieces.
                whole = b"".join(piece.data for piece in pieces if piece.sender == side)
                assert (SECRET in whole) == (not redact and side == "web server")
            if KEEP and redact:
                name = request.node.callspec.id.split("-")[0]
                shutil.copyfile(file, Path(KEEP, f"{name}-{Path(example).stem}.recording"))
            assert main(["replay", str(file), recorded.behind(site.root).bind]) == 0
            assert "the same" in capsys.readouterr().out
        finally:
            site.stop()
    finally:
        for application in recorded.applications:
            faults += application.stop()
    assert not faults, faults
