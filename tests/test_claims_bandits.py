"""Claims about bandits hold, their controls fail, and their constants are those of the printed theorems."""

import numpy as np
import pytest

import prefsim as ps
from prefsim import registry
from prefsim.bandit import Problem
from prefsim.bandits.dueling import regret_slope_lower
from prefsim.claim import check, select
from prefsim.claims import _regret, double_thompson, dueling, exp3
from prefsim.policies import double_thompson as double_thompson_rule
from prefsim.policies import exp3 as exp3_rule
from prefsim.policies import rucb as rucb_rule
from prefsim.policies import thompson as thompson_rule
from prefsim.policies import ucb1 as ucb1_rule

CLAIMS = select(["ucb1", "exp3", "thompson", "dueling", "rucb", "double_thompson", "rmed", "copeland", "scalable"])
HARD = _regret.truths(ps.bandits.bernoulli([0.5, *[0.4] * 9]))[0]
"""Ten Bernoulli arms, nine of them .1 below the best."""


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.key)
def test_claim_holds_and_its_controls_fail(claim):
    verdict = check(claim)
    assert verdict.outcome == ("consistent on this window" if claim.asymptotic else "supported"), verdict
    assert [control.outcome for control in verdict.controls] == ["violated"] * len(claim.controls), verdict
    assert verdict.ok


def test_bounds_have_the_printed_values():
    assert ucb1_rule.regret_bound(ucb1_rule.Hyper(), HARD, Problem(10), 1e6) == pytest.approx(9951, abs=0.5)
    assert exp3_rule.regret_bound(exp3_rule.Hyper(), HARD, Problem(10, 10**6), 1e6) == pytest.approx(6786, abs=0.5)
    assert thompson_rule.regret_slope((), HARD, None) == pytest.approx(44.70, abs=0.005)
    assert np.isnan(ucb1_rule.regret_bound(ucb1_rule.Hyper(1.0), HARD, Problem(10), [10, 100])).all()
    alone = _regret.truths(ps.bandits.bernoulli([0.5]))[0]
    assert exp3_rule.regret_bound(exp3_rule.Hyper(), alone, Problem(1, 100), np.array([0, 100])).tolist() == [0, 0]


def test_double_thompson_coefficient_by_hand():
    truth = _regret.truths(ps.bandits.dueling([[0.5, 0.7], [0.3, 0.5]]))[0]
    entropy = 0.3 * np.log(0.6) + 0.7 * np.log(1.4)
    expected = 0.1 * (4 * 0.6 / 0.04 + 1 / entropy)
    assert double_thompson_rule.regret_slope(double_thompson_rule.Hyper(0.6), truth, None) == pytest.approx(expected)
    assert rucb_rule.regret_slope(rucb_rule.Hyper(0.6), truth, None) == pytest.approx(2 * 0.6 / 0.2)


def test_no_lower_bound_without_a_condorcet_winner():
    cyclic = ps.bandits.cyclic4().truth.preference[0]
    rest = ps.bandits.dueling(cyclic[1:, 1:])
    with pytest.raises(ValueError, match="Condorcet"):
        regret_slope_lower(_regret.truths(rest)[0])


def test_uniform_pairs_cost_the_mean_gap_exactly():
    environment = registry.load("bandits", "dueling")
    for build, row in dueling.PRINTED.items():
        truth, arms = _regret.truths(build())[0], build().arms
        costs = [environment.regrets(truth, (), (i, j), 1, 0.0)[0] for i in range(arms) for j in range(arms)]
        assert np.mean(costs) == pytest.approx(float(row[0]), abs=0.5 * 10.0 ** -len(row[0].split(".")[1]))


@pytest.mark.parametrize(("feedback", "expected"), [("true", 0.9), ("coin", 0.5), ("noiseless", 1.0), ("tie", 0.5)])
def test_feedback_is_replaced_and_regret_is_not(feedback, expected):
    bandit = ps.bandits.dueling([[0.5, 0.9, 0.8], [0.1, 0.5, 0.6], [0.2, 0.4, 0.5]])
    other = _regret.with_feedback(bandit, feedback)
    assert other.truth.preference[0, 0, 1] == expected and other.truth.preference[0, 1, 0] == 1 - expected
    np.testing.assert_array_equal(other.truth.gap, bandit.truth.gap)
    # What does not look at its feedback cannot tell the difference.
    plain, changed = (ps.run(b, ["uniform"], horizon=200, runs=3).regret for b in (bandit, other))
    np.testing.assert_array_equal(plain, changed)


def test_unknown_feedback_is_refused():
    with pytest.raises(ValueError, match="did you mean 'coin'"):
        _regret.with_feedback(ps.bandits.cyclic4(), "coins")


def test_instances_without_a_winner_are_what_they_say():
    bandit = double_thompson.without_winner(3)
    assert bandit.normalisation == "copeland" and bandit.instances == 3
    off = np.abs(bandit.truth.preference - 0.5)[:, ~np.eye(bandit.arms, dtype=bool)]
    assert off.min() >= 0.1 and (bandit.truth.gap.max(axis=1) > 0).all()


def test_implicit_exploration_biases_downwards():
    """The control of the unbiasedness claim fails for the reason it states: p / (p + gamma) < 1."""
    evidence = exp3.unbiased_estimate("fast", implicit=0.01)
    first = np.asarray(evidence.measured)[0]  # equal losses so far, p = 1/4
    np.testing.assert_allclose(first, exp3.LOSSES * (1 - 0.25 / 0.26), rtol=1e-9)
