"""The figures of a verdict: measured values against their bound over time, and their ratio; or one dot a case.

Many cases become one line, the case closest to its bound, and the envelope of all. Axes are chosen so that the bound,
the theorem's curve, is as straight as can be.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from prefsim.claim import Evidence
from prefsim.svg import Axis, area, dots, drawing, line, segment, text

Array = NDArray[np.float64]

WIDTH, HEIGHT = 360.0, 216.0
LEFT, RIGHT, TOP, BOTTOM = 50.0, 10.0, 18.0, 32.0
WIDE = 10.0
"""Ratio of extremes from which an axis may be logarithmic."""
DEPTH = 1e-6
"""How far below the bound a logarithmic axis goes; smaller values lie on its edge."""
FAR = 0.05
"""Largest ratio to the bound below which a linear axis would show nothing but the bound."""
MOST_POINTS, MOST_DOTS = 240, 300


class Cases(NamedTuple):
    """Evidence with everything but time merged into cases; arrays (cases, t), NaN where nothing is compared.

    For a random quantity `value` is the mean over runs, with the confidence limits the verdict used.
    """

    value: Array
    low: Array
    high: Array
    upper: Array
    lower: Array

    @property
    def ratios(self) -> dict[str, tuple[Array, Array, Array]]:
        """``measured / upper`` and ``lower / measured``, at most 1 if the bound holds, with confidence limits."""
        both = {
            "measured / bound": [(value, self.upper) for value in (self.value, self.low, self.high)],
            "lower bound / measured": [(self.lower, value) for value in (self.value, self.high, self.low)],
        }
        found = {name: tuple(_ratio(*pair) for pair in pairs) for name, pairs in both.items()}
        return {name: (r[0], r[1], r[2]) for name, r in found.items() if not np.isnan(r[0]).all()}

    @property
    def worst(self) -> int:
        """The case with the largest ratio; among equals the one closest to its bound all along."""
        ratio = np.concatenate([r for r, _, _ in self.ratios.values()], axis=1)
        known = np.where(np.isnan(ratio), -np.inf, ratio)
        mean = np.where(np.isnan(ratio), 0, np.minimum(ratio, 1e6)).sum(1) / np.maximum((~np.isnan(ratio)).sum(1), 1)
        top = known.max(axis=1)
        return int(np.where(top >= top.max() * (1 - 1e-6), mean, -np.inf).argmax())


def _ratio(top: Array, bottom: Array) -> Array:
    """The ratio as verdicts take it: 0 below a bound of 0 or less, infinite above; NaN where there is no bound."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(bottom > 0, np.maximum(top / bottom, 0), np.where(top <= bottom, 0.0, np.inf))
    return np.where(np.isnan(top) | np.isnan(bottom), np.nan, ratio)


def cases(evidence: Evidence) -> Cases:
    """Merge the leading axes of evidence, and reduce runs to their mean."""
    value, low, high = evidence.limits()
    upper, lower = (np.nan if b is None else np.asarray(b, dtype=np.float64) for b in (evidence.upper, evidence.lower))
    parts = np.broadcast_arrays(value, low, high, upper, lower)
    length = parts[0].shape[-1] if evidence.times is not None else 1
    merged = Cases(*(part.reshape(-1, length) for part in parts))
    rounding = (np.abs(merged.value) <= evidence.floor) & (np.abs(merged.upper) <= evidence.floor)
    return merged._replace(upper=np.where(rounding, np.nan, merged.upper))


class Figure(NamedTuple):
    """SVG texts that belong together, and how many cases they show."""

    panels: list[str]
    cases: int


def figure(evidence: Evidence) -> Figure:
    """Draw values and ratio over time, or a strip of dots where there is no time; no panel if there is no bound."""
    data = cases(evidence)
    if not data.ratios:
        return Figure([], len(data.value))
    if data.value.shape[1] < 2:
        return Figure([_strip(data)], len(data.value))
    times = np.asarray(evidence.times, dtype=np.float64)
    high = np.concatenate([np.where(np.isnan(r), -np.inf, r) for r, _, _ in data.ratios.values()]).max(axis=0).argmax()
    shown = np.linspace(0, times.size - 1, min(times.size, MOST_POINTS)).round().astype(int)
    shown = np.union1d(shown, high)  # thinning must not hide where the ratio is largest
    times, data = times[shown], Cases(*(part[:, shown] for part in data))
    x, log_y = _scales(data, times)
    return Figure([_values(data, times, evidence, x, log_y), _ratio_over_time(data, times, x)], len(data.value))


