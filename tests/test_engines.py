"""One rule, every engine: the plain reading and the compiled one agree on the same noise, however the work is split."""

import inspect

import numpy as np
import pytest

import prefsim as ps
from prefsim import registry
from prefsim.bandit import Problem
from prefsim.engines import numba_games as compiled
from prefsim.engines import reference
from prefsim.engines.game_loops import POLICIES as NAMED
from prefsim.trace import Linear, Untraceable, trace

SOLVERS = sorted(registry.algorithms("solvers"))


def variants(solver):
    flags = [n for n, v in registry.algorithm("solvers", solver).parameters._field_defaults.items() if v is False]
    return [{}, *({flag: True} for flag in flags)]


NOT_AFFINE = {"sppo": [{"half_partition": True}], "nash_md_pg": [{}], "nash_ema_pg": [{}]}


KERNELS = {"lanes": (32, 8), "rows": (0, 10**9), "product": (0, 1), "body": None}
"""Ways to play, as the limits up to which games go side by side and from which their gains are one product."""


def compiled_player(kernel, monkeypatch):
    """The class that plays this way."""
    if kernel == "body":
        return compiled.BodyPlayer
    for name, limit in zip(("SIDE_BY_SIDE", "TOGETHER"), KERNELS[kernel], strict=True):
        monkeypatch.setattr(compiled, name, limit)
    return compiled.FusedPlayer


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_solver_same_on_both_engines(solver, kernel, monkeypatch):
    entry = registry.algorithm("solvers", solver)
    game = ps.games.random(7, seed=3, count=3).replace(beta=[0.1, 0.3, 0.7]).flatten()
    arrays = [np.array(a) for a in (game.beta, game.preference, game.log_reference)]
    start = np.array(game.log_reference[:, None]) * np.array([1.0, 0.3])[:, None]
    start = start - np.log(np.exp(start).sum(-1, keepdims=True))
    for settings in variants(solver):
        if kernel != "body" and settings in NOT_AFFINE.get(solver, []):
            continue
        given = entry.hyper(settings)
        hypers = [entry.translate(given, b) if entry.translate else given for b in game.beta.tolist()]
        stepping = hasattr(entry.module, "step")
        plain = reference.play_game(entry.module, hypers, *arrays, start, True, distance=True)
        player = compiled.StepPlayer if stepping else compiled_player(kernel, monkeypatch)
        fast = player(entry.module, hypers, *arrays, start, True, distance=True)
        for stop in (1, 2, 30):
            plain.advance(stop)
            fast.advance(stop)
            for name in entry.module.State._fields if stepping else ("current", "previous"):
                ours, theirs = (getattr(p.state, name) if stepping else p.policies[name] for p in (fast, plain))
                np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12, err_msg=f"{solver} {settings} {name}")
            np.testing.assert_allclose(fast.total, plain.total, rtol=1e-12, atol=1e-12)
            np.testing.assert_allclose(fast.distance, plain.distance, rtol=1e-9, atol=1e-12)
        assert np.abs(np.exp(plain.current) - np.exp(start)).max() > 1e-3


def test_run_agrees_across_engines_on_every_metric():
    game = ps.games.random(5, seed=1, count=2).replace(beta=0.2)
    metrics = ["duality_gap", "average_duality_gap", "kl_to_equilibrium", "span_to_equilibrium", "policy"]
    plain, fast = (ps.run(game, SOLVERS, horizon=40, metrics=metrics, engine=e) for e in ("reference", "numba"))
    for name in metrics:
        np.testing.assert_allclose(fast[name], plain[name], rtol=1e-9, atol=1e-14)


def test_numbers_do_not_depend_on_the_split(monkeypatch):
    duels, algorithms = ps.bandits.arxiv_six_rankers(), ["rucb", "double_thompson", "uniform"]
    monkeypatch.setenv("PREFSIM_THREADS", "2")
    whole = ps.run(duels, algorithms, horizon=2000, runs=11, seed=5)
    monkeypatch.setenv("PREFSIM_THREADS", "1")
    np.testing.assert_array_equal(whole.regret, ps.run(duels, algorithms, horizon=2000, runs=11, seed=5).regret)
    few = ps.run(duels, ["uniform", "rucb"], horizon=2000, runs=4, seed=5)
    np.testing.assert_array_equal(whole.regret.sel(algorithm=["uniform", "rucb"], run=range(4)), few.regret)
    batch = ps.bandits.bernoulli([[0.1, 0.4], [0.3, 0.35]])
    both = ps.run(batch, ["thompson"], horizon=500, runs=3)
    first = ps.run(ps.bandits.bernoulli([0.1, 0.4]), ["thompson"], horizon=500, runs=3)
    np.testing.assert_array_equal(both.regret.isel(instance=0), first.regret.isel(instance=0))


