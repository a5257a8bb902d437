"""From a dataset to the curves a figure draws: choice of the metric, pooling over instances and runs, bounds."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from prefsim import statistics
from prefsim.metrics import ANNOTATIONS, METRICS, Request
from prefsim.registry import unknown

if TYPE_CHECKING:
    import xarray

Array = NDArray[np.float64]

AXES = ("algorithm", "instance", "run", "t")


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
        raise unknown(metric, known, "metric")
    return metric


def with_abscissa(data: xarray.Dataset, x: str) -> xarray.Dataset:
    """Return the algorithms that have numbers on the axis `x`, and warn of those left out."""
    numeric = [str(k) for k, v in data.coords.items() if v.dims and set(v.dims) <= {"algorithm", "t"} and v.dtype.kind in "iuf"]
    if x not in ("t", *numeric):
        raise unknown(x, {"t", *numeric}, "x")
    absent = data[x].isnull().any([axis for axis in data[x].dims if axis != "algorithm"])
    if absent.all():
        raise ValueError(f"no algorithm in data has {x} as a number; choose another x, such as 't'.")
    if absent.any():
        names = ", ".join(map(str, data["algorithm"].to_numpy()[absent]))
        warnings.warn(f"Left out of the figure, because {x} is no known number for them: {names}.", stacklevel=3)
        return data.isel(algorithm=~absent.to_numpy())
    return data


def over_time(data: xarray.Dataset, x: str) -> bool:
    """Whether `x` grows along a run (the time itself, queries, gradients) rather than being one number for all of it."""
    return "t" in data[x].dims


def scale(metric: str) -> str:
    """How a metric is drawn: ``"log"``, distances that vanish; ``"linear"``, rates; ``"cost"``, what accumulates."""
    measure = METRICS.get(Request.parse(metric).metric)
    return "cost" if measure is None else measure.scale


def averages(metric: str, band: float | str | None) -> bool:
    """Whether the line is a mean (whatever gets a confidence band of the mean, too) or a median (of distances)."""
    return band == "simultaneous" or scale(metric) != "log"


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
    every = aligned(data, metric)
    values = every[:, chosen]
    t = np.atleast_1d(data["t"].to_numpy()).astype(np.float64)
    labels = _texts(data, "algorithm") or [metric]

    def companion(ending: str) -> Array:
        """Return what accompanies the metric, (algorithm, chosen instance, run or 1, t or 1), NaN if there is nothing."""
        array = aligned(data, metric + ending) if metric + ending in data else np.full((1, 1, 1, 1), np.nan)
        return np.broadcast_to(array, (*every.shape[:2], *array.shape[2:]))[:, chosen]

    bound = companion("_bound")
    bound = np.broadcast_to(bound, (*bound.shape[:3], t.size))
    largest = float(data[metric].attrs.get("largest_gap", np.inf)) * np.maximum(t, 1)
    sides = {side: companion(f"_slope_{side}").mean(axis=(1, 2, 3)) for side in ("upper", "lower") if x == "t"}
    rows: list[tuple[str, Array, Array, Array, Array, dict[str, float]]] = []
    if over_time(data, x):
        clock = np.broadcast_to(data[x].transpose(..., "t").to_numpy().astype(np.float64), (len(labels), t.size))
        for a, label in enumerate(labels):
            slopes = {side: float(coefficients[a]) for side, coefficients in sides.items()}
            rows.append((label, clock[a], values[a], bound[a], largest, slopes))
    else:
        coordinate = np.atleast_1d(data[x].to_numpy()).astype(np.float64)
        keys = _texts(data, "key") or [x] * len(labels)
        for key in dict.fromkeys(keys):
            family = [a for a in np.argsort(coordinate, kind="stable") if keys[a] == key]
            final, limit = (np.moveaxis(array[family, ..., -1], 0, -1) for array in (values, bound))
            rows.append((key, coordinate[family], final, limit, np.full(len(family), largest[-1]), {}))
    pool = np.mean if averages(metric, band) else np.median
    drawn = []
    for label, at, samples, limits, top, slopes in rows:
        summary = _summary(samples.reshape(-1, at.size), metric, band)
        drawn.append(Curve(label, at, *summary, pool(limits.reshape(-1, at.size), axis=0), top, slopes))
    return drawn
