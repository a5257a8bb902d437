"""Ratios of ``engine="cupy"`` to the GPU's rate of matrix products, and of it and ``engine="cuda"`` to the compiled engine.

    python -m pytest benchmarks/test_gpu.py -s -n 0

Skipped where CuPy finds no device. On games the compiled engine uses every core (``PREFSIM_THREADS``, ``OPENBLAS_NUM_THREADS``
and the like limit it, and ``conftest.py`` gives the linear-algebra library one thread); bandits are held against one core.
"""

import time
from functools import partial

import numpy as np
import pytest

import prefsim as ps
from prefsim import registry
from prefsim.bench import timing
from prefsim.bench.games import BETA, STEP, games
from prefsim.engines import cuda as bandits_on_gpu
from prefsim.engines import cupy as engine
from prefsim.engines import numba as bandits_compiled
from prefsim.engines import numba_games as compiled

cupy = pytest.importorskip("cupy")
if not cupy.cuda.is_available():
    pytest.skip("there is no CUDA device", allow_module_level=True)

POLICIES = 256
best_times = partial(timing.best_times, repeats=25, clock=time.perf_counter)


def advance(play_games, payoff, reference, start, iterations):
    """A job of some iterations of mirror prox, over when the device is done."""
    rule = registry.algorithm("solvers", "egpo")
    hypers = [rule.hyper({"step": STEP})] * len(payoff)
    beta = np.full(len(payoff), BETA)
    (made,) = play_games([(rule.module, hypers)], beta, 0.5 + payoff, reference, start, False)
    done = [0]

    def job():
        done[0] += iterations
        made.advance(done[0])
        cupy.cuda.Device().synchronize()

    return job


def device():
    print(f"\n{engine.device()}: mirror prox, ", end="")


@pytest.mark.parametrize(("n", "share"), [(1024, 0.0), (4096, 0.70)])
def test_many_policies_on_one_matrix(n, share):
    payoff, reference, start = games(1, n, POLICIES)
    weights, matrix = cupy.asarray(np.exp(start[0])), cupy.asarray(payoff[0])
    out = cupy.empty_like(weights)

    def products():
        for _ in range(2 * 20):  # two phases an iteration
            cupy.matmul(weights, matrix.T, out=out)
        cupy.cuda.Device().synchronize()

    ours, product = best_times(advance(engine.play_games, payoff, reference, start, 20), products)
    device()
    print(f"{POLICIES} policies, n = {n}: {100 * product / ours:.0f} % of the rate of matrix products, ", end="")
    print(f"{20 * 4 * POLICIES * n * n / product / 1e12:.1f} TFLOP/s")
    assert product / ours >= share


@pytest.mark.parametrize(("count", "n", "runs"), [
    *((1, n, 1) for n in (64, 512, 4096)),
    *((1, n, POLICIES) for n in (16, 64, 256, 1024, 4096)),
    *((1000, n, 1) for n in (10, 100)),
])  # fmt: skip
def test_crossover(count, n, runs):
    """No bar: these numbers say from which size on ``engine="auto"`` should choose the GPU."""
    made = games(count, n, runs)
    many = max(1, min(200, 10**9 // (count * runs * n * n)))
    gpu = advance(engine.play_games, *made, many)
    cpu = advance(compiled.play_games, *made, many)
    ours, theirs = best_times(gpu, cpu, repeats=5)
    device()
    print(f"{count} games, n = {n}, {runs} policies each: {1e6 * ours / many:.0f} us an iteration, ", end="")
    print(f"{theirs / ours:.2f} times as fast as the compiled engine")


def test_ucb1_with_many_runs():
    horizon, runs, few = 1000, 10**6, 10**4
    bandit, entry = ps.bandits.bernoulli([0.9, *np.linspace(0.1, 0.7, 9)]), registry.algorithm("policies", "ucb1")
    truth, record = type(bandit.truth)(*(field[0] for field in bandit.truth)), np.array([0, horizon])
    arguments = entry.hyper({}), truth, bandit.problem(horizon), np.arange(6, dtype=np.uint64), 0

    def job(backend, out):
        play = backend.play_bandit(entry.module, registry.load("bandits", bandit.environment))
        return lambda first, last, halt: play(*arguments, first, last, record, out[first:last], halt)

    away, here = np.zeros((runs, 2, 1)), np.zeros((few, 2, 1))
    on_gpu, on_core = job(bandits_on_gpu, away), job(bandits_compiled, here)
    ours, theirs = best_times(
        lambda: bandits_on_gpu.parallel(on_gpu, runs), lambda: on_core(0, few, np.zeros(1, np.uint8)), repeats=5
    )
    ratio, same = theirs / few * runs / ours, np.isclose(away[:few], here, rtol=1e-12, atol=0).all(axis=(1, 2)).mean()
    print(f"\n{bandits_on_gpu.device()}: UCB1, 10 arms, {runs} runs: {1e9 * ours / runs / horizon:.2f} ns a round, ", end="")
    print(f"{ratio:.0f} times as fast as a core; {100 * same:.2f} % of the runs agree to 1e-12")
    assert ratio >= 50
