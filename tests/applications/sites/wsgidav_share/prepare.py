"""Make the directory that is shared."""

from pathlib import Path

(Path(__file__).resolve().parent / "share").mkdir()
