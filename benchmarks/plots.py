"""Draw the plots of a session as SVG: the same bytes for the same results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")

from matplotlib import pyplot as plt

from benchmarks.figures import Result, median
from benchmarks.peers import PEERS

__all__ = ["PLOTS", "draw"]

OURS, FLOOR, OTHERS, TEXT = "#0b6e99", "#9aa5ad", "#d9b26f", "#333333"
TITLES = {name: peer.title for name, peer in PEERS.items()} | {"bare": "import gevent alone"}

PLOTS = {
    "cpu": ("Server CPU per request, µs", "cpu_us", 1.0, "kept-16 connecting cookie upload-64k"),
    "deep": ("Server CPU per request, µs", "cpu_us", 1.0, "kept-1 kept-256 multiplexed nginx"),
    "transfers": ("Server CPU for 100 MB, ms", "cpu_us", 1e-3, "download upload"),
    "memory": ("Memory per sleeping request, KB", "memory_per_request_kb", 1.0, "asleep"),
    "startup": ("From script start to first answer, ms", "wall_ms", 1.0, "startup"),
}
"""By file name: title, name of the figure, factor, loads."""

STYLE: dict[Any, Any] = {
    "svg.hashsalt": "gfcgi",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.edgecolor": "#cccccc",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": TEXT,
    "axes.labelcolor": TEXT,
    "xtick.color": TEXT,
    "ytick.color": TEXT,
}


def draw(result: Result, folder: Path) -> list[Path]:
    """Write a file for each plot whose loads were measured; return the files."""
    made = []
    with mpl.rc_context(STYLE):
        for name, (title, figure, scale, loads) in PLOTS.items():
            measured = [load for load in loads.split() if load in result["loads"]]
            if measured:
                made.append(_save(_bars(result, measured, figure, scale, title), folder, name))
        measured = [load for load in ("kept-16", "kept-256", "flooded") if load in result["loads"]]
        if measured:
            made.append(_save(_latencies(result, measured), folder, "latency"))
    return made


def _save(drawing: Any, folder: Path, name: str) -> Path:
    path = folder / f"{name}.svg"
    drawing.savefig(path, metadata={"Date": None}, bbox_inches="tight")
    plt.close(drawing)
    return path


def _grid(count: int, rows_each: int, title: str) -> tuple[Any, list[Any]]:
    columns = min(2, count)
    rows = -(-count // columns)
    size = (4.6 * columns, (0.27 * rows_each + 0.75) * rows)
    drawing, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
    drawing.suptitle(title, fontsize=11)
    flat = list(axes.flat)
    for unused in flat[count:]:
        unused.set_visible(False)
    return drawing, flat[:count]


def _peers(result: Result, loads: Sequence[str]) -> list[str]:
    return max((list(result["loads"][load]["peers"]) for load in loads), key=len)


def _bars(result: Result, loads: Sequence[str], figure: str, scale: float, title: str) -> Any:
    drawing, axes = _grid(len(loads), len(_peers(result, loads)), title)
    for axis, load in zip(axes, loads, strict=True):
        peers = list(result["loads"][load]["peers"])
        values = [median(result, load, peer, figure) for peer in peers]
        widest = max((value for value in values if value is not None), default=1.0) * scale
        for row, (peer, value) in enumerate(zip(peers, values, strict=True)):
            if value is None:
                axis.text(widest * 0.01, row, "fails", va="center", color="#b03030")
                continue
            axis.barh(row, value * scale, color=_colour(peer), height=0.66)
            axis.text(value * scale + widest * 0.015, row, f"{value * scale:.3g}", va="center")
        axis.set_yticks(range(len(peers)), [TITLES[peer] for peer in peers])
        axis.set_ylim(len(peers) - 0.5, -0.5)
        axis.set_xlim(0, widest * 1.15)
        axis.tick_params(length=0)
        axis.set_title(result["loads"][load]["title"], fontsize=9, loc="left")
    drawing.tight_layout()
    return drawing


def _latencies(result: Result, loads: Sequence[str]) -> Any:
    """Draw a line from p50 to p99 for each server, on a logarithmic axis."""
    drawing, axes = _grid(
        len(loads), len(_peers(result, loads)), "Latency, ms: p50 (dot) to p99 (line's end)"
    )
    for axis, load in zip(axes, loads, strict=True):
        peers = list(result["loads"][load]["peers"])
        for row, peer in enumerate(peers):
            p50 = median(result, load, peer, "p50_us")
            p99 = median(result, load, peer, "p99_us")
            if p50 is None or p99 is None:
                axis.text(
                    *(0.01, row, "fails"),
                    va="center",
                    color="#b03030",
                    transform=axis.get_yaxis_transform(),
                )
                continue
            colour = _colour(peer)
            axis.plot([p50 / 1e3, p99 / 1e3], [row, row], color=colour, linewidth=3)
            axis.plot([p50 / 1e3], [row], "o", color=colour)
            axis.plot([p99 / 1e3], [row], "|", color=colour, markersize=10)
        axis.set_xscale("log")
        axis.set_yticks(range(len(peers)), [TITLES[peer] for peer in peers])
        axis.set_ylim(len(peers) - 0.5, -0.5)
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axis.grid(axis="x", color="#eeeeee")
        axis.set_title(result["loads"][load]["title"], fontsize=9, loc="left")
    drawing.tight_layout()
    return drawing


def _colour(peer: str) -> str:
    if peer in ("gfcgi", "gfcgi-compiled"):
        return OURS
    return FLOOR if peer in ("floor", "blocking", "bare") else OTHERS
