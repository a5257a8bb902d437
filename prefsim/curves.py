"""From a dataset to the curves a figure draws: choice of the metric, pooling over instances and runs, bounds."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from prefsim import statistics

if TYPE_CHECKING:
    import xarray

Array = NDArray[np.float64]

AXES = ("algorithm", "instance", "run", "t")
ANNOTATIONS = ("_bound", "_slope_upper", "_slope_lower")
"""Endings of the variables that accompany a metric."""


class Curve(NamedTuple):
    """What is drawn for one algorithm in one panel; arrays share the shape of `x`, NaN where nothing is drawn."""

    label: str
    x: Array
    center: Array
    lower: Array
    upper: Array
    bound: Array
    largest: Array
    """Largest value possible; a bound above it is vacuous."""
    slopes: dict[str, float]
    """Asymptotic coefficients of ln t, under "upper" and "lower"."""


def choose_metric(data: xarray.Dataset, metric: str | None) -> str:
    """Return the metric to draw: the one named, else regret, else the duality gap, else the first there is."""
    known = [str(k) for k, v in data.data_vars.items() if "t" in v.dims and not str(k).endswith(ANNOTATIONS)]
    if metric is None:
        drawable = [k for k in known if set(data[k].dims) <= set(AXES)]
        if not drawable:
            raise ValueError(f"data holds no metric over t to plot; its variables are {sorted(map(str, data))}.")
        return next((k for k in ("regret", "duality_gap") if k in drawable), drawable[0])
    if metric not in known:
        close = get_close_matches(str(metric), known, n=1)
        hint = f"Did you mean {close[0]!r}? " if close else ""
        raise ValueError(f"metric {metric!r} is not in data. {hint}It holds {', '.join(sorted(known)) or 'none'}.")
    return metric


def check_abscissa(data: xarray.Dataset, x: str) -> str:
    """Return `x` if it is ``"t"`` or a numeric coordinate of the algorithms."""
    numeric = [
        str(k)
        for k, v in data.coords.items()
        if v.dims == ("algorithm",) and v.dtype.kind in "iuf" and v.notnull().any()
    ]
    if x != "t" and x not in numeric:
        close = get_close_matches(str(x), ["t", *numeric], n=1)
        hint = f"Did you mean {close[0]!r}? " if close else ""
        raise ValueError(f"x must be 't' or a numeric hyperparameter of the algorithms; got {x!r}. {hint}".rstrip())
    return x


def converges(metric: str) -> bool:
    """Whether a metric measures a distance that should vanish, rather than a cost that accumulates."""
    return metric.endswith(("_gap", "exploitability", "_to_equilibrium"))


def averages(metric: str, band: float | str | None) -> bool:
    """Whether the line is a mean (costs, and whatever gets a confidence band of the mean) or a median (distances)."""
    return band == "simultaneous" or not converges(metric)


def aligned(data: xarray.Dataset, name: str) -> Array:
    """Values of a variable with axes (algorithm, instance, run, t); those it lacks have length 1."""
    array = data[name]
    extra = sorted(str(axis) for axis in set(array.dims) - set(AXES))
    if extra:
        raise ValueError(f"{name} has the axis {extra[0]!r} too; select a value to plot it, data.isel({extra[0]}=0).")
    missing = [axis for axis in AXES if axis not in array.dims]
    return array.expand_dims(missing).transpose(*AXES).to_numpy().astype(np.float64)


def _texts(data: xarray.Dataset, coordinate: str) -> list[str]:
    """Return a coordinate as strings, none if it is missing."""
    return [str(text) for text in np.atleast_1d(data[coordinate].to_numpy())] if coordinate in data.coords else []


def _summary(samples: Array, metric: str, band: float | str | None) -> statistics.Band:
    """Line and band of samples (count, x); times at which a run is not finite are left out: it has no mean there."""
    finite = np.isfinite(samples).all(axis=0)
    kept = samples[:, finite]
    if band == "simultaneous":
        summary = statistics.simultaneous_band(kept)
    else:
        center = kept.mean(axis=0) if averages(metric, band) else np.median(kept, axis=0)
        none = np.full(center.shape, np.nan)
        if band is None or len(samples) == 1:
            summary = statistics.Band(center, none, none)
        else:
            summary = statistics.quantile_band(kept, float(band))._replace(center=center)
    filled = np.full((3, *finite.shape), np.nan)
    filled[:, finite] = summary
    return statistics.Band(*filled)


def curves(data: xarray.Dataset, metric: str, x: str, band: float | str | None, chosen: list[int]) -> list[Curve]:
    """Reduce the chosen instances to one curve an algorithm, or, against a hyperparameter, one a family of algorithms.

    Parameters
    ----------
    data : xarray.Dataset
        With axes among algorithm, instance, run, t.
    metric, x : str
        Checked names; against a hyperparameter the values at the horizon are drawn.
    band : float, "simultaneous" or None
        Coverage of the quantile band, the confidence band of the mean, or no band.
    chosen : list of int
        Instances, pooled with the runs.
    """
    values = aligned(data, metric)[:, chosen]
    t = np.atleast_1d(data["t"].to_numpy()).astype(np.float64)
    labels = _texts(data, "algorithm") or [metric]

    def companion(ending: str) -> Array:
        """Return what accompanies the metric, (algorithm, chosen instance, run or 1, t or 1)."""
        if metric + ending not in data:
            return np.full((len(labels), len(chosen), 1, 1), np.nan)
        array = aligned(data, metric + ending)
        full = np.broadcast_to(array, (len(labels), max(array.shape[1], max(chosen) + 1), *array.shape[2:]))
        return full[:, chosen]

    bound = np.broadcast_to(companion("_bound"), (*values.shape[:2], companion("_bound").shape[2], t.size))
    slopes = {side: companion(f"_slope_{side}").mean(axis=(1, 2, 3)) for side in ("upper", "lower")}
    gap = np.atleast_1d(np.asarray(data[metric].attrs.get("largest_gap", np.inf), dtype=np.float64))
    largest = float(gap[chosen].mean() if gap.size > 1 else gap[0]) * np.maximum(t, 1)

    rows: list[tuple[str, Array, Array, Array, Array]] = []
    if x == "t":
        rows = [(labels[a], t, values[a], bound[a], largest) for a in range(len(labels))]
    else:
        coordinate = np.atleast_1d(data[x].to_numpy()).astype(np.float64)
        keys = _texts(data, "key") or [x] * len(labels)
        for key in dict.fromkeys(keys):
            family = [a for a in np.argsort(coordinate, kind="stable") if keys[a] == key and np.isfinite(coordinate[a])]
            final, limit = (np.moveaxis(array[family, ..., -1], 0, -1) for array in (values, bound))
            rows.append((key, coordinate[family], final, limit, np.full(len(family), largest[-1])))
    pool = np.mean if averages(metric, band) else np.median
    return [
        Curve(
            label,
            abscissa,
            *_summary(sample.reshape(-1, abscissa.size), metric, band),
            pool(limit.reshape(-1, abscissa.size), axis=0),
            top,
            {side: float(c[a]) for side, c in slopes.items()} if x == "t" else {},
        )
        for a, (label, abscissa, sample, limit, top) in enumerate(rows)
        if abscissa.size
    ]
