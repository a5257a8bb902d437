"""One gradient step on the logits is the tabular step: every iterate of every solver that qualifies (ladder T1).

The mistakes these must catch are the controls of the claims ``llm.tabular_iterates``, ``llm.policy_gradient_iterates`` and
``llm.score_function``.
"""

import numpy as np
import pytest
from ladder import BETA, N, ascended, games, logits_policy, recursion, regressed, stepped, tabular, trained

from prefsim.claims.llm import PULLED
from prefsim.llm import matrix
from prefsim.ops import softmax

HORIZON, BAR = 300, 1e-10


@pytest.mark.parametrize("key", regressed())
def test_step_target(key):
    found = stepped(key, HORIZON)
    assert found.shape == (HORIZON + 1,) and found.max() <= BAR


@pytest.mark.parametrize("key", PULLED)
def test_fixed_point_target(key):
    assert stepped(key, HORIZON, target="fixed_point").max() <= BAR


@pytest.mark.parametrize("period", [20, 40])
def test_inner_loop_arrives_at_the_proximal_point(period):
    """40 inner iterations end at the exact step of the tabular solver; 20 are not enough for the bar."""
    game, asked = games(N), {"behaviour": "uniform", "estimator": "variance"}
    rule = ("nash_prox", {"step": 0.25, "period": period})
    found = trained(logits_policy(game, N / 4), matrix(game.preference), rule, 4 * period, range(3), **asked)
    expected = tabular(game, "nash_prox", {"step": 0.25}, 4)
    difference = np.abs(found[:, ::period] - expected).max()
    assert np.abs(np.diff(expected, axis=1)).max(axis=(0, 2)).min() > 0.01
    assert difference <= BAR if period == 40 else BAR < difference < 1e-3


@pytest.mark.parametrize("kl_gradient", ["reward_to_go", "sequence"])
def test_policy_gradient_against_the_mixture(kl_gradient):
    given = {"step": 2.0, "mixture": 0.3}
    found = ascended(("nash_md_pg", given), HORIZON, kl_gradient=kl_gradient)
    assert np.abs(found - recursion(games(N), 2.0, HORIZON, mixture=0.3)).max() <= BAR
    assert np.abs(found - tabular(games(N), "nash_md_pg", given, HORIZON)).max() <= BAR


def test_policy_gradient_of_nash_md_ties_the_weight_to_the_step():
    found = ascended(("nash_md", {"step": 3.0}), HORIZON, estimator="policy_gradient")
    assert np.abs(found - recursion(games(N), 2.0, HORIZON, mixture=3.0 * BETA)).max() <= BAR
    assert np.abs(found[:, :4] - recursion(games(N), 2.0, 3, mixture=1.5 * BETA)).max() > 1e-6


def proximal(game, rate, horizon, eta, period):
    """Self-play that pays for leaving the reference and, weighted by 1 / eta, the policy a period began with."""
    logits, path = np.array(game.log_reference), []
    for t in range(horizon + 1):
        policy = softmax(logits)
        path.append(np.log(policy))
        if t % period == 0:
            slow = path[-1]
        leaving = path[-1] - game.log_reference + (path[-1] - slow) / eta
        reward = np.einsum("gij,gj->gi", game.preference, policy) - BETA * leaving
        logits = logits + rate * policy * (reward - (policy * reward).sum(-1, keepdims=True))
    return np.stack(path, axis=1)


@pytest.mark.parametrize("kl_gradient", ["reward_to_go", "sequence"])
def test_policy_gradient_of_the_proximal_point(kl_gradient):
    found = ascended(("nash_prox", {"step": 0.7, "period": 4}), HORIZON, kl_gradient=kl_gradient)
    assert np.abs(found - proximal(games(N), 2.0, HORIZON, 0.7, 4)).max() <= BAR
    assert np.abs(found - proximal(games(N), 2.0, HORIZON, 1 / 0.7, 4)).max() > 1e-6
    assert np.abs(found - proximal(games(N), 2.0, HORIZON, 0.7, 5)).max() > 1e-6


def test_policy_gradient_against_the_slow_copy():
    found = ascended(("nash_ema_pg", {"decay": 0.8}), HORIZON)
    assert np.abs(found - recursion(games(N), 2.0, HORIZON, decay=0.8)).max() <= BAR
