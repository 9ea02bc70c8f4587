"""Make the directory for uploads, with one file in it."""

from pathlib import Path

uploads = Path(__file__).resolve().parent / "uploads"
uploads.mkdir()
(uploads / "first.txt").write_text("the first\n")
