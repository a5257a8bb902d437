"""Stability limits and the steps chosen from them, against closed forms and against what the iterates do."""

import json
import warnings

import numpy as np
import pytest

import prefsim as ps
from prefsim import equilibrium, ops, registry, stability
from prefsim.claim import Claim, Control, Evidence, check
from prefsim.engines.reference import play_game
from prefsim.equilibrium import local_frequency, solve_equilibrium
from prefsim.stability import largest_frequency, limit_on, stability_limit
from prefsim.step_limits import measured_limit

PUSH = np.array([0.3, -0.5, 0.2])


def limit(key, omega, beta, **hyper):
    module = registry.load("solvers", key)
    return stability_limit(module, module.Hyper(**hyper), omega, beta)


def planted(beta, share=(0.5, 0.3, 0.2)):
    """Three actions, one pair of modes, a known equilibrium away from the centre and from its reference."""
    return ps.games.planted(share, beta=beta)


def divergences(key, hyper, game, fixed, start, times, mixed=0.0):
    """``KL(fixed, policy)`` of a solver's rule at `times`, or of its policy `mixed` with the reference."""
    module = registry.load("solvers", key)
    arrays = np.array([float(game.beta)]), game.preference[None], game.log_reference[None]
    player = play_game(module, [module.Hyper(**hyper)], *arrays, start[None, None], False)
    seen = []
    for t in times:
        player.advance(t)
        mixture = (1 - mixed) * player.current[0, 0] + mixed * game.log_reference
        seen.append(float(ops.kl(fixed, ops.log_normalize(mixture))))
    return np.array(seen)


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


@pytest.mark.filterwarnings("ignore::prefsim.StabilityWarning")
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


