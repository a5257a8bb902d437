"""Single precision on request: every engine stays near the double-precision path, and what is measured is in double."""

import json

import numpy as np
import pytest
from numba import njit
from typer.testing import CliRunner

import prefsim as ps
from prefsim import cli, ops, registry
from prefsim.engines import lanes, reference
from prefsim.engines import numba_games as compiled
from prefsim.trace import Untraceable, columns, trace

UNIT = 2.0**-24
"""Largest relative error of rounding to single precision."""


def affine(key):
    entry = registry.algorithm("solvers", key)
    if hasattr(entry.module, "step"):
        return False
    given = entry.hyper({})
    hyper = entry.translate(given, 0.3) if entry.translate else given
    try:
        trace(entry.module, columns([hyper]), np.array([0.3]), np.arange(1))
    except Untraceable:
        return False
    return True


AFFINE = [key for key in sorted(registry.algorithms("solvers")) if affine(key)]
OTHER = sorted(set(registry.algorithms("solvers")) - set(AFFINE))


@njit(error_model="numpy")
def exponentials(values, out):
    for group in range(len(values) // lanes.lanes_of(values)):
        lanes.store(out, group, lanes.exponential(lanes.load(values, group)))


def test_the_exponential_is_right_to_rounding():
    values = -np.concatenate([np.linspace(0, 87, 8001)[:-1], np.geomspace(1e-30, 87, 8000)]).astype(np.float32)
    out = np.empty_like(values)
    exponentials(values, out)
    np.testing.assert_allclose(out, np.exp(values.astype(float)), rtol=2.1e-7)
    edges = np.zeros(16, np.float32)
    edges[:8] = [-0.0, -87.0, -87.5, -1e4, -np.inf, np.nan, -1e-45, -1e-9]
    found = np.empty_like(edges)
    exponentials(edges, found)
    np.testing.assert_allclose(found[:8], [1, np.exp(-87.0), 0, 0, 0, np.nan, 1, 1], rtol=2.1e-7)


def library(name):
    """Players of the reference engine on another array library, in whatever precision they are given."""
    module = pytest.importorskip(name)

    def play(rules, *games, **options):
        made = reference.play_games(rules, *games, array=lambda values: module.asarray(np.array(values)), **options)
        assert all("float32" in str(player.policies["half"].dtype) for player in made)
        return made

    return play


ENGINES = {
    "numba": lambda: compiled.play_games,
    "reference": lambda: reference.play_games,
    "torch": lambda: library("torch"),
    "array_api_strict": lambda: library("array_api_strict"),
}


@pytest.mark.parametrize("shape", [(9, 1, 5), (1, 9, 30), (2, 1, 30)], ids=["side by side", "one product", "rows"])
@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_stays_near_the_path_in_double_precision(engine, shape):
    """Each phase rounds log-policies of size ``L`` a few times, and hardly enlarges what was rounded before."""
    count, runs, n = shape
    games = ps.games.random(n, seed=n, count=count).replace(beta=np.linspace(0.1, 0.5, count))
    start = ops.log_normalize(2 * np.cos(np.arange(count * runs * n) ** 1.5).reshape(count, runs, n))
    given = (np.array(games.beta), np.array(games.preference), np.array(games.log_reference), start, True)
    rules = []
    for key in AFFINE:
        entry = registry.algorithm("solvers", key)
        hypers = [entry.translate(entry.hyper({}), b) if entry.translate else entry.hyper({}) for b in games.beta.tolist()]
        rules.append((entry.module, hypers))
    exact = reference.play_games(rules, *given, distance=True)
    ours = ENGINES[engine]()(rules, *given, distance=True, precision="float32")
    for iterations in (1, 8):
        for player in (*exact, *ours):
            player.advance(iterations)
        for key, double, single in zip(AFFINE, exact, ours, strict=True):
            found = np.asarray(single.current)
            assert found.dtype == np.float32
            error = np.abs(found - double.current).max()
            assert 0.1 * UNIT < error < 12 * UNIT * iterations * (1 + np.abs(double.current).max()), key
            np.testing.assert_allclose(single.total, double.total, atol=1e-5)
            np.testing.assert_allclose(single.distance, double.distance, atol=1e-5)
            assert "float64" in str(single.total.dtype) and "float64" in str(single.distance.dtype)


@pytest.mark.parametrize("n", [1, 7, 16, 17, 24])
def test_side_by_side_is_one_at_a_time_bit_for_bit(n, monkeypatch):
    games = ps.games.random(n, seed=n, count=19).replace(beta=np.linspace(0.05, 1, 19))
    metrics = ["policy", "distance", "average_duality_gap"]
    run = {"horizon": 30, "start": "random", "metrics": metrics, "precision": "float32"}
    rules = ["egpo", "omwu", ("nash_md", {"step": 0.2}), "comal"]
    together = ps.run(games, rules, **run)
    monkeypatch.setattr(compiled, "SIDE_BY_SIDE", 0)
    apart = ps.run(games, rules, **run)
    for name in metrics:
        np.testing.assert_array_equal(together[name], apart[name], err_msg=name)


def test_what_is_measured_is_of_the_normalised_policy_in_double_precision():
    game = ps.games.random(6, seed=1).replace(beta=0.2)
    metrics = ["policy", "duality_gap", "kl_to_equilibrium", "win_rate:egpo", "average_win_rate:mmd", "average_duality_gap"]
    data = ps.run(game, ["egpo", "mmd"], horizon=200, record="all", metrics=metrics, precision="float32")
    policy = data["policy"].values
    np.testing.assert_allclose(policy.sum(axis=-1), 1, rtol=0, atol=1e-15)
    assert all(data[name].dtype == np.float64 for name in metrics)
    np.testing.assert_allclose(data.duality_gap, ps.duality_gap(game, policy), rtol=1e-9, atol=1e-28)
    np.testing.assert_allclose(data["win_rate:egpo"].sel(algorithm="egpo"), 0.5, rtol=0, atol=1e-15)
    np.testing.assert_allclose(data["average_win_rate:mmd"].sel(algorithm="mmd"), 0.5, rtol=0, atol=1e-15)


@pytest.mark.parametrize(("beta", "step"), [(0.5, 0.5), (0.1, 0.5), (0.1, 0.05)])
def test_the_floor_of_the_gap_is_where_rounding_puts_it(beta, step):
    """A share ``step beta`` of each rounding is forgotten in an iteration: errors of ``UNIT L / (step beta)``, squared."""
    game = ps.games.random(10, seed=3).replace(beta=beta)
    rule, horizon = ("egpo", {"step": step}), int(40 / (step * beta))
    double = ps.run(game, [rule], horizon=horizon, record=[horizon], engine="reference").duality_gap.values[0, 0, 0, -1]
    single = ps.run(game, [rule], horizon=horizon, record=[horizon], precision="float32").duality_gap.values[0, 0, 0, -1]
    floor = beta * (UNIT * (3 + np.log(10)) / (step * beta)) ** 2
    assert double < 1e-24 and 1e-4 * floor < single < floor


def test_the_floor_without_regularisation_is_linear_in_rounding():
    game = ps.games.cyclic(3).replace(reference=[0.5, 0.3, 0.2])
    data = ps.run(game, [("egpo", {"step": 1.0})], horizon=4000, precision="float32", record=[4000])
    assert 1e-9 < float(data.duality_gap[..., -1].max()) < 1e-6


def test_margins_near_one_half_keep_their_digits():
    """In single precision ``1/2 + 1e-6`` has five digits less of its margin than the margin itself."""
    game = ps.PreferenceGame([[0.5, 0.500001], [0.499999, 0.5]])
    for engine in ("numba", "reference"):
        settings = {"horizon": 1000, "metrics": ["policy"], "record": [1000], "engine": engine, "precision": "float32"}
        policy = ps.run(game, [("mwu", {"step": 1000.0})], **settings).policy.values[0, 0, 0, -1]
        np.testing.assert_allclose(np.log(policy[0] / policy[1]), 1.0, rtol=1e-3)


def test_sums_over_many_iterations_are_in_double_precision():
    game = ps.games.cyclic(3).replace(beta=0.2, reference=[0.5, 0.3, 0.2])
    start = ps.solve_equilibrium(game).policy
    settings = {"horizon": 40_000, "record": [40_000], "metrics": ["average_kl_to_equilibrium"], "precision": "float32"}
    assert float(ps.run(game, ["egpo"], start=start, **settings).average_kl_to_equilibrium.max()) < 1e-13


def test_settings_side_by_side_are_settings_alone():
    game = ps.games.random(5, seed=4, count=3).replace(beta=[0.1, 0.2, 0.4])
    rules = [("egpo", {"step": step}) for step in (0.1, 0.3)]
    both = ps.run(game, rules, horizon=25, metrics=["policy"], precision="float32").policy
    for k, rule in enumerate(rules):
        alone = ps.run(game, [rule], horizon=25, metrics=["policy"], precision="float32").policy
        np.testing.assert_array_equal(both[k], alone[0])


GAME = ps.games.rock_paper_scissors()


@pytest.mark.parametrize(
    ("problem", "rule", "settings", "sentence"),
    [
        (GAME, "mwu", {"precision": "float16"}, "unknown precision 'float16'"),
        (GAME, "mwu", {"precision": "float32", "feedback": "duels"}, "needs exact feedback: drawing duels estimates"),
        (ps.bandits.bernoulli([0.2, 0.5]), "ucb1", {"precision": "float32"}, "is for preference games; bandits compute"),
        *((GAME.replace(beta=0.3), key, {"precision": "float32"}, f"{key} cannot run with precision") for key in OTHER),
    ],
)
@pytest.mark.parametrize("engine", ["numba", "reference"])
def test_what_single_precision_is_not_for_is_refused(problem, rule, settings, sentence, engine):
    with pytest.raises(ValueError, match=sentence):
        ps.run(problem, [rule], horizon=5, engine=engine, **settings)


def test_it_is_part_of_the_experiment(tmp_path):
    plan = ps.Experiment(GAME, ["mwu"], horizon=20, precision="float32")
    plan.to_toml(tmp_path / "plan.toml")
    read = ps.Experiment.from_toml(tmp_path / "plan.toml")
    assert read.precision == "float32" and read.to_dict() == plan.to_dict()
    assert "precision" not in ps.Experiment(GAME, ["mwu"], horizon=20).to_dict()
    data = ps.run(read)
    said = json.loads(data.attrs["provenance"])
    assert said["precision"] == said["experiment"]["precision"] == "float32"
    file = tmp_path / "out.nc"
    command = ["run", "rock_paper_scissors", "mwu", "--horizon", "20", "--precision", "float32", "--out", str(file)]
    done = CliRunner().invoke(cli.app, command)
    assert done.exit_code == 0, done.output
    assert json.loads(ps.load(file).attrs["provenance"])["precision"] == "float32"
    np.testing.assert_array_equal(ps.load(file).duality_gap, data.duality_gap)