def _scales(data: Cases, times: Array) -> tuple[Axis, bool]:
    """The time axis, and whether values get a logarithmic one: whatever makes the bound straightest.

    A constant bound has no shape: then time is logarithmic if it was recorded so, and values if they spread.
    """
    worst = data.worst
    bounds = [b for b in (data.upper[worst], data.lower[worst]) if (np.isfinite(b) & (times > 0)).sum() > 2]
    curves = [*bounds, data.value[worst]]
    positive = np.concatenate([c[np.isfinite(c)] for c in curves])
    logs = (times[-1] > 5 * np.median(times), bool(positive.min() >= 0 and _spread(positive) > WIDE))
    for bound in bounds:
        use = np.isfinite(bound) & (bound > 0) & (times > 0)
        if use.sum() > 2 and np.ptp(bound[use]) > 1e-6 * bound[use].max():
            t, b = times[use], bound[use]
            pairs = [(i, j) for i in {False, _spread(t) > WIDE} for j in {False, _spread(b) > WIDE}]
            logs = min(pairs, key=lambda pair: _bend(np.log(t) if pair[0] else t, np.log(b) if pair[1] else b))
            break
    first = times[times > 0][0] if logs[0] else times[0]
    ratio = np.concatenate([r[worst] for r, _, _ in data.ratios.values()])
    far = bool(positive.min() >= 0 and np.nanmax(ratio) < FAR)
    return Axis(first, times[-1], LEFT, WIDTH - RIGHT, log=bool(logs[0])), bool(logs[1]) or far


def _spread(values: Array) -> float:
    positive = values[values > 0]
    return float(positive.max() / positive.min()) if positive.size else 1.0


def _bend(x: Array, y: Array) -> float:
    """Share of the variation that a straight line does not explain."""
    x, y = x - x.mean(), y - y.mean()
    return float(1 - (x @ y) ** 2 / ((x @ x) * (y @ y)))


def _values(data: Cases, times: Array, evidence: Evidence, x: Axis, log: bool) -> str:
    worst = data.worst
    bounds = [b for b in (data.upper[worst], data.lower[worst]) if np.isfinite(b).any()]
    edges = (data.low[worst], data.high[worst]) if evidence.confidence is not None else ()
    # Values of other cases say something only beside the same bound; under bounds of their own they would mislead.
    shared = all(((b == b[worst]) | np.isnan(b)).all() for b in (data.upper, data.lower))
    shown = data.value if shared else data.value[[worst]]
    y = _upright(np.concatenate([data.value[worst], *bounds, *edges]), shown, np.concatenate(bounds), log)
    marks = _envelope(x(times), shown, y)
    if edges:
        marks += area(x(times), _clipped(y, edges[0]), _clipped(y, edges[1]), "cases")
    marks += "".join(line(x(times), y(bound), "bound") for bound in bounds)
    marks += line(x(times), _clipped(y, data.value[worst]), "measured")
    label = evidence.label.replace("``", "") or "measured"
    return _panel(x, y, marks, label, f"{label} over t")


def _ratio_over_time(data: Cases, times: Array, x: Axis) -> str:
    ratio = np.concatenate([r for r, _, _ in data.ratios.values()])
    sides = len(data.ratios)
    worst = [data.worst + side * len(data.value) for side in range(sides)]
    lines = ratio[worst]
    positive = lines[np.isfinite(lines) & (lines > 0)]
    log = bool(positive.size and (positive.max() < FAR or positive.min() < 0.01 * positive.max()))
    y = _upright(np.append(lines.ravel(), 1.0), ratio, np.ones(1), log)
    compared = np.flatnonzero(~np.isnan(ratio).all(axis=0))
    if len(compared) == 1:
        at = _clipped(y, ratio[:, compared[0]])
        marks = dots(np.full(len(ratio), x(times[compared[0]])), at, 4)
    else:
        marks = _envelope(x(times), ratio, y) + "".join(line(x(times), _clipped(y, r), "measured") for r in lines)
    marks += segment(x.start, float(y(1.0)), x.end, float(y(1.0)), "bound")
    name = " and ".join(data.ratios)
    return _panel(x, y, marks, name, f"{name} over t; the bound is 1")