@pytest.mark.parametrize("share", [0.9, 0.97, 1.03, 1.1])
@pytest.mark.parametrize(
    ("key", "hyper"),
    [
        ("omd", {}),
        ("egpo", {}),
        ("inpo", {}),
        ("nash_md", {}),
        ("apo", {"momentum": 0.3}),
        ("apo", {"momentum": 0.8}),
        ("nash_ema", {"decay": 0.5}),
        ("nash_ema", {"decay": 0.9}),
        ("omwu", {}),
    ],
)
def test_amplification_is_the_factor_of_small_errors(key, hyper, share):
    beta = 0.0 if key == "omwu" else 0.05
    module = registry.load("solvers", key)
    game = planted(beta) if beta else ps.games.planted_nash((0.5, 0.3, 0.2))
    edge, _, _ = limit_on(module, module.Hyper(**hyper), game)
    hyper = {**hyper, "step": edge / share if key == "inpo" else edge * share}
    pull = hyper["step"] * beta if key == "nash_md" else 0.0  # its mixture rests at a higher temperature
    at = solve_equilibrium(game.replace(beta=beta / (1 - pull))).log_policy
    fixed = (at - pull * game.log_reference) / (1 - pull)
    start = ops.log_normalize(fixed + (1e-4 if share < 1 else 1e-9) * PUSH)
    kl = divergences(key, hyper, game, at, start, range(400), pull)
    clean = np.flatnonzero((kl > 1e-21) & (kl < 1e-8))  # first order, and more than rounding
    times = clean[len(clean) // 2 :]  # the other root of a quadratic has died out by then
    assert len(times) > 20
    predicted = module.amplification(module.Hyper(**hyper), float(local_frequency(game, at)), beta)
    assert (predicted < 1) == (share < 1)
    slope = np.polyfit(times, np.log(kl[times]), 1)[0]
    assert slope == pytest.approx(np.log(predicted), rel=1e-3)


@pytest.mark.parametrize("key", ["mwu", "sppo", "replicator"])
def test_methods_without_a_pull_grow_by_the_factor_they_name(key):
    game = ps.games.planted_nash((0.5, 0.3, 0.2))
    module, at = registry.load("solvers", key), solve_equilibrium(game).log_policy
    for step in (0.05, 0.5):
        kl = divergences(key, {"step": step}, game, at, ops.log_normalize(at + 1e-6 * PUSH), [0, 100])
        predicted = module.amplification(module.Hyper(step=step), float(local_frequency(game, at)), 0.0)
        assert np.log(kl[1] / kl[0]) == pytest.approx(100 * np.log(predicted), rel=1e-3)
    half = divergences("sppo", {"step": 0.5, "half_partition": True}, game, at, ops.log_normalize(at + 1e-6 * PUSH), [0, 100])
    assert np.log(half[1] / half[0]) == pytest.approx(100 * np.log(predicted), rel=1e-3)


@pytest.mark.parametrize("share", [0.9, 1.1])
def test_comal_contracts_inside_and_moves_its_magnet_as_derived(share):
    game, alpha = ps.games.planted_nash((0.5, 0.3, 0.2)), 0.05
    at = solve_equilibrium(game).log_policy
    omega = float(local_frequency(game, at))
    module = registry.load("solvers", "comal")
    step = share * limit("comal", omega, 0.0, alpha=alpha)
    assert step == pytest.approx(share * 2 * alpha / (omega**2 + alpha**2), rel=1e-9)
    start = ops.log_normalize(at + 1e-6 * PUSH)  # the magnet stands here, and never moves in a period this long
    inner = solve_equilibrium(game.replace(beta=alpha, log_reference=start)).log_policy
    kl = divergences("comal", {"step": step, "alpha": alpha, "period": 10**6}, game, inner, start, [0, 100])
    predicted = module.amplification(module.Hyper(step, alpha), omega, 0.0)
    assert np.log(kl[1] / kl[0]) == pytest.approx(100 * np.log(predicted), rel=1e-3)
    q, z = 1 / (1 - 1j * omega / alpha), 1 - step * alpha + 1j * step * omega
    for period in (1, 7, 40):
        kl = divergences("comal", {"step": step, "alpha": alpha, "period": period}, game, at, start, [0, period])
        assert np.sqrt(kl[1] / kl[0]) == pytest.approx(abs(q + z**period * (1 - q)), rel=1e-3)


def test_limits_of_related_methods_agree():
    for omega, beta in ((0.28, 0.01), (0.1, 0.07)):
        exact = 2 * beta / (omega**2 + beta**2)
        assert limit("apo", omega, beta, momentum=0.0) == pytest.approx(exact, rel=1e-9)
        assert limit("nash_ema", omega, beta, decay=0.0) == pytest.approx(exact, rel=1e-9)
        assert limit("inpo", omega, beta) == pytest.approx(1 / exact, rel=1e-9)  # the smallest: it divides
        assert limit("apo", omega, beta, momentum=0.5) < exact
    for omega in (1e-4, 0.02, 0.31):
        assert limit("omwu", omega, 0.0) == pytest.approx(1 / (np.sqrt(3) * omega), rel=1e-6)
        assert limit("egpo", omega, 0.0) == pytest.approx(1 / omega, rel=1e-6)
        for momentum in (0.0, 0.3, 0.9):
            assert limit("apo", omega, 0.0, momentum=momentum) == 0.0  # momentum does not cure cycling
        assert limit("inpo", omega, 0.0) == np.inf  # no inverse rate is large enough
    assert limit("omwu", 0.0, 0.0) == limit("omd", 0.0, 0.2) == np.inf and limit("inpo", 0.0, 0.2) == 0.0


def test_amplification_of_omwu_and_momentum_are_roots_of_their_quadratics():
    omwu, apo, ema = (registry.load("solvers", key) for key in ("omwu", "apo", "nash_ema"))
    for x in (0.1, 0.49, 0.51, 0.57, 2.0):
        roots = np.roots([1, -(1 + 2j * x), 1j * x])
        assert omwu.amplification(omwu.Hyper(x), 1.0, 0.0) == pytest.approx(max(abs(roots) ** 2), rel=1e-12)
        b, c, d = 0.9 + 1j * x, 0.1, 0.4
        still = max(abs(np.roots([1, -1.4 * 0.9, 0.4 * 0.9])) ** 2)
        roots = np.roots([1, -1.4 * b, 0.4 * b])
        assert apo.amplification(apo.Hyper(1.0, 0.4), x, c) == pytest.approx(max(still, *abs(roots) ** 2), rel=1e-12)
        still = max(abs(np.roots([1, -(0.9 + d), 0.9 * d])) ** 2)
        roots = np.roots([1, -(0.9 + d + 1j * x * (1 - d)), 0.9 * d])
        assert ema.amplification(ema.Hyper(1.0, d), x, c) == pytest.approx(max(still, *abs(roots) ** 2), rel=1e-12)


@pytest.mark.parametrize("word", ["theory", "auto"])
def test_words_mean_the_same_movement_where_the_step_divides(word):
    game = planted(0.1)
    words = [("omd", {"step": word}), ("inpo", {"step": word})]
    data = ps.run(game, words, horizon=40, metrics=["policy"], engine="reference")
    np.testing.assert_allclose(data.policy[0], data.policy[1], rtol=1e-9)
    assert data.step.values[0] == pytest.approx(1 / data.step.values[1])
    if word == "theory":
        assert data.step.values[1] == pytest.approx(0.1 + 1 / 0.4)


def test_theorems_scale_with_log_odds():
    game = ps.PreferenceGame(ps.games.random(5, seed=2).preference, beta=0.3, transform="log_odds")
    size = np.abs(game.payoff).max()
    assert size > 1
    words = [("omd", {"step": "theory"}), ("egpo", {"step": "theory"}), ("inpo", {"step": "theory"})]
    steps = ps.run(game, words, horizon=2, engine="reference").step.values
    exact = [0.3 / (size**2 + 0.09), (np.sqrt(0.09 + 4 * size**2) - 0.3) / (2 * size**2), (size**2 + 0.09) / 0.3]
    np.testing.assert_allclose(steps, exact, rtol=1e-12)


def test_more_theory_steps():
    game = ps.games.cyclic(5)
    words = [(key, {"step": "theory"}) for key in ("replicator", "projected_gradient", "extragradient", "comal")]
    steps = ps.run(game, words, horizon=200, engine="reference").step.values
    # the minima of 2 (D / (s T) + s / 4) and 2 / (s T) + s n / 4, the limit n / pi on |A|, and OMD's at alpha = 1/2
    np.testing.assert_allclose(steps, [2 * np.sqrt(np.log(5) / 200), np.sqrt(8 / 1000), np.pi / 5, 1.0], rtol=1e-12)
    assert np.pi / 5 < 1 / np.linalg.norm(game.payoff, 2)
    for key in ("inpo", "omd"):
        with pytest.raises(ValueError, match="no theorem"):
            ps.run(game, [(key, {"step": "theory"})], horizon=3)


@pytest.mark.parametrize("key", ["egpo", "apo"])
def test_measured_limits_are_those_of_the_formulas(key):
    module, game = registry.load("solvers", key), planted(0.05)
    assert measured_limit(module, module.Hyper(), game) == pytest.approx(limit_on(module, module.Hyper(), game)[0], rel=0.01)


def test_step_limits_say_what_is_known():
    game = planted(0.05)
    omd = ps.step_limits(game, "omd")
    omega = float(local_frequency(game, solve_equilibrium(game).log_policy))
    exact = 2 * 0.05 / (omega**2 + 0.05**2)
    assert omd.source == "formula" and omd.limit == pytest.approx(exact) and omd.automatic == pytest.approx(exact / 2)
    assert omd.theory == pytest.approx(0.2 / 1.01) and (omd.omega, omd.played) == (pytest.approx(omega), 3)
    assert ps.step_limits(game, "mmd").limit == omd.limit  # an alias in the units of its rule
    cycle = ps.games.cyclic(3)
    euclid = ps.step_limits(cycle, "extragradient")  # z = 1 + i s nu - (s nu)^2 with the frequency nu of A itself
    assert euclid.source == "measurement" and euclid.limit == pytest.approx(1 / np.linalg.norm(cycle.payoff, 2), rel=0.01)
    assert ps.step_limits(cycle, "projected_gradient").limit == 0.0
    five = ps.step_limits(ps.games.random(6, seed=1), "omwu")
    assert (five.rest, five.played, five.actions) == (0.0, 5, 6) and five.limit == pytest.approx(1 / (np.sqrt(3) * five.omega))
    winner = ps.step_limits(ps.games.bradley_terry(), "mwu")
    assert winner.omega == 0 and winner.played == 1 and winner.limit == np.inf
    with pytest.raises(ValueError, match="index it"):
        ps.step_limits(ps.games.random(3, count=2), "omd")
    with pytest.raises(ValueError, match="has no step"):
        ps.step_limits(game, "fictitious_play")
    with pytest.raises(ValueError, match="schedule"):
        ps.step_limits(game, ("inpo", {"schedule": True}))


def told(*arguments, **settings):
    """Sentences of the stability warnings of a run."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ps.run(*arguments, **{"horizon": 2, "engine": "reference", "metrics": ["duality_gap"], **settings})
    return [str(w.message) for w in caught if issubclass(w.category, ps.StabilityWarning)]


def test_a_step_past_the_limit_warns_once_per_algorithm():
    game = planted(0.05)
    past = 1.01 * limit_on(registry.load("solvers", "omd"), registry.load("solvers", "omd").Hyper(), game)[0]
    sentences = told(game, [("omd", {"step": past}), ("omd", {"step": 2 * past}), ("inpo", {"step": 0.98 / past}), "egpo"])
    assert len(sentences) == 2
    assert sentences[0].startswith(f"omd(step={past:g}): step") and "for 1 more" in sentences[0]
    for number in (f"{past / 1.01:.4g}", "beta = 0.05", f"step='auto', here {past / 2.02:.4g}"):
        assert number in sentences[0]
    assert "below the smallest" in sentences[1]
    assert told(game, [("omd", {"step": 0.98 * past}), ("inpo", {"step": 1.02 / past}), ("omd", {"step": "auto"})]) == []
    assert len(told(game, [("mmd", {"step": 100.0})])) == 1  # an alias, translated
    batch = ps.games.planted((0.5, 0.3, 0.2), beta=[0.3, 0.01])
    assert [s.split(":")[0] for s in told(batch, [("omd", {"step": 1.0})])] == ["omd(step=1) on game 1"]


def test_no_warning_where_it_would_be_noise(monkeypatch):
    cycle = ps.games.cyclic(3)
    assert told(cycle, ["mwu", "sppo", "replicator", ("omd", {"step": 3.0}), "apo", "inpo"]) == []  # averages are the point
    assert len(told(cycle, [("omwu", {"step": 2.5}), ("egpo", {"step": 4.0})])) == 2  # these could arrive
    assert told(cycle.replace(beta=0.01), [("inpo", {"schedule": True}), ("nash_md", {"schedule": True})]) == []
    large = ps.games.cyclic(stability.LARGEST_WATCHED + 1).replace(beta=0.01)
    assert told(large, [("omd", {"step": 10.0})]) == []

    def unsolvable(game, *rest):
        raise ps.EquilibriumError("no.")

    monkeypatch.setattr(equilibrium, "solve_equilibrium", unsolvable)
    assert told(cycle.replace(beta=0.01), [("omd", {"step": 10.0})]) == []
    monkeypatch.setattr(equilibrium, "solve_equilibrium", None)  # where every game is stable nobody solves for this one
    assert told(cycle.replace(beta=0.1), ["omd", "egpo", "nash_md", "omwu", "comal", "apo", "nash_ema", "nash_prox"]) == []


def test_claims_step_past_limits_in_silence():
    def measure(budget, step=5.0):
        ps.run(planted(0.05), [("omd", {"step": step})], horizon=2, engine="reference")
        return Evidence([step], upper=10.0)

    control = Control("x", {"step": 20.0})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert check(Claim("a.b", "x", "nobody", ("x",), measure, (control,))).ok


@pytest.mark.parametrize(("solver", "beta"), [("egpo", 0.0), ("omwu", 0.0), ("omd", 0.1)])
def test_a_tiny_step_is_not_called_too_large(solver, beta):
    game = ps.games.rock_paper_scissors().replace(beta=beta)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ps.StabilityWarning)
        ps.run(game, [(solver, {"step": 1e-12})], horizon=2)
