"""``engine="cuda"`` in the CUDA simulator, against the reference; and, where a compiler for devices is at hand, compiled.

The simulator must be chosen before ``numba.cuda`` is imported, so this file also runs as a script: it plays every policy
and writes what came out.
"""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from arenas import PROBLEMS, kinds
from typer.testing import CliRunner

import prefsim as ps
from prefsim import cli, noise, registry
from prefsim.engines import cuda as engine
from prefsim.engines import numba as compiled
from prefsim.engines.bandit_loop import COUNTED

# Two launches, and blocks of two threads, one of which has no run.
SETTINGS = {"horizon": 30, "runs": 4, "seed": 3, "record": [0, 1, 2, 17, 30]}
LAUNCH, BLOCK = 3, 2


def cases():
    """Every policy on a problem of each kind it plays; every problem at least once."""
    left = {kind: list(problems.values()) for kind, problems in PROBLEMS.items()}
    for policy in registry.algorithms("policies"):
        for kind in kinds(policy):
            yield f"{policy}, {kind}", policy, left[kind].pop() if len(left[kind]) > 1 else left[kind][0]


def played(policy, problem, name):
    """All metrics of a run, by name."""
    environment = registry.load("bandits", problem.environment)
    metrics = [*environment.METRICS, *getattr(environment, "TALLIES", ()), *COUNTED]
    data = ps.run(problem, [policy], engine=name, metrics=metrics, **SETTINGS)
    return {metric: data[metric].values for metric in metrics}


def main(path):
    """Play every case on the simulated device."""
    engine.RUNS, engine.THREADS = LAUNCH, BLOCK
    numbers = {f"{case}|{m}": v for case, *what in cases() for m, v in played(*what, "cuda").items()}
    np.savez(path, **numbers)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    path = tmp_path_factory.mktemp("cuda") / "played.npz"
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1"}
    done = subprocess.run([sys.executable, __file__, str(path)], env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    with np.load(path) as numbers:
        return dict(numbers)


def test_every_policy_as_the_reference_has_it(simulated):
    several = set()
    for case, policy, problem in cases():
        several.add(problem.instances)
        for metric, values in played(policy, problem, "reference").items():
            np.testing.assert_allclose(simulated[f"{case}|{metric}"], values, rtol=1e-12, err_msg=f"{case}, {metric}")
    assert max(several) > 1


if __name__ == "__main__":
    main(sys.argv[1])
