"""Metrics against their definitions, against 50-digit arithmetic, and the exact facts about the gap."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefsim import ops
from prefsim.equilibrium import solve_equilibrium
from prefsim.game import PreferenceGame
from prefsim.games.additive import additive
from prefsim.games.cyclic import cyclic
from prefsim.games.planted import planted
from prefsim.games.random import random
from prefsim.metrics import (
    METRICS,
    best_response,
    duality_gap,
    exploitability,
    gap,
    kl_to_equilibrium,
    span_to_equilibrium,
)

games = st.builds(
    lambda n, seed, beta: random(n, seed=seed).replace(beta=beta),
    st.integers(1, 8),
    st.integers(0, 10**6),
    st.sampled_from([2.0, 0.3, 0.05, 0.01]),
)


def policies(n: int, seed: int, scale: float = 1.0) -> np.ndarray:
    return ops.log_normalize(scale * np.random.default_rng(seed).normal(size=n))


def two_terms(payoff, log_policy, log_mu, beta) -> float:
    """2 [beta KL(p, mu) + beta log sum mu exp(A p / beta)], for any payoff."""
    p = np.exp(log_policy)
    exponent = log_mu + payoff @ p / beta
    top = exponent.max()
    return 2 * beta * float(p @ (log_policy - log_mu) + top + np.log(np.exp(exponent - top).sum()))


def value(game, p, q) -> float:
    """p^T P q - beta KL(p, mu) + beta KL(q, mu), by its definition."""

    def kl(u):
        return sum(x * math.log(x / m) for x, m in zip(u, game.reference, strict=True) if x > 0)

    return float(p @ game.preference @ q - game.beta * kl(p) + game.beta * kl(q))


# The gap and its definition.


@settings(deadline=None)
@given(games, st.integers(0, 10**6))
def test_gap_is_the_definition(game, seed):
    log_policy = policies(game.n, seed)
    p = np.exp(log_policy)
    response = np.exp(best_response(game, log_policy))
    measured = gap(game, log_policy)
    assert measured == pytest.approx(value(game, response, p) - value(game, p, response), abs=1e-13)
    # No opponent does better than the best response.
    for other in range(5):
        q = np.exp(policies(game.n, seed + 1 + other, scale=3.0))
        assert value(game, q, p) - value(game, p, q) <= measured + 1e-13


@settings(deadline=None)
@given(games, st.integers(0, 10**6))
def test_gap_without_regularisation_is_over_pure_opponents(game, seed):
    game = game.replace(beta=0.0)
    p = np.exp(policies(game.n, seed))
    wins = game.preference @ p
    assert duality_gap(game, p) == pytest.approx(wins.max() - (1 - wins).min(), abs=1e-14)
    assert duality_gap(game, p) >= -1e-15


@settings(deadline=None)
@given(games, st.integers(0, 10**6))
def test_closed_form_is_the_two_term_form(game, seed):
    log_policy = policies(game.n, seed)
    assert gap(game, log_policy) == pytest.approx(
        two_terms(game.payoff, log_policy, game.log_reference, game.beta), abs=2e-14 * max(1, float(game.beta))
    )
    assert two_terms(game.payoff, log_policy, game.log_reference, game.beta) >= -1e-14


def test_closed_form_needs_a_skew_payoff():
    # The two forms differ by p^T A p = 0; a positive diagonal breaks that, a negative one even the sign.
    game = random(5, seed=1).replace(beta=0.1)
    log_policy = policies(5, 0)
    tilted = game.payoff + 0.1 * np.eye(5)
    response = ops.log_normalize(game.log_reference + tilted @ np.exp(log_policy) / 0.1)
    closed = 2 * 0.1 * ops.kl(log_policy, response)
    assert abs(closed - two_terms(tilted, log_policy, game.log_reference, 0.1)) > 1e-2
    assert two_terms(-np.eye(5), game.log_reference, game.log_reference, 0.1) < -1e-2


@pytest.mark.parametrize("beta", [1.0, 0.1, 0.01])
@pytest.mark.parametrize("distance", [1e-2, 1e-6, 1e-10])
def test_gap_keeps_its_digits_near_equilibrium(beta, distance):
    policy = np.array([0.4, 0.3, 0.2, 0.1])
    game = planted(policy, random(4, seed=3).payoff, beta)
    log_policy = ops.log_normalize(np.log(policy) + distance * np.array([1.0, -0.5, 0.7, -2.0]))
    with mpmath.workdps(60):
        p = [mpmath.exp(x) for x in log_policy]
        total = sum(p)
        p = [x / total for x in p]
        mu = [mpmath.exp(x) for x in game.log_reference]
        gain = [sum(mpmath.mpf(game.payoff[i, j]) * p[j] for j in range(4)) for i in range(4)]
        # KL form with everything normalised exactly.
        response = [mu[i] * mpmath.exp(gain[i] / mpmath.mpf(beta)) for i in range(4)]
        total = sum(response)
        exact = 2 * mpmath.mpf(beta) * sum(p[i] * mpmath.log(p[i] * total / response[i]) for i in range(4))
    # A relative error of rounding / distance remains: the policy itself is only known to rounding.
    assert gap(game, log_policy) == pytest.approx(float(exact), rel=1e-14 / beta / distance + 1e-10)
    assert 0 < float(exact) < 10 * distance**2 / beta


def test_gap_of_policies_with_zeros():
    game = random(4, seed=0).replace(beta=0.2)
    p = np.array([0.5, 0.5, 0.0, 0.0])
    log_policy = np.array([math.log(0.5), math.log(0.5), -np.inf, -np.inf])
    response = np.exp(best_response(game, log_policy))
    expected = value(game, response, p) - value(game, p, response)
    assert duality_gap(game, p) == pytest.approx(expected, abs=1e-14)
    assert duality_gap(game, log_policy=log_policy) == pytest.approx(expected, abs=1e-14)


def test_gap_at_tiny_temperature_and_extreme_reference_is_finite():
    game = PreferenceGame(random(5, seed=2).preference, beta=1e-9, log_reference=[0.0, -1e5, -3e4, -10, -700])
    assert np.isfinite(gap(game, game.log_reference))
    assert gap(game, game.log_reference) == pytest.approx(2 * (game.payoff[:, 0].max()), rel=1e-3)


# G2 to G6: exact facts.


def test_gap_sandwich_and_its_direction():
    control_fails = False
    for seed in range(40):
        for beta in (0.05, 0.3):
            game = random(4, seed=seed).replace(beta=beta)
            answer = solve_equilibrium(game).log_policy
            for log_policy in (
                policies(4, seed),
                policies(4, seed, 6.0),
                ops.log_normalize(np.array([0, 0, 0, -30.0])),
            ):
                distance = ops.kl(log_policy, answer)
                measured = gap(game, log_policy)
                assert 2 * beta * distance * (1 - 1e-9) <= measured
                assert measured <= (2 * beta + 1 / (2 * beta)) * distance * (1 + 1e-9)
                control_fails |= bool(2 * beta * ops.kl(answer, log_policy) > measured)
    assert control_fails


def test_regularised_equilibrium_in_the_original_game():
    for seed in range(20):
        game = random(6, seed=seed)
        for beta in (1.0, 0.1, 0.01):
            answer = solve_equilibrium(game.replace(beta=beta)).log_policy
            assert gap(game, answer) <= 2 * beta * -game.log_reference.min() + 1e-12
    # With log n instead of log 1/mu_min: a reference that hides the best action refutes it.
    hidden = PreferenceGame([[0.5, 1.0], [0.0, 0.5]], log_reference=[-1000.0, 0.0])
    answer = solve_equilibrium(hidden.replace(beta=0.01)).log_policy
    assert gap(hidden, answer) > 2 * 0.01 * np.log(2)


def test_log_ratio_bound():
    rng = np.random.default_rng(0)
    for seed in range(20):
        beta = float(rng.uniform(0.02, 1))
        game = random(5, seed=seed).replace(beta=beta)
        far = ops.log_normalize(game.log_reference + rng.normal(size=5) * 3 / beta)
        worst = {"reference": 0.0, "far": 0.0}
        for name, log_policy in (("reference", game.log_reference), ("far", far)):
            for _ in range(30):
                c = rng.uniform(0, 0.3)
                opponent = policies(5, int(rng.integers(10**6)), 4.0)
                win_rate = game.preference @ np.exp(opponent)
                log_policy = ops.log_normalize((1 - c) * log_policy + c * game.log_reference + c / beta * win_rate)
                worst[name] = max(worst[name], np.abs(log_policy - game.log_reference).max())
        assert worst["reference"] <= 1 / beta
        assert worst["far"] > 1 / beta
        assert np.abs(solve_equilibrium(game).log_policy - game.log_reference).max() <= 1 / beta


def test_win_rates_in_self_play_lie_below_a_uniform_law():
    def excess(payoff, log_m, log_opponent, eta):
        moment = np.log(np.exp(log_m) @ np.exp(eta * payoff @ np.exp(log_opponent)))
        return moment - np.log(np.sinh(eta / 2) / (eta / 2))

    control = -np.inf
    for seed in range(30):
        game = random(6, seed=seed)
        for eta in (0.1, 1.0, 5.0):
            log_m = policies(6, seed)
            assert excess(game.payoff, log_m, log_m, eta) <= 1e-14
            assert np.log(np.sinh(eta / 2) / (eta / 2)) <= eta**2 / 24
            # Against the opponent it beats most, the mean is above 0 and the bound fails.
            weakest = np.full(6, -np.inf)
            weakest[np.argmax(np.exp(log_m) @ game.payoff)] = 0.0
            control = max(control, excess(game.payoff, log_m, weakest, eta))
    assert control > 1e-2
    # Approached by transitive tournaments: 200 actions leave less than 1e-4 of slack.
    n = 200
    transitive = 0.5 * np.sign(np.arange(n)[None, :] - np.arange(n)[:, None])
    log_m = np.full(n, -np.log(n))
    assert -1e-4 < excess(transitive, log_m, log_m, 1.0) <= 0


# Distances.


def test_distances_have_the_stated_direction():
    equilibrium, policy = np.log([0.7, 0.2, 0.1]), np.log([0.2, 0.3, 0.5])
    game = random(3)
    forward = 0.7 * math.log(0.7 / 0.2) + 0.2 * math.log(0.2 / 0.3) + 0.1 * math.log(0.1 / 0.5)
    assert kl_to_equilibrium(game, policy, equilibrium) == pytest.approx(forward, abs=1e-15)
    ratios = [math.log(0.2 / 0.7), math.log(0.3 / 0.2), math.log(0.5 / 0.1)]
    assert span_to_equilibrium(game, policy, equilibrium) == pytest.approx(max(ratios) - min(ratios), abs=1e-15)
    assert exploitability(game, policy) == gap(game, policy) / 2


def test_distances_with_partial_support():
    game = random(3)
    with np.errstate(divide="ignore"):
        equilibrium, policy = np.log([0.5, 0.5, 0.0]), np.log([0.25, 0.75, 0.0])
    inside = np.log([0.25, 0.5, 0.25])
    assert kl_to_equilibrium(game, inside, equilibrium) == pytest.approx(0.5 * math.log(2), abs=1e-15)
    assert span_to_equilibrium(game, inside, equilibrium) == np.inf
    assert span_to_equilibrium(game, policy, equilibrium) == pytest.approx(math.log(3), abs=1e-15)
    assert kl_to_equilibrium(game, equilibrium, inside) == np.inf


# Shapes and symmetries.


def test_policies_broadcast_with_games():
    games = random(4, seed=1, count=3).replace(beta=[0.0, 0.1, 0.5])
    one = random(4, seed=1).replace(beta=0.1)
    answers = solve_equilibrium(games).log_policy
    runs = np.stack([np.stack([policies(4, 10 * i + r) for r in range(5)]) for i in range(3)])
    column = PreferenceGame(
        games.preference[:, None], beta=games.beta[:, None], log_reference=games.log_reference[:, None]
    )
    with np.errstate(divide="ignore"):
        for name, metric in METRICS.items():
            rows = metric.function(games, runs[:, 0], answers)
            table = metric.function(column, runs, answers[:, None])
            assert rows.shape == (3,) and table.shape == (3, 5), name
            for i in range(3):
                single = PreferenceGame(games.preference[i], beta=games.beta[i], log_reference=games.log_reference[i])
                for r in range(5):
                    value = metric.function(single, runs[i, r], answers[i])
                    assert value.shape == ()
                    np.testing.assert_allclose(table[i, r], value, rtol=1e-12, atol=1e-16)
    assert gap(one, runs).shape == (3, 5)
    assert duality_gap(one, np.exp(runs)).shape == (3, 5)
    assert duality_gap(games, [0.25] * 4).shape == (3,)


@settings(deadline=None)
@given(games, st.integers(0, 10**6), st.randoms(use_true_random=False))
def test_renaming_actions_and_shifting_logs_change_nothing(game, seed, shuffle):
    order = list(range(game.n))
    shuffle.shuffle(order)
    log_policy = policies(game.n, seed)
    renamed = PreferenceGame(
        game.preference[np.ix_(order, order)], beta=game.beta, log_reference=game.log_reference[order] + 17.0
    )
    expected = gap(game, log_policy)
    assert gap(renamed, log_policy[order]) == pytest.approx(expected, rel=1e-11, abs=1e-14)
    assert duality_gap(game, log_policy=log_policy - 5.0) == pytest.approx(expected, rel=1e-11, abs=1e-14)
    np.testing.assert_allclose(
        best_response(renamed, log_policy[order]), best_response(game, log_policy)[order], atol=1e-11
    )


def test_metric_table():
    assert set(METRICS) == {"duality_gap", "exploitability", "kl_to_equilibrium", "span_to_equilibrium"}
    game = cyclic(3).replace(beta=0.5)
    for metric in METRICS.values():
        if metric.needs_equilibrium:
            with pytest.raises(ValueError, match="needs log_equilibrium; pass solve_equilibrium"):
                metric.function(game, game.log_reference)
        else:
            assert metric.function(game, game.log_reference) <= 1e-15


# Refusals.


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({}, ValueError, "give the policy once"),
        ({"policy": [0.5, 0.5, 0], "log_policy": [0, 0, 0]}, ValueError, "give the policy once"),
        ({"policy": [0.5, 0.5]}, ValueError, "policy must have 3 entries"),
        ({"policy": [0.5, 0.6, 0.1]}, ValueError, "policy must sum to 1"),
        ({"policy": [0.5, 0.7, -0.2]}, ValueError, "finite probabilities >= 0"),
        ({"policy": [0.5, 0.5, np.nan]}, ValueError, "finite probabilities >= 0"),
        ({"policy": ["a", "b", "c"]}, TypeError, "policy must be an array of numbers"),
        ({"log_policy": [0.0, 0.0]}, ValueError, r"log_policy must have 3 entries .* got \(2,\)"),
        ({"log_policy": [0.0, 0.0, np.nan]}, ValueError, "log_policy must hold logarithms below inf"),
        ({"log_policy": [0.0, 0.0, np.inf]}, ValueError, "log_policy must hold logarithms below inf"),
        ({"log_policy": [-np.inf] * 3}, ValueError, "a finite one in each row"),
        ({"policy": np.full((4, 3), 1 / 3)}, ValueError, r"leading axes of policy \(4,\) and of the game \(2,\)"),
    ],
)
def test_refusals(arguments, error, sentence):
    game = additive([[0.0, 0.1, 0.2], [0.0, 0.2, 0.3]])
    with pytest.raises(error, match=sentence) as caught:
        duality_gap(game, **arguments)
    assert str(caught.value).endswith(".")


def test_best_response_refuses_unregularised_games():
    with pytest.raises(ValueError, match="best_response needs beta > 0"):
        best_response(cyclic(3), np.log(np.full(3, 1 / 3)))
