"""Solvers that give a step of their own, and policy gradients, against their theorems, identities and other libraries."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import prefsim as ps
from prefsim import ops, registry
from prefsim.engines import game_loops, reference
from prefsim.engines import numba_games as compiled
from prefsim.equilibrium import solve_equilibrium

CLASSICAL = ["extragradient", "fictitious_play", "projected_gradient", "regret_matching_plus", "replicator"]


def rule(key):
    return registry.load("solvers", key)


def advance(key, game, log_policy, iterations=1, **hyper):
    """Log-policies (iterations + 1, n) of one game by the plain reading."""
    module = rule(key)
    values = module.Hyper(**hyper)
    state = module.init(values, np.array(log_policy, dtype=float))
    path = [state.policy]
    for t in range(iterations):
        state = module.step(values, state, game_loops.Game(0.5 + game.payoff, game.log_reference, float(game.beta), t))
        path.append(state.policy)
    return np.array(path)


def log_policies(count, n, seed=0):
    return ops.log_normalize(np.random.default_rng(seed).normal(size=(count, n)))


# The vocabulary.


def quadratic_projection(v):
    """Nearest point of the simplex by bisection on the threshold."""
    low, high = v.min() - 1, v.max()
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if np.maximum(v - middle, 0).sum() > 1 else (low, middle)
    return np.maximum(v - low, 0)


def test_projection_is_the_nearest_policy():
    rows = np.random.default_rng(0).normal(size=(50, 6)) * 3
    np.testing.assert_allclose(ops.project_simplex(rows), [quadratic_projection(v) for v in rows], atol=1e-14)
    p = np.exp(log_policies(20, 6))
    np.testing.assert_allclose(ops.project_simplex(p + 7.0), p, atol=1e-14)
    np.testing.assert_array_equal(ops.project_simplex(np.array([[5.0]])), [[1.0]])


def test_words_of_the_vocabulary():
    inf = np.inf
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(ops.log(np.array([1.0, 0.0, -2.0])), [0, -inf, -inf])
        other = np.log(np.array([[0.2, 0.8], [0.2, 0.8]]))
        np.testing.assert_allclose(np.exp(ops.normalize(np.array([[3.0, 1.0], [0, 0]]), other)), [[0.75, 0.25], [0.2, 0.8]])
        np.testing.assert_array_equal(ops.normalize(np.array([2.0, 0.0]), other[0]), [0, -inf])
    np.testing.assert_array_equal(ops.positive_part(np.array([1.0, 1e-13, -1.0])), [1, 0, 0])
    ties = np.array([[0.1, 0.5, 0.5], [0.5 - 1e-13, 0.2, 0.5], [0.1, 0.2, 0.3]])
    np.testing.assert_array_equal(ops.best_reply(ties), [[0, 1, 0], [1, 0, 0], [0, 0, 1]])
    values = np.array([1.0, 2.0, 6.0])
    np.testing.assert_allclose(ops.advantage(values, np.log([0.5, 0.25, 0.25])), values - 2.5, atol=1e-15)
    np.testing.assert_array_equal(ops.choose(np.array([True, False]), np.ones((2, 3)), np.zeros((2, 3)))[:, 0], [1, 0])
    assert ops.every(np.array([True, True])) is True and ops.every(np.array([True, False])) is False


def test_compiled_words_mean_the_same():
    rng = np.random.default_rng(1)
    rows = [rng.normal(size=5), np.array([0.0, 1.0, 1.0, -3.0, 0.0]), np.zeros(5), np.array([2.0])]
    for name in ("log", "positive_part", "best_reply", "project_simplex"):
        word = getattr(ops, name)
        fast = _compiled(name)
        for row in rows:
            np.testing.assert_allclose(fast(row), word(row), rtol=1e-15, atol=1e-16, err_msg=name)
    for row in rows:
        weights, log_policy = np.abs(row), ops.log_normalize(np.cos(np.arange(len(row))))
        normalized = _compiled("normalize", 2)(weights, log_policy)
        np.testing.assert_allclose(normalized, ops.normalize(weights, log_policy), rtol=1e-15)
        np.testing.assert_allclose(_compiled("advantage", 2)(row, log_policy), ops.advantage(row, log_policy), atol=1e-15)


def _compiled(name, arguments=1):
    from numba import njit

    from prefsim.engines import numba_ops  # noqa: F401

    names = ", ".join("ab"[:arguments])
    space = {"ops": ops}
    exec(f"def word({names}):\n    return ops.{name}({names})", space)
    return njit(space["word"])


def test_words_follow_the_array_standard():
    xp = pytest.importorskip("array_api_strict")
    rows = np.random.default_rng(2).normal(size=(4, 5))
    log_policy = ops.log_normalize(rows)
    for name in ("log", "positive_part", "best_reply", "project_simplex"):
        ours = np.asarray(getattr(ops, name)(xp.asarray(rows)))
        np.testing.assert_allclose(ours, getattr(ops, name)(rows), atol=1e-14)
    ours = ops.normalize(xp.asarray(np.abs(rows)), xp.asarray(log_policy))
    np.testing.assert_allclose(np.asarray(ours), ops.normalize(np.abs(rows), log_policy), atol=1e-14)
    ours = ops.advantage(xp.asarray(rows), xp.asarray(log_policy))
    np.testing.assert_allclose(np.asarray(ours), ops.advantage(rows, log_policy), atol=1e-14)


# What all of them share.


@pytest.mark.parametrize("key", [*CLASSICAL, "nash_prox"])
def test_batched_is_one_at_a_time(key):
    game = ps.games.random(6, seed=5, count=4).replace(beta=[0.05, 0.1, 0.4, 1.0])
    both = ps.run(game, [key], horizon=50, runs=3, start="random", metrics=["policy"], engine="reference").policy.values
    start = both[0, :, :, 0]
    for i in range(4):
        for r in range(3):
            alone = advance(key, game[i], np.log(start[i, r]), 50)[-1]
            np.testing.assert_allclose(both[0, i, r, -1], np.exp(alone), atol=1e-12)


@pytest.mark.parametrize("engine", ["reference", "numba"])
def test_probabilities_of_zero_leave_no_nan(engine):
    games = [
        ps.games.dominated(4),
        ps.games.random(6, seed=1, law="sign"),
        ps.games.degenerate(),
        ps.games.cyclic(5),
        ps.PreferenceGame([[0.5]]),
        ps.PreferenceGame([[0.5, 1.0], [0.0, 0.5]]),
        ps.games.random(6, seed=2).replace(beta=0.1),
    ]
    metrics = ["duality_gap", "average_duality_gap", "kl_to_equilibrium", "span_to_equilibrium", "policy"]
    settings = [(key, {"step": 2.0} if "step" in rule(key).Hyper._fields else {}) for key in CLASSICAL]
    zeros = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for game in games:
            data = ps.run(game, settings, horizon=300, metrics=metrics, engine=engine)
            for name in metrics:
                assert not np.isnan(data[name]).any(), (game, name)
            assert np.isfinite(data.duality_gap).all() and np.isfinite(data.average_duality_gap).all()
            np.testing.assert_allclose(data.policy.sum("action"), 1, atol=1e-12)
            zeros += int((data.policy == 0).sum())
            if float(game.beta) > 0:
                assert np.isinf(data.kl_to_equilibrium).any()  # an action the regularised equilibrium plays is gone
    assert zeros > 100


@pytest.mark.parametrize("key", CLASSICAL)
def test_policies_may_start_with_zeros(key):
    game = ps.games.random(5, seed=3)
    start = np.array([[[0.5, 0.5, 0, 0, 0], [1.0, 0, 0, 0, 0]]])
    with np.errstate(divide="ignore"):
        start = np.log(start)
    arrays = [np.array(a)[None] for a in (game.beta, game.preference, game.log_reference)]
    players = [b.play_game(rule(key), [rule(key).Hyper()], *arrays, start, True) for b in (reference, compiled)]
    for player in players:
        player.advance(40)
        assert not np.isnan(player.current).any() and np.isfinite(ps.duality_gap(game, log_policy=player.current)).all()
    np.testing.assert_allclose(players[1].total, players[0].total, atol=1e-12)


@pytest.mark.parametrize("key", ["regret_matching_plus", "projected_gradient", "replicator"])
def test_average_gap_bounds_hold_and_can_fail(key, monkeypatch):
    game = ps.games.random(5, seed=11, count=10)
    for step in ({}, {"step": 0.5}) if "step" in rule(key).Hyper._fields else ({},):
        data = ps.run(game, [(key, step)], horizon=3000, runs=2, start="random")
        ratio = data.average_duality_gap / data.average_duality_gap_bound
        assert ratio.isel(t=slice(1, None)).max() <= 1
    # Control: follow the losses instead of the win rates.
    turned = ops.win_rates
    monkeypatch.setattr(rule(key), "win_rates", lambda preference, log_policy: 1 - turned(preference, log_policy))
    wrong = ps.run(game, [key], horizon=3000, engine="reference")
    assert (wrong.average_duality_gap / wrong.average_duality_gap_bound).isel(t=-1).max() > 1


# One by one.


def test_fictitious_play_on_a_dominated_game():
    game = ps.games.dominated(5, margin=0.5)
    data = ps.run(game, [("fictitious_play", {"prior": 2.0})], horizon=100, record="all")
    np.testing.assert_allclose(data.duality_gap[0, 0, 0], 0.8 * 2 / (2 + np.arange(101)), rtol=1e-12)


def test_fictitious_play_tends_to_the_equilibrium():
    data = ps.run(ps.games.random(6, seed=2, count=5), ["fictitious_play"], horizon=20_000, record=[0, 200, 20_000])
    gap = data.duality_gap.values[0, :, 0]
    assert (gap[:, 2] < 0.03).all() and (gap[:, 2] < gap[:, 1] / 3).all()


def test_fictitious_play_agrees_with_nashpy():
    nashpy = pytest.importorskip("nashpy")
    game = ps.games.random(6, seed=4)
    first = np.eye(6)[2]
    with np.errstate(divide="ignore"):
        ours = np.exp(advance("fictitious_play", game, np.log(first), 300))
    counts = list(nashpy.Game(game.payoff, -game.payoff).fictitious_play(iterations=300, play_counts=(first, first)))
    for row, column in zip(counts, ours, strict=True):
        np.testing.assert_allclose(row[0] / row[0].sum(), column, atol=1e-12)
        np.testing.assert_array_equal(row[0], row[1])


def test_replicator_tends_to_the_differential_equation_of_nashpy():
    nashpy = pytest.importorskip("nashpy")
    game = ps.games.random(4, seed=8)
    errors = []
    solution = nashpy.Game(game.payoff).replicator_dynamics(y0=game.reference, timepoints=np.linspace(0, 10, 400))[-1]
    for step in (0.02, 0.01):
        ours = np.exp(advance("replicator", game, game.log_reference, round(10 / step), step=step)[-1])
        errors.append(np.abs(ours - solution).max())
    assert errors[1] < 2e-3 and errors[0] / errors[1] == pytest.approx(2, rel=0.1)  # a method of first order


def test_replicator_is_the_discrete_time_map_at_step_two():
    game = ps.games.random(6, seed=1)
    p = np.exp(log_policies(1, 6)[0])
    grown = p * (game.preference @ p)
    ours = np.exp(advance("replicator", game, np.log(p), step=2.0)[-1])
    np.testing.assert_allclose(ours, grown / grown.sum(), atol=1e-15)


def test_replicator_never_nears_an_inner_equilibrium():
    game = ps.games.rock_paper_scissors((0.1, 0.3, 0.45))
    settings = {"horizon": 60, "start": [0.4, 0.3, 0.3], "metrics": ["kl_to_equilibrium"], "record": "all"}
    for key, outward in (("replicator", True), ("egpo", False)):
        data = ps.run(game, [(key, {"step": 0.5})], **settings)
        assert (np.diff(data.kl_to_equilibrium.values[0, 0, 0]) > 0).all() == outward


def test_regret_matching_plus_by_hand():
    game = ps.games.random(4, seed=6)
    regrets, p, policies = [0.0] * 4, list(game.reference), []
    for _ in range(50):
        policies.append(p)
        gain = [sum(game.payoff[y, z] * p[z] for z in range(4)) for y in range(4)]
        mean = sum(p[y] * gain[y] for y in range(4))
        regrets = [max(r + g - mean, 0.0) for r, g in zip(regrets, gain, strict=True)]
        p = [r / sum(regrets) for r in regrets]
    ours = np.exp(advance("regret_matching_plus", game, game.log_reference, 49))
    np.testing.assert_allclose(ours, policies, atol=1e-12)


def test_regret_matching_plus_stays_at_an_equilibrium():
    for nash, game in (([9, 6, 2], ps.games.rock_paper_scissors((0.1, 0.3, 0.45))), ([1] * 7, ps.games.cyclic(7))):
        p = np.array(nash) / sum(nash)
        np.testing.assert_array_equal(advance("regret_matching_plus", game, np.log(p), 50)[-1], np.log(p))


def test_projected_gradient_moves_away_by_pythagoras():
    game = ps.games.rock_paper_scissors((0.2, 0.2, 0.2))
    path = np.exp(advance("projected_gradient", game, np.log([0.4, 0.3, 0.3]), 20, step=0.1))
    distance = ((path - 1 / 3) ** 2).sum(axis=-1)
    speed = ((path @ game.payoff.T) ** 2).sum(axis=-1)
    assert path.min() > 0.1
    np.testing.assert_allclose(np.diff(distance), 0.01 * speed[:-1], rtol=1e-11)
    ahead = np.exp(advance("extragradient", game, np.log([0.4, 0.3, 0.3]), 20, step=0.1))  # control
    assert (np.diff(((ahead - 1 / 3) ** 2).sum(axis=-1)) < 0).all()


def test_extragradient_approaches_every_equilibrium():
    for game in ps.games.random(7, seed=9, count=5), ps.games.cyclic(5).flatten():
        for i in range(len(game.beta)):
            one = game[i]
            size = np.linalg.norm(one.payoff, 2)
            nash = solve_equilibrium(one).policy
            log_start = log_policies(1, one.n, seed=i)[0]
            for share in (0.3, 0.95):
                step = share / size
                path = np.exp(advance("extragradient", one, log_start, 400, step=step))
                half = ops.project_simplex(path + step * path @ one.payoff.T)
                bound = ((path - nash) ** 2).sum(-1) - (1 - share**2) * ((half - path) ** 2).sum(-1)
                assert (((path[1:] - nash) ** 2).sum(-1) <= bound[:-1] + 1e-13).all()
            assert ps.duality_gap(one, path[-1]) < 0.1 * ps.duality_gap(one, path[0])
    circling = np.exp(advance("extragradient", ps.games.cyclic(5), log_policies(1, 5)[0], 400, step=3 / size))
    assert ps.duality_gap(ps.games.cyclic(5), circling[-1]) > 0.1


def planted(beta, seed):
    log_policy = log_policies(1, 6, seed)[0]
    game = ps.games.planted(np.exp(log_policy), ps.games.random(6, seed=seed).payoff, beta)
    return game, log_policy


@pytest.mark.parametrize("step", [0.05, 1.0, 20.0])
@pytest.mark.parametrize("beta", [0.03, 0.3, 3.0])
def test_nash_prox_energy_identity(beta, step):
    kl = ops.kl
    for seed in range(3):
        game, star = planted(beta, seed)
        here = log_policies(1, 6, seed + 50)[0]
        there = advance("nash_prox", game, here, step=step)[-1]
        left = (1 + step) * kl(star, there) + step * kl(there, star) + kl(there, here)
        assert left == pytest.approx(kl(star, here), rel=1e-11)
        # The implicit step is the equilibrium of a game pulled towards both policies, by the package's own solver.
        anchor = (here + step * game.log_reference) / (1 + step)
        pulled = game.replace(beta=beta * (1 + step) / step, log_reference=anchor)
        np.testing.assert_allclose(there, solve_equilibrium(pulled).log_policy, atol=1e-11 * (1 + 1 / beta))
        # Control: the explicit step, against the policy it starts from.
        gain = game.payoff @ np.exp(here)
        explicit = ops.log_normalize(anchor + step / (beta * (1 + step)) * gain)
        wrong = (1 + step) * kl(star, explicit) + step * kl(explicit, star) + kl(explicit, here)
        assert wrong != pytest.approx(kl(star, here), rel=1e-6)


def test_nash_prox_shrinks_the_divergence_at_any_step():
    game = ps.games.random(6, seed=3, count=3).replace(beta=0.02)
    data = ps.run(game, [("nash_prox", {"step": s}) for s in (0.1, 2.0, 50.0)], horizon=15, metrics=["kl_to_equilibrium"])
    kl, bound = data.kl_to_equilibrium.values[:, :, 0], data.kl_to_equilibrium_bound.values
    assert (kl[..., 1:] <= bound[..., 1:] * (1 + 1e-9) + 1e-20).all()
    # Control: mirror prox at the same step of the divided game is beyond its theorem and does not settle.
    rps = ps.games.rock_paper_scissors().replace(beta=0.01)
    start = {"start": [0.6, 0.3, 0.1], "metrics": ["kl_to_equilibrium"]}
    both = ps.run(rps, [("nash_prox", {"step": 10.0}), ("mirror_prox", {"step": 10.0})], horizon=30, **start)
    assert both.kl_to_equilibrium[0, 0, 0, -1] < 1e-20 and both.kl_to_equilibrium[1, 0, 0, -1] > 0.1


def test_nash_prox_refuses_to_return_what_it_did_not_solve():
    game = ps.games.random(6, seed=3).replace(beta=0.02)
    for engine in ("reference", "numba"):
        with pytest.warns(ps.DivergenceWarning, match="smaller step"):
            data = ps.run(game, [("nash_prox", {"inner": 5})], horizon=3, engine=engine)
        assert np.isnan(data.duality_gap[..., -1]).all()
    odds = ps.PreferenceGame(game.preference, beta=0.2, transform="log_odds")
    size = float(np.abs(odds.payoff).max())
    data = ps.run(odds, [("nash_prox", {"bound": size, "step": 2.0})], horizon=60, metrics=["kl_to_equilibrium"])
    assert size > 1 and data.kl_to_equilibrium[0, 0, 0, -1] < 1e-20


@pytest.mark.parametrize("key", ["nash_md_pg", "nash_ema_pg"])
def test_policy_gradients_are_gradients(key):
    """The step is the gradient of ``<pi, gain> - beta KL(pi, mu)`` in the logits, by central differences."""
    module, beta = rule(key), 0.3
    current, mu = log_policies(2, 5)
    gain = np.random.default_rng(1).uniform(size=5)
    iterate = game_loops.Iterate(current, mu, *[current] * 5, beta, 0)
    ours = module.target(module.Hyper(step=1.0), iterate, gain, 0) - current

    def objective(logits):
        log_policy = ops.log_normalize(logits)
        return np.exp(log_policy) @ gain - beta * ops.kl(log_policy, mu)

    move = 1e-5 * np.eye(5)
    slopes = [(objective(current + d) - objective(current - d)) / 2e-5 for d in move]
    np.testing.assert_allclose(ours, slopes, atol=1e-9)


@pytest.mark.parametrize("mixture", [0.0, 0.25, 1.0])
def test_nash_md_pg_rests_at_a_known_policy(mixture):
    beta = 0.2
    game = ps.games.random(4, seed=12).replace(beta=beta)
    data = ps.run(game, [("nash_md_pg", {"mixture": mixture, "step": 2.0})], horizon=4000, metrics=["policy"])
    found = data.policy.values[0, 0, 0, -1]
    warmer = solve_equilibrium(game.replace(beta=beta / (1 - mixture))).policy if mixture < 1 else game.reference
    reply = ops.softmax(game.log_reference + game.payoff @ warmer / beta)
    np.testing.assert_allclose(found, reply, atol=1e-12)
    biased = np.abs(found - solve_equilibrium(game).policy).max()
    assert biased < 1e-12 if mixture == 0 else biased > 1e-3


def test_nash_ema_pg_rests_at_the_equilibrium():
    game = ps.games.random(4, seed=12).replace(beta=0.2)
    data = ps.run(game, [("nash_ema_pg", {"step": 2.0})], horizon=6000, metrics=["duality_gap"])
    assert data.duality_gap[0, 0, 0, -1] < 1e-24


@pytest.mark.parametrize(
    ("algorithm", "sentence"),
    [
        (("fictitious_play", {"prior": 0.0}), "prior must be positive"),
        (("replicator", {"step": 2.5}), "step must be at most 2"),
        (("nash_prox", {}), "divided by beta"),
        (("nash_md_pg", {"mixture": 1.5}), "mixture must lie in"),
        (("nash_ema_pg", {"decay": 1.0}), "decay must lie in"),
        (("regret_matching_plus", {"step": 1.0}), "has no hyperparameters"),
        (("extragradient", {"step": 0.0}), "step must be positive"),
    ],
)
def test_refusals(algorithm, sentence):
    with pytest.raises(ValueError, match=sentence):
        ps.run(ps.games.cyclic(3), [algorithm], horizon=2)
