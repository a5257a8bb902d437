"""Metrics against their definitions, against 50-digit arithmetic, and the exact facts about the gap."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
import xarray
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import prefsim as ps
from prefsim import ops
from prefsim.cli import app
from prefsim.equilibrium import solve_equilibrium
from prefsim.game import PreferenceGame
from prefsim.games.additive import additive
from prefsim.games.cyclic import cyclic
from prefsim.games.planted import planted
from prefsim.games.random import random
from prefsim.metrics import (
    METRICS,
    best_response,
    duality_gap,
    exploitability,
    gap,
    kl_to_equilibrium,
    span_to_equilibrium,
    win_rate,
)

games = st.builds(
    lambda n, seed, beta: random(n, seed=seed).replace(beta=beta),
    st.integers(1, 8),
    st.integers(0, 10**6),
    st.sampled_from([2.0, 0.3, 0.05, 0.01]),
)


def policies(n: int, seed: int, scale: float = 1.0) -> np.ndarray:
    return ops.log_normalize(scale * np.random.default_rng(seed).normal(size=n))


def two_terms(payoff, log_policy, log_mu, beta) -> float:
    """2 [beta KL(p, mu) + beta log sum mu exp(A p / beta)], for any payoff."""
    p = np.exp(log_policy)
    exponent = log_mu + payoff @ p / beta
    top = exponent.max()
    return 2 * beta * float(p @ (log_policy - log_mu) + top + np.log(np.exp(exponent - top).sum()))


def value(game, p, q) -> float:
    """p^T P q - beta KL(p, mu) + beta KL(q, mu), by its definition."""

    def kl(u):
        return sum(x * math.log(x / m) for x, m in zip(u, game.reference, strict=True) if x > 0)

    return float(p @ game.preference @ q - game.beta * kl(p) + game.beta * kl(q))


# The gap and its definition.


@settings(deadline=None)
@given(games, st.integers(0, 10**6))
def test_gap_is_the_definition(game, seed):
    log_policy = policies(game.n, seed)
    p = np.exp(log_policy)
    response = np.exp(best_response(game, log_policy))
    measured = gap(game, log_policy)
    assert measured == pytest.approx(value(game, response, p) - value(game, p, response), abs=1e-13)
    # No opponent does better than the best response.
    for other in range(5):
        q = np.exp(policies(game.n, seed + 1 + other, scale=3.0))
        assert value(game, q, p) - value(game, p, q) <= measured + 1e-13


@settings(deadline=None)
@given(games, st.integers(0, 10**6))
def test_gap_without_regularisation_is_over_pure_opponents(game, seed):
    game = game.replace(beta=0.0)
    p = np.exp(policies(game.n, seed))
    wins = game.preference @ p
    assert duality_gap(game, p) == pytest.approx(wins.max() - (1 - wins).min(), abs=1e-14)
    assert duality_gap(game, p) >= -1e-15


@settings(deadline=None)
@given(games, st.integers(0, 10**6))
def test_closed_form_is_the_two_term_form(game, seed):
    log_policy = policies(game.n, seed)
    assert gap(game, log_policy) == pytest.approx(
        two_terms(game.payoff, log_policy, game.log_reference, game.beta), abs=2e-14 * max(1, float(game.beta))
    )
    assert two_terms(game.payoff, log_policy, game.log_reference, game.beta) >= -1e-14


def test_closed_form_needs_a_skew_payoff():
    # The two forms differ by p^T A p = 0; a positive diagonal breaks that, a negative one even the sign.
    game = random(5, seed=1).replace(beta=0.1)
    log_policy = policies(5, 0)
    tilted = game.payoff + 0.1 * np.eye(5)
    response = ops.log_normalize(game.log_reference + tilted @ np.exp(log_policy) / 0.1)
    closed = 2 * 0.1 * ops.kl(log_policy, response)
    assert abs(closed - two_terms(tilted, log_policy, game.log_reference, 0.1)) > 1e-2
    assert two_terms(-np.eye(5), game.log_reference, game.log_reference, 0.1) < -1e-2


@pytest.mark.parametrize("beta", [1.0, 0.1, 0.01])
@pytest.mark.parametrize("distance", [1e-2, 1e-6, 1e-10])
def test_gap_keeps_its_digits_near_equilibrium(beta, distance):
    policy = np.array([0.4, 0.3, 0.2, 0.1])
    game = planted(policy, random(4, seed=3).payoff, beta)
    log_policy = ops.log_normalize(np.log(policy) + distance * np.array([1.0, -0.5, 0.7, -2.0]))
    with mpmath.workdps(60):
        p = [mpmath.exp(x) for x in log_policy]
        total = sum(p)
        p = [x / total for x in p]
        mu = [mpmath.exp(x) for x in game.log_reference]
        gain = [sum(mpmath.mpf(game.payoff[i, j]) * p[j] for j in range(4)) for i in range(4)]
        # KL form with everything normalised exactly.
        response = [mu[i] * mpmath.exp(gain[i] / mpmath.mpf(beta)) for i in range(4)]
        total = sum(response)
        exact = 2 * mpmath.mpf(beta) * sum(p[i] * mpmath.log(p[i] * total / response[i]) for i in range(4))
    # A relative error of rounding / distance remains: the policy itself is only known to rounding.
    assert gap(game, log_policy) == pytest.approx(float(exact), rel=1e-14 / beta / distance + 1e-10)
    assert 0 < float(exact) < 10 * distance**2 / beta


def test_gap_of_policies_with_zeros():
    game = random(4, seed=0).replace(beta=0.2)
    p = np.array([0.5, 0.5, 0.0, 0.0])
    log_policy = np.array([math.log(0.5), math.log(0.5), -np.inf, -np.inf])
    response = np.exp(best_response(game, log_policy))
    expected = value(game, response, p) - value(game, p, response)
    assert duality_gap(game, p) == pytest.approx(expected, abs=1e-14)
    assert duality_gap(game, log_policy=log_policy) == pytest.approx(expected, abs=1e-14)


def test_gap_at_tiny_temperature_and_extreme_reference_is_finite():
    game = PreferenceGame(random(5, seed=2).preference, beta=1e-9, log_reference=[0.0, -1e5, -3e4, -10, -700])
    assert np.isfinite(gap(game, game.log_reference))
    assert gap(game, game.log_reference) == pytest.approx(2 * (game.payoff[:, 0].max()), rel=1e-3)


# G2 to G6: exact facts.


def test_gap_sandwich_and_its_direction():
    control_fails = False
    for seed in range(40):
        for beta in (0.05, 0.3):
            game = random(4, seed=seed).replace(beta=beta)
            answer = solve_equilibrium(game).log_policy
            for log_policy in (
                policies(4, seed),
                policies(4, seed, 6.0),
                ops.log_normalize(np.array([0, 0, 0, -30.0])),
            ):
                distance = ops.kl(log_policy, answer)
                measured = gap(game, log_policy)
                assert 2 * beta * distance * (1 - 1e-9) <= measured
                assert measured <= (2 * beta + 1 / (2 * beta)) * distance * (1 + 1e-9)
                control_fails |= bool(2 * beta * ops.kl(answer, log_policy) > measured)
    assert control_fails


def test_regularised_equilibrium_in_the_original_game():
    for seed in range(20):
        game = random(6, seed=seed)
        for beta in (1.0, 0.1, 0.01):
            answer = solve_equilibrium(game.replace(beta=beta)).log_policy
            assert gap(game, answer) <= 2 * beta * -game.log_reference.min() + 1e-12
    # With log n instead of log 1/mu_min: a reference that hides the best action refutes it.
    hidden = PreferenceGame([[0.5, 1.0], [0.0, 0.5]], log_reference=[-1000.0, 0.0])
    answer = solve_equilibrium(hidden.replace(beta=0.01)).log_policy
    assert gap(hidden, answer) > 2 * 0.01 * np.log(2)


def test_log_ratio_bound():
    rng = np.random.default_rng(0)
    for seed in range(20):
        beta = float(rng.uniform(0.02, 1))
        game = random(5, seed=seed).replace(beta=beta)
        far = ops.log_normalize(game.log_reference + rng.normal(size=5) * 3 / beta)
        worst = {"reference": 0.0, "far": 0.0}
        for name, log_policy in (("reference", game.log_reference), ("far", far)):
            for _ in range(30):
                c = rng.uniform(0, 0.3)
                opponent = policies(5, int(rng.integers(10**6)), 4.0)
                win_rate = game.preference @ np.exp(opponent)
                log_policy = ops.log_normalize((1 - c) * log_policy + c * game.log_reference + c / beta * win_rate)
                worst[name] = max(worst[name], np.abs(log_policy - game.log_reference).max())
        assert worst["reference"] <= 1 / beta
        assert worst["far"] > 1 / beta
        assert np.abs(solve_equilibrium(game).log_policy - game.log_reference).max() <= 1 / beta


def test_win_rates_in_self_play_lie_below_a_uniform_law():
    def excess(payoff, log_m, log_opponent, eta):
        moment = np.log(np.exp(log_m) @ np.exp(eta * payoff @ np.exp(log_opponent)))
        return moment - np.log(np.sinh(eta / 2) / (eta / 2))

    control = -np.inf
    for seed in range(30):
        game = random(6, seed=seed)
        for eta in (0.1, 1.0, 5.0):
            log_m = policies(6, seed)
            assert excess(game.payoff, log_m, log_m, eta) <= 1e-14
            assert np.log(np.sinh(eta / 2) / (eta / 2)) <= eta**2 / 24
            # Against the opponent it beats most, the mean is above 0 and the bound fails.
            weakest = np.full(6, -np.inf)
            weakest[np.argmax(np.exp(log_m) @ game.payoff)] = 0.0
            control = max(control, excess(game.payoff, log_m, weakest, eta))
    assert control > 1e-2
    # Approached by transitive tournaments: 200 actions leave less than 1e-4 of slack.
    n = 200
    transitive = 0.5 * np.sign(np.arange(n)[None, :] - np.arange(n)[:, None])
    log_m = np.full(n, -np.log(n))
    assert -1e-4 < excess(transitive, log_m, log_m, 1.0) <= 0


# Distances.


def test_distances_have_the_stated_direction():
    equilibrium, policy = np.log([0.7, 0.2, 0.1]), np.log([0.2, 0.3, 0.5])
    game = random(3)
    forward = 0.7 * math.log(0.7 / 0.2) + 0.2 * math.log(0.2 / 0.3) + 0.1 * math.log(0.1 / 0.5)
    assert kl_to_equilibrium(game, policy, equilibrium) == pytest.approx(forward, abs=1e-15)
    ratios = [math.log(0.2 / 0.7), math.log(0.3 / 0.2), math.log(0.5 / 0.1)]
    assert span_to_equilibrium(game, policy, equilibrium) == pytest.approx(max(ratios) - min(ratios), abs=1e-15)
    assert exploitability(game, policy) == gap(game, policy) / 2


def test_distances_with_partial_support():
    game = random(3)
    with np.errstate(divide="ignore"):
        equilibrium, policy = np.log([0.5, 0.5, 0.0]), np.log([0.25, 0.75, 0.0])
    inside = np.log([0.25, 0.5, 0.25])
    assert kl_to_equilibrium(game, inside, equilibrium) == pytest.approx(0.5 * math.log(2), abs=1e-15)
    assert span_to_equilibrium(game, inside, equilibrium) == np.inf
    assert span_to_equilibrium(game, policy, equilibrium) == pytest.approx(math.log(3), abs=1e-15)
    assert kl_to_equilibrium(game, equilibrium, inside) == np.inf


# Shapes and symmetries.


def test_policies_broadcast_with_games():
    games = random(4, seed=1, count=3).replace(beta=[0.0, 0.1, 0.5])
    one = random(4, seed=1).replace(beta=0.1)
    answers = solve_equilibrium(games).log_policy
    runs = np.stack([np.stack([policies(4, 10 * i + r) for r in range(5)]) for i in range(3)])
    column = PreferenceGame(
        games.preference[:, None], beta=games.beta[:, None], log_reference=games.log_reference[:, None]
    )
    with np.errstate(divide="ignore"):
        for name, metric in METRICS.items():
            rows = metric.function(games, runs[:, 0], answers)
            table = metric.function(column, runs, answers[:, None])
            assert rows.shape == (3,) and table.shape == (3, 5), name
            for i in range(3):
                single = PreferenceGame(games.preference[i], beta=games.beta[i], log_reference=games.log_reference[i])
                for r in range(5):
                    value = metric.function(single, runs[i, r], answers[i])
                    assert value.shape == ()
                    np.testing.assert_allclose(table[i, r], value, rtol=1e-12, atol=1e-16)
    assert gap(one, runs).shape == (3, 5)
    assert duality_gap(one, np.exp(runs)).shape == (3, 5)
    assert duality_gap(games, [0.25] * 4).shape == (3,)


@settings(deadline=None)
@given(games, st.integers(0, 10**6), st.randoms(use_true_random=False))
def test_renaming_actions_and_shifting_logs_change_nothing(game, seed, shuffle):
    order = list(range(game.n))
    shuffle.shuffle(order)
    log_policy = policies(game.n, seed)
    renamed = PreferenceGame(
        game.preference[np.ix_(order, order)], beta=game.beta, log_reference=game.log_reference[order] + 17.0
    )
    expected = gap(game, log_policy)
    assert gap(renamed, log_policy[order]) == pytest.approx(expected, rel=1e-11, abs=1e-14)
    assert duality_gap(game, log_policy=log_policy - 5.0) == pytest.approx(expected, rel=1e-11, abs=1e-14)
    np.testing.assert_allclose(
        best_response(renamed, log_policy[order]), best_response(game, log_policy)[order], atol=1e-11
    )


def test_metric_table():
    distances = {"duality_gap", "exploitability", "kl_to_equilibrium", "span_to_equilibrium"}
    assert set(METRICS) == {*distances, "win_rate"}
    game = cyclic(3).replace(beta=0.5)
    for name in distances:
        assert METRICS[name].scale == "log"
        if METRICS[name].needs_equilibrium:
            with pytest.raises(ValueError, match="needs log_equilibrium; pass solve_equilibrium"):
                METRICS[name].function(game, game.log_reference)
        assert METRICS[name].function(game, game.log_reference, game.log_reference) <= 1e-15
    assert METRICS["win_rate"].function(game, game.log_reference) == pytest.approx(0.5, abs=1e-15)


# Win rates and the distance travelled.


@settings(deadline=None)
@given(games, st.integers(0, 10**6))
def test_win_rate_is_the_definition(game, seed):
    one, other = policies(game.n, seed), policies(game.n, seed + 1, scale=3.0)
    p, q = np.exp(one), np.exp(other)
    by_hand = sum(p[i] * q[j] * game.preference[i, j] for i in range(game.n) for j in range(game.n))
    assert win_rate(game, one, other) == pytest.approx(by_hand, abs=1e-14)
    assert win_rate(game, one, other) + win_rate(game, other, one) == pytest.approx(1, abs=1e-14)
    assert win_rate(game, one) == pytest.approx(p @ game.preference @ game.reference, abs=1e-14)
    # Nobody wins more often than not against a Nash equilibrium.
    assert win_rate(game, one, solve_equilibrium(game.replace(beta=0.0)).log_policy) <= 0.5 + 1e-12


def test_win_rate_in_log_odds_is_a_rate():
    game = PreferenceGame([[0.5, 0.9], [0.1, 0.5]], transform="log_odds")
    with np.errstate(divide="ignore"):
        assert win_rate(game, np.log([1.0, 0.0]), np.log([0.0, 1.0])) == pytest.approx(0.9, abs=1e-15)


SOLVERS = ["egpo", ("nash_md", {"step": 0.2}), "nash_md_pg", "replicator"]  # fused twice, compiled body, step
SETTINGS = {"horizon": 23, "runs": 2, "start": "random", "seed": 3}
HARD = random(4, seed=5, count=2).replace(beta=[0.1, 0.4], reference=[0.4, 0.3, 0.2, 0.1])
HARD = PreferenceGame(HARD.preference, beta=HARD.beta, reference=HARD.reference, names=["a", "b", "egg", "d"])


@pytest.mark.parametrize("engine", ["numba", "reference"])
def test_win_rates_of_a_run_are_those_of_its_policies(engine):
    names = ["reference", "uniform", "equilibrium", "egg", "nash_md", "nash_md(step=0.2)"]
    rates = [f"{kind}:{name}" for name in names for kind in ("win_rate", "average_win_rate")]
    wanted = ["win_rate", "average_win_rate", *rates, "policy"]
    data = ps.run(HARD, SOLVERS, metrics=wanted, record="all", engine=engine, **SETTINGS)
    assert set(data.data_vars) == set(wanted)
    last = data.policy.values  # (algorithm, instance, run, t, action)
    t = np.arange(1, 24)[:, None]
    mean = np.concatenate([last[..., :1, :], np.cumsum(last, axis=-2)[..., :-1, :] / t], axis=-2)
    opponents = {
        "reference": np.array(HARD.reference[0]),
        "uniform": np.full(4, 0.25),
        "equilibrium": solve_equilibrium(HARD).policy[:, None, None],
        "egg": np.array([0.0, 0.0, 1.0, 0.0]),
    }
    for kind, policy in (("win_rate", last), ("average_win_rate", mean)):
        for name in names:
            other = opponents.get(name, policy[1])
            expected = np.einsum("airty,iyz,airtz->airt", policy, HARD.preference, np.broadcast_to(other, policy.shape))
            np.testing.assert_allclose(data[f"{kind}:{name}"], expected, atol=1e-13, err_msg=f"{kind}:{name}")
        np.testing.assert_array_equal(data[kind], data[f"{kind}:reference"])
    assert np.abs(data["win_rate:nash_md"].values[1] - 0.5).max() < 1e-14 < np.ptp(data["win_rate:nash_md"].values[0])
    assert np.abs(data["average_win_rate:egg"] - data["win_rate:egg"]).values[..., -1].min() > 1e-4


@pytest.mark.parametrize("engine", ["numba", "reference"])
def test_distance_counts_every_iteration(engine):
    # The third solver is compiled from its body also where the others are fused; sppo's partition is not affine either.
    solvers = [*SOLVERS, "omwu", ("sppo", {"half_partition": True})]
    dense = ps.run(HARD, solvers, metrics=["policy"], record="all", engine=engine, **SETTINGS)
    moved = np.abs(np.diff(dense.policy.values, axis=-2)).sum(axis=-1)
    way = np.concatenate([np.zeros((*moved.shape[:-1], 1)), np.cumsum(moved, axis=-1)], axis=-1)
    sparse = ps.run(HARD, solvers, metrics=["distance", "policy"], record=[2, 9], engine=engine, **SETTINGS)
    np.testing.assert_allclose(sparse.distance, way[..., [0, 2, 9, 23]], rtol=1e-11, atol=1e-14)
    np.testing.assert_array_equal(sparse.policy, dense.policy.sel(t=[0, 2, 9, 23]))
    # A path that turns is longer than the way from its start to its end.
    straight = np.abs(sparse.policy.values[..., -1, :] - sparse.policy.values[..., 0, :]).sum(axis=-1)
    assert (sparse.distance.values[..., -1] >= straight - 1e-12).all()
    assert (sparse.distance.values[..., -1] > 1.01 * straight).any()


def test_distance_of_a_straight_way():
    """Two actions move along a line: the distance is twice the probability that changed hands."""
    game = PreferenceGame([[0.5, 0.9], [0.1, 0.5]])
    data = ps.run(game, [("mwu", {"step": 1.0})], horizon=7, metrics=["distance"])
    worse = 1 / (1 + np.exp(0.4 * 7))  # the log-ratio grows by step (P(1 > p) - P(2 > p)) = 0.4 an iteration
    assert data.distance.values[0, 0, 0, -1] == pytest.approx(2 * (0.5 - worse), rel=1e-12)


def test_distance_of_feedback_runs():
    settings = {"horizon": 9, "feedback": "duels", "seed": 2}
    dense = ps.run(HARD, ["egpo"], metrics=["policy", "distance"], record="all", **settings)
    moved = np.abs(np.diff(dense.policy.values, axis=-2)).sum(axis=(-2, -1))
    np.testing.assert_allclose(dense.distance.values[..., -1], moved, rtol=1e-12)


def test_win_rates_survive_files(tmp_path):
    wanted = ["win_rate:egg", "average_win_rate:nash_md(step=0.2)", "distance"]
    game = random(4, seed=5).replace(beta=0.1)
    experiment = ps.Experiment(game, [("nash_md", {"step": 0.2}), "mwu"], 5, metrics=[*wanted[1:], "win_rate:3"])
    experiment.to_toml(tmp_path / "e.toml")
    again = ps.Experiment.from_toml(tmp_path / "e.toml")
    assert again.metrics == experiment.metrics
    data, same = ps.run(experiment), ps.run(again)
    assert data.drop_attrs().identical(same.drop_attrs())
    ps.save(data, tmp_path / "e.nc")
    assert ps.load(tmp_path / "e.nc").identical(data)
    labels = {name: data[name].attrs["long_name"] for name in data.data_vars}
    assert labels["win_rate:3"] == "win rate against 3" and labels["distance"] == "distance travelled (L1)"
    assert labels[wanted[1]] == "win rate of the average iterate against nash_md(step=0.2)"


def test_win_rates_on_the_command_line(tmp_path):
    out = tmp_path / "e.nc"
    rules = ["nash_md_pg:step=0.2,mixture=0.3", "mwu"]
    metrics = "win_rate:nash_md_pg(step=0.2, mixture=0.3), distance,win_rate:uniform"
    done = CliRunner().invoke(app, ["run", "cyclic", *rules, "--beta", "0.1", "--metrics", metrics, "--out", str(out)])
    assert done.exit_code == 0, done.output
    expected = {"win_rate:nash_md_pg(step=0.2, mixture=0.3)", "distance", "win_rate:uniform"}
    assert set(ps.load(out).data_vars) == expected and "Win rate against uniform at t = 1,000" in done.output


def test_win_rates_are_drawn_on_a_linear_axis():
    values = np.array([[0.5, 0.9, 0.99], [0.5, 0.02, 0.01]])[:, None, None]  # 99 times apart: costs would be drawn in logs
    for name in ("win_rate:duality_gap", "average_win_rate", "win_rate:x_to_equilibrium"):
        data = xarray.Dataset(
            {name: (("algorithm", "instance", "run", "t"), values)}, {"algorithm": ["x", "y"], "instance": [0], "t": [0, 1, 9]}
        )
        figure = ps.plot(data)
        assert figure.axes[0].get_yscale() == "linear"
        low, high = figure.axes[0].get_ylim()
        assert low <= 0.01 and high >= 0.99
    way = data.rename({name: "distance"})
    assert ps.plot(way).axes[0].get_yscale() == "log"  # as a cost: linear unless final values lie far apart
    assert ps.plot(way.isel(algorithm=[0])).axes[0].get_yscale() == "linear"


@pytest.mark.parametrize(
    ("metric", "sentence"),
    [
        ("win_rate:eg", "unknown opponent of win_rate: 'eg'; did you mean 'egg' or 'egpo'"),
        ("win_rate:", "known: a, b, d, egg, egpo, equilibrium, omd, omd.step=0.2., reference, uniform, up/down"),
        ("average_win_rate:none", "unknown opponent"),
        ("win_rate:NAME", "unknown opponent"),
        ("win_rates", "did you mean 'win_rate'"),
        ("average_distance", "unknown metric 'average_distance'"),
        ("average_policy", "unknown metric 'average_policy'"),
        ("distance:egpo", "unknown metric 'distance:egpo'"),
        ("duality_gap:egpo", "unknown metric"),
        (5, "unknown metric 5"),
        ("win_rate:up/down", "cannot name a variable"),
    ],
)
def test_unknown_opponents_are_refused_before_work(metric, sentence, monkeypatch):
    monkeypatch.setattr("prefsim.engines.reference.GamePlayer", None)  # any work would raise another error
    rules = ["egpo", "omd", ("omd", {"step": 0.2}), ps.Spec("mwu", {}, "up/down")]
    with pytest.raises(ValueError, match=sentence) as caught:
        ps.run(HARD, rules, horizon=3, metrics=["duality_gap", metric], engine="reference")
    assert str(caught.value).endswith((".", "?"))


def test_ambiguous_opponents_are_refused():
    sweep = [("omd", {"step": ps.Grid([0.1, 0.2])}), "egpo"]
    with pytest.raises(ValueError, match=r"'omd\(step=0.1\)' or the algorithm 'omd\(step=0.2\)'; name an algorithm"):
        ps.run(HARD, sweep, horizon=3, metrics=["win_rate:omd"])
    named = PreferenceGame(HARD.preference[0], names=["egpo", "uniform", "c", "d_bound"])
    for name, sentence in (("egpo", "the action 'egpo' or the algorithm"), ("uniform", "the uniform 'uniform' or the action")):
        with pytest.raises(ValueError, match=sentence):
            ps.run(named, ["egpo"], horizon=3, metrics=[f"win_rate:{name}"])
    with pytest.raises(ValueError, match="cannot name a variable"):
        ps.run(named, ["egpo"], horizon=3, metrics=["win_rate:d_bound"])
    label = ps.run(HARD, ["omd", ("omd", {"step": 0.2})], horizon=3, metrics=["win_rate:omd"])  # a label before keys
    assert np.abs(label["win_rate:omd"].values[0] - 0.5).max() < 1e-15


def test_a_diverging_opponent_leaves_the_others_alone():
    game = random(6, seed=3).replace(beta=0.02)
    rules = ["egpo", ("nash_prox", {"inner": 5})]  # which refuses to return what it did not solve
    with pytest.warns(ps.DivergenceWarning, match="nash_prox.* diverged by iteration"):
        data = ps.run(game, rules, horizon=3, metrics=["win_rate:nash_prox", "win_rate"], engine="reference")
    assert np.isfinite(data["win_rate"].values[0]).all() and np.isnan(data["win_rate"].values[1, ..., -1]).all()
    assert np.isnan(data["win_rate:nash_prox"].values[0, ..., -1]).all()


# Refusals.


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({}, ValueError, "give the policy once"),
        ({"policy": [0.5, 0.5, 0], "log_policy": [0, 0, 0]}, ValueError, "give the policy once"),
        ({"policy": [0.5, 0.5]}, ValueError, "policy must have 3 entries"),
        ({"policy": [0.5, 0.6, 0.1]}, ValueError, "policy must sum to 1"),
        ({"policy": [0.5, 0.7, -0.2]}, ValueError, "finite probabilities >= 0"),
        ({"policy": [0.5, 0.5, np.nan]}, ValueError, "finite probabilities >= 0"),
        ({"policy": ["a", "b", "c"]}, TypeError, "policy must be an array of numbers"),
        ({"log_policy": [0.0, 0.0]}, ValueError, r"log_policy must have 3 entries .* got \(2,\)"),
        ({"log_policy": [0.0, 0.0, np.nan]}, ValueError, "log_policy must hold logarithms below inf"),
        ({"log_policy": [0.0, 0.0, np.inf]}, ValueError, "log_policy must hold logarithms below inf"),
        ({"log_policy": [-np.inf] * 3}, ValueError, "a finite one in each row"),
        ({"policy": np.full((4, 3), 1 / 3)}, ValueError, r"leading axes of policy \(4,\) and of the game \(2,\)"),
    ],
)
def test_refusals(arguments, error, sentence):
    game = additive([[0.0, 0.1, 0.2], [0.0, 0.2, 0.3]])
    with pytest.raises(error, match=sentence) as caught:
        duality_gap(game, **arguments)
    assert str(caught.value).endswith(".")


def test_best_response_refuses_unregularised_games():
    with pytest.raises(ValueError, match="best_response needs beta > 0"):
        best_response(cyclic(3), np.log(np.full(3, 1 / 3)))