def test_games_do_not_depend_on_the_batch(monkeypatch):
    game = ps.games.random(40, seed=2, count=6).replace(beta=0.1)
    monkeypatch.setenv("PREFSIM_THREADS", "2")
    whole = ps.run(game, ["egpo", "omd"], horizon=600)
    monkeypatch.setenv("PREFSIM_THREADS", "1")
    one = ps.PreferenceGame(game.preference[2], beta=0.1, log_reference=game.log_reference[2])
    alone = ps.run(one, ["omd"], horizon=600)
    np.testing.assert_array_equal(whole.duality_gap.sel(algorithm=["omd"], instance=[2]), alone.duality_gap)


def test_streams_change_with_seed_and_name():
    problem = ps.bandits.bernoulli([0.3, 0.6])
    runs = [ps.run(problem, ["ucb1"], horizon=300, runs=4, **s).regret for s in ({}, {"seed": 1}, {"name": "other"})]
    assert not np.array_equal(runs[0], runs[1]) and not np.array_equal(runs[0], runs[2])


def test_environment_noise_is_shared_by_the_algorithms():
    """Two policies that make the same choices must see the same rewards: one arm leaves no choice."""
    seen = {}
    for policy in ("ucb1", "thompson"):
        module = registry.algorithm("policies", policy).module
        environment = registry.load("bandits", "bernoulli")
        rewards = []

        class Spy:
            FEEDBACK, METRICS, Truth = environment.FEEDBACK, environment.METRICS, environment.Truth
            regrets = staticmethod(environment.regrets)

            @staticmethod
            def feedback(truth, world, action, t, noise, rewards=rewards, environment=environment):
                rewards.append(environment.feedback(truth, world, action, t, noise))
                return rewards[-1]

        play = reference.play_bandit(module, Spy)
        truth = environment.Truth(np.array([0.5]), np.array([0.0]))
        keys = np.arange(6, dtype=np.uint64)
        out, halt = np.zeros((1, 2, 1)), np.zeros(1, np.uint8)
        play(module.Hyper(), truth, Problem(1, 50), keys, 0, 0, 1, np.array([0, 50]), out, halt)
        seen[policy] = rewards
    assert seen["ucb1"] == seen["thompson"] and 0 < sum(seen["ucb1"]) < 50


def mirror(c, s, centre="current", pull="reference", played="current"):
    """Target ``(1 - c) centre + c pull + s gain`` against one named policy."""
    return {centre: 1 - c, pull: c}, s, {played: 1.0}


PUBLISHED = {
    **dict.fromkeys(["mwu", "spo", "sppo"], lambda e, b: mirror(0, e)),
    **dict.fromkeys(["dno", "gpo"], lambda e, b: mirror(0, 1 / e)),
    **dict.fromkeys(["omd", "online_ipo", "egpo"], lambda e, b: mirror(e * b, e)),
    "nash_md": lambda e, b: (*mirror(e * b, e)[:2], {"current": 1 - e * b, "reference": e * b}),
    "inpo": lambda e, b: mirror(b / e, 1 / e),
    "mmd": lambda e, b: mirror(e * b / (1 + e * b), e / (1 + e * b)),
    "mirror_prox": lambda e, b: mirror(e / (1 + e), e / (b * (1 + e))),
    "nash_ema": lambda e, b: mirror(e * b, e, played="slow"),
    **dict.fromkeys(["omwu", "onpo"], lambda e, b: mirror(0, 2 * e, centre="auxiliary")),
    "comal": lambda e, b: mirror(0.5 * e, e, pull="magnet"),  # alpha is 0.5
    "mpo": lambda e, b: mirror(0.25 * e / (1 + 0.25 * e), e / (1 + 0.25 * e), pull="magnet"),  # alpha is 0.25
    # momentum is 0.5: 1.5 times the base step, less half of the last one
    "apo": lambda e, b: ({"current": 1.5 * (1 - e * b), "reference": 1.5 * e * b, "auxiliary": -0.5}, 1.5 * e, {"current": 1}),
}


