"""The experiments of the preference-game figures show what their papers' settings and the theory say they must."""

from dataclasses import replace
from math import pi, tan
from pathlib import Path

import numpy as np
import pytest

import prefsim as ps

FOLDER = Path(__file__).parents[1] / "docs" / "experiments"

pytestmark = pytest.mark.filterwarnings("ignore::prefsim.stability.StabilityWarning")


def load(name):
    return ps.Experiment.from_toml(FOLDER / f"{name}.toml")


@pytest.mark.parametrize(
    ("name", "beta", "updates", "rate", "eta"),
    [
        ("egpo_comparison", 0.1, 1000, 0.1, 0.4),
        ("egpo_comparison_cold", 0.01, 5000, 0.02, 0.8),
        ("egpo_comparison_coldest", 0.001, 100_000, 2e-4, 0.08),
    ],
)
def test_egpo_figure_has_one_learning_rate(name, beta, updates, rate, eta):
    # A step of size `rate` down the gradient of each loss over policies, in finite differences, is the step in the file.
    experiment = load(name)
    game = experiment.problem
    assert experiment.horizon == updates
    assert game.batch_shape == (10,) and game.n == 10 and (game.beta == beta).all()
    n, preference, log_reference = 10, game.preference[0], game.log_reference[0]
    theta = np.linspace(-1, 1, n)
    policy = np.exp(theta) / np.exp(theta).sum()

    def between(values):
        return values[:, None] - values[None, :]

    def log_ratio(logits):
        return logits - np.log(np.exp(logits).sum()) - log_reference

    def regression(logits, opponent):
        return np.square(between(log_ratio(logits)) - between(preference @ opponent) / beta).mean()

    def pairs(logits):
        residual = between(log_ratio(logits)) - (preference - 0.5) / beta
        return (policy[:, None] * policy[None, :] * np.square(residual)).sum()

    def reward(logits, opponent):
        p = np.exp(logits) / np.exp(logits).sum()
        return -p @ (preference @ opponent - beta * log_ratio(theta))

    def move(loss):
        bump = 1e-5 * np.eye(n)
        step = -rate * np.array([(loss(theta + e) - loss(theta - e)) / 2e-5 for e in bump])
        return step - step.mean()

    pull = 4 * rate / n
    mixture = np.exp((1 - pull) * (theta - np.log(np.exp(theta).sum())) + pull * log_reference)
    mixture /= mixture.sum()
    expected = {
        "OIPO-1": move(lambda logits: regression(logits, policy)),
        "OIPO-2": move(pairs),
        "Nash-MD": move(lambda logits: regression(logits, mixture)),
        "Nash-MD-PG": move(lambda logits: reward(logits, mixture)),
    }
    steps = {spec.label: spec for spec in experiment.algorithms}
    assert steps["EGPO"].hyper == steps["OIPO-1"].hyper == {"step": eta}
    data = ps.run(game[0], list(experiment.algorithms), horizon=1, start=policy, metrics=["policy"], engine="reference")
    for label, change in expected.items():
        ended = np.log(data["policy"].sel(algorithm=label).values[0, 0, -1]) - theta
        np.testing.assert_allclose(ended - ended.mean(), change, rtol=1e-5, atol=1e-9 * rate / beta, err_msg=label)


def test_egpo_figure_is_tuned_on_other_games():
    shared, tuned = load("egpo_comparison"), load("egpo_tuned")
    assert [spec.label for spec in tuned.algorithms] == [spec.label for spec in shared.algorithms]
    assert (tuned.problem.preference == shared.problem.preference).all()
    others = ps.games.random(10, seed=1, count=10).replace(beta=0.1)
    found = ps.tune(others, [("egpo", {}), ("omd", {}), ("nash_md", {})], queries=1000 * 10**2)
    for spec in tuned.algorithms:
        if spec.key in found.steps:
            assert spec.hyper["step"] == pytest.approx(found.steps[spec.key], rel=0.1)  # the resolution of the search


@pytest.mark.parametrize("n", [3, 5, 7])
def test_stability_map_agrees_with_the_limits(n):
    # Linearised factors of the fastest mode: |z| > 1 is where the figure's line separates shrinking from growing.
    experiment = load(f"stability_map_{n}")
    assert experiment.problem.n == n
    data = ps.run(replace(experiment, horizon=1000))
    kl = data["kl_to_equilibrium"].values[:, :, 0]
    beta, step = experiment.problem.beta[None, :], data["step"].values[:, None]
    omega = 1 / (2 * n * tan(pi / (2 * n)))
    c, x = step * beta, step * omega
    z = np.where((data["key"] == "omd").values[:, None], 1 - c + 1j * x, (1 - c) * (1 + 1j * x) - x**2)
    grew = kl[..., -1] > kl[..., 0]
    assert grew.any(axis=0).all() and not grew.all(axis=0).any()
    np.testing.assert_array_equal(grew, np.abs(z) > 1)
    # and the growth itself, while the perturbation is small
    k = list(data["t"].values).index(20)
    growing = kl[..., k] < 1e-3
    np.testing.assert_allclose(np.log(kl[..., k] / kl[..., 0])[growing], 40 * np.log(np.abs(z))[growing], rtol=0.02, atol=0.01)


def test_cycling_figure():
    experiment = load("mwu_cycling")
    margins = ((0.5, 0.5, 0.5), (0.5, 0.3, 0.2))
    for i, weights in enumerate(margins):
        np.testing.assert_array_equal(experiment.problem.preference[i], ps.games.rock_paper_scissors(weights).preference)
    data = ps.run(experiment, engine="reference")
    t = data["t"].values[1:]
    average = data["average_duality_gap"].values[0, :, 0, 1:]
    assert (average <= 2 * (np.log(1 / 0.2) / (0.2 * t) + 0.2 / 24)).all()
    assert (average[:, -1] < 0.05 * data["duality_gap"].values[0, :, 0, -1]).all()
    # the divergence grows by log E exp(0.2 A pi_t), with payoff and equilibrium written out
    early = ps.run(replace(experiment, horizon=400, record="all", metrics=["kl_to_equilibrium", "policy"]), engine="reference")
    for i, (a, b, c) in enumerate(margins):
        policy = early["policy"].values[0, i, 0]
        payoff = np.array([[0, a, -b], [-a, 0, c], [b, -c, 0]])
        growth = np.log((policy * np.exp(0.2 * policy @ payoff.T)).sum(axis=-1))
        equilibrium = np.array([c, b, a]) / (a + b + c)
        kl = (equilibrium * np.log(equilibrium / policy[0])).sum() + np.append(0, np.cumsum(growth[:-1]))
        np.testing.assert_allclose(early["kl_to_equilibrium"].values[0, i, 0], kl, rtol=1e-10)
        assert (growth > 0).all()


@pytest.mark.parametrize("name", ["decreasing_steps", "decreasing_steps_rps"])
def test_decreasing_steps_figure(name):
    data = ps.run(replace(load(name), horizon=2000))
    t = data["t"].values[1:]
    kl = data["kl_to_equilibrium"].sel(algorithm=["nash_md(schedule=true)", "inpo(schedule=true)"]).values[:, :, 0, 1:]
    assert (kl[0] <= 1 / (6 * 0.1**2 * (t + 1))).all()
    assert (kl[1] <= 32 / (0.1**2 * (t + 1))).all()
    assert (kl[..., -1] < 1e-4 * kl[..., 0]).all()
