"""What ``engine="auto"`` takes, and why, in a sentence that goes into the provenance of results.

The engines agree, bandits bit for bit and games to 1e-12, so the choice is about time. Measured on one core of an x86-64
server (AMD EPYC, Zen 5), in CPU seconds, by ``python -m pytest benchmarks/test_choice.py -s -n 0``:

* the reference engine takes 6 to 160 microseconds for a round of a bandit, 20 at the median of all policies that play a
  problem without arguments, and 40 for an iteration of a game of up to 100 actions; rules that look at every arm take 0.7 to
  5 microseconds an arm, and those that draw for every pair up to 2.8 a pair;
* the compiled engine takes 0.6 seconds to load in a process where everything it needs was compiled before, 2.5 to 6.5
  seconds more for a runner that was not, and then 0.1 microseconds a round.

So short runs of bandits are over sooner in the reference engine, until a process has spent on them what loading takes; a
process that has loaded the compiled engine keeps to it. Games are always compiled: to the last bit their numbers must not
depend on the batch they are part of, which matrix products do. A GPU is never taken, because from which size on it would
be faster has not been measured on a device.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from prefsim.bandit import Bandit, kinds
from prefsim.registry import load

if TYPE_CHECKING:
    from prefsim.experiment import Experiment

ROUND = 1e-4
"""Seconds the reference engine is taken to need for a round of a small bandit."""
ENTRY = 2.5e-6
"""And for each arm, or pair of arms in duels, and each feature of it, where that is more."""
LOADING = 0.6
"""Seconds the compiled engine takes to load."""

_spent = 0.0
"""Seconds this process was taken to spend on bandits in the reference engine, by choice."""


def choose(experiment: Experiment) -> tuple[str, str]:
    """Name of the engine, and the reason as a sentence."""
    global _spent
    problem = experiment.problem
    if not isinstance(problem, Bandit):
        return "numba", "Games are compiled: to the last bit their numbers must not depend on the batch they are part of."
    if loaded():
        return "numba", "The compiled engine was loaded in this process already."
    rounds = experiment.horizon * experiment.runs * problem.instances * len(experiment.algorithms)
    needed = rounds * max(ROUND, ENTRY * _entries(problem))
    if _spent + needed > LOADING:
        return "numba", (
            f"{rounds:,} rounds could take the reference engine {needed:.2g} s, after {_spent:.2g} s before; loading the "
            f"compiled engine takes about {LOADING:g} s."
        )
    _spent += needed
    return "reference", (
        f"{rounds:,} rounds should take the reference engine about {needed:.2g} s or less, and loading the compiled engine "
        f"takes about {LOADING:g} s."
    )


def _entries(bandit: Bandit) -> int:
    """Numbers a rule may look at in a round."""
    duel = "duel" in kinds(load("bandits", bandit.environment))
    return int(bandit.arms ** (2 if duel else 1) * max(1, bandit.problem(1).dimension))


def loaded() -> bool:
    """Whether this process has loaded the compiled engine."""
    return "prefsim.engines.compiler" in sys.modules
