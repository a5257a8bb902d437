"""Claims about preference games: supported as they stand, violated by their controls, and red under wrong mathematics."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest

import prefsim as ps
from prefsim import metrics
from prefsim.claim import all_claims, check
from prefsim.claims import _instances as on
from prefsim.claims import _stability as near
from prefsim.claims.egpo import covered

PREFIXES = ("egpo.", "mirror_prox.", "nash_md.", "mwu.", "omd.", "gap.")
CLAIMS = {key: claim for key, claim in all_claims().items() if key.startswith(PREFIXES)}


def outcome(key: str) -> str:
    return CLAIMS[key].measure("fast").judge()[0]


def test_every_prefix_has_claims():
    assert {key.split(".")[0] + "." for key in CLAIMS} == set(PREFIXES)
    assert len(CLAIMS) >= 30


@pytest.mark.parametrize("key", CLAIMS)
def test_claim_is_supported_and_its_controls_fail(key):
    verdict = check(CLAIMS[key], "fast")
    assert verdict.outcome == "supported", f"{verdict.ratio} {verdict.message}"
    assert [control.outcome for control in verdict.controls] == ["violated"] * len(CLAIMS[key].controls)
    assert verdict.evidence.label
    if verdict.evidence.times is not None:
        assert np.shape(verdict.evidence.measured)[-1] == len(verdict.evidence.times)


TIGHT = (
    "egpo.linear_rate",
    "egpo.linear_rate_sharp",
    "egpo.local_stability",
    "gap.log_ratio",
    "gap.uniform_law",
    "mirror_prox.energy_inequality",
    "mirror_prox.linear_rate",
    "mwu.average_bound",
    "mwu.last_iterate_leaves",
    "nash_md.local_stability",
    "nash_md.one_step",
    "omd.contraction",
    "omd.local_stability",
)


@pytest.mark.parametrize("key", TIGHT)
def test_a_bound_a_tenth_smaller_is_refuted(key):
    evidence = CLAIMS[key].measure("fast")
    assert replace(evidence, upper=0.9 * np.asarray(evidence.upper)).judge()[0] == "violated"


def test_the_lower_side_of_the_sandwich_is_tight():
    evidence = CLAIMS["gap.sandwich"].measure("fast")
    assert replace(evidence, lower=1.01 * np.asarray(evidence.lower)).judge()[0] == "violated"


# What a wrong sign cannot change: MWU's regret identity holds for any sequence of policies, the log-ratio bound for any
# win rates, and Nash-MD's stability on uniform cyclic tournaments, which look the same when the arrows are turned.
SIGN_BLIND = {"mwu.regret_identity", "gap.log_ratio", "gap.uniform_law", "nash_md.local_stability"}


@pytest.mark.parametrize("solver", ["egpo", "omd", "nash_md", "mwu"])
def test_wrong_sign_of_the_gain_turns_every_claim_red(solver, monkeypatch):
    rule = import_module(f"prefsim.solvers.{solver}")
    right = rule.target
    monkeypatch.setattr(rule, "target", lambda hyper, iterate, gain, phase: right(hyper, iterate, -1.0 * gain, phase))
    touched = [key for key, claim in CLAIMS.items() if solver in claim.algorithms and key not in SIGN_BLIND]
    assert len(touched) >= 4
    assert {key: outcome(key) for key in touched} == dict.fromkeys(touched, "violated")


@pytest.mark.parametrize(
    ("solver", "keys"),
    [
        ("egpo", ["egpo.linear_rate_sharp", "egpo.energy_identity", "egpo.is_mirror_prox", "egpo.local_stability"]),
        ("nash_md", ["nash_md.energy_identity", "nash_md.constant_step_limit", "nash_md.local_stability"]),
    ],
)
def test_self_play_in_place_of_the_methods_opponent_turns_red(solver, keys, monkeypatch):
    monkeypatch.setattr(f"prefsim.solvers.{solver}.opponent", lambda hyper, iterate, phase: iterate.current)
    assert {key: outcome(key) for key in keys} == dict.fromkeys(keys, "violated")


def test_a_slightly_wrong_gain_breaks_every_identity(monkeypatch):
    for solver in ("egpo", "omd", "nash_md", "mwu"):
        rule = import_module(f"prefsim.solvers.{solver}")
        monkeypatch.setattr(
            rule,
            "target",
            lambda hyper, iterate, gain, phase, right=rule.target: right(hyper, iterate, 1.001 * gain, phase),
        )
    keys = [k for k in CLAIMS if k.endswith(("energy_identity", "additive_game", "is_mirror_prox", "first_step"))]
    keys += ["mwu.last_iterate_leaves", "mwu.dominant_action", "nash_md.constant_step_limit", "mirror_prox.fixed_point"]
    assert {key: outcome(key) for key in keys} == dict.fromkeys(keys, "violated")


def test_wrong_constants_turn_red(monkeypatch):
    monkeypatch.setattr("prefsim.claims.nash_md.RESIDUAL", 0.9 / 24)
    monkeypatch.setattr("prefsim.claims.nash_md.RATE", 1 / 60)
    assert outcome("nash_md.one_step") == "violated"
    assert outcome("nash_md.schedule") == "violated"
    right = on.log_mean_exp
    monkeypatch.setattr(on, "log_mean_exp", lambda log_policy, values: (1 + 1e-6) * right(log_policy, values))
    for key in ("mwu.last_iterate_leaves", "mwu.energy_identity", "nash_md.energy_identity"):
        assert outcome(key) == "violated"


def test_a_one_sided_gap_turns_red(monkeypatch):
    right = metrics.gap
    monkeypatch.setattr(metrics, "gap", lambda *given: right(*given) / 2)
    assert outcome("gap.closed_form") == outcome("gap.sandwich") == "violated"


@pytest.mark.parametrize("n", [3, 4, 10])
@pytest.mark.parametrize("beta", [0.03, 1.0])
def test_the_equilibria_of_the_family_are_equilibria(n, beta):
    batch = on.family(n, beta, 3)
    assert batch.legal
    assert ps.duality_gap(batch.game(), np.exp(batch.log_equilibrium)).max() < 1e-24
    assert np.abs(ps.solve_equilibrium(batch.game()).log_policy - batch.log_equilibrium).max() < 1e-11
    for other in (batch.scaled(7.0), batch.skewed(0.1)):
        assert not other.legal
        response = other.log_reference + other.gain(other.log_equilibrium) / beta
        assert np.ptp(response - other.log_equilibrium, axis=-1).max() < 1e-12 / beta


def test_both_ways_to_run_agree():
    batch = on.family(5, 0.1, 2)
    start, times = on.starts(batch), np.arange(8)
    for key, hyper in (("egpo", {"step": 0.7}), ("mirror_prox", {"step": 0.2}), ("nash_md", {"schedule": True})):
        public = on.trajectory(key, hyper, batch, start, times)
        # A payoff one rounding error outside the legal range is the same game to the numbers, but not to `run`.
        bare = on.trajectory(key, hyper, batch._replace(payoff=batch.payoff * (1 + 1e-15)), start, times)
        np.testing.assert_allclose(public, bare, rtol=1e-11, atol=1e-11)


def test_the_limits_of_stability():
    batch = near.rotating(0.05)[0]
    omega = near.local_frequency(batch.game(), batch.log_equilibrium)
    np.testing.assert_allclose([near.omd_limit(w, 0.05) for w in omega], 0.1 / (omega**2 + 0.05**2), rtol=1e-12)
    for w in omega:
        step = near.egpo_limit(w, 0.05)
        c = step * 0.05
        z = (1 - c) * (1 + 1j * step * w) - (step * w) ** 2
        assert abs(abs(z) - 1) < 1e-12 and step > 1 / w
    step = near.nash_md_limit(0.28, 0.05)
    assert abs(abs((1 - step * 0.05) * (1 + 1j * step * 0.28)) - 1) < 1e-12 and step < 10


@pytest.mark.parametrize(
    ("algorithm", "metric", "beta", "bound"),
    [
        (("egpo", {"step": covered(0.2)}), "kl_to_equilibrium", 0.2, lambda t, k: (1 - 0.2 * covered(0.2)) ** t * k),
        (("omd", {"step": 0.1}), "kl_to_equilibrium", 0.2, lambda t, k: 0.98**t * k),
        (("nash_md", {"schedule": True}), "kl_to_equilibrium", 0.2, lambda t, k: 1 / (6 * 0.2**2 * (t + 1))),
        (("mwu", {"step": 0.3}), "average_duality_gap", 0.0, lambda t, k: 2 * (np.log(5) / (0.3 * t) + 0.3 / 24)),
    ],
)
def test_the_bounds_beside_the_data_are_those_of_the_claims(algorithm, metric, beta, bound):
    game = ps.games.random(5, seed=8, reference="uniform" if beta == 0 else "normal").replace(beta=beta)
    data = ps.run(game, [algorithm], horizon=200, metrics=[metric])
    t = data["t"].values[1:]
    expected = bound(t, float(data[metric][0, 0, 0, 0]))
    np.testing.assert_allclose(data[f"{metric}_bound"].values[0, 0, 1:], expected, rtol=1e-12)
