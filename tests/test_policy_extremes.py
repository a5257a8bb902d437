"""Hyperparameters at the ends of what numbers can be: a policy plays on sound numbers, or refuses them in a sentence."""

import re

import numpy as np
import pytest
from arenas import PROBLEMS, kinds

import prefsim as ps
from prefsim import registry
from prefsim.engines import reference

POLICIES = [p for p in sorted(registry.algorithms("policies")) if registry.algorithm("policies", p).parameters._fields]
NUMBERS = {
    float: (0.0, 5e-324, 1e-162, 1e-100, 1e-18, 1e-9, 1e-3, 1 - 2.0**-53, 1.0, 7.0, 1e9, 1e15, 1e18, 1e100, 1.7e308, -1e-9),
    int: (0, 1, 1000, 2**53, 2**53 + 2, 2**63, 10**300, -1),
    bool: (False, True),
}
PLACES = ("ten arms", "ties and certainty", "winner", "certainty", "linear", "contexts", "utilities", "steep scores", "experts",
          "budgets", "two memories")
ROUNDS = 20


def extremes(policy):
    """Every hyperparameter alone at every extreme, and all of them at random ones."""
    defaults = registry.algorithm("policies", policy).parameters._field_defaults
    alone = [{name: value} for name, default in defaults.items() for value in NUMBERS[type(default)]]
    generator = np.random.default_rng(0)
    together = [{n: generator.choice(NUMBERS[type(d)]) for n, d in defaults.items()} for _ in range(6)]
    return alone + together


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("policy", POLICIES)
def test_every_policy_plays_or_refuses(policy, monkeypatch):
    states, allocate, played = [], reference.allocate, 0

    def kept(rule):
        if not hasattr(rule, "Hyper"):  # an environment, which may mark with NaN what was not seen
            return allocate(rule)
        return lambda *known: states.append(allocate(rule)(*known)) or states[-1]

    monkeypatch.setattr(reference, "allocate", kept)
    known = [PROBLEMS[kind] for kind in kinds(policy)]
    problems = [p for arena in known for p in ([arena[name] for name in PLACES if name in arena] or arena.values())]
    for case, hyper in enumerate(extremes(policy)):
        try:
            registry.resolve("policies", policy, hyper)
        except ValueError as error:
            # Whose hyperparameter, which one, what is needed, and what was given.
            assert re.match(rf"{policy}: (?=.* must ).*\b({'|'.join(hyper)})\b.*got .*\.$", str(error)), error
            continue
        played += 1
        for place, problem in enumerate(problems):
            states.clear()
            plain = ps.run(problem, [(policy, hyper)], horizon=ROUNDS, engine="reference")
            assert np.isfinite(plain.regret).all(), hyper
            assert not any(np.isnan(array).any() for state in states for array in state), hyper
            if place == 0 and case % 3 == 0:
                fast = ps.run(problem, [(policy, hyper)], horizon=ROUNDS, engine="numba")
                np.testing.assert_array_equal(plain.regret, fast.regret, err_msg=str(hyper))
    assert played > 1
