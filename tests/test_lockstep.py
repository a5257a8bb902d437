"""Runs side by side are the runs played one by one, bit for bit, however many there are and whoever plays them."""

from math import sqrt
from typing import NamedTuple

import numpy as np
import pytest
from numba import njit
from numba.core.runtime import _nrt_python, rtsys

import prefsim as ps
from prefsim import noise, registry
from prefsim.engines import lockstep, reference, rows, threads
from prefsim.engines import numba as engine
from prefsim.engines.compiler import CompileError, register
from prefsim.engines.lane_type import WIDTH, some, spread
from prefsim.ops import Array, argmax_random, floats, normal, uniform

KEYS = np.array([noise.stream_key(7, "", s) for s in ("environment", "policy", "order")], dtype=np.uint64).ravel()
POLICIES = [p for p in registry.algorithms("policies") if getattr(registry.load("policies", p), "LOCKSTEP", False)]
ENVIRONMENTS = [e for e in registry.keys("bandits") if getattr(registry.load("bandits", e), "LOCKSTEP", False)]
PAIRS = [*((p, "bernoulli") for p in POLICIES), *(("ucb1", e) for e in ENVIRONMENTS if e != "bernoulli")]
PROBLEMS = {
    "bernoulli": [
        ps.bandits.bernoulli([0.9, *np.linspace(0.1, 0.7, 9)]),
        ps.bandits.bernoulli([[0.0, 1.0, 1.0], [0.3, 0.3, 0.6]]),
        ps.bandits.bernoulli([0.5]),
    ]
}

register(lockstep.place_arms)


class Hyper(NamedTuple):
    """None."""


class State(NamedTuple):
    """Of a rule whose arms often tie, in some runs and not in others, and which draws on after the ties."""

    index: Array = floats("arms")
    plays: Array = floats("arms")
    luck: Array = floats(1)


def init(hyper, state, problem):
    pass


def act(hyper, state, problem, t, noise):
    arm = argmax_random(state.index, noise)
    most = argmax_random(state.plays, noise)
    state.luck[-1] = uniform(noise) - 0.1 * normal(noise) + 0.2 * most
    return arm


def learn(hyper, state, problem, t, action, feedback):
    state.plays[action] += 1.0
    place = action - problem.arms * (action > 1)  # some arms from the end, as arrays allow
    # Steps of a tenth or two: indices tie up to rounding, whichever way they came down.
    state.index[place] -= (1.0 * (state.luck[0] < 0.5) + max(feedback, sqrt(1.0 - feedback))) / 10.0


class Torn:
    Hyper, State, FEEDBACK = Hyper, State, "bandit"
    init, act, learn = staticmethod(init), staticmethod(act), staticmethod(learn)


def play(player, policy, problem, runs, horizon, first=0, group=1):
    """Regrets (run, round) of the runs from `first` on, shared out over threads in groups."""
    truth = type(problem.truth)(*(field[0] for field in problem.truth))
    record, out = np.arange(horizon + 1), np.zeros((runs, horizon + 1, 1))

    def work(begin, end, halt):
        player(policy.Hyper(), truth, problem.problem(horizon), KEYS, 3, begin, end, record, out[begin:end], halt)

    if group == 1:
        work(first, runs, np.zeros(1, np.uint8))
    else:
        threads.parallel(work, runs, group=group)
    return out[..., 0]


def test_who_is_played_in_lockstep():
    assert {"ucb1", "moss", "ucb_asymptotic"} <= set(POLICIES) and {"bernoulli", "gaussian"} <= set(ENVIRONMENTS)
    ucb1, bernoulli = registry.load("policies", "ucb1"), registry.load("bandits", "bernoulli")
    assert lockstep.group(ucb1, bernoulli, False, "bandit", lockstep.FEWEST) == WIDTH
    assert lockstep.group(ucb1, bernoulli, False, "bandit", lockstep.FEWEST - 1) == 1
    assert lockstep.group(ucb1, bernoulli, True, "bandit", 100) == 1
    assert lockstep.group(registry.load("policies", "uniform"), bernoulli, False, "duel", 100) == 1
    assert lockstep.group(registry.load("policies", "kl_ucb"), bernoulli, False, "bandit", 100) == 1


