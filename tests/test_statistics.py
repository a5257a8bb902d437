"""Known answers: coverage on simulated data, slopes of curves written down in closed form, ratios by hand."""

import numpy as np
import pytest
from scipy import stats

from prefsim import statistics

RECORDS = np.unique(np.concatenate([[0], np.geomspace(1, 1e5, 60).astype(int)]))
"""A geometric grid on which T/10 happens to be recorded."""


def covered(low, high, truth):
    return np.mean((low <= truth) & (truth <= high))


def within_binomial(rate, level, repetitions):
    """Whether an observed rate agrees with its level to 4 standard errors."""
    return abs(rate - level) < 4 * np.sqrt(level * (1 - level) / repetitions)


def test_student_interval_covers_at_its_level():
    samples = np.random.default_rng(1).normal(3, 2, size=(8, 4000))
    assert within_binomial(covered(*statistics.mean_interval(samples, 0.9), 3), 0.9, 4000)
    assert within_binomial(np.mean(statistics.mean_upper_limit(samples, 0.9) >= 3), 0.9, 4000)
    assert within_binomial(np.mean(statistics.mean_lower_limit(samples, 0.9) <= 3), 0.9, 4000)


def test_student_interval_agrees_with_scipy():
    samples = np.random.default_rng(2).exponential(size=12)
    interval = stats.ttest_1samp(samples, 0).confidence_interval(0.95)
    np.testing.assert_allclose(statistics.mean_interval(samples, 0.95), interval, rtol=1e-12)
    one_sided = stats.ttest_1samp(samples, 0, alternative="less").confidence_interval(0.99).high
    assert statistics.mean_upper_limit(samples, 0.99) == pytest.approx(one_sided, rel=1e-12)


def test_bootstrap_covers_the_mean_of_skewed_data():
    # 30 exponential samples: the percentile interval under-covers visibly, BCa reaches about 93 % of its nominal 95 %
    samples = np.random.default_rng(3).exponential(2.0, size=(30, 500))
    rate = covered(*statistics.bootstrap_interval(samples, confidence=0.95, seed=5, resamples=1000), 2.0)
    assert 0.90 < rate < 0.98


def test_bootstrap_covers_the_median():
    samples = np.random.default_rng(4).exponential(size=(41, 300))
    low, high = statistics.bootstrap_interval(samples, "median", 0.9, resamples=1000)
    assert 0.84 < covered(low, high, np.log(2)) < 0.97


def test_bootstrap_is_a_function_of_its_arguments_and_leaves_the_global_generator_alone():
    samples = np.random.default_rng(0).normal(size=(3, 20))
    np.random.seed(7)  # noqa: NPY002
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    first = statistics.bootstrap_interval(samples, seed=1, axis=1)
    assert np.array_equal(first, statistics.bootstrap_interval(samples.T, seed=1))
    assert not np.array_equal(first, statistics.bootstrap_interval(samples, seed=2, axis=1))
    assert np.array_equal(state, np.random.get_state()[1])  # noqa: NPY002
    assert first[0].shape == (3,)


def test_bootstrap_of_equal_samples_has_no_width_and_ties_fall_back_to_percentiles():
    samples = np.stack([np.full(10, 0.1), np.array([0.0] * 9 + [1.0])], axis=1)
    low, high = statistics.bootstrap_interval(samples)
    assert low[0] == high[0] == pytest.approx(0.1) and low[1] < 0.1 < high[1]
    low, high = statistics.bootstrap_interval(samples[:, 1], "median")
    assert low == high == 0 or (np.isfinite(low) and np.isfinite(high))


def random_walks(generator, runs, times):
    return np.cumsum(generator.normal(size=(runs, times)), axis=1)


@pytest.mark.parametrize("runs", [6, 40])
def test_simultaneous_band_covers_jointly(runs):
    generator = np.random.default_rng(11)
    repetitions, joint, pointwise = 400, 0, 0
    for repetition in range(repetitions):
        walks = random_walks(generator, runs, 25)
        band = statistics.simultaneous_band(walks, 0.9, seed=repetition, resamples=500)
        low, high = statistics.mean_interval(walks, 0.9)
        assert (band.lower <= low).all() and (band.upper >= high).all()
        joint += ((band.lower <= 0) & (band.upper >= 0)).all()
        pointwise += ((low <= 0) & (high >= 0)).all()
    assert 0.84 < joint / repetitions < 0.96
    assert pointwise / repetitions < 0.8  # the control: pointwise intervals do not cover jointly


def test_simultaneous_band_of_one_time_is_the_student_interval():
    samples = np.random.default_rng(12).normal(size=(7, 1))
    band = statistics.simultaneous_band(samples, 0.9, resamples=200_000)
    low, high = statistics.mean_interval(samples, 0.9)
    np.testing.assert_allclose(band.upper - band.lower, high - low, rtol=0.02)
    np.testing.assert_allclose(band.center, samples.mean(axis=0))


def test_simultaneous_band_has_no_width_where_runs_agree():
    curves = np.column_stack([np.full(9, 0.1), np.arange(9.0)])
    band = statistics.simultaneous_band(curves)
    assert band.lower[0] == band.upper[0] == 0.1 and band.lower[1] < 4 < band.upper[1]
    same = statistics.simultaneous_band(curves[:, :1])
    assert same.lower == same.upper == 0.1


def test_quantile_band_is_the_stated_quantiles():
    band = statistics.quantile_band(np.arange(101.0)[:, None] * [1, 2])
    np.testing.assert_allclose(band, [[50, 100], [10, 20], [90, 180]])


