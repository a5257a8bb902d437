"""Intervals, bands and rates for measured curves: the statistics that verdicts and figures rest on.

Runs are independent samples and lie on axis 0 unless said otherwise. Nothing here draws from a global generator:
every resampling takes a `seed`, and the same numbers with the same seed give the same interval.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


class Band(NamedTuple):
    """A curve with a band around it; each field has the shape of one curve."""

    center: Array
    lower: Array
    upper: Array


class Rate(NamedTuple):
    """A fitted exponent and its bootstrap interval (NaN where one run leaves nothing to resample)."""

    slope: float
    lower: float
    upper: float


class Worst(NamedTuple):
    """The largest ratio of measurement to bound, and its index in the broadcast arrays (None: no bound applied)."""

    ratio: float
    where: tuple[int, ...] | None


def _check_level(level: float, argument: str = "confidence") -> float:
    if not 0 < level < 1:
        raise ValueError(f"{argument} must lie strictly between 0 and 1; got {level}. For 95 % give 0.95.")
    return float(level)


def _as_samples(samples: ArrayLike, axis: int, argument: str = "samples", least: int = 2) -> Array:
    """Return finite samples as floats with the independent ones on axis 0."""
    array = np.asarray(samples, dtype=np.float64)
    if not -array.ndim <= axis < array.ndim:
        raise ValueError(f"{argument} has {array.ndim} axes, so axis={axis} does not exist; give one of its axes.")
    array = np.moveaxis(array, axis, 0)
    if array.shape[0] < least:
        raise ValueError(f"{argument} must hold at least {least} runs; got {array.shape[0]}. Raise runs.")
    if not np.isfinite(array).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"{argument} must be finite, but run {where[0]} holds {array[where]}; count it apart.")
    return array


def _as_times(t: ArrayLike, curves: Array, decades: float) -> tuple[Array, float]:
    """Return the record times and the start ``T / 10^decades`` of the window, or refuse if it is not covered."""
    times = np.asarray(t, dtype=np.float64)
    if times.ndim != 1 or times.size == 0 or not np.isfinite(times).all() or (np.diff(times, prepend=-1) <= 0).any():
        raise ValueError("t must be a one-dimensional, strictly increasing array of record times >= 0.")
    if curves.ndim == 0 or curves.shape[-1] != times.size:
        raise ValueError(f"the last axis of the curves must match t: {times.size} record times, shape {curves.shape}.")
    if not 0 < decades < np.inf:
        raise ValueError(f"window must be a positive number of decades; got {decades}.")
    start = times[-1] / 10**decades
    earliest = times[times > 0].min(initial=np.inf)
    if earliest > start * (1 + 1e-12):
        raise ValueError(
            f"t must cover its last {decades:g} decades, [{start:g}, {times[-1]:g}], but the earliest positive record "
            f"time is {earliest:g}; record earlier or raise the horizon."
        )
    return times, float(start)


def bootstrap_interval(
    samples: ArrayLike,
    statistic: str | Callable[..., Array] = "mean",
    confidence: float = 0.95,
    seed: int = 0,
    axis: int = 0,
    resamples: int = 2000,
) -> tuple[Array, Array]:
    """Two-sided bootstrap interval of a statistic of independent runs.

    Bias-corrected and accelerated (Efron 1987); where its jackknife is degenerate (a median with ties, say), the
    percentile interval of the same resamples.

    Parameters
    ----------
    samples : array_like, shape (..., runs, ...)
        Independent samples along `axis`; every other axis gets its own interval.
    statistic : {"mean", "median"} or callable
        A callable takes ``(samples, axis)`` and reduces that axis.
    confidence : float
        Coverage in (0, 1).
    seed, resamples : int
        Seed of a generator local to the call, and the number of resamples it draws.

    Returns
    -------
    tuple of arrays, shape (...)
        Lower and upper end. Where all samples are equal, both ends are the statistic itself.

    Raises
    ------
    ValueError
        For fewer than two runs, values that are not finite, or an unknown statistic.
    """
    values, level = _as_samples(samples, axis), _check_level(confidence)
    named: dict[str, Callable[..., Array]] = {"mean": np.mean, "median": np.median}
    function = named.get(statistic) if isinstance(statistic, str) else statistic
    if function is None:
        raise ValueError(f"statistic must be one of {sorted(named)} or a callable; got {statistic!r}.")
    from scipy import stats

    columns = values.reshape(len(values), -1)
    low = np.array(function(columns, axis=0), dtype=np.float64)
    high = low.copy()
    varies = (columns != columns[0]).any(axis=0)
    if varies.any():
        with warnings.catch_warnings():  # degenerate jackknives are handled below
            warnings.simplefilter("ignore")
            result = stats.bootstrap(
                (columns[:, varies],),
                function,
                axis=0,
                n_resamples=resamples,
                batch=max(1, 2**22 // columns.size),
                confidence_level=level,
                method="BCa",
                vectorized=True,
                random_state=np.random.default_rng(seed),
            )
        percentile = np.quantile(result.bootstrap_distribution, [(1 - level) / 2, (1 + level) / 2], axis=-1)
        for end, given, instead in zip((low, high), result.confidence_interval, percentile, strict=True):
            end[varies] = np.where(np.isfinite(given), given, instead)
    return low.reshape(values.shape[1:]), high.reshape(values.shape[1:])


def _student(samples: ArrayLike, probability: float, axis: int) -> tuple[Array, Array]:
    """Return mean and half width ``t_{n-1}(probability) s / sqrt(n)``."""
    from scipy import stats

    values = _as_samples(samples, axis)
    scale = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    return values.mean(axis=0), stats.t.ppf(probability, len(values) - 1) * scale


def mean_interval(samples: ArrayLike, confidence: float = 0.95, axis: int = 0) -> tuple[Array, Array]:
    """Two-sided Student interval of the mean of independent runs (at least two): lower and upper end."""
    mean, half = _student(samples, (1 + _check_level(confidence)) / 2, axis)
    return mean - half, mean + half


def mean_upper_limit(samples: ArrayLike, confidence: float = 0.95, axis: int = 0) -> Array:
    """One-sided Student limit: the true mean lies below it with the stated confidence."""
    mean, half = _student(samples, _check_level(confidence), axis)
    return mean + half


def mean_lower_limit(samples: ArrayLike, confidence: float = 0.95, axis: int = 0) -> Array:
    """One-sided Student limit: the true mean lies above it; a bound on the mean below it is contradicted."""
    mean, half = _student(samples, _check_level(confidence), axis)
    return mean - half


def simultaneous_band(curves: ArrayLike, confidence: float = 0.95, seed: int = 0, resamples: int = 2000) -> Band:
    """Band that holds the whole mean curve, at every time at once, with the stated confidence.

    The band is ``mean +- c se`` with one critical value ``c`` for all times, the quantile of the largest studentised
    deviation (sup-t). It is simulated by multipliers: ``max_t |sum_r g_r e_r(t)| / s(t)``, where ``e`` are the
    residuals scaled to norm 1 at each time, ``g`` is standard normal and ``s(t)^2 ~ chi^2_{n-1} / (n-1)`` accounts for
    estimating the scale, independently at each time: exact (Student) for a single time, and with few runs wide rather
    than narrow.
    Sources: Chernozhukov, Chetverikov and Kato 2013 (multipliers); Montiel Olea and Plagborg-Moller 2019 (sup-t).

    Parameters
    ----------
    curves : array_like, shape (runs, ...)
        One curve a run; the maximum is over all further axes.
    confidence : float
        Joint coverage in (0, 1).
    seed, resamples : int
        Seed of a generator local to the call, and the number of multiplier draws.

    Returns
    -------
    Band
        Mean, lower and upper, each of shape (...). Where all runs agree (at t = 0, say) the band has no width.

    Raises
    ------
    ValueError
        For fewer than two runs or values that are not finite.
    """
    values, level = _as_samples(curves, 0, "curves"), _check_level(confidence)
    count = len(values)
    varies = (values != values[0]).any(axis=0)
    # where runs agree, take their value: rounding in the mean must not give the band a width
    mean = np.where(varies, values.mean(axis=0), values[0])
    if not varies.any():
        return Band(mean, mean, mean)
    residuals = (values - mean)[:, varies]
    residuals = residuals / np.linalg.norm(residuals, axis=0)
    generator = np.random.default_rng(seed)
    deviation = np.abs(generator.standard_normal((resamples, count)) @ residuals)
    scale = np.sqrt(generator.chisquare(count - 1, deviation.shape) / (count - 1))
    error = np.where(varies, values.std(axis=0, ddof=1) / np.sqrt(count), 0.0)
    half = np.quantile((deviation / scale).max(axis=1), level) * error
    return Band(mean, mean - half, mean + half)


def quantile_band(values: ArrayLike, coverage: float = 0.8, axis: int = 0) -> Band:
    """Median and central quantiles over runs, ``coverage=0.8`` being 10, 50 and 90 %; NaN in a run gives NaN.

    This is the spread of the runs, not a statement of confidence; one run is its own band.
    """
    array, level = np.asarray(values, dtype=np.float64), _check_level(coverage, "coverage")
    if array.ndim == 0 or array.shape[axis] == 0:
        raise ValueError(f"values must hold at least one run on axis {axis}; got shape {array.shape}.")
    lower, center, upper = np.quantile(array, [(1 - level) / 2, 0.5, (1 + level) / 2], axis=axis)
    return Band(center, lower, upper)


def tail_rate(
    t: ArrayLike, values: ArrayLike, window: float = 1.0, confidence: float = 0.95, seed: int = 0, resamples: int = 2000
) -> Rate:
    """Exponent of a power law: least-squares slope of ``log(mean over runs)`` against ``log t`` at the end.

    Only pure power laws have one; curves with logarithms need a normalised statistic or `log_slope`.

    Parameters
    ----------
    t : array_like, shape (t,)
        Record times, increasing.
    values : array_like, shape (runs, t) or (t,)
        Curves whose mean over runs is positive on the window.
    window : float
        Length of the window in decades; records with ``t >= T / 10^window`` enter, each with equal weight.
    confidence, seed, resamples
        Of the percentile bootstrap interval over runs, which are resampled whole.

    Returns
    -------
    Rate
        Slope and interval; the interval is NaN for one run, or if the mean of a resample is not positive.

    Raises
    ------
    ValueError
        If the records do not cover the window, fewer than three fall into it, or the mean is not positive there.
    """
    curves = np.atleast_2d(np.asarray(values, dtype=np.float64))
    if curves.ndim != 2:
        raise ValueError(f"values must have shape (runs, t) or (t,); got {curves.shape}. Merge instances into runs.")
    times, start = _as_times(t, _as_samples(curves, 0, "values", least=1), window)
    level = _check_level(confidence)
    inside = times >= start * (1 - 1e-12)
    if inside.sum() < 3:
        raise ValueError(f"the last {window:g} decades hold {inside.sum()} record times; a slope needs at least 3.")
    tail = curves[:, inside]
    if tail.mean(axis=0).min() <= 0:
        bad = times[inside][tail.mean(axis=0).argmin()]
        raise ValueError(f"the mean of values must be positive to have a logarithm, but is not at t = {bad:g}.")
    abscissa = np.log(times[inside]) - np.log(times[inside]).mean()
    weights = abscissa / (abscissa @ abscissa)
    slope = float(np.log(tail.mean(axis=0)) @ weights)
    chosen = np.random.default_rng(seed).multinomial(len(tail), np.full(len(tail), 1 / len(tail)), size=resamples)
    means = chosen @ tail / len(tail)
    if len(tail) == 1 or means.min() <= 0:
        return Rate(slope, np.nan, np.nan)
    lower, upper = np.quantile(np.log(means) @ weights, [(1 - level) / 2, (1 + level) / 2])
    return Rate(slope, float(lower), float(upper))


def log_slope(t: ArrayLike, curves: ArrayLike) -> Array:
    """Coefficient of ``ln t`` over the last decade of each curve, ``(R(T) - R(T/10)) / ln 10``.

    This is the number to hold against an asymptotic regret coefficient: levels carry constants that never vanish.
    ``curves`` has shape (..., t), the result (...). Where ``T/10`` was not recorded, ``R`` is interpolated linearly in
    ``ln t``. Raises ValueError if no positive record time lies at or below ``T/10``.
    """
    values = np.asarray(curves, dtype=np.float64)
    times, start = _as_times(t, values, 1.0)
    after = int(np.searchsorted(times, start * (1 - 1e-12)))  # the first record at or after T/10, up to rounding
    early = values[..., after]
    if times[after] > start * (1 + 1e-12):
        share = np.log(start / times[after - 1]) / np.log(times[after] / times[after - 1])
        early = (1 - share) * values[..., after - 1] + share * early
    return (values[..., -1] - early) / np.log(10)


def bound_ratio(measured: ArrayLike, bound: ArrayLike) -> Worst:
    """Worst ratio of a measured quantity to its bound, and where; above 1 the bound is exceeded there.

    The arrays broadcast. NaN in `bound` means that no bound applies there; if it is NaN everywhere the answer is
    ``(nan, None)``. A measurement that is NaN or infinite under a bound (a diverged run) counts as infinite. Where the
    bound is 0, a measurement ``<= 0`` counts as 0 and a positive one as infinite.
    Raises ValueError if the shapes do not broadcast or a bound is negative.
    """
    value, limit = np.asarray(measured, dtype=np.float64), np.asarray(bound, dtype=np.float64)
    try:
        value, limit = np.broadcast_arrays(value, limit)
    except ValueError:
        raise ValueError(f"measured {value.shape} and bound {limit.shape} must broadcast; align their axes.") from None
    if (limit < 0).any():
        raise ValueError(f"bound must be >= 0 for a ratio to mean anything; it goes down to {np.nanmin(limit):g}.")
    applies = ~np.isnan(limit)
    if not applies.any():
        return Worst(float("nan"), None)
    value = np.where(np.isnan(value), np.inf, value)
    ratio = np.where(value > 0, np.inf, 0.0)
    with np.errstate(over="ignore"):
        np.divide(value, limit, out=ratio, where=(limit > 0) & np.isfinite(value))
    ratio = np.where(applies, ratio, -np.inf)
    index = np.unravel_index(int(ratio.argmax()), ratio.shape)
    return Worst(float(ratio[index]), tuple(int(i) for i in index))