@pytest.mark.parametrize("solver", sorted(PUBLISHED))
def test_trace_gives_the_published_coefficients(solver):
    """Weights on the named policies, slope and opponent, against the step-size dictionary of the literature."""
    beta, step = 0.25, 0.5
    entry = registry.algorithm("solvers", solver)
    hyper = entry.hyper({"step": step})
    hyper = entry.translate(hyper, beta) if entry.translate else hyper
    found, scheduled = trace(entry.module, hyper, np.array([beta]), np.arange(1))
    anchor, slope, played = PUBLISHED[solver](step, beta)
    anchor, played = ([weights.get(name, 0.0) for name in NAMED] for weights in (anchor, played))
    assert scheduled is hasattr(hyper, "period")
    np.testing.assert_allclose(found.anchor[0, 0], np.tile(anchor, (found.slope.shape[-1], 1)), atol=1e-15)
    np.testing.assert_allclose(found.slope, slope, rtol=1e-15)
    np.testing.assert_allclose(found.opponent[0, 0, 0], played, atol=1e-15)
    if entry.module.__name__.endswith("egpo"):
        np.testing.assert_array_equal(found.opponent[0, 0, 1], [0, 0, 1, 0, 0, 0, 0])


def test_scheduled_rule_is_traced_with_its_schedule():
    module = registry.load("solvers", "nash_md")
    found, scheduled = trace(module, module.Hyper(schedule=True), np.array([0.5, 1.0]), np.arange(4))
    assert scheduled
    np.testing.assert_allclose(found.slope[:, :, 0], [[2 / (b * (t + 2)) for b in (0.5, 1.0)] for t in range(4)])


def test_rules_that_are_not_affine_are_not_traced():
    class Solver:
        @staticmethod
        def opponent(hyper, iterate, phase):
            return iterate.current

        @staticmethod
        def target(hyper, iterate, gain, phase):
            return iterate.current * gain

    with pytest.raises(Untraceable):
        trace(Solver, (), np.array([0.1]), np.arange(1))
    Solver.target = staticmethod(lambda hyper, iterate, gain, phase: iterate.current + np.exp(gain))
    with pytest.raises(Untraceable):
        trace(Solver, (), np.array([0.1]), np.arange(1))
    Solver.target = staticmethod(lambda hyper, iterate, gain, phase: iterate.current + gain)
    Solver.opponent = staticmethod(lambda hyper, iterate, phase: 0.5 * iterate.current)
    with pytest.raises(Untraceable, match="normal"):
        trace(Solver, (), np.array([0.1]), np.arange(1))


def test_symbols_do_linear_algebra():
    x, y = Linear({"x": 1.0}), Linear({"y": 1.0})
    z = 2 * x - (x + y) / 4 + 3.0 - y * np.array([1.0])
    assert z.terms["x"] == 1.75 and z.terms["y"] == -1.25


def test_rule_files_import_nothing_but_ops():
    """Rules hold mathematics only: no loop over rounds, generator, input/output or engine."""
    allowed = {"prefsim", "math", "typing", "numpy", "builtins"}
    for kind in ("solvers", "policies"):
        for key in registry.keys(kind):
            module = registry.load(kind, key)
            homes = {getattr(v, "__module__", None) or v.__name__ for n, v in vars(module).items()
                     if not n.startswith("__") and (inspect.isfunction(v) or inspect.isclass(v) or inspect.ismodule(v))}
            homes -= {module.__name__, module.Hyper.__module__}  # policies over policies hold their learner's functions
            outside = {h for h in homes if h.split(".")[0] not in allowed}
            shared = f"prefsim.{kind}."  # what rules of a kind have in common, and rules made of others
            ours = {h for h in homes if h.startswith("prefsim.") and not h.startswith(shared)}
            ours -= {"prefsim.bandits.dueling"}  # whose lower bound is the slope that RMED2 reaches
            words = {"prefsim.ops", "prefsim.noise", "prefsim.vectors", "prefsim.logistic",
                     "prefsim.mechanisms", "prefsim.pivoting"}
            assert not outside and ours <= words, (key, outside, ours)
