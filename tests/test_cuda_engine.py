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
from prefsim import cli, registry
from prefsim.engines import cuda as engine
from prefsim.engines.bandit_loop import COUNTED
from prefsim.play_bandits import _agreed

SETTINGS = {"horizon": 20, "runs": 6, "seed": 3, "record": [0, 1, 2, 11, 20]}
PIECE, LAUNCH, BLOCK = 5, 3, 2
"""Pieces of five runs and one; launches of three, two and one; blocks of two threads, one of which may have no run."""
RUNNER = engine._runner


def cases():
    """Every policy on a problem of each kind it plays, the problems of a kind in turn."""
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
    engine.RUNS, engine.THREADS, engine._launch = PIECE, BLOCK, lambda cuda, size, runs: min(runs, LAUNCH)
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


class Away(np.ndarray):
    """An array that passes for one on a device."""

    def copy_to_host(self, ary=None):
        """Bring it back."""
        if ary is None:
            return np.array(self)
        ary[...] = self
        return None


@pytest.fixture
def launches(monkeypatch):
    """Stand-ins for a device and for the kernels, which do nothing; a list of each launch's grid and arguments."""
    seen = []

    class Kernel:
        def __getitem__(self, grid):
            return lambda *arguments: seen.append((grid, arguments))

    context = SimpleNamespace(get_memory_info=lambda: SimpleNamespace(free=1 << 30))
    device = SimpleNamespace(
        to_device=lambda array: array.copy().view(Away), device_array=np.zeros, current_context=lambda: context
    )
    monkeypatch.setattr(engine, "library", lambda: device)
    monkeypatch.setattr(engine, "_runner", lambda *rule: Kernel())
    return seen


def start(policy, problem, runs=5):
    """Launch a policy on the stand-in."""
    entry, environment = registry.algorithm("policies", policy), registry.load("bandits", problem.environment)
    kind = _agreed(policy, entry.module, problem, environment)
    truth = type(problem.truth)(*(field[0] for field in problem.truth))
    out = np.zeros((runs, 3, len(environment.METRICS) + len(getattr(environment, "TALLIES", ())) + len(COUNTED)))
    play = engine.play_bandit(entry.module, environment, True, kind)
    with pytest.raises(RuntimeError, match=f"a run of .*{policy} stopped on the device"):
        keys, record, halt = np.arange(6, dtype=np.uint64), np.array([0, 5, 9]), np.zeros(1, np.uint8)
        play(entry.hyper({}), truth, problem.problem(9), keys, 0, 0, runs, record, out, halt)
    return entry.module, environment, kind


def test_a_run_that_stops_on_the_device_is_reported(launches):
    start("ucb1", PROBLEMS["bandit"]["ten arms"])
    ((grid, _),) = launches
    assert grid == (1, 5)


def test_a_launch_takes_what_fits_into_memory():
    def device(free):
        return SimpleNamespace(current_context=lambda: SimpleNamespace(get_memory_info=lambda: SimpleNamespace(free=free)))

    assert engine._launch(device(1001), 100, 50) == 5 and engine._launch(device(1001), 100, 3) == 3
    assert engine._launch(device(float("inf")), 100, 10**7) == engine.RUNS
    with pytest.raises(ValueError, match="a run takes 600 bytes, more than the device has free"):
        engine._launch(device(1001), 600, 50)


def test_what_the_engine_does_not_play_is_refused(monkeypatch):
    with pytest.raises(ValueError, match='plays bandits only; preference games run on a GPU with engine="cupy"'):
        ps.run(ps.games.rock_paper_scissors(), ["omd"], horizon=5, engine="cuda")
    monkeypatch.setattr(registry.algorithm("policies", "ucb1").module, "ALLOCATES", True, raising=False)
    with pytest.raises(ValueError, match="ucb1 makes arrays as it goes"):
        ps.run(PROBLEMS["bandit"]["ten arms"], ["ucb1"], horizon=5, engine="cuda")


def test_without_numba_cuda_or_a_device_a_sentence_says_what_to_do(monkeypatch):
    pytest.importorskip("numba.cuda")
    monkeypatch.setattr("numba.cuda.is_available", lambda: False)
    for found, sentence in ((None, r'needs numba-cuda; pip install "prefsim\[gpu\]"'), (True, "found no CUDA device")):
        monkeypatch.setattr(engine, "find_spec", lambda name, found=found: found)
        with pytest.raises(ValueError, match=sentence):
            ps.run(PROBLEMS["bandit"]["ten arms"], ["ucb1"], horizon=5, engine="cuda")
    done = CliRunner().invoke(cli.app, ["run", "arithmetic8", "rucb", "--horizon", "5", "--engine", "cuda"])
    assert done.exit_code == 2 and "found no CUDA device" in done.output


@pytest.mark.slow
@pytest.mark.parametrize(("policy", "problem"), [pytest.param(*case, id=name) for name, *case in cases()])
def test_every_policy_compiles_for_a_device(policy, problem, launches, monkeypatch):
    """To the assembly of devices of compute capability 8.0; that takes no device, but numba-cuda and its compiler."""
    pytest.importorskip("numba_cuda", reason="numba-cuda is not installed")
    from numba import cuda, typeof
    from numba.cuda.cudadrv import nvvm

    if not nvvm.is_available():
        pytest.skip("numba-cuda finds no NVVM to compile with")
    monkeypatch.setattr("numba.cuda.dispatcher.get_current_device", lambda: SimpleNamespace(compute_capability=(8, 0)))
    rule = start(policy, problem)
    engine._prefer_fields()
    ((_, arguments),) = launches
    types = tuple(typeof(np.asarray(a) if isinstance(a, np.ndarray) else a) for a in arguments)
    kernel = RUNNER(rule[0], rule[1], True, rule[2])
    text, _ = cuda.compile_ptx(kernel.py_func, types, cc=(8, 0))
    assert ".entry" in text


@pytest.mark.slow
@pytest.mark.parametrize(("policy", "problem"), [pytest.param(*case, id=name) for name, *case in cases()])
def test_every_policy_on_a_device(policy, problem):
    pytest.importorskip("numba_cuda", reason="numba-cuda is not installed")
    from numba import cuda

    if not cuda.is_available():
        pytest.skip("there is no device")
    theirs = played(policy, problem, "reference")
    for metric, values in played(policy, problem, "cuda").items():
        np.testing.assert_allclose(values, theirs[metric], rtol=1e-12, err_msg=metric)


if __name__ == "__main__":
    main(sys.argv[1])