def _upright(main: Array, others: Array, bounds: Array, log: bool) -> Axis:
    """The upright axis: from a little below `main`, but not `DEPTH` below `bounds`, to the top of everything."""
    top = max(array[np.isfinite(array)].max(initial=0.0) for array in (main, others))
    main = main[np.isfinite(main)]
    if log and (main > 0).any():
        bounds = bounds[np.isfinite(bounds) & (bounds > 0)]
        low = max(main[main > 0].min(), DEPTH * bounds.min(initial=top))
        air = (top / low) ** 0.05
        return Axis(low / air, top * air, HEIGHT - BOTTOM, TOP, log=True)
    low, high = min(0.0, float(main.min())), top if top > 0 else 0.0
    return Axis(low, high + 0.05 * (high - low), HEIGHT - BOTTOM, TOP, log=False)


def _clipped(y: Axis, values: Array) -> Array:
    """Pixels, with what lies below the axis, zeros included, on its edge."""
    return np.minimum(np.where(values <= 0, y.start, y(values)) if y.log else y(values), y.start)


def _envelope(x: Array, values: Array, y: Axis) -> str:
    if len(values) < 2:
        return ""
    known = np.isfinite(values)
    low, high = (np.where(known, values, fill) for fill in (np.inf, -np.inf))
    seen = known.any(axis=0)
    low, high = np.where(seen, low.min(axis=0), np.nan), np.where(seen, high.max(axis=0), np.nan)
    return area(x, _clipped(y, low), _clipped(y, high), "cases")


def _panel(x: Axis, y: Axis, marks: str, label: str, title: str) -> str:
    for at, words in y.ticks():
        marks = segment(x.start, float(y(at)), x.end, float(y(at)), "grid") + marks
        marks += text(LEFT - 6, float(y(at)) + 3.5, words, "tick", "end")
    for at, words in x.ticks():
        marks += segment(float(x(at)), y.start, float(x(at)), y.start + 3, "axis")
        marks += text(float(x(at)), y.start + 14, words, "tick", "middle")
    marks += segment(x.start, y.start, x.end, y.start, "axis")
    marks += text(WIDTH - RIGHT, HEIGHT - 5, "t", "label", "end") + text(2, TOP - 8, label, "label")
    return drawing(WIDTH, HEIGHT, marks, title)


def _strip(data: Cases) -> str:
    """One dot a case, in a row for each bound there is; a bar spans the confidence limits of its mean."""
    rows = {}
    for name, parts in data.ratios.items():
        known = np.array([part[~np.isnan(parts[0])] for part in parts])
        known = known[:, known[0].argsort()]
        kept = np.linspace(0, known.shape[1] - 1, min(known.shape[1], MOST_DOTS)).round().astype(int)
        rows[name] = known[:, np.unique(kept)]
    finite = np.concatenate([r[np.isfinite(r)] for r in rows.values()] + [np.ones(1)])
    log = bool(finite.max() > 3 * WIDE)
    low = max(finite[finite > 0].min(), DEPTH) if log else 0.0
    x = Axis(low, finite.max() * (1.5 if log else 1.05), 150.0, 2 * WIDTH - 24, log=log)
    base = 26.0 * len(rows) + 4
    marks = "".join(segment(float(x(at)), 2, float(x(at)), base, "grid") for at, _ in x.ticks(6))
    marks += "".join(text(float(x(at)), base + 14, words, "tick", "middle") for at, words in x.ticks(6))
    marks += segment(float(x(1.0)), -2, float(x(1.0)), base + 2, "bound")
    for row, (name, ratio) in enumerate(rows.items()):
        y = 16.0 + 26 * row
        marks += segment(x.start, y, x.end, y, "axis") + text(2, y + 4, name, "label")
        at, first, last = (np.fmax(x(part), x.start) for part in ratio)
        marks += "".join(segment(a, y, b, y, "limits") for a, b in zip(first, last, strict=True) if b > a)
        marks += dots(at, np.full(len(at), y), 4.5)
    return drawing(2 * WIDTH, base + 20, marks, f"{' and '.join(rows)}, one dot a case; the bound is 1")
