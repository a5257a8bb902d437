"""Win rates, exploitability and cycles from judged samples: against planted truths, loops and coverage."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import prefsim as ps
from prefsim.statistics import bootstrap_interval

pytest.importorskip("torch", reason="needs torch: install prefsim[llm].")
from prefsim.llm import evaluate
from prefsim.llm.evaluate import evaluate_pool, judge_report, length_correlation, win_rate

OWNERS = np.array([0, 1, 1, 2, 2, 2])
NAMES = ["base", "egpo", "nash_md"]


def judged(prompts, seed=0, meta=None):
    """Random preferences among six responses, their mean moved to those of their policies."""
    rng = np.random.default_rng(seed)
    noise = rng.uniform(-0.2, 0.2, size=(prompts, 6, 6))
    noise = (noise - np.swapaxes(noise, 1, 2)) / 2
    centre = 0.5 if meta is None else np.asarray(meta)[OWNERS[:, None], OWNERS]
    return np.clip(centre + noise, 0, 1)


CYCLE = np.array([[0.5, 0.7, 0.4], [0.3, 0.5, 0.6], [0.6, 0.4, 0.5]])


def test_win_rates_are_means_over_pairs_and_prompts():
    wins = judged(7)
    report = evaluate_pool(wins, OWNERS, NAMES)
    for a, b in itertools.product(range(3), repeat=2):
        prompts = [
            np.mean([matrix[i, j] for i in np.flatnonzero(OWNERS == a) for j in np.flatnonzero(OWNERS == b)]) for matrix in wins
        ]
        assert report.win_rates.center[a, b] == pytest.approx(np.mean(prompts), abs=1e-15)
        if (a, b) == (2, 1):
            interval = np.array(bootstrap_interval(np.array(prompts), seed=0))
            np.testing.assert_allclose([report.win_rates.lower[a, b], report.win_rates.upper[a, b]], interval, atol=0.01)
            single = win_rate(wins[:, OWNERS == a][:, :, OWNERS == b])
            assert single.center == pytest.approx(report.win_rates.center[a, b], abs=1e-15)
    np.testing.assert_allclose(np.diag(report.win_rates.center), 0.5, atol=1e-15)
    np.testing.assert_allclose(report.win_rates.center + report.win_rates.center.T, 1, atol=1e-15)


def test_responses_may_come_in_any_order():
    wins, order = judged(5, meta=CYCLE), np.array([3, 0, 5, 1, 4, 2])
    plain, shuffled = evaluate_pool(wins, OWNERS, NAMES), evaluate_pool(wins[:, order][:, :, order], OWNERS[order], NAMES)
    np.testing.assert_allclose(plain.win_rates.center, shuffled.win_rates.center, atol=1e-15)


def test_a_planted_cycle_is_found_and_solved():
    report = evaluate_pool(judged(400, meta=CYCLE), OWNERS, NAMES)
    assert report.tournament.cyclic_triples == 1 and report.tournament.condorcet_winner is None
    # Margins .2, .1, .1 along the cycle 0 > 1 > 2 > 0: a policy's weight is the margin of the pair it is not in.
    np.testing.assert_allclose(report.equilibrium, [0.25, 0.25, 0.5], atol=0.02)
    assert report.best_response.tolist() == [2, 0, 1]
    np.testing.assert_allclose(report.exploitability.center, [0.1, 0.2, 0.1], atol=0.01)
    assert (report.exploitability.lower <= report.exploitability.center).all()
    assert (report.exploitability.center <= report.exploitability.upper).all()
    assert report.game.names == tuple(NAMES)
    assert ps.duality_gap(report.game, report.equilibrium) < 1e-12
    singles = ps.duality_gap(report.game, np.eye(3)) / 2  # the package's own exploitability of each policy
    np.testing.assert_allclose(report.exploitability.center, singles, atol=1e-15)


def test_a_dominant_policy_is_not_exploitable():
    meta = np.array([[0.5, 0.7, 0.8], [0.3, 0.5, 0.6], [0.2, 0.4, 0.5]])
    report = evaluate_pool(judged(50, meta=meta), OWNERS, NAMES)
    assert report.equilibrium.tolist() == [1, 0, 0] and report.best_response.tolist() == [0, 0, 0]
    assert report.exploitability.center[0] == 0 == report.exploitability.upper[0]
    assert report.tournament.condorcet_winner == 0 and report.tournament.transitive


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    """90 % intervals of 200 experiments: prompts differ, and are what is resampled."""
    hits = np.zeros((2, 3))
    for seed in range(200):
        rng = np.random.default_rng(1000 + seed)
        shift = (
            rng.normal(0, 0.1, size=(40, 1, 1)) * (CYCLE[OWNERS[:, None], OWNERS] != 0.5) * np.sign(OWNERS[:, None] - OWNERS)
        )
        wins = np.clip(judged(40, seed, CYCLE) + shift, 0, 1)
        report = evaluate_pool(wins, OWNERS, NAMES, confidence=0.9, resamples=300)
        for k, (a, b) in enumerate([(0, 1), (1, 2), (2, 0)]):
            hits[0, k] += report.win_rates.lower[a, b] <= CYCLE[a, b] <= report.win_rates.upper[a, b]
        hits[1] += (report.exploitability.lower <= [0.1, 0.2, 0.1]) & ([0.1, 0.2, 0.1] <= report.exploitability.upper)
    # Standard error 4.2 of 200; the bootstrap of 40 prompts is a little short.
    assert (hits > 180 - 16).all() and (hits < 180 + 16).all(), hits


def test_exploitability_is_too_large_with_few_prompts():
    """The documented bias: equal policies look exploitable, less so with more prompts."""
    few, many = (
        np.mean([evaluate_pool(judged(count, seed), OWNERS, NAMES, resamples=20).exploitability.center for seed in range(20)])
        for count in (4, 400)
    )
    assert few > 5 * many > 0


def test_hard_wins_count_comparisons():
    wins = np.array([[[0.9, 0.5], [0.2, 0.51]], [[0.4, 0.4], [0.4, 0.6]]])
    assert win_rate(wins, hard=True).center == pytest.approx(np.mean([2.5 / 4, 1 / 4]))
    assert win_rate(wins).center == pytest.approx(wins.mean())
    with_ties = np.full((3, 2, 2), 0.5)
    assert win_rate(with_ties, hard=True) == (0.5, 0.5, 0.5)
    sure = evaluate_pool(judged(30, meta=CYCLE), OWNERS, NAMES, hard=True)
    assert sure.win_rates.center[0, 1] > 0.95


def test_judges_with_a_score_and_without():
    """Bradley-Terry matrices have no error, cycles have the margin for theirs; counts agree with plain loops."""
    rng = np.random.default_rng(3)
    rewards = rng.normal(size=(2, 5))
    scored = 1 / (1 + np.exp(rewards[:, None, :] - rewards[:, :, None]))
    cycle = ps.games.cyclic(n=5, margin=0.3).preference
    random = ps.games.random(5, seed=4).preference
    report = judge_report(np.stack([*scored, cycle, random]))
    assert report.triples == 10
    for matrix, count in zip([*scored, cycle, random], report.cyclic_triples, strict=True):
        beats = matrix > 0.5
        loops = sum(
            (beats[i, j] and beats[j, k] and beats[k, i]) or (beats[j, i] and beats[k, j] and beats[i, k])
            for i, j, k in itertools.combinations(range(5), 3)
        )
        assert count == loops
    assert report.transitive.tolist()[:3] == [True, True, False]
    assert report.condorcet_winner.tolist()[:3] == [*rewards.argmax(axis=1), -1]
    # Borda scores of a cyclic tournament are equal, so the fit says 1/2 throughout and misses by the margin.
    np.testing.assert_allclose(report.bradley_terry_error[:3], [0, 0, 0.3], atol=1e-5)
    assert report.bradley_terry_error[3] > 0.05


def test_certain_preferences_have_a_fit():
    certain = np.triu(np.ones((4, 4)), 1) + np.eye(4) / 2
    report = judge_report(np.stack([certain, 1 - certain]))
    assert report.condorcet_winner.tolist() == [0, 3] and (report.bradley_terry_error < 1e-3).all()


def test_length_correlation_is_within_prompts():
    rng = np.random.default_rng(5)
    lengths = rng.integers(10, 200, size=(60, 8)).astype(float)
    base = rng.normal(size=(60, 1)) * 50
    rates = 0.002 * (lengths - lengths.mean(axis=1, keepdims=True)) + rng.normal(size=(60, 8)) * 0.1
    found = length_correlation(rates, lengths)
    x, y = (v - v.mean(axis=1, keepdims=True) for v in (rates, lengths))
    assert found.center == pytest.approx(np.corrcoef(x.ravel(), y.ravel())[0, 1], abs=1e-14)
    assert found.lower < found.center < found.upper and found.lower > 0.4
    np.testing.assert_allclose(length_correlation(rates, lengths + base), found, rtol=1e-12)  # long prompts do not matter
    np.testing.assert_allclose(length_correlation(-rates, lengths).center, -found.center, rtol=1e-12)
    assert np.isnan(length_correlation(rates, np.ones((60, 8)))).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: win_rate(np.ones((2, 2))), r"judged must have shape \(prompts, k, m\)"),
        (lambda: win_rate(np.full((2, 2, 2), 1.5)), r"judged must hold probabilities in \[0, 1\]"),
        (lambda: win_rate(np.full((2, 2, 2), np.nan)), r"judged must hold probabilities in \[0, 1\]"),
        (lambda: win_rate(np.full((1, 2, 2), 0.5)), "at least 2 runs"),
        (lambda: evaluate_pool(np.full((2, 6, 6), 0.4), OWNERS, NAMES), r"judged must satisfy P \+ P\^T = 1"),
        (lambda: evaluate_pool(judged(2)[0], OWNERS, NAMES), r"judged must have shape \(prompts, n, n\)"),
        (lambda: evaluate_pool(judged(2), OWNERS[:5], NAMES), "owners must hold a whole number for each of the 6 responses"),
        (lambda: evaluate_pool(judged(2), OWNERS + 1, NAMES), "every number from 0 to 2"),
        (lambda: evaluate_pool(judged(2), OWNERS, [*NAMES, "idle"]), "every number from 0 to 3"),
        (lambda: evaluate_pool(judged(2), OWNERS, ["a", "a", "b"]), "names must be a list of different names"),
        (lambda: evaluate_pool(judged(2), OWNERS, NAMES, confidence=1.0), "confidence must lie strictly between 0 and 1"),
        (lambda: judge_report(np.full((2, 1, 1), 0.5)), "at least 2 responses"),
        (lambda: length_correlation(np.ones((2, 3)), np.ones((2, 4))), r"must both have shape \(prompts, k\)"),
        (lambda: length_correlation(np.full((2, 3), np.nan), np.ones((2, 3))), "must be finite"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_broken_code_is_caught(monkeypatch):
    """A wrong side, a wrong axis, a dropped half: each turns a test of this file red."""
    tests = [test_win_rates_are_means_over_pairs_and_prompts, test_a_planted_cycle_is_found_and_solved]
    tests += [test_hard_wins_count_comparisons, test_judges_with_a_score_and_without, test_length_correlation_is_within_prompts]
    judge, hardened, fit, correlation = evaluate._judged, evaluate._hardened, evaluate.fit_bradley_terry, evaluate._correlation

    def red():
        for test in tests:
            try:
                test()
            except AssertionError:
                return True
        return False

    assert not red()
    for name, wrong in {
        "_judged": lambda wins: 1 - judge(wins),
        "_hardened": lambda wins, hard: np.ceil(hardened(wins, hard)) if hard else wins,
        "fit_bradley_terry": lambda wins, ridge: fit(wins.T, ridge),
        "_correlation": lambda moments: correlation(moments) ** 2,
    }.items():
        with monkeypatch.context() as patch:
            patch.setattr(evaluate, name, wrong)
            assert red(), name
