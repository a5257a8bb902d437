"""Stability limits and the steps chosen from them, against closed forms and against what the iterates do."""

import json

import numpy as np
import pytest

import prefsim as ps
from prefsim import registry
from prefsim.equilibrium import local_frequency, solve_equilibrium
from prefsim.stability import largest_frequency, stability_limit


def limit(key, omega, beta):
    module = registry.load("solvers", key)
    return stability_limit(module, module.Hyper(), omega, beta)


def test_limits_in_closed_form():
    for omega, beta in ((0.28, 0.01), (0.1, 0.3), (0.3, 0.05)):
        exact = 2 * beta / (omega**2 + beta**2)
        assert limit("omd", omega, beta) == pytest.approx(exact if exact < 1 / beta else np.inf, rel=1e-9)
    assert limit("mwu", 0.2, 0.0) == 0.0
    assert limit("egpo", 0.3, 1e-4) == pytest.approx(1 / 0.3, rel=2e-3)  # leading order in beta
    assert limit("egpo", 0.3, 0.1) > 1 / 0.3  # the exact limit is larger
    assert limit("nash_md", 0.05, 0.2) == np.inf  # turns too slowly to be unstable


def test_the_universal_bound_is_attained_by_odd_cycles_only():
    for n in (3, 5, 7):
        game = ps.games.cyclic(n).replace(beta=0.1)
        omega = local_frequency(game, solve_equilibrium(game).log_policy)
        assert omega == pytest.approx(largest_frequency(n), rel=1e-12)
    game = ps.games.random(6, seed=1).replace(beta=0.1)
    assert local_frequency(game, solve_equilibrium(game).log_policy) < 0.95 * largest_frequency(6)


@pytest.mark.parametrize("key", ["omd", "egpo"])
def test_automatic_steps_converge_and_twice_the_limit_does_not(key):
    game = ps.games.cyclic(5).replace(beta=0.02)
    omega = float(local_frequency(game, solve_equilibrium(game).log_policy))
    start = np.array([0.3, 0.25, 0.2, 0.15, 0.1])
    beyond = 1.2 * limit(key, omega, 0.02)
    specs = [(key, {"step": "auto"}), (key, {"step": "theory"}), (key, {"step": beyond})]
    data = ps.run(game, specs, horizon=3000, start=start, metrics=["kl_to_equilibrium"])
    module = registry.load("solvers", key)
    predicted = module.amplification(module.Hyper(step=0.5 * limit(key, omega, 0.02)), omega, 0.02)
    first, last = data.kl_to_equilibrium.values[:, 0, 0, 0], data.kl_to_equilibrium.values[:, 0, 0, -1]
    auto, theory, past = last / first
    assert auto < max(2 * predicted**3000, 1e-20) and auto < 1e-5
    assert theory < 1e-2 and past > 1e-2


def test_theory_steps_are_those_of_the_theorems():
    game = ps.games.random(4, seed=0).replace(beta=0.3)
    words = ps.run(game, [("egpo", {"step": "theory"}), ("omd", {"step": "theory"})], horizon=30)
    numbers = ps.run(
        game, [("egpo", {"step": 2 * (np.sqrt(1.09) - 0.3)}), ("omd", {"step": 1.2 / 1.36})], horizon=30
    )
    np.testing.assert_allclose(words.duality_gap, numbers.duality_gap, rtol=1e-9)


def test_no_theorem_no_step():
    game = ps.games.rock_paper_scissors()
    with pytest.raises(ValueError, match="no theorem that gives a constant step"):
        ps.run(game.replace(beta=0.1), [("nash_md", {"step": "theory"})], horizon=3)
    with pytest.raises(ValueError, match="unstable at every step"):
        ps.run(game, [("mwu", {"step": "auto"})], horizon=3)
    with pytest.raises(TypeError, match="step must be a float"):
        ps.run(game, [("mwu", {"step": "best"})], horizon=3)


def test_steps_given_as_words_are_written_down():
    game = ps.games.random(4, seed=0, count=2).replace(beta=[0.1, 0.3])
    data = ps.run(game, [("omd", {"step": "theory"}), "egpo"], horizon=3)
    expected = [4 * b / (1 + 4 * b**2) for b in (0.1, 0.3)]
    assert json.loads(data.attrs["provenance"])["steps"] == {"omd(step=theory)": pytest.approx(expected)}
    assert np.isnan(data.step.values[0]) and data.step.values[1] == 0.5  # two numbers have no single coordinate
    one = ps.run(game[0], [("omd", {"step": "theory"})], horizon=3)
    assert one.step.values[0] == pytest.approx(expected[0])
