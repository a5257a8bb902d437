"""Turns around a point of rest: rotation and growth against the linearisation in closed form, and every verdict."""

import numpy as np
import pytest

import prefsim as ps
from prefsim import ops
from prefsim.cycling import classify
from prefsim.equilibrium import local_frequency, solve_equilibrium

OMEGA = 1 / (2 * np.sqrt(3))  # of rock-paper-scissors with margins 1/2: cot(pi / 6) / 6
RPS = ps.games.cyclic(3)
MIDDLE = np.zeros(3)


def omwu(x):
    """Larger root of ``z^2 - (1 + 2 i x) z + i x = 0``."""
    roots = np.roots([1, -(1 + 2j * x), 1j * x])
    return roots[np.abs(roots).argmax()]


def nash_md(s, b):
    return (1 - s * b) * (1 + 1j * s * OMEGA)


B = 0.05
MULTIPLIERS = {
    # key, step, temperature: z of the step-size dictionary; the uniform equilibrium of RPS is at rest at any temperature
    ("mwu", 0.3, 0.0): 1 + 0.3j * OMEGA,
    ("omd", 0.7, B): 1 - 0.7 * B + 0.7j * OMEGA,
    ("inpo", 1 / 0.7, B): 1 - 0.7 * B + 0.7j * OMEGA,
    ("egpo", 2.0, B): (1 - 2 * B) * (1 + 2j * OMEGA) - (2 * OMEGA) ** 2,
    ("nash_md", 0.7, B): nash_md(0.7, B),
    ("nash_prox", 0.2, B): 1 / (1 + 0.2 - 0.2j / B * OMEGA),
    ("omwu", 0.5, 0.0): omwu(0.5 * OMEGA),
    ("replicator", 0.3, 0.0): 1 + 0.3j * OMEGA,
}


@pytest.mark.parametrize(("rule", "z"), MULTIPLIERS.items(), ids=lambda value: value[0] if isinstance(value, tuple) else "")
def test_linearisation_in_closed_form(rule, z):
    key, step, beta = rule
    found = ps.detect_cycling(RPS.replace(beta=beta), (key, {"step": step}), 50, engine="reference")
    period = 2 * np.pi / np.angle(z)
    assert found.predicted_period == pytest.approx(period, rel=1e-4)
    assert found.predicted_growth == pytest.approx(abs(z) ** (2 * period), rel=1e-3)


def test_small_steps_turn_by_step_omega():
    game = ps.games.rock_paper_scissors([0.5, 0.3, 0.2]).replace(beta=0.02)
    omega = float(local_frequency(game, solve_equilibrium(game).log_policy))
    found = ps.detect_cycling(game, ("omd", {"step": 0.05}), 10)
    assert found.predicted_period == pytest.approx(2 * np.pi / (0.05 * omega), rel=2e-3)


def test_near_the_equilibrium_a_trajectory_turns_as_predicted():
    beta = 0.02
    game = ps.games.random(6, seed=1).replace(beta=beta)
    answer = solve_equilibrium(game).log_policy
    omega = float(local_frequency(game, answer))
    step = 0.8 * 2 * beta / (omega**2 + beta**2)
    z = 1 - step * beta + 1j * step * omega
    start = np.exp(ops.log_normalize(answer + 1e-4 * np.random.default_rng(0).normal(size=6)))
    found = ps.detect_cycling(game, ("omd", {"step": step}), 1500, start=start)
    period = 2 * np.pi / np.angle(z)
    assert found.verdict == "spirals in"
    assert found.period == pytest.approx(period, rel=1e-4)
    assert found.growth == pytest.approx(abs(z) ** (2 * period), rel=1e-3)


TURNING = [ps.games.rock_paper_scissors([0.5, 0.3, 0.2]), ps.games.cyclic(5), ps.games.random(6, seed=1)]


