"""The few SVG marks that the report's figures need: axes with ticks, lines, areas and dots, as text.

Written by hand rather than by a plotting library so that a page of fifty figures stays small, and so that colours come
from the page's style sheet and follow its dark mode.
"""

from __future__ import annotations

from html import escape
from math import ceil, floor, log10

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Axis:
    """Maps numbers between `low` and `high` to pixels between `start` and `end`, linearly or by logarithm."""

    def __init__(self, low: float, high: float, start: float, end: float, *, log: bool) -> None:
        self.log, self.start, self.end = log, start, end
        self.low, self.high = (log10(low), log10(high)) if log else (low, high)
        if not self.high > self.low:
            self.low, self.high = (self.low - 0.5, self.low + 0.5) if log or not low else (0.0, 2 * low)

    def __call__(self, values: Array | float) -> Array:
        """Pixels; NaN where a value has no logarithm."""
        with np.errstate(divide="ignore", invalid="ignore"):
            at = np.log10(values) if self.log else np.asarray(values, dtype=np.float64)
        at = np.where(np.isfinite(at), at, np.nan)
        return self.start + (at - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self, most: int = 5) -> list[tuple[float, str]]:
        """Positions and labels of about `most` ticks."""
        if self.log and floor(self.high) > ceil(self.low):
            first, last = ceil(self.low), floor(self.high)
            every = max(1, ceil((last - first + 1) / most))
            return [(10.0**k, power(k)) for k in range(first, last + 1) if k % every == 0]
        low, high = (10**self.low, 10**self.high) if self.log else (self.low, self.high)
        raw = (high - low) / most
        unit = 10.0 ** floor(log10(raw))
        width = next(unit * m for m in (1, 2, 5, 10) if unit * m >= raw * 0.999)
        return [(k * width, number(k * width)) for k in range(ceil(low / width - 1e-9), floor(high / width + 1e-9) + 1)]


def power(exponent: int) -> str:
    """Write a power of ten."""
    return {0: "1", 1: "10"}.get(exponent, "10" + str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")))


def number(value: float) -> str:
    """Write a number with powers of ten that a person reads."""
    if value and not 1e-3 <= abs(value) < 1e4:
        mantissa, exponent = f"{value:.2e}".split("e")
        mantissa = mantissa.rstrip("0").rstrip(".")
        return power(int(exponent)) if mantissa == "1" else f"{mantissa}·{power(int(exponent))}"
    return f"{value + 0.0:.4g}"  # no minus before zero


def line(x: Array, y: Array, look: str) -> str:
    """A path of class `look` that breaks where a point is missing; a point on its own becomes a short dash."""
    there = np.isfinite(x) & np.isfinite(y)
    runs = np.split(np.arange(len(x))[there], np.flatnonzero(np.diff(np.flatnonzero(there)) > 1) + 1)
    path = ""
    for run in runs:
        if len(run) == 1:
            path += f"M{x[run[0]] - 4:.1f} {y[run[0]]:.1f}h8"
        elif len(run):
            path += "M" + "L".join(f"{x[i]:.1f} {y[i]:.1f}" for i in run)
    return f'<path class="{look}" d="{path}"/>' if path else ""


def area(x: Array, low: Array, high: Array, look: str) -> str:
    """The region of class `look` between two curves, where both are known."""
    there = np.isfinite(x) & np.isfinite(low) & np.isfinite(high)
    if there.sum() < 2:
        return ""
    around = [*zip(x[there], high[there], strict=True), *zip(x[there][::-1], low[there][::-1], strict=True)]
    return f'<path class="{look}" d="M{"L".join(f"{a:.1f} {b:.1f}" for a, b in around)}Z"/>'


def segment(x1: float, y1: float, x2: float, y2: float, look: str) -> str:
    """A straight line of class `look`."""
    return f'<line class="{look}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def text(x: float, y: float, words: str, look: str, anchor: str = "start") -> str:
    """Words of class `look`."""
    return f'<text class="{look}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def dots(x: Array, y: Array, radius: float) -> str:
    """Dots, paler where there are many."""
    points = [(a, b) for a, b in zip(x, y, strict=True) if np.isfinite(a) and np.isfinite(b)]
    look = "dot many" if len(points) > 20 else "dot"
    return "".join(f'<circle class="{look}" cx="{a:.1f}" cy="{b:.1f}" r="{radius:g}"/>' for a, b in points)


def drawing(width: float, height: float, marks: str, title: str) -> str:
    """The marks as one picture that scales with the page."""
    box = f'viewBox="0 -4 {width:.0f} {height + 4:.0f}"'
    return f'<svg class="figure" role="img" {box}><title>{escape(title)}</title>{marks}</svg>'
