"""Claims about losses, solvers, frequencies and embeddings: supported, violated by their controls, red when broken."""

from __future__ import annotations

import numpy as np
import pytest

from prefsim.claim import all_claims, check
from prefsim.claims import _instances as on
from prefsim.claims import equilibrium, losses, preference_model, stability

SUBJECTS = ("losses", "equilibrium", "stability", "gpm", "nash_prox")
CLAIMS = {key: claim for key, claim in all_claims().items() if key.split(".")[0] in SUBJECTS}


def outcome(key: str) -> str:
    return CLAIMS[key].measure("fast").judge()[0]


def outcomes(subject: str) -> set[str]:
    return {outcome(key) for key in CLAIMS if key.startswith(subject + ".")}


def test_every_subject_has_claims():
    assert {key.split(".")[0] for key in CLAIMS} == set(SUBJECTS)
    assert len(CLAIMS) == 19


@pytest.mark.parametrize("key", CLAIMS)
def test_claim_is_supported_and_its_controls_fail(key):
    verdict = check(CLAIMS[key], "fast")
    assert verdict.outcome == "supported", f"{verdict.ratio} {verdict.message}"
    assert [control.outcome for control in verdict.controls] == ["violated"] * len(CLAIMS[key].controls)


def test_the_derivative_is_the_derivative():
    theta = on.random_policies("derivative", (3, 2), 4)
    slope = losses.gradient(lambda v: -losses.log_sigmoid(v).sum(axis=-1) + (v**3).sum(axis=-1), theta)
    np.testing.assert_allclose(slope, 3 * theta**2 - 1 / (1 + np.exp(theta)), rtol=1e-13)


@pytest.mark.parametrize("error", [1.0 + 1e-6, -1.0])
def test_wrong_win_rates_turn_the_losses_red(error, monkeypatch):
    right = on.Instances.gain
    monkeypatch.setattr(on.Instances, "gain", lambda batch, path: error * right(batch, path))
    keys = ["losses.ipo_minimiser", "losses.oipo2_gradient", "losses.oipo1_descent"]
    assert {key: outcome(key) for key in keys} == dict.fromkeys(keys, "violated")


def test_wrong_constants_turn_the_losses_red(monkeypatch):
    monkeypatch.setattr(losses, "OIPO1", 2.0)
    monkeypatch.setattr(losses, "OIPO2", -2.0)
    assert outcome("losses.oipo1_gradient") == outcome("losses.oipo2_gradient") == "violated"


def test_a_wrong_loss_turns_red(monkeypatch):
    monkeypatch.setattr(losses, "log_sigmoid", lambda z: np.log(1 + np.exp(-z)) * (1 + 0.1 * z))
    assert outcome("losses.dno_target") == "violated"
    monkeypatch.undo()
    robust = losses.robust_dpo
    monkeypatch.setattr(losses, "robust_dpo", lambda z, rate: (1 - 2 * rate) * robust(z, rate))
    assert outcome("losses.rdpo_flips") == "violated"
    right = losses.squared
    monkeypatch.setattr(losses, "squared", lambda weight, wins, h, goal: right(weight, 1 - wins, h, goal))
    keys = ["losses.onpo", "losses.ipo_minimiser", "losses.ipo_online", "losses.oipo2_gradient"]
    assert {key: outcome(key) for key in keys} == dict.fromkeys(keys, "violated")


def test_a_slightly_wrong_divergence_turns_red(monkeypatch):
    right = losses.ops.kl
    monkeypatch.setattr(losses.ops, "kl", lambda p, q: (1 + 1e-6) * right(p, q))
    assert outcome("losses.dno_improvement") == "violated"


@pytest.mark.parametrize(("key", "factor"), [("nash_prox.energy_identity", 1 - 1e-6), ("nash_prox.linear_rate", 0.2)])
def test_a_wrong_step_turns_nash_prox_red(key, factor, monkeypatch):
    right = on.trajectory
    monkeypatch.setattr(on, "trajectory", lambda solver, hyper, *rest: right(solver, {"step": factor * hyper["step"]}, *rest))
    assert outcome(key) == "violated"


def test_a_slightly_wrong_solver_turns_red(monkeypatch):
    right = equilibrium.solve_equilibrium

    def wrong(game):
        found = right(game)
        return found._replace(log_policy=np.log(0.999999 * found.policy + 1e-6 / game.n))

    monkeypatch.setattr(equilibrium, "solve_equilibrium", wrong)
    assert outcomes("equilibrium") == {"violated"}


def test_wrong_frequencies_turn_red(monkeypatch):
    right = stability.local_frequency
    monkeypatch.setattr(stability, "local_frequency", lambda *given: 1.001 * right(*given))
    assert outcome("stability.frequency_spread") == outcome("stability.frequency_bound") == "violated"
    monkeypatch.setattr(stability, "local_frequency", lambda *given: 0.999 * right(*given))
    assert outcome("stability.frequency_bound") == "violated"  # equality on cyclic tournaments


def test_a_wrong_factor_turns_red(monkeypatch):
    right = stability.amplification
    monkeypatch.setattr(stability, "amplification", lambda solver, step, *rest: right(solver, 1.01 * step, *rest))
    assert outcome("stability.asymptotic_factor") == "violated"


def test_wrong_embeddings_turn_red(monkeypatch):
    right = preference_model.skew_scores
    monkeypatch.setattr(preference_model, "skew_scores", lambda vectors: -right(vectors))
    assert outcome("gpm.rotation") == "violated"
    monkeypatch.undo()
    embed = preference_model.embed
    monkeypatch.setattr(preference_model, "embed", lambda scores, rank: embed(scores, rank)[:, ::-1])
    assert outcome("gpm.reconstruction") == "violated"
