"""Ratios of the bandit engine to hand-fused kernels, and of a whole ``ps.run`` call to its kernel, in one process.

    python -m pytest benchmarks -s -n 0

One thread, best of several alternating repetitions; only ratios are asserted, never seconds.
"""

import time

import hand_fused
import hand_fused_double_thompson
import hand_fused_duels
import numpy as np
import pytest

import prefsim as ps
from prefsim import noise, registry
from prefsim.engines import numba as engine

ARMS, RUNS, HORIZON, REPEATS = 10, 200, 10_000, 7
FEW = 20
"""Runs of policies whose rounds take long enough to be timed on fewer."""
MEANS = np.array([0.5] + [0.4] * (ARMS - 1))
PREFERENCE = np.array([[0.5 + 0.03 * (j - i) for j in range(ARMS)] for i in range(ARMS)])
KEYS = np.array([noise.stream_key(0, "", s) for s in ("environment", "policy", "order")], dtype=np.uint64).ravel()

SHAPES = ((10, 5), (50, 5), (10, 10), (50, 10))
"""Arms and dimensions of linear bandits."""


def linear(arms, dimension):
    """Arms and parameter on the unit sphere."""
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(arms + 1, dimension))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return ps.bandits.linear(vectors[1:], vectors[0])


HAND_FUSED = {**vars(hand_fused), **vars(hand_fused_duels), **vars(hand_fused_double_thompson)}
DUELS = ("rucb", "double_thompson", "rmed1", "copeland_confidence_bound")
BARS = {"ucb1": 1.2, "rucb": 1.3, "double_thompson": 1.3}
"""Largest ratio allowed where it is not 1.5."""


def problem(policy):
    return ps.bandits.dueling(PREFERENCE) if policy in DUELS else ps.bandits.bernoulli(MEANS)


def best_times(*jobs, clock=time.process_time):
    """Smallest CPU time of each job, the jobs alternating so that a busy moment of the machine hits all."""
    for job in jobs:
        job()
    times = np.empty((REPEATS, len(jobs)))
    for row in times:
        for k, job in enumerate(jobs):
            begun = clock()
            job()
            row[k] = clock() - begun
    return times.min(axis=0)


def jobs(policy, bandit, runs=RUNS):
    """The engine's kernel and the hand-fused one, each returning final regrets."""
    truth = type(bandit.truth)(*(field[0] for field in bandit.truth))
    entry = registry.algorithm("policies", policy)
    play = engine.play_bandit(entry.module, registry.load("bandits", bandit.environment))
    record = np.array([0, HORIZON])
    out = np.zeros((runs, 2, 3))
    final = np.zeros(runs)
    arguments = (truth.preference, truth.gap) if policy in DUELS else (truth.means,)
    if policy == "linucb":
        arguments = (truth.features, truth.means, truth.deviation[0], bandit.known["norm"])

    def engine_kernel():
        play(entry.hyper({}), truth, bandit.problem(HORIZON), KEYS, 0, 0, runs, record, out, np.zeros(1, np.uint8))
        return out[:, 1, 0]

    def hand_kernel():
        HAND_FUSED[policy](*arguments, HORIZON, KEYS, 0, runs, final)
        return final

    return engine_kernel, hand_kernel


@pytest.mark.parametrize("policy", ["ucb1", "moss", "kl_ucb", "thompson", "exp3", *DUELS])
def test_kernel_within_bar(policy):
    compare(policy, problem(policy), RUNS if policy in ("ucb1", "moss", "exp3", "rucb") else FEW)


@pytest.mark.parametrize(("arms", "dimension"), SHAPES)
def test_linear_kernel_within_bar(arms, dimension):
    compare("linucb", linear(arms, dimension), FEW)


def compare(policy, bandit, runs):
    """Equal regrets, and a time within the bar."""
    engine_kernel, hand_kernel = jobs(policy, bandit, runs)
    np.testing.assert_allclose(engine_kernel(), hand_kernel(), rtol=1e-12)
    ours, hand = best_times(engine_kernel, hand_kernel)
    nanoseconds = 1e9 / (runs * HORIZON)
    print(f"\n{policy}, {bandit.arms} arms: engine {ours * nanoseconds:.1f} ns a round, ", end="")
    print(f"hand-fused {hand * nanoseconds:.1f} ns, ratio {ours / hand:.2f}")
    assert ours / hand <= BARS.get(policy, 1.5)


def test_double_thompson_saves_draws():
    """Against a kernel that draws every pair, as the algorithm is printed (bar 2)."""
    bandit = problem("double_thompson")
    engine_kernel, _ = jobs("double_thompson", bandit, FEW)
    truth, printed = bandit.truth, np.zeros(FEW)

    def every_pair():
        HAND_FUSED["double_thompson_every_pair"](truth.preference[0], truth.gap[0], HORIZON, KEYS, 0, FEW, printed)

    ours, theirs = best_times(engine_kernel, every_pair)
    print(f"\ndouble_thompson: {theirs / ours:.1f}x as fast as with every pair drawn")
    error = np.hypot(printed.std(ddof=1), engine_kernel().std(ddof=1)) / np.sqrt(FEW)
    assert abs(printed.mean() - engine_kernel().mean()) < 4 * error
    assert theirs / ours >= 2.0


@pytest.mark.parametrize("policy", ["ucb1", "exp3", "rucb"])
def test_run_adds_little_to_its_kernel(policy, monkeypatch):
    monkeypatch.setenv("PREFSIM_THREADS", "1")
    bandit = problem(policy)
    engine_kernel, _ = jobs(policy, bandit)
    kernel, whole = best_times(engine_kernel, lambda: ps.run(bandit, [policy], horizon=HORIZON, runs=RUNS))
    print(f"\n{policy}: kernel {kernel:.3f} s, ps.run {whole:.3f} s, ratio {whole / kernel:.3f}")
    assert whole / kernel <= 1.15


def test_two_threads(monkeypatch):
    """Two threads against one on independent runs (bar 1.8)."""
    bandit = problem("ucb1")

    def with_threads(count):
        def job():
            monkeypatch.setenv("PREFSIM_THREADS", str(count))
            ps.run(bandit, ["ucb1"], horizon=HORIZON, runs=RUNS)

        return job

    one, two = best_times(with_threads(1), with_threads(2), clock=time.perf_counter)
    print(f"\nucb1: two threads {one / two:.2f}x as fast as one")
    assert one / two >= 1.0
