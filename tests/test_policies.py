"""What every bandit policy must do: agree across engines, treat arms alike, learn, and depend on its own run only."""

import numpy as np
import pytest
from scipy import stats

import prefsim as ps
from prefsim import noise, registry
from prefsim.bandit import Problem
from prefsim.bandits.bernoulli import Truth
from prefsim.engines import reference

NO_WINNER = [
    [0.5, 0.7, 0.7, 0.2, 0.9],
    [0.3, 0.5, 0.8, 0.6, 0.8],
    [0.3, 0.2, 0.5, 0.7, 0.6],
    [0.8, 0.4, 0.3, 0.5, 0.6],
    [0.1, 0.2, 0.4, 0.4, 0.5],
]
"""Copeland scores 3, 3, 2, 2, 0 out of 4."""

PROBLEMS = {
    "bandit": {
        "ten arms": ps.bandits.bernoulli([0.9, *np.linspace(0.1, 0.7, 9)]),
        "ties and certainty": ps.bandits.bernoulli([[0.0, 1.0, 1.0], [0.3, 0.3, 0.6]]),
        "one arm": ps.bandits.bernoulli([0.5]),
    },
    "duel": {
        "winner": ps.bandits.arithmetic8(),
        "no winner": ps.bandits.dueling(NO_WINNER),
        "all tied": ps.bandits.dueling(np.full((3, 3), 0.5)),
        "certainty": ps.bandits.dueling([[0.5, 1.0], [0.0, 0.5]]),
    },
}


def feedbacks(policy):
    accepted = registry.algorithm("policies", policy).module.FEEDBACK
    return (accepted,) if isinstance(accepted, str) else accepted


POLICIES = sorted(registry.algorithms("policies"))
CASES = [(p, kind, name) for p in POLICIES for kind in feedbacks(p) for name in PROBLEMS.get(kind, {})]
LEARNABLE = [(p, k, n) for p, k, n in CASES if n in ("ten arms", "winner", "no winner")]


def final(problem, policy, **settings):
    return ps.run(problem, [policy], **settings).regret.values[0, 0, :, -1]


@pytest.mark.parametrize(("policy", "kind", "name"), CASES)
def test_engines_agree(policy, kind, name):
    settings = {"horizon": 120, "runs": 2, "seed": 3, "record": "all"}
    plain, fast = (ps.run(PROBLEMS[kind][name], [policy], engine=e, **settings) for e in ("reference", "numba"))
    np.testing.assert_array_equal(plain.regret, fast.regret)
    assert np.isfinite(fast.regret).all()


@pytest.mark.parametrize(("policy", "kind", "name"), LEARNABLE)
def test_numbering_of_the_arms_does_not_matter(policy, kind, name):
    problem = PROBLEMS[kind][name]
    order = np.roll(np.arange(problem.arms)[::-1], 2)
    if kind == "bandit":
        other = ps.bandits.bernoulli(problem.truth.means[0][order])
    else:
        other = ps.bandits.dueling(problem.truth.preference[0][np.ix_(order, order)])
    samples = [final(p, policy, horizon=300, runs=400, seed=s) for s, p in enumerate((problem, other))]
    assert stats.ks_2samp(*samples).pvalue > 1e-3


class First:
    """Plays the arm presented as number 0 and keeps the random numbers it saw."""

    State = type("State", (tuple,), {"__new__": lambda cls: tuple.__new__(cls), "_field_defaults": {}})

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


@pytest.mark.parametrize(("policy", "kind", "name"), [c for c in LEARNABLE if c[0] != "uniform"])
def test_beats_uniform_play(policy, kind, name):
    problem, horizon = PROBLEMS[kind][name], 3000
    regret = final(problem, policy, horizon=horizon, runs=40)
    assert regret.mean() + 5 * regret.std() / np.sqrt(40) < 0.8 * horizon * problem.truth.gap.mean()


@pytest.mark.parametrize(("policy", "kind", "name"), [c for c in CASES if c[2] in ("ties and certainty", "no winner")])
def test_numbers_depend_on_nothing_but_their_run(policy, kind, name, monkeypatch):
    problem = PROBLEMS[kind][name]
    settings = {"horizon": 400, "seed": 11, "record": [100, 200, 400]}
    monkeypatch.setenv("PREFSIM_THREADS", "2")
    whole = ps.run(problem, [policy], runs=8, **settings).regret
    monkeypatch.setenv("PREFSIM_THREADS", "1")
    np.testing.assert_array_equal(whole, ps.run(problem, [policy], runs=8, **settings).regret)
    everyone = [p for p in POLICIES if kind in feedbacks(p)]
    for algorithms in (everyone, everyone[::-1]):
        few = ps.run(problem, algorithms, runs=3, **settings).regret
        np.testing.assert_array_equal(whole.isel(run=range(3))[0], few.sel(algorithm=policy))
    if problem.instances > 1:
        alone = ps.run(ps.bandits.bernoulli(problem.truth.means[0]), [policy], runs=8, **settings).regret
        np.testing.assert_array_equal(whole.isel(instance=[0]), alone)
    if getattr(registry.algorithm("policies", policy).module, "ANYTIME", True):
        short = ps.run(problem, [policy], runs=8, horizon=200, seed=11, record=[100]).regret
        np.testing.assert_array_equal(whole.sel(t=[100, 200]), short.sel(t=[100, 200]))
