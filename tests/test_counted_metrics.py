"""Switches, simple regret and identification error, against the plays that the regret of every round gives away."""

import numpy as np
import pytest

import prefsim as ps
from prefsim.engines.bandit_loop import COUNTED

MEANS = np.array([0.7, 0.65, 0.4, 0.2])
GAPS = 0.7 - MEANS


@pytest.mark.parametrize("engine", ["reference", "numba"])
@pytest.mark.parametrize("policy", ["ucb1", "uniform", "exp3"])
def test_counts_of_single_arms(policy, engine):
    settings = {"horizon": 150, "runs": 4, "record": "all", "engine": engine}
    data = ps.run(ps.bandits.bernoulli(MEANS), [policy], metrics=["regret", *COUNTED], **settings)
    steps = np.diff(data["regret"].values[0, 0], axis=-1)
    arms = np.abs(steps[..., None] - GAPS).argmin(axis=-1)  # every arm has a gap of its own
    switches = np.concatenate([np.zeros((4, 1)), (np.diff(arms, axis=-1) != 0).cumsum(axis=-1)], axis=-1)
    np.testing.assert_array_equal(data["switches"].values[0, 0, :, 1:], switches)
    plays = (arms[..., None] == np.arange(4)).cumsum(axis=1)
    sure = (plays == plays.max(axis=-1, keepdims=True)).sum(axis=-1) == 1
    gap = GAPS[plays.argmax(axis=-1)]
    np.testing.assert_allclose(data["simple_regret"].values[0, 0, :, 1:][sure], gap[sure], atol=1e-15)
    np.testing.assert_array_equal(data["identification_error"].values[0, 0, :, 1:][sure], gap[sure] > 0)
    assert 0 < (gap[sure] > 0).mean() < 1 and switches.max() > 10


def test_asking_for_counts_changes_nothing_else():
    problem, settings = ps.bandits.bernoulli(MEANS), {"horizon": 300, "runs": 5}
    plain = ps.run(problem, ["ucb1", "thompson"], **settings)
    counted = ps.run(problem, ["ucb1", "thompson"], metrics=["regret", *COUNTED], **settings)
    np.testing.assert_array_equal(plain["regret"], counted["regret"])


@pytest.mark.parametrize("engine", ["reference", "numba"])
def test_a_duel_plays_two_arms(engine):
    """Of two arms with gaps 0 and .4 a round costs 0, .2 or .4: the tallies must add the same plays up."""
    problem = ps.bandits.dueling([[0.5, 0.9], [0.1, 0.5]])
    metrics = ["regret", "condorcet_regret", "borda_regret", "copeland_regret", *COUNTED]
    data = ps.run(problem, ["uniform"], horizon=200, runs=3, metrics=metrics, record="all", engine=engine)
    regret = data["regret"].values
    np.testing.assert_allclose(data["condorcet_regret"], regret, atol=1e-12)
    np.testing.assert_allclose(data["borda_regret"], 2 * regret, atol=1e-12)  # Borda scores .9 and .1
    np.testing.assert_allclose(data["copeland_regret"], regret / 0.4, atol=1e-12)  # Copeland scores 1 and 0
    moved = (np.diff(np.diff(regret[0, 0], axis=-1), axis=-1).round(9) != 0).sum(axis=-1)
    assert (data["switches"].values[0, 0, :, -1] >= moved).all()  # (0, 1) and (1, 0) cost the same


def test_the_recommended_arm_is_judged():
    """An eliminator recommends what it has left, not what it played most."""
    problem = ps.bandits.bernoulli([0.9, 0.1])
    data = ps.run(problem, ["successive_elimination", "uniform"], horizon=5000, runs=20, metrics=["simple_regret"])
    assert (data["simple_regret"].values[0, ..., -1] == 0).all()
    assert 0 < (data["simple_regret"].values[1, ..., -1] > 0).mean() < 1