@pytest.mark.parametrize("game", TURNING)
def test_verdict_changes_at_the_stability_limit(game):
    """Below the limit a converging spiral, beyond it a limit cycle; both are at least 5 % a turn from the other."""
    beta = 0.05 if game.n == 3 else 0.02
    game = game.replace(beta=beta)
    omega = float(local_frequency(game, solve_equilibrium(game).log_policy))
    limit = 2 * beta / (omega**2 + beta**2)
    below, above = (ps.detect_cycling(game, ("omd", {"step": f * limit})) for f in (0.9, 1.2))
    assert below.verdict == "spirals in" and below.growth < 0.95 and below.predicted_growth < 1
    assert above.verdict == "cycles" and above.growth == pytest.approx(1, abs=0.01) and above.predicted_growth > 1.05
    assert below.kl < 1e-2 * above.kl


def test_without_regularisation_self_play_is_driven_out():
    for game, step in ((RPS, 0.1), (RPS, 2.0), (ps.games.rock_paper_scissors_lizard_spock(), 0.5)):
        found = ps.detect_cycling(game, ("mwu", {"step": step}))
        assert found.verdict == "spirals out" and found.growth > 1.01 and found.kl > 0.5
        assert found.period > found.predicted_period  # the larger the orbit the slower


def test_small_steps_of_the_replicator_close_the_orbit():
    start = np.exp(ops.log_normalize(0.02 * np.array([1.0, -1.0, 0.0])))
    found = ps.detect_cycling(RPS, ("replicator", {"step": 0.005}), 40_000, start=start, engine="reference")
    assert found.verdict == "cycles" and found.turns == pytest.approx(40_000 * 0.005 * OMEGA / (2 * np.pi), rel=1e-3)
    assert found.period == pytest.approx(2 * np.pi / (0.005 * OMEGA), rel=1e-3)
    # KL grows by about 2 pi x a turn all the same, x = step omega: without a tolerance this is a spiral.
    assert np.log(found.growth) == pytest.approx(2 * np.pi * 0.005 * OMEGA, rel=2e-2)
    strict = ps.detect_cycling(RPS, ("replicator", {"step": 0.005}), 40_000, start=start, engine="reference", tolerance=1e-3)
    assert strict.verdict == "spirals out"


def test_transitive_preferences_converge_without_turning():
    ranked = ps.games.bradley_terry()
    for game, rule in ((ranked.replace(beta=0.1), "omd"), (ranked.replace(beta=0.1), "egpo"), (ranked, "mwu")):
        found = ps.detect_cycling(game, (rule, {"step": 0.5}))
        assert found.verdict == "converges" and found.turns < 1 and np.isnan(found.period)


def test_optimism_turns_the_spiral_inwards():
    assert ps.detect_cycling(RPS, ("omwu", {"step": 0.5})).verdict == "spirals in"
    assert ps.detect_cycling(RPS, ("omwu", {"step": 1.2 / np.sqrt(3) / OMEGA})).verdict in ("cycles", "spirals out")


def test_a_solver_that_ignores_the_temperature_turns_around_the_nash_equilibrium():
    game = ps.games.rock_paper_scissors([0.5, 0.3, 0.2])
    plain, cold = (ps.detect_cycling(g, ("mwu", {"step": 0.2}), 3000) for g in (game, game.replace(beta=0.3)))
    assert plain == cold


# The statistic, on trajectories made for it.


def around(u, size=1e-3):
    """Log-policies of RPS whose component along its mode is proportional to `u`."""
    angles = 2j * np.pi * np.arange(3) / 3
    return ops.log_normalize(size * (u[:, None] * np.exp(angles)).real)


def turning(turns, per_turn, growth=1.0):
    t = np.arange(turns * per_turn) / per_turn
    return growth ** (t / 2) * np.exp(2j * np.pi * t)


