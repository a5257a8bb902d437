"""What every bandit policy must do: agree across engines, treat arms alike, learn, and depend on its own run only."""

from typing import NamedTuple

import numpy as np
import pytest
from arenas import LEARNABLE, PATIENCE, PROBLEMS, UNPROMISED, UNTAUGHT, kinds, renumbered
from scipy import stats

import prefsim as ps
from prefsim import noise, registry
from prefsim.bandit import Bandit, Problem
from prefsim.bandits.bernoulli import Truth
from prefsim.engines import reference

POLICIES = sorted(registry.algorithms("policies"))
CASES = [(p, kind, name) for p in POLICIES for kind in kinds(p) for name in PROBLEMS[kind]]
TAUGHT = [(p, k, n) for p, k, n in CASES if n in LEARNABLE]
NUMBERED = [c for c in TAUGHT if renumbered(PROBLEMS[c[1]][c[2]], np.arange(PROBLEMS[c[1]][c[2]].arms)) is not None]
PROMISED = [(p, k, n) for p, k, n in TAUGHT if p not in UNTAUGHT and (p, n) not in UNPROMISED]


def final(problem, policy, **settings):
    return ps.run(problem, [policy], **settings).regret.values[0, 0, :, -1]


@pytest.mark.parametrize(("policy", "kind", "name"), CASES)
def test_engines_agree(policy, kind, name):
    settings = {"horizon": 120, "runs": 2, "seed": 3, "record": "all"}
    plain, fast = (ps.run(PROBLEMS[kind][name], [policy], engine=e, **settings) for e in ("reference", "numba"))
    np.testing.assert_array_equal(plain.regret, fast.regret)
    assert np.isfinite(fast.regret).all()


@pytest.mark.parametrize(("policy", "kind", "name"), NUMBERED)
def test_numbering_of_the_arms_does_not_matter(policy, kind, name):
    problem = PROBLEMS[kind][name]
    other = renumbered(problem, np.roll(np.arange(problem.arms)[::-1], 2))
    samples = [final(p, policy, horizon=300, runs=400, seed=s) for s, p in enumerate((problem, other))]
    assert stats.ks_2samp(*samples).pvalue > 1e-3


class First:
    """Plays the arm presented as number 0 and keeps the random numbers it saw."""

    class State(NamedTuple):
        """Nothing."""

    def __init__(self):
        self.seen = []

    def init(self, hyper, state, problem):
        pass

    def act(self, hyper, state, problem, t, handle):
        self.seen.append(noise.uniform(handle))
        return 0

    def learn(self, hyper, state, problem, t, action, feedback):
        pass


def play_first(arms, horizon, runs, keys):
    """Arms played in the last round of every run, and the numbers seen."""
    policy, out, gap = First(), np.zeros((runs, 3, 1)), np.arange(float(arms))
    play = reference.play_bandit(policy, registry.load("bandits", "bernoulli"))
    record = np.array([0, horizon - 1, horizon])
    play(None, Truth(gap / 9, gap), Problem(arms, horizon), keys, 2, 0, runs, record, out, np.zeros(1, np.uint8))
    return (out[:, 2] - out[:, 1]).ravel().astype(int), policy.seen


def test_arms_are_presented_in_uniform_order():
    arms, _ = play_first(4, 2, 600, np.arange(6, dtype=np.uint64))
    assert stats.chisquare(np.bincount(arms, minlength=4)).pvalue > 1e-4


def test_every_round_reads_its_own_numbers():
    key = noise.stream_key(5, "", "policy")
    _, seen = play_first(2, 6, 3, np.array([1, 2, *key, 3, 4], dtype=np.uint64))
    expected = noise.uniforms(key, 2, np.arange(3)[:, None], np.arange(1, 7), 1)
    np.testing.assert_array_equal(np.reshape(seen, (3, 6)), expected[..., 0])


@pytest.mark.parametrize(("policy", "kind", "name"), PROMISED)
def test_beats_uniform_play(policy, kind, name):
    problem, horizon = PROBLEMS[kind][name], PATIENCE.get(policy, 3000)
    regret = final(problem, policy, horizon=horizon, runs=40)
    blind = final(problem, "uniform", horizon=horizon, runs=40)
    assert regret.mean() + 5 * (regret.std() + blind.std()) / np.sqrt(40) < 0.8 * blind.mean()


SPLIT = ("ties and certainty", "no winner", "same arm twice", "contexts", "twins", "fresh pairs", "two memories",
         "gaps in the memory", "two crowds")


@pytest.mark.parametrize(("policy", "kind", "name"), [c for c in CASES if c[2] in SPLIT])
def test_numbers_depend_on_nothing_but_their_run(policy, kind, name, monkeypatch):
    problem = PROBLEMS[kind][name]
    settings = {"horizon": 400, "seed": 11, "record": [100, 200, 400]}
    monkeypatch.setenv("PREFSIM_THREADS", "2")
    whole = ps.run(problem, [policy], runs=8, **settings).regret
    monkeypatch.setenv("PREFSIM_THREADS", "1")
    np.testing.assert_array_equal(whole, ps.run(problem, [policy], runs=8, **settings).regret)
    everyone = [p for p in POLICIES if kind in kinds(p)]
    for algorithms in (everyone, everyone[::-1]):
        few = ps.run(problem, algorithms, runs=3, **settings).regret
        np.testing.assert_array_equal(whole.isel(run=range(3))[0], few.sel(algorithm=policy))
    if problem.instances > 1:
        first = Bandit(problem.environment, type(problem.truth)(*(field[:1] for field in problem.truth)), problem.arms,
                       normalisation=problem.normalisation, hints=problem.hints, **problem.known)
        alone = ps.run(first, [policy], runs=8, **settings).regret
        np.testing.assert_array_equal(whole.isel(instance=[0]), alone)
    if getattr(registry.algorithm("policies", policy).module, "ANYTIME", True):
        short = ps.run(problem, [policy], runs=8, horizon=200, seed=11, record=[100]).regret
        np.testing.assert_array_equal(whole.sel(t=[100, 200]), short.sel(t=[100, 200]))
