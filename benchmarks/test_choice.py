"""What ``engine="auto"`` weighs, measured again: the constants of ``prefsim/engines/choice.py`` on this machine.

    python -m pytest benchmarks/test_choice.py -s -n 0               # a minute
"""

import itertools
import os
import subprocess
import sys
import time

import numpy as np

import prefsim as ps
from prefsim import registry
from prefsim.engines import choice

LOADED = """
import time, prefsim as ps
problem = ps.bandits.bernoulli([0.2, 0.5])
ps.run(problem, ["ucb1"], horizon=5, engine="reference")
begun = time.process_time()
ps.run(problem, ["ucb1"], horizon=5, engine="numba")
print(time.process_time() - begun)
"""


def loading(cache):
    """CPU seconds until a fresh process has run a policy in the compiled engine."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED], env={**os.environ, "PREFSIM_CACHE": str(cache)}, capture_output=True, check=True
    )
    return float(done.stdout)


def test_loading_the_compiled_engine(tmp_path):
    cold = loading(tmp_path)
    warm = min(loading(tmp_path) for _ in range(5))
    print(f"\nloading the compiled engine: {warm:.2f} s, constant {choice.LOADING}; with a runner to compile {cold:.1f} s")
    assert choice.LOADING / 3 < warm < choice.LOADING * 3 and cold > warm + 1


def test_rounds_of_the_reference_engine():
    """The slowest of the policies that play a problem without arguments takes about the constant."""
    costs = {}
    problems = ps.bandits.bernoulli([0.5] + [0.4] * 9), ps.bandits.arxiv_six_rankers()
    for key, problem in itertools.product(registry.algorithms("policies"), problems):
        try:
            times = np.full((3, 2), np.inf)
            for row in times:
                for k, rounds in enumerate((100, 300)):
                    begun = time.process_time()
                    ps.run(problem, [key], horizon=rounds, record=[rounds], engine="reference")
                    row[k] = time.process_time() - begun
            costs[key] = float(np.diff(times.min(axis=0))[0]) / 200
        except ValueError:  # it needs another problem
            continue
    ordered = sorted(costs, key=costs.get)
    print(f"\na round of the reference engine: {1e6 * np.median(list(costs.values())):.0f} us at the median, from ", end="")
    print(f"{1e6 * costs[ordered[0]]:.0f} ({ordered[0]}) to {1e6 * costs[ordered[-1]]:.0f} ({ordered[-1]})")
    assert len(costs) > 20 and choice.ROUND / 4 < costs[ordered[-1]] < 4 * choice.ROUND
