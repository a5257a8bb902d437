"""Preference models fitted to duels recover the truth they can express, and only that."""

from __future__ import annotations

import numpy as np
import pytest

import prefsim as ps
from prefsim.preference_model import FitError, embed, fit_bradley_terry, fit_general_preference, skew_scores


def duels(preference, number, seed=0):
    """Win counts of `number` duels a pair."""
    rng = np.random.default_rng(seed)
    wins = np.tril(rng.binomial(number, preference), -1).astype(float)
    return wins + np.triu(number - wins.T, 1)


def expected(preference, number=1000.0):
    """Win counts without chance, for which the likelihood is largest at the truth."""
    return number * (preference - np.eye(len(preference)) / 2)


def loss(wins, scores, ridge, squares):
    return (wins * np.log1p(np.exp(-scores))).sum() + ridge / 2 * squares


TRANSITIVE = ps.games.bradley_terry([1.0, 0.5, 0.0, -0.5, -1.2])
CYCLIC = ps.games.low_rank_mixture(n=8, rank=4, intransitivity=1.0, seed=2)


def test_bradley_terry_recovers_the_truth_as_counts_grow():
    errors = []
    for number in (100, 10_000, 1_000_000):
        fits = [fit_bradley_terry(duels(TRANSITIVE.preference, number, seed)).game for seed in range(5)]
        errors.append(np.mean([np.abs(f.preference - TRANSITIVE.preference).max() for f in fits]))
    # Errors fall like 1 / sqrt(number), here by 10 from one to the next.
    assert errors[0] < 0.1 and 4 < errors[0] / errors[1] < 25 and 4 < errors[1] / errors[2] < 25
    exact = fit_bradley_terry(expected(TRANSITIVE.preference), ridge=0)
    np.testing.assert_allclose(exact.parameters, np.array([1.0, 0.5, 0.0, -0.5, -1.2]) + 0.04, atol=1e-10)
    assert abs(exact.parameters.mean()) < 1e-15


def test_general_preference_recovers_the_truth_as_counts_grow():
    errors = []
    for number in (100, 10_000, 1_000_000):
        fit = fit_general_preference(duels(CYCLIC.preference, number), rank=4).game
        errors.append(np.abs(fit.preference - CYCLIC.preference).max())
    assert errors[0] < 0.2 and 4 < errors[0] / errors[1] < 25 and 4 < errors[1] / errors[2] < 25
    exact = fit_general_preference(expected(CYCLIC.preference, 1e6), rank=4)
    np.testing.assert_allclose(exact.game.preference, CYCLIC.preference, atol=1e-7)
    np.testing.assert_allclose(skew_scores(exact.parameters), exact.scores, atol=1e-13)
    short = fit_general_preference(expected(CYCLIC.preference, 1e6), rank=2)  # too few dimensions
    assert np.abs(short.game.preference - CYCLIC.preference).max() > 0.02
    assert short.log_likelihood < exact.log_likelihood - 1000


def test_bradley_terry_cannot_fit_a_cycle_but_rank_two_can():
    truth = ps.games.rock_paper_scissors((0.3, 0.3, 0.3))
    wins = expected(truth.preference)
    flat, cycle = fit_bradley_terry(wins), fit_general_preference(wins, rank=2)
    np.testing.assert_allclose(flat.game.preference, 0.5, atol=1e-12)
    assert flat.log_likelihood == pytest.approx(3000 * np.log(0.5), rel=1e-12)
    np.testing.assert_allclose(cycle.game.preference, truth.preference, atol=1e-5)
    assert cycle.log_likelihood == pytest.approx(3000 * (0.8 * np.log(0.8) + 0.2 * np.log(0.2)), rel=1e-9)


def test_rank_two_contains_bradley_terry():
    fit = fit_general_preference(expected(TRANSITIVE.preference, 1e6), rank=2)
    np.testing.assert_allclose(fit.game.preference, TRANSITIVE.preference, atol=1e-6)


def test_an_estimated_game_is_solved_almost_as_well_as_the_true_one():
    """``Gap(equilibrium of the estimate) <= 2 max |P - estimate|``: win rates against any policy differ by no more."""
    for number in (50, 5000):
        fit = fit_general_preference(duels(CYCLIC.preference, number, seed=3), rank=4).game
        error = np.abs(fit.preference - CYCLIC.preference).max()
        gap = ps.duality_gap(CYCLIC, ps.solve_equilibrium(fit).policy)
        assert 1e-6 < gap <= 2 * error


