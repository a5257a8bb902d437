"""Full information and chosen entries: policies see what they may, within the budget, alike on both engines."""

import numpy as np
import pytest

import prefsim as ps
from prefsim import registry

ENVIRONMENT = '''
"""Rewards that are all drawn in every round; which of them are shown is the problem's affair. Source: definition."""

from typing import NamedTuple

import numpy as np

from prefsim.bandit import Bandit
from prefsim.ops import Array, floats, uniform

FEEDBACK = ("bandit", "full", "entries")
REWARDS = "bernoulli"
METRICS = ("regret", "left")


class Truth(NamedTuple):
    """Parameters."""

    means: Array
    gap: Array
    entries: Array
    free: Array


class State(NamedTuple):
    """The round's rewards, and what may still be asked for."""

    rewards: Array = floats("arms")
    budget: Array = floats(1)
    free: Array = floats(1)
    seen: Array = floats(1)


def shown(entries: float = 30.0, free: float = 0.0, kinds: str = "") -> Bandit:
    """Build the environment."""
    means = np.array([[0.2, 0.5, 0.8]])
    truth = Truth(means, 0.8 - means, np.array([[entries]]), np.array([[free]]))
    return Bandit("shown", truth, 3, normalisation="pseudo", feedback=[kinds] if kinds else None)


def start(truth, world, problem, noise):
    """Fill the budget."""
    world.budget[0] = truth.entries[0]
    world.free[0] = truth.free[0]


def feedback(truth, world, action, t, noise):
    """Draw all rewards; the played one is the signal."""
    for a in range(len(truth.means)):
        world.rewards[a] = 1.0 if uniform(noise) < truth.means[a] else 0.0
    return world.rewards[action]


def regrets(truth, world, action, t, signal):
    """Gap, and entries spent in this round so far as the budget tells."""
    spent = truth.entries[0] - world.budget[0] - world.seen[0]
    world.seen[0] += spent
    return truth.gap[action], spent
'''

POLICY = '''
"""Follow the leader on whatever is seen. Source: definition."""

from typing import NamedTuple

from prefsim.ops import Array, argmax_random, floats

FEEDBACK = KINDS


class Hyper(NamedTuple):
    """None."""


class State(NamedTuple):
    """Sums and counts."""

    total: Array = floats("arms")
    count: Array = floats("arms")


def init(hyper, state, problem):
    """No data."""


def act(hyper, state, problem, t, noise):
    """The best mean; unseen arms first."""
    for i in range(problem.arms):
        if state.count[i] == 0.0:
            return i
    best = 0
    for i in range(problem.arms):
        if state.total[i] / state.count[i] > state.total[best] / state.count[best]:
            best = i
    return best


def ask(hyper, state, problem, t, action, noise, wanted):
    """Two arms: the played one and its neighbour."""
    wanted[action] = 1.0
    wanted[(action + 1) % problem.arms] = 1.0


def learn(hyper, state, problem, t, action, feedback):
    """Count what was seen."""
    for i in range(problem.arms):
        if feedback[i] == feedback[i]:
            state.total[i] += feedback[i]
            state.count[i] += 1.0
'''


@pytest.fixture
def dropped(tmp_path, monkeypatch):
    for kind, name, text in (
        ("bandits", "shown", ENVIRONMENT),
        ("policies", "leader_full", POLICY.replace("KINDS", '"full"')),
        ("policies", "leader_entries", POLICY.replace("KINDS", '"entries"')),
    ):
        (tmp_path / kind).mkdir(exist_ok=True)
        (tmp_path / kind / f"{name}.py").write_text(text)
    monkeypatch.setenv("PREFSIM_PATH", str(tmp_path))
    registry._forget()
    yield
    monkeypatch.delenv("PREFSIM_PATH")
    registry._forget()


def test_what_is_seen_is_what_was_asked_for_and_paid(dropped):
    settings = {"horizon": 60, "runs": 6, "metrics": ["regret", "left"], "record": "all"}
    for entries, free, spent in ((30.0, 0.0, 30.0), (30.0, 1.0, 30.0), (1000.0, 0.0, 120.0), (1000.0, 1.0, 60.0)):
        game = ps.bandits.shown(entries, free)
        plain, fast = (ps.run(game, ["leader_entries", "ucb1"], engine=e, **settings) for e in ("reference", "numba"))
        np.testing.assert_array_equal(plain.regret, fast.regret)
        np.testing.assert_array_equal(plain.left, fast.left)
        assert (fast.left.values[0, ..., -1] == spent).all()  # two entries a round, or one where the played one is free
        assert (fast.left.values[1] == 0).all()  # UCB1 plays on the reward of its arm alone


def test_full_information_finds_the_best_arm_at_once(dropped):
    plain, fast = (
        ps.run("shown", ["leader_full", "ucb1"], horizon=300, runs=20, engine=e).regret for e in ("reference", "numba")
    )
    np.testing.assert_array_equal(plain, fast)
    leader, ucb1 = fast.values[:, 0, :, -1].mean(axis=-1)
    assert leader < ucb1 / 3


def test_feedback_that_is_not_given_is_refused(dropped):
    with pytest.raises(ValueError, match=r"leader_full learns from full feedback, but .* gives entries"):
        ps.run(ps.bandits.shown(kinds="entries"), ["leader_full"], horizon=5)
