"""Pictures: an estimate with its band, a certificate. Drawn without a screen, saved whole."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bmsthermal.errors import InputError
from bmsthermal.files import PICTURES, ZERO_DEGC_K, write_whole

if TYPE_CHECKING:
    from bmsthermal.curves import Array

CORE, SURFACE, ESTIMATE, AMBIENT, CURRENT = "#b2182b", "#2166ac", "#111111", "#7f7f7f", "#4d4d4d"


def figure(width: float = 9.0, height: float = 5.5) -> Any:
    """Return an empty figure that needs no screen."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(made)
    return made


def save(drawn: Any, path: str | Path | None) -> Any:
    """Save a figure if a path is given, all of it or nothing; return it."""
    if path is not None:
        buffer = io.BytesIO()
        kind = Path(path).suffix.lstrip(".").lower() or "png"
        if f".{kind}" not in PICTURES:
            raise InputError(f"cannot draw a {kind!r} file", where=str(path), expected=" or ".join(PICTURES))
        # a picture carries no date and no version: the same result is the same bytes
        blank = {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None, "ModDate": None}}
        drawn.savefig(buffer, format=kind, dpi=130, metadata=blank[kind])
        write_whole(path, buffer.getvalue())
    return drawn


def frame(axes: Any, value: Array, std: Array) -> None:
    """Scale to the lines and to the band, but for its first rows, which are as wide as the start was uncertain."""
    settled = min(10, len(value) - 1)
    half = 2 * std[settled:]
    lines = [np.asarray(line.get_ydata(), float) for line in axes.get_lines()]
    seen = np.concatenate([value[settled:] - half, value[settled:] + half, *lines])
    low, high = float(np.nanmin(seen)), float(np.nanmax(seen))
    axes.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))


def draw_band(axes: Any, x: Array, core_K: Array, core_std_K: Array) -> None:
    """Draw the estimate and its 2-sigma band in degC."""
    core = core_K - ZERO_DEGC_K
    axes.fill_between(
        x, core - 2 * core_std_K, core + 2 * core_std_K, color=ESTIMATE, alpha=0.15, lw=0, label="2 sigma"
    )
    axes.plot(x, core, color=ESTIMATE, lw=1.4, ls="--", label="core (estimated)", zorder=5)


def finish(top: Any, bottom: Any, title: str) -> None:
    """Label what every strip chart has."""
    top.set_ylabel("temperature\ndegC")
    top.set_title(title, fontsize=10, loc="left")
    top.legend(fontsize=8, frameon=False, ncols=3, loc="best")
    bottom.set_ylabel("current\nA")
    bottom.set_xlabel("time, minutes")
    bottom.axhline(0, color=AMBIENT, lw=0.6)
    for axes in top.figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
        axes.margins(x=0)
