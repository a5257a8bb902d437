"""How figures look: the style, the palette, and the marks a curve is drawn with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from prefsim.curves import Array, Curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's colour-blind-safe colours, without the yellow that vanishes on white paper."""

TURNS: tuple[Any, ...] = ("-", (0, (7, 1, 1, 1)), (0, (7, 1, 1, 1, 1, 1)))
"""Line styles for the first, second and third turn of the palette; plain dashes are kept for bounds."""

INK, GREY = "0.25", "0.7"

BOUND: dict[str, Any] = {"ls": (0, (4, 2)), "lw": 0.9}
GUIDE: dict[str, dict[str, Any]] = {"upper": {"ls": (0, (5, 1, 1, 1)), "lw": 0.9}, "lower": {"ls": ":", "lw": 1.1}}
BAND: dict[str, Any] = {"alpha": 0.2, "lw": 0}

STEEP = 10.0
"""Ratio of a curve's slope in ln t to an asymptotic one beyond which the two are not drawn together."""

STYLE: dict[str, Any] = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.titlelocation": "left",
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "legend.handlelength": 2.4,
    "legend.columnspacing": 1.4,
    "legend.labelspacing": 0.3,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "xtick.minor.size": 1.5,
    "ytick.minor.size": 1.5,
    "axes.grid": True,
    "grid.color": "0.92",
    "grid.linewidth": 0.5,
    "axes.axisbelow": True,
    "lines.linewidth": 1.4,
    "axes.formatter.limits": (-3, 5),
    "axes.formatter.use_mathtext": True,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,
    "svg.hashsalt": "prefsim",
}


@contextmanager
def style() -> Iterator[None]:
    """Matplotlib's own defaults with `STYLE`, whatever the user's settings, which come back afterwards."""
    import matplotlib.style

    with matplotlib.style.context(["default", STYLE]):
        yield