@pytest.mark.parametrize("exponent", [0.5, 2 / 3, -0.5, -2])
def test_tail_rate_of_a_power_law_is_its_exponent(exponent):
    runs = np.array([[1.0], [2.0], [5.0]])
    rate = statistics.tail_rate(RECORDS[1:], runs * RECORDS[1:].astype(float) ** exponent, window=2)
    np.testing.assert_allclose(rate, exponent, rtol=1e-9)  # runs differ in level alone, so the interval has no width
    assert statistics.tail_rate(RECORDS[1:], 3.0 * RECORDS[1:].astype(float) ** exponent).slope == pytest.approx(
        exponent, rel=1e-9
    )


def test_tail_rate_sees_only_its_window_and_its_interval_covers():
    t = RECORDS[1:].astype(float)
    kinked = np.where(t < 1e3, t, 1e3 * (t / 1e3) ** 0.25)
    assert statistics.tail_rate(t, kinked, window=1).slope == pytest.approx(0.25)
    assert statistics.tail_rate(t, kinked, window=4).slope > 0.4
    generator = np.random.default_rng(13)
    hits = 0
    for repetition in range(200):
        levels, drift = generator.exponential(size=(30, 1)), 0.1 * generator.normal(size=(30, 1))
        curves = (1 + levels) * np.sqrt(t) * (1 + drift * np.log(t / t[-1]))
        rate = statistics.tail_rate(t, curves, confidence=0.9, seed=repetition, resamples=300)
        hits += rate.lower <= 0.5 <= rate.upper  # E[drift] = 0, so the mean curve is exactly c sqrt(t)
    assert 0.8 < hits / 200 < 0.97


def test_one_run_has_a_slope_but_no_interval():
    rate = statistics.tail_rate(RECORDS, RECORDS + 0.0)
    assert rate.slope == pytest.approx(1) and np.isnan(rate.lower) and np.isnan(rate.upper)


def test_log_slope_is_the_coefficient_of_the_logarithm():
    with_zero = np.concatenate([[0.0], 7 + np.outer([2.0, -3.0], np.log(RECORDS[1:]))[0]])
    assert statistics.log_slope(RECORDS, with_zero) == pytest.approx(2)
    # T/10 = 120 lies between records: logarithms are still exact, since interpolation is linear in ln t
    t = np.array([0, 1, 50, 200, 1200])
    curves = np.log(np.maximum(t, 1)) * np.array([[2.0], [5.0]])
    np.testing.assert_allclose(statistics.log_slope(t, curves), [2, 5])
    # and an exact record is used as it is, not smoothed over
    t = np.array([0, 1, 99, 100, 101, 1000])
    assert statistics.log_slope(t, [0, 0, 9, 1.0, 9, 11]) == pytest.approx(10 / np.log(10))
    assert statistics.log_slope([0, 1, 10], [0, 1.0, 3]) == pytest.approx(2 / np.log(10))


def test_bound_ratio_is_the_worst_one():
    measured = np.array([[1.0, 5.0, 2.0], [3.0, 1.0, 9.0]])
    assert statistics.bound_ratio(measured, [2.0, 4.0, np.nan]) == (1.5, (1, 0))
    assert statistics.bound_ratio(measured, [[np.nan, 50, 4]]) == (2.25, (1, 2))
    ratio, index = statistics.bound_ratio(measured, np.nan)
    assert np.isnan(ratio) and index is None
    assert statistics.bound_ratio([0.0, -1e-17, 1.0], [0.0, 0.0, 4.0]) == (0.25, (2,))
    assert statistics.bound_ratio([0.0, 1e-3, 1.0], [0.0, 0.0, 4.0]) == (np.inf, (1,))
    assert statistics.bound_ratio([1.0, np.nan], [2.0, 2.0]) == (np.inf, (1,))
    assert statistics.bound_ratio([1.0, np.nan], [2.0, np.nan]) == (0.5, (0,))
    assert statistics.bound_ratio([1.0, np.inf], [np.inf, np.inf]) == (np.inf, (1,))


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: statistics.mean_interval([1.0]), "at least 2 runs; got 1"),
        (lambda: statistics.mean_interval([1.0, np.nan]), "run 1 holds nan"),
        (lambda: statistics.mean_interval([1.0, 2.0], 95), "strictly between 0 and 1; got 95"),
        (lambda: statistics.mean_interval([1.0, 2.0], axis=1), "axis=1 does not exist"),
        (lambda: statistics.bootstrap_interval([1.0, 2.0], "mode"), "one of .*'mean', 'median'.*got 'mode'"),
        (lambda: statistics.quantile_band([1.0], 80), "coverage must lie"),
        (lambda: statistics.simultaneous_band([[1.0, 2.0]]), "curves must hold at least 2 runs"),
        (lambda: statistics.tail_rate([20, 50, 100], [1.0, 2, 3]), r"must cover its last 1 decades, \[10, 100\]"),
        (lambda: statistics.tail_rate([1, 100], [1.0, 2]), "hold 1 record times"),
        (lambda: statistics.tail_rate([1, 50, 70, 100], [1.0, 2, 0, 3]), "positive .* not at t = 70"),
        (lambda: statistics.tail_rate([1, 10], [1.0, 2], window=-1), "positive number of decades; got -1"),
        (lambda: statistics.log_slope([0, 20, 100], [0.0, 1, 2]), "earliest positive record time is 20"),
        (lambda: statistics.log_slope([0], [0.0]), "must cover"),
        (lambda: statistics.log_slope([0, 5, 5], [0.0, 1, 2]), "strictly increasing"),
        (lambda: statistics.log_slope([0, 1, 10], [0.0, 1]), "must match t: 3 record times"),
        (lambda: statistics.bound_ratio([1.0], [-1.0]), "must be >= 0"),
        (lambda: statistics.bound_ratio([1.0, 2.0], [1.0, 2.0, 3.0]), "must broadcast"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