@pytest.mark.parametrize(("policy", "environment"), PAIRS)
def test_same_bits_as_the_plain_reading(policy, environment):
    for problem in PROBLEMS.get(environment) or [getattr(ps.bandits, environment)()]:
        settings = {"horizon": 60, "runs": 11, "seed": 3, "record": "all"}
        plain, fast = (ps.run(problem, [policy], engine=e, **settings).regret for e in ("reference", "numba"))
        np.testing.assert_array_equal(fast, plain)


def test_ties_in_some_runs_only():
    """A tie draws one number, so that runs with and without it read on from different draws."""
    problem, environment = ps.bandits.bernoulli([0.2, 0.5, 0.5, 0.6]), registry.load("bandits", "bernoulli")
    expected = play(reference.play_bandit(Torn, environment), Torn, problem, 17, 60)
    np.testing.assert_array_equal(play(engine.play_bandit(Torn, environment, group=WIDTH), Torn, problem, 17, 60), expected)
    assert len(np.unique(expected[:, -1])) > 5


def test_any_number_of_runs_on_any_number_of_threads(monkeypatch):
    policy, problem = registry.load("policies", "ucb1"), PROBLEMS["bernoulli"][0]
    expected = play(reference.play_bandit(policy, registry.load("bandits", "bernoulli")), policy, problem, 17, 60)
    assert len(np.unique(expected, axis=0)) == 17
    player = engine.play_bandit(policy, registry.load("bandits", "bernoulli"), group=WIDTH)
    for count in (1, 2, 3):
        monkeypatch.setenv("PREFSIM_THREADS", str(count))
        for runs in (1, 7, 8, 9, 17):
            np.testing.assert_array_equal(play(player, policy, problem, runs, 60, group=WIDTH), expected[:runs])
    part = play(player, policy, problem, 14, 60, first=3)
    np.testing.assert_array_equal(part[3:], expected[3:14])
    assert not part[:3].any()


def test_memory_is_given_back():
    policy, problem = registry.load("policies", "ucb1"), PROBLEMS["bernoulli"][0]
    player = engine.play_bandit(policy, registry.load("bandits", "bernoulli"), group=WIDTH)
    play(player, policy, problem, 8, 5)
    _nrt_python.memsys_enable_stats()
    try:
        before = rtsys.get_allocation_stats()
        play(player, policy, problem, 80, 5)
        after = rtsys.get_allocation_stats()
    finally:
        _nrt_python.memsys_disable_stats()
    assert after.alloc - before.alloc == after.free - before.free >= 80


def test_no_range_ends_within_a_group(monkeypatch):
    for workers, runs in ((1, 17), (2, 5), (2, 800), (3, 83)):
        monkeypatch.setenv("PREFSIM_THREADS", str(workers))
        ranges = []
        threads.parallel(lambda first, last, halt, ranges=ranges: ranges.append((first, last)), runs, group=8)
        ranges.sort()
        assert [first for first, _ in ranges] == [0, *(last for _, last in ranges[:-1])] and ranges[-1][1] == runs
        assert all(first % 8 == 0 and last > first for first, last in ranges)
        assert len(ranges) == min(-(-runs // 8), threads.PIECES * workers)


def test_a_set_flag_stops_it():
    policy, problem = registry.load("policies", "ucb1"), PROBLEMS["bernoulli"][0]
    player = engine.play_bandit(policy, registry.load("bandits", "bernoulli"), group=WIDTH)
    truth, out = type(problem.truth)(*(field[0] for field in problem.truth)), np.zeros((9, 2, 1))
    stop = np.ones(1, np.uint8)
    player(policy.Hyper(), truth, problem.problem(5), KEYS, 0, 0, 9, np.array([0, 5]), out, stop)
    assert not out.any()


def branching(hyper, state, problem, t, noise):
    return 0 if state.index[0] > state.index[1] else 1


class Branching(Torn):
    act = staticmethod(branching)


def test_a_rule_that_branches_is_told_so():
    player = engine.play_bandit(Branching, registry.load("bandits", "bernoulli"), group=WIDTH)
    with pytest.raises(CompileError, match=r"Branching does not compile\. Leave LOCKSTEP = True out unless"):
        play(player, Branching, ps.bandits.bernoulli([0.2, 0.5]), 8, 5)


@njit
def placed(action):
    order = rows.zeros(3, np.int64)
    for i in range(3):
        order[i] = 7 + i
    return some(lockstep.place_arms(order, spread(action)) != 7 + action)


def test_arms_that_do_not_exist_are_refused():
    assert not placed(0) and not placed(2)
    for action in (-1, 3):
        with pytest.raises(IndexError, match="an arm that does not exist"):
            placed(action)