@pytest.mark.parametrize("sense", [1, -1])
@pytest.mark.parametrize(
    ("growth", "verdict"), [(1.05, "spirals out"), (1.005, "cycles"), (1.0, "cycles"), (0.995, "cycles"), (0.95, "spirals in")]
)
def test_growth_of_exact_spirals(growth, verdict, sense):
    u = turning(20, 37, growth)
    found = classify(RPS, around(u if sense == 1 else u.conj()))
    assert found.verdict == verdict
    assert found.growth == pytest.approx(growth, rel=1e-3)
    assert found.period == pytest.approx(37, rel=1e-3) and found.turns == pytest.approx(20, abs=0.1)
    assert np.isnan(found.predicted_period)


def test_false_alarms():
    """Closed orbits with noise pass for spirals in about 1 % of cases; noise around a point of rest is never a cycle."""
    rng = np.random.default_rng(1)
    noisy = [
        classify(RPS, around(turning(24, 12) * np.exp(0.15 * rng.normal(size=288))), log_center=MIDDLE, tolerance=1e-9).verdict
        for _ in range(400)
    ]
    assert noisy.count("spirals in") + noisy.count("spirals out") <= 11  # binomial(400, 0.01): 0.2 % beyond
    damped, z = [], 0.97 * np.exp(2j * np.pi / 12)
    for _ in range(100):
        u = np.zeros(600, complex)
        kicks = rng.normal(size=(600, 2)) @ [1, 1j]
        for t in range(599):
            u[t + 1] = z * u[t] + kicks[t]
        damped.append(classify(RPS, around(u[100:]), log_center=MIDDLE).verdict)
    assert "cycles" not in damped
    growing = [around(turning(24, 12, 1.1) * np.exp(0.05 * rng.normal(size=288))) for _ in range(50)]
    assert [classify(RPS, logs, log_center=MIDDLE).verdict for logs in growing] == ["spirals out"] * 50


def test_too_few_turns_are_undecided():
    assert classify(RPS, around(turning(5, 40))).verdict == "undecided"
    assert classify(RPS, around(turning(7, 40))).verdict == "cycles"


def test_arrival_elsewhere_is_arrival():
    decay = np.exp(-0.1 * np.arange(400))
    moved = around(turning(20, 20) * decay, 0.1) + np.array([0.0, 0.3, 0.6])
    found = classify(RPS, ops.log_normalize(moved))
    assert found.verdict == "spirals in" and found.kl > 1e-2
    straight = ops.log_normalize(decay[:, None] * [1.0, 0.5, 0.0] + np.array([0.0, 0.3, 0.6]))
    assert classify(RPS, straight).verdict == "converges"


def test_actions_outside_the_support_are_no_hindrance():
    game = ps.games.dominated()
    answer = solve_equilibrium(game)
    assert answer.policy.min() == 0
    assert ps.detect_cycling(game, ("mwu", {"step": 0.3})).verdict in ("converges", "spirals out")


def test_text_is_a_sentence():
    text = str(ps.detect_cycling(RPS, ("mwu", {"step": 0.3}), 3000))
    assert text.startswith("spirals out: ") and text.endswith(".") and "near the point of rest 72.7" in text


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: ps.detect_cycling("rps", "mwu"), TypeError, "game must be a PreferenceGame"),
        (lambda: ps.detect_cycling(ps.games.random(3, count=2), "mwu"), ValueError, "one game at a time"),
        (lambda: ps.detect_cycling(RPS, ("mwu", {"step": ps.Grid([1, 2])})), ValueError, "one algorithm at a time"),
        (lambda: ps.detect_cycling(RPS, "mwu", 0), ValueError, "horizon must be at least 1"),
        (lambda: ps.detect_cycling(RPS, "mwu", start="reference"), ValueError, "does not leave its point of rest"),
        (lambda: classify(RPS, np.zeros((5, 4))), ValueError, r"shape \(iterations, 3\)"),
        (lambda: classify(RPS, np.full((5, 3), -np.inf)), ValueError, "iteration 0 is not finite"),
    ],
)
def test_refusals(call, error, sentence):
    with pytest.raises(error, match=sentence) as caught:
        call()
    assert str(caught.value).endswith(".")
