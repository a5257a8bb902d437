"""The fused kernel's loops: the same bits one game at a time and eight side by side, whatever else is in the batch."""

import numpy as np
import pytest
from numba import njit

import prefsim as ps
from prefsim import registry
from prefsim.engines import lanes
from prefsim.engines import numba_games as compiled

SOLVERS = [("egpo", {"step": 0.3}), ("nash_md", {"step": 0.2}), ("omwu", {}), ("inpo", {}), ("mmd", {})]
METRICS = ["policy", "distance", "average_duality_gap"]


@njit(error_model="numpy")
def exponentials(values, out):
    for group in range(len(values) // lanes.lanes_of(values)):
        lanes.store(out, group, lanes.exponential(lanes.load(values, group)))


def test_the_exponential_is_right_to_rounding():
    values = -np.concatenate([np.linspace(0, 700, 4001)[:-1], np.geomspace(1e-300, 700, 4000)])
    out = np.empty_like(values)
    exponentials(values, out)
    np.testing.assert_allclose(out, np.exp(values), rtol=4e-16)
    np.testing.assert_array_equal(out[values > -1e-17], 1.0)


def test_the_exponential_at_the_edges():
    values = np.array([0.0, -708.0, -708.5, -1e4, -np.inf, np.nan, -5e-324, -0.0])
    out = np.empty_like(values)
    exponentials(values, out)
    np.testing.assert_allclose(out, [1.0, np.exp(-708.0), 0.0, 0.0, 0.0, np.nan, 1.0, 1.0], rtol=4e-16)


def limits(monkeypatch, side_by_side, together):
    monkeypatch.setattr(compiled, "SIDE_BY_SIDE", side_by_side)
    monkeypatch.setattr(compiled, "TOGETHER", together)


@pytest.mark.parametrize("n", [1, 2, 7, 8, 9, 24])
def test_side_by_side_is_one_at_a_time_bit_for_bit(n, monkeypatch):
    games = ps.games.random(n, seed=n, count=11).replace(beta=np.linspace(0.05, 1, 11))
    run = {"horizon": 40, "start": "random", "runs": 2, "metrics": METRICS, "engine": "numba"}
    limits(monkeypatch, 24, 10**9)
    side_by_side = ps.run(games, SOLVERS, **run)
    limits(monkeypatch, 0, 10**9)
    one_by_one = ps.run(games, SOLVERS, **run)
    for name in METRICS:
        np.testing.assert_array_equal(side_by_side[name], one_by_one[name], err_msg=name)


def test_neighbours_and_records_change_no_bit():
    games = ps.games.random(6, seed=1, count=9).replace(beta=0.2)
    whole = ps.run(games, SOLVERS, horizon=30, record="all", metrics=["policy"]).policy
    for i in (0, 4, 8):
        alone = ps.run(games[i], SOLVERS, horizon=30, record=[30], metrics=["policy"]).policy
        np.testing.assert_array_equal(alone.isel(instance=0, t=-1), whole.isel(instance=i, t=-1))


def test_settings_of_one_solver_are_played_together(monkeypatch):
    game = ps.games.random(5, seed=4, count=3).replace(beta=[0.1, 0.2, 0.4])
    steps = [("egpo", {"step": step}) for step in (0.1, 0.3, 0.9)]
    made = []
    monkeypatch.setattr(compiled, "FusedPlayer", type("Counted", (compiled.FusedPlayer,), {}))
    start = compiled.FusedPlayer.__init__

    def counted(self, *arguments, **options):
        made.append(options.get("copies", 1))
        start(self, *arguments, **options)

    monkeypatch.setattr(compiled.FusedPlayer, "__init__", counted)
    together = ps.run(game, [*steps, "nash_md"], horizon=25, metrics=METRICS)
    assert sorted(made) == [1, 3]
    for k, step in enumerate(steps):
        alone = ps.run(game, [step], horizon=25, metrics=METRICS)
        for name in METRICS:
            np.testing.assert_array_equal(together[name].isel(algorithm=k), alone[name].isel(algorithm=0), err_msg=name)


def test_settings_that_a_rule_branches_on_are_played_apart():
    game = ps.games.random(5, seed=4).replace(beta=0.2)
    settings = [("nash_md", {"step": 0.2}), ("nash_md", {"schedule": True})]
    both = ps.run(game, settings, horizon=10, metrics=["policy"]).policy
    for k, one in enumerate(settings):
        np.testing.assert_array_equal(both[k], ps.run(game, [one], horizon=10, metrics=["policy"]).policy[0])
    assert np.abs(both[0] - both[1]).max() > 1e-4


def test_runs_on_one_matrix_are_one_product(monkeypatch):
    game = ps.games.random(40, seed=2).replace(beta=0.1)
    run = {"horizon": 30, "start": "random", "runs": 12, "metrics": METRICS, "engine": "numba"}
    called = []
    product = compiled.FusedPlayer._product
    monkeypatch.setattr(compiled.FusedPlayer, "_product", lambda self, *given: (called.append(1), product(self, *given)))
    together = ps.run(game, SOLVERS, **run)
    assert called
    limits(monkeypatch, 0, 10**9)
    called.clear()
    rows = ps.run(game, SOLVERS, **run)
    assert not called
    for name in METRICS:
        np.testing.assert_allclose(together[name], rows[name], rtol=1e-10, atol=1e-13, err_msg=name)


def test_games_of_a_batch_that_share_a_matrix_keep_one():
    matrix = ps.games.random(4, seed=0)
    games = matrix.replace(beta=np.linspace(0.1, 1, 6)).flatten()
    entry = registry.algorithm("solvers", "egpo")
    preference = np.broadcast_to(0.5 + games.payoff[:1], games.payoff.shape)
    start = np.array(games.log_reference)[:, None]
    hypers = [entry.hyper({})] * 6
    player = compiled.FusedPlayer(entry.module, hypers, games.beta, preference, games.log_reference, start, False)
    assert len(player._payoff) == 1
    player.advance(5)
    for i in range(6):
        alone = ps.run(matrix.replace(beta=float(games.beta[i])), ["egpo"], horizon=5, metrics=["policy"], record=[5])
        np.testing.assert_array_equal(np.exp(player.current[i, 0]), alone.policy.values[0, 0, 0, -1])