@pytest.mark.parametrize("ridge", [1e-3, 10.0])
def test_fits_are_optima(ridge):
    """No small move improves the penalised likelihood, written out anew here."""
    wins = duels(ps.games.random(5, seed=1).preference, 40)
    rng = np.random.default_rng(1)
    fit = fit_bradley_terry(wins, ridge=ridge)
    best = loss(wins, fit.scores, ridge, (fit.parameters**2).sum())
    general = fit_general_preference(wins, rank=4, ridge=ridge)
    lowest = loss(wins, general.scores, ridge, (general.parameters**2).sum())
    for _ in range(50):
        rewards = fit.parameters + 1e-3 * rng.normal(size=5)
        assert loss(wins, rewards[:, None] - rewards, ridge, (rewards**2).sum()) > best
        vectors = general.parameters + 1e-3 * rng.normal(size=(5, 4))
        assert loss(wins, skew_scores(vectors), ridge, (vectors**2).sum()) > lowest
    assert general.log_likelihood > fit.log_likelihood


def test_ridge_is_the_nuclear_norm_of_the_log_odds():
    scores = np.log(CYCLIC.preference) - np.log(CYCLIC.preference.T)
    vectors = embed(scores, 4)
    assert (vectors**2).sum() == pytest.approx(np.linalg.svd(scores, compute_uv=False).sum(), rel=1e-12)


def test_embeddings_reproduce_scores_of_their_rank():
    rng = np.random.default_rng(2)
    matrix = rng.normal(size=(7, 7))
    skew = matrix - matrix.T
    np.testing.assert_allclose(skew_scores(embed(skew, 6)), skew, atol=1e-12)
    assert np.abs(skew_scores(embed(skew, 4)) - skew).max() > 0.1
    np.testing.assert_allclose(ps.games.general_preference(embed(skew, 6)).preference, 1 / (1 + np.exp(-skew)), atol=1e-13)


def test_one_sided_pairs_get_finite_log_odds_from_the_ridge():
    fit = fit_bradley_terry([[0, 5], [0, 0]], ridge=1e-3)
    d = fit.scores[0, 1]
    assert 5 / (1 + np.exp(d)) == pytest.approx(1e-3 * d / 2, rel=1e-6)  # stationarity of r = (d, -d) / 2
    with pytest.raises(ValueError, match="2 groups not linked by wins both ways"):
        fit_bradley_terry([[0, 5], [0, 0]], ridge=0)


def test_settings_reach_the_game():
    fit = fit_bradley_terry(expected(TRANSITIVE.preference), beta=0.1, names=list("abcde"), transform="log_odds")
    assert fit.game.beta == 0.1 and fit.game.names == tuple("abcde") and fit.game.transform == "log_odds"


@pytest.mark.parametrize(
    ("fit", "error", "sentence"),
    [
        (lambda: fit_bradley_terry([[0, 1, 2]]), ValueError, r"wins must have shape \(n, n\)"),
        (lambda: fit_bradley_terry([[0, -1], [1, 0]]), ValueError, "smallest entry is -1"),
        (lambda: fit_bradley_terry([[0, np.nan], [1, 0]]), ValueError, "wins must hold finite counts"),
        (lambda: fit_bradley_terry([[3, 1], [1, 0]]), ValueError, r"wins\[0, 0\] is 3"),
        (lambda: fit_bradley_terry(np.zeros((3, 3))), ValueError, "no duel at all"),
        (lambda: fit_bradley_terry([["a", "b"], ["c", "d"]]), TypeError, "wins must be a square array"),
        (lambda: fit_bradley_terry([[0, 1], [1, 0]], ridge=-1), ValueError, "ridge must be a finite number >= 0"),
        (lambda: fit_general_preference([[0, 1], [1, 0]], ridge=0), ValueError, "ridge must be above 0"),
        (lambda: fit_general_preference([[0, 1], [1, 0]], rank=3), ValueError, "rank must be even"),
        (lambda: fit_general_preference([[0, 1], [1, 0]], rank=4), ValueError, "number of actions 2"),
        (lambda: embed([[0, 1], [1, 0]], 2), ValueError, "skew-symmetric"),
    ],
)
def test_refusals(fit, error, sentence):
    with pytest.raises(error, match=sentence) as caught:
        fit()
    assert str(caught.value).endswith(".")


def test_an_unfinished_fit_is_refused(monkeypatch):
    monkeypatch.setattr("prefsim.preference_model.STATIONARY", 0.0)
    with pytest.raises(FitError, match="stopped at a gradient of"):
        fit_general_preference(duels(CYCLIC.preference, 30), rank=4)