def look(k: int) -> dict[str, Any]:
    """Colour and line style of the k-th algorithm."""
    return {"color": PALETTE[k % len(PALETTE)], "ls": TURNS[k // len(PALETTE) % len(TURNS)]}


def set_limits(axes: Sequence[Axes], drawn: Sequence[Curve], *, log_x: bool, log_y: bool, over_time: bool) -> None:
    """Scale the axes and show everything drawn, save that vacuous bounds may leave the picture."""
    x, shown = [], []
    for curve in drawn:
        kept = curve.x > (0 if log_x else -np.inf)
        x.append(curve.x[kept])
        bound = np.where(curve.bound < curve.largest, curve.bound, np.nan)
        if log_y and (curve.center[kept] > 0).any():
            # A bound may fall on where the data have reached rounding; the data decide how far down the axis goes.
            bound = np.where(bound < curve.center[kept][curve.center[kept] > 0].min(), np.nan, bound)
        shown += [y[kept] for y in (curve.center, curve.lower, curve.upper, bound)]
    at, values = np.concatenate(x), np.concatenate(shown)
    values = values[np.isfinite(values) & (values > (0 if log_y else -np.inf))]
    for ax in axes:
        ax.set_xscale("log" if log_x else "linear")
        ax.set_yscale("log" if log_y else "linear")
        if at.size and at.min() < at.max():
            pad = 0.0 if over_time else 0.04
            stretch = (at.max() / at.min()) ** pad if log_x else pad * (at.max() - at.min())
            ends = (at.min() / stretch, at.max() * stretch) if log_x else (at.min() - stretch, at.max() + stretch)
            ax.set_xlim(*ends)
        if values.size and log_y:
            stretch = 1.1 * (values.max() / values.min()) ** 0.04
            ax.set_ylim(values.min() / stretch, values.max() * stretch)
        elif values.size and values.max() > min(0, values.min()):
            ax.set_ylim(min(0, 1.06 * values.min()), 1.06 * values.max())


def draw(ax: Axes, panel: Sequence[Curve], k: int) -> None:
    """Draw the k-th algorithm: band, bound, slope guides, line, and a cross where a diverging line ends.

    A line that hides an earlier one is broken, so that both colours are seen.
    """
    curve = panel[k]
    least_x, least_y = (0 if scale == "log" else -np.inf for scale in (ax.get_xscale(), ax.get_yscale()))
    color = look(k)["color"]

    def line(part: str, x: Array, y: Array, **marks: Any) -> None:
        y = np.where((x > least_x) & (y > least_y) & np.isfinite(y), y, np.nan)
        if np.isfinite(y).any():
            ax.plot(x, y, label=f"{curve.label}: {part}", **{"color": color, **marks})

    inside = (curve.x > least_x) & (curve.upper > least_y)
    if inside.any():
        # where the lower quantile has no logarithm the band goes down to the edge of the picture
        lower = np.fmax(curve.lower, ax.get_ylim()[0]) if least_y == 0 else curve.lower
        ax.fill_between(curve.x, lower, curve.upper, where=inside, color=color, zorder=2, **BAND)
    vacuous = is_vacuous(curve)
    line("vacuous bound", curve.x, np.where(vacuous, curve.bound, np.nan), **BOUND, color=GREY)
    line("bound", curve.x, np.where(vacuous, np.nan, curve.bound), **BOUND, zorder=2.5)
    marks = {**look(k), "marker": "o" if curve.x.size < 12 else "", "ms": 3, "zorder": 3}
    if any(covers(ax, curve, other) for other in panel[:k]):
        marks["ls"] = (0, (5, 5))
    line("line", curve.x, curve.center, **marks)
    for side, coefficient in curve.slopes.items():
        line(f"slope {side}", *guide(curve, coefficient), **GUIDE[side], zorder=3.5)
    if (end := diverges(curve)) is not None:
        line("diverged", curve.x[[end]], curve.center[[end]], ls="", marker="x", ms=5, mew=1.4, zorder=4)


def heights(ax: Axes, y: Array) -> Array:
    """Heights of values in the picture, 0 at the bottom and 1 at the top; NaN for those that have no place in it."""
    seen = np.isfinite(y) & (y > (0 if ax.get_yscale() == "log" else -np.inf))
    points = np.column_stack([np.full(y.shape, ax.get_xlim()[1]), np.where(seen, y, ax.get_ylim()[0])])
    return np.where(seen, ax.transLimits.transform(ax.transScale.transform(points))[:, 1], np.nan)


def covers(ax: Axes, curve: Curve, other: Curve) -> bool:
    """Whether a line hides nearly all of another: they lie within a line's width of each other, also at the end."""
    if not np.array_equal(curve.x, other.x):
        return False
    apart = np.abs(heights(ax, curve.center) - heights(ax, other.center))
    near = apart[np.isfinite(apart)] < 0.015
    return near.size > 0 and bool(near[-1] and near.mean() > 0.8)


def is_vacuous(curve: Curve) -> NDArray[np.bool_]:
    """Where a bound says no more than that regret cannot exceed the largest gap times t; not at the start, 0 <= 0."""
    return (curve.bound >= curve.largest) & (curve.x > 0)


def guide(curve: Curve, coefficient: float) -> tuple[Array, Array]:
    """Points of ``R(T/10) + c ln(t / (T/10))`` over the last decade.

    There are none where the records do not cover it, or where the curve climbs `STEEP` times faster: regret that is
    not logarithmic has no use for the comparison.
    """
    start, positive = curve.x[-1] / 10, curve.x > 0
    if not np.isfinite(coefficient) or not (positive & (curve.x <= start)).any():
        return np.empty(0), np.empty(0)
    anchor = np.interp(np.log(start), np.log(curve.x[positive]), curve.center[positive])
    if not curve.center[-1] - anchor < STEEP * coefficient * np.log(10):
        return np.empty(0), np.empty(0)
    x = np.geomspace(start, curve.x[-1], 33)
    return x, anchor + coefficient * np.log(x / start)


def diverges(curve: Curve) -> int | None:
    """Index of the last value before a line stops being finite, None if it never does."""
    broken = np.flatnonzero(~np.isfinite(curve.center))
    return int(broken[0]) - 1 if broken.size and broken[0] > 0 else None


def write_names(ax: Axes, drawn: Sequence[Curve]) -> None:
    """Write names at the right-hand ends of the lines, moved apart as little as keeps them legible."""
    from scipy.optimize import isotonic_regression

    tracks = [heights(ax, curve.center) for curve in drawn]
    ends = np.array([track[np.isfinite(track)][-1] if np.isfinite(track).any() else 0.0 for track in tracks])
    order = np.argsort(ends, kind="stable")
    apart = 0.08 * np.arange(len(order))
    placed = np.clip(isotonic_regression(ends[order] - apart).x, 0, max(0, 1 - apart[-1])) + apart
    for k, height in zip(order, placed, strict=True):
        marks = {"color": look(int(k))["color"], "transform": ax.transAxes, "va": "center", "fontsize": 7}
        ax.text(1.02, height, drawn[k].label, **marks)
