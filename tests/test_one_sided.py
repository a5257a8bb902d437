"""Individual fairness with one-sided feedback: errors and certificate in closed form, the panel by brute force, estimates."""

from itertools import permutations

import numpy as np
import pytest

import prefsim as ps
from prefsim import noise, registry
from prefsim.bandit import Problem
from prefsim.claim import check, select
from prefsim.engines import reference
from prefsim.policies import context_ftpl, exp2

fair_one_sided = registry.load("bandits", "fair_one_sided")


def truth_of(problem):
    return type(problem.truth)(*(field[0] for field in problem.truth))


def test_error_rates_through_the_origin_are_angles():
    """A threshold at 0 errs with probability arccos(rho) / pi (Sheppard 1899); constants err half of the time."""
    angles = np.linspace(0, np.pi, 7)
    directions = np.column_stack([np.cos(angles), np.sin(angles)])
    found = fair_one_sided.error_rates(directions, np.zeros(7), np.array([2.0, 0.0]), 0.0)
    np.testing.assert_allclose(found, angles / np.pi, atol=1e-4)
    noisy = fair_one_sided.error_rates(directions, np.zeros(7), np.array([2.0, 0.0]), 1.5)
    np.testing.assert_allclose(noisy, np.arccos(np.cos(angles) * 0.8) / np.pi, atol=1e-4)
    constants = fair_one_sided.error_rates(directions[:2], np.array([-1e9, 1e9]), np.array([2.0, 0.0]), 1.5)
    np.testing.assert_allclose(constants, 0.5, atol=1e-12)


def test_error_rates_and_regret_against_simulation():
    problem = ps.bandits.fair_one_sided(individuals=3)
    truth, generator = truth_of(problem), np.random.default_rng(0)
    x = generator.normal(size=(400_000, 2))
    y = x @ truth.parameter + truth.rules[0] * generator.normal(size=len(x)) >= 0
    wrong = np.array([((x @ w >= c) != y).mean() for w, c in zip(truth.directions, truth.thresholds, strict=True)])
    np.testing.assert_allclose(truth.gap, 3 * (wrong - truth.fair @ wrong), atol=3 * 6 * 0.5 / np.sqrt(len(x)))
    assert truth.gap.min() < 0 < truth.gap.max() and abs(truth.fair @ truth.gap) < 1e-12


def test_the_fair_comparator_is_fair_to_every_pair():
    problem = ps.bandits.fair_one_sided()
    truth, generator = truth_of(problem), np.random.default_rng(1)
    x = generator.normal(size=(200_000, 2)) * 1.5
    step = generator.normal(size=x.shape)
    step *= generator.choice([1e-9, 0.1, 0.3, 0.31, 0.6, 1.0, 2.0], len(x))[:, None] / np.linalg.norm(step, axis=1)[:, None]
    z = x + step
    accepts = [((v @ truth.directions.T >= truth.thresholds) @ truth.fair) for v in (x, z)]
    excess = accepts[0] - accepts[1] - truth.auditors.min() * np.linalg.norm(x - z, axis=1)
    assert excess.max() <= truth.rules[1] - truth.rules[3] + 1e-9
    assert excess.max() > 0.9 * (truth.rules[1] - truth.rules[3])  # and it uses what it may


def test_the_fair_comparator_of_one_threshold_by_hand():
    """Weight alpha - margin on the only classifier that knows something, the rest on a constant."""
    problem = ps.bandits.fair_one_sided([[1.0]], thresholds=1, parameter=[1.0], deviation=0.0, alpha=0.5, margin=0.2)
    truth = truth_of(problem)
    assert truth.fair[0] == pytest.approx(0.3) and truth.fair.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(truth.gap, 4 * (np.array([0.0, 0.5, 0.5]) - 0.35), atol=1e-9)


def test_separators_tell_all_classifiers_apart():
    problem = ps.bandits.fair_one_sided()
    truth = truth_of(problem)
    rows = (truth.separators @ truth.directions.T >= truth.thresholds).T
    assert len(np.unique(rows, axis=0)) == problem.arms


def test_the_panel_by_brute_force():
    """Reports, labels and regrets of rounds under random mixtures, against a reading of the definition in NumPy."""
    tolerances = (0.02, 0.05, 0.1, 0.1, 0.2, 0.3, 0.5)
    problem = ps.bandits.fair_one_sided(individuals=5, auditors=tolerances, alpha=0.2, margin=0.1)
    truth, told = truth_of(problem), problem.problem(100)
    world = reference.allocate(fair_one_sided)(told, truth)
    stream, generator = noise.open_stream(3, 4, 0, 0), np.random.default_rng(2)
    fair_one_sided.start(truth, world, told, stream)
    panels, complaints = set(), 0
    for t in range(1, 120):
        noise.seek(stream, t)
        fair_one_sided.observe(truth, world, t, stream)
        features = np.vstack([world.point @ w >= c for w, c in zip(truth.directions, truth.thresholds, strict=True)])
        np.testing.assert_array_equal(world.features[:, :5], features)
        mixture = generator.dirichlet(np.full(problem.arms, 0.05))
        world.commitment[:, 0] = mixture
        arm = int(generator.integers(problem.arms))
        errors = fair_one_sided.feedback(truth, world, arm, t, stream)
        accepted = features[arm]
        assert errors == (accepted != world.label).sum()
        np.testing.assert_array_equal(world.report[:, 0], np.where(accepted, world.label, np.nan))
        panel = truth.auditors[world.pool[:5]]
        panels.add(tuple(sorted(panel)))
        chance = mixture @ features
        count = {}
        for left, right in permutations(range(5), 2):
            distance = np.linalg.norm(world.point[left] - world.point[right])
            count[left, right] = (chance[left] - chance[right] > panel * distance + 0.2).sum()
        regret, complaint = fair_one_sided.regrets(truth, world, arm, t, errors)
        assert regret == pytest.approx(mixture @ truth.gap)
        assert complaint == (max(count.values()) >= 3)
        if complaint:
            complaints += 1
            pair = (int(np.argmax(world.report[:, 1])), int(np.argmin(world.report[:, 1])))
            assert count[pair] == max(count.values()) and np.abs(world.report[:, 1]).sum() == 2
        else:
            assert not world.report[:, 1].any()
    assert 20 < complaints < 119 and len(panels) > 5


def test_panels_are_uniform():
    problem = ps.bandits.fair_one_sided(auditors=[0.1, 0.2, 0.3, 0.4], panel=3)
    truth, told = truth_of(problem), problem.problem(10)
    world = reference.allocate(fair_one_sided)(told, truth)
    stream = noise.open_stream(5, 6, 0, 0)
    fair_one_sided.start(truth, world, told, stream)
    left_out = np.zeros(4)
    for t in range(1, 401):
        noise.seek(stream, t)
        fair_one_sided.observe(truth, world, t, stream)
        assert sorted(world.pool) == [0, 1, 2, 3]
        left_out[world.pool[3]] += 1
    assert np.abs(left_out - 100).max() < 5 * np.sqrt(400 * 0.25 * 0.75)


def test_exp2_deploys_exponential_weights():
    problem = Problem(arms=3, horizon=100, dimension=2, hints=np.array([2.0]), features=np.array([[1.0, 0], [0, 1], [1, 1]]))
    hyper, state = exp2.Hyper(step=0.5, penalty=3.0), reference.allocate(exp2)(problem)
    state.loss[:] = [1.0, 2.0, 0.5]
    stream = noise.open_stream(1, 1, 0, 0)
    arms = []
    for t in range(1, 2001):
        noise.seek(stream, t)
        arms.append(exp2.act(hyper, state, problem, t, stream))
    q = np.exp(-0.5 * state.loss) / np.exp(-0.5 * state.loss).sum()
    np.testing.assert_allclose(state.commitment[:, 0], q, rtol=1e-14)
    np.testing.assert_allclose(state.inverse, 1 / (q @ problem.features), rtol=1e-14)
    assert np.abs(np.bincount(arms, minlength=3) / 2000 - q).max() < 5 * 0.5 / np.sqrt(2000)
    before = state.loss.copy()
    exp2.learn(hyper, state, problem, 1, 2, np.array([[0.0, 1.0], [1.0, -1.0]]))
    change = (2 * state.inverse[0] - 1 + 3) * problem.features[:, 0] + (-1 - 3) * problem.features[:, 1]
    np.testing.assert_allclose(state.loss - before, change, rtol=1e-13)


def test_exp2_bound_by_hand():
    problem, t = ps.bandits.fair_one_sided().problem(10_000), np.array([0.0, 2500.0, 10_000.0])
    scale = 2 * np.sqrt(2 * 10_000 * (4 * 16 + 100) * np.log(38))  # C = 10
    found = exp2.regret_bound(exp2.Hyper(), None, problem, t)
    np.testing.assert_allclose(found, scale * np.array([1 / 2, 5 / 8, 1]), rtol=1e-12)
    assert np.isnan(exp2.regret_bound(exp2.Hyper(step=0.1), None, problem, t)).all()  # 0.1 (4 + 10) > 1
    assert exp2.regret_bound(exp2.Hyper(penalty=0.0), None, problem, 1e4) < scale
    data = ps.run("fair_one_sided", ["exp2", "context_ftpl"], horizon=400, runs=2)
    assert data.regret.attrs["units"] == "errors"
    assert np.isfinite(data.regret_bound[0]).all() and np.isnan(data.regret_bound[1]).all()


def test_resampling_and_mixture_of_the_perturbed_leader():
    """Two classifiers and one separator: the first leads with probability P = exp(-loss / noise) / 2.

    Resampled chances have the mean (1 - (1 - P)^resamples) / P where it was played, and the classifier played is drawn from
    the mixture deployed.
    """
    problem = Problem(arms=2, horizon=10, dimension=2, hints=np.array([1.0]), features=np.array([[1.0, 1.0], [0.0, 0.0]]))
    hyper, state = context_ftpl.Hyper(noise=2.0, samples=4, resamples=5), reference.allocate(context_ftpl)(problem)
    state.loss[:] = [1.0, 0.0]
    chance = 0.5 * np.exp(-1.0 / 2.0)
    stream, rounds = noise.open_stream(2, 7, 0, 0), 6000
    waits, played, deployed = np.zeros(rounds), np.zeros(rounds), np.zeros(rounds)
    for t in range(rounds):
        noise.seek(stream, t)
        arm = context_ftpl.act(hyper, state, problem, t + 1, stream)
        assert state.commitment[arm, 0] > 0 and state.commitment[:, 0].sum() == pytest.approx(1.0)
        waits[t], played[t], deployed[t] = state.inverse[0], arm == 0, state.commitment[0, 0]
    assert ((waits > 0) == (played == 1)).all()
    error = 5 / np.sqrt(rounds)
    assert abs(waits.mean() - (1 - (1 - chance) ** 5)) < error * waits.std()
    assert abs(played.mean() - chance) < error * 0.5
    assert abs((played - deployed).mean()) < error * (played - deployed).std()
    assert np.cov(played, deployed)[0, 1] == pytest.approx(deployed.var(), rel=0.15)  # E[played | deployed] = deployed
    default = context_ftpl.scale(context_ftpl.Hyper(), ps.bandits.fair_one_sided().problem(10_000))
    assert default == pytest.approx(np.sqrt(10_000 * 164 / 13))


@pytest.mark.parametrize("policy", ["exp2", "context_ftpl"])
def test_engines_agree_on_complaints(policy):
    problem = ps.bandits.fair_one_sided([[1.0, 0.0], [0.0, 1.0]], thresholds=3, individuals=3, panel=3, alpha=0.2, margin=0.1)
    settings = {"horizon": 100, "runs": 2, "metrics": ["regret", "violations"], "record": "all"}
    hyper = {"penalty": 0.0, "step": 0.2} if policy == "exp2" else {"penalty": 0.0, "noise": 5.0}
    plain, fast = (ps.run(problem, [(policy, hyper)], engine=e, **settings) for e in ("reference", "numba"))
    np.testing.assert_array_equal(plain.violations, fast.violations)
    np.testing.assert_array_equal(plain.regret, fast.regret)
    assert plain.violations[..., -1].min() > 0


@pytest.mark.parametrize(("policy", "horizon"), [("exp2", 20_000), ("context_ftpl", 4000)])
def test_a_price_on_complaints_buys_fairness(policy, horizon):
    settings = {"horizon": horizon, "runs": 6, "metrics": ["regret", "violations"], "record": [horizon]}
    data = ps.run("fair_one_sided", [policy, (policy, {"penalty": 0.0})], **settings)
    violations, regret = (data[name].isel(instance=0, t=-1).values for name in ("violations", "regret"))
    assert violations[0].max() < 0.5 * violations[1].min()
    assert regret[1].max() < regret[0].min() < 0  # errors are the price; both do better than the fair comparator


def test_refusals():
    cases = {
        "parameter .space": {"parameter": [1.0]},
        "directions must not be 0": {"directions": [[0.0, 0.0]]},
        "panel odd": {"panel": 4},
        "panel must be a whole number": {"panel": 1.5},
        "finite tolerances": {"auditors": [np.inf] * 5},
        "individuals must be at least 2": {"individuals": 1},
        "margin between 0 and alpha": {"margin": 0.5},
    }
    for sentence, settings in cases.items():
        with pytest.raises(ValueError, match=sentence):
            ps.bandits.fair_one_sided(**settings)
    for samples in (0, 2**40):
        with pytest.raises(ValueError, match="samples must lie between 1 and 10000"):
            ps.run("fair_one_sided", [("context_ftpl", {"samples": samples})], horizon=10)
    for policy in ("exp2", "context_ftpl"):
        with pytest.raises(ValueError, match=r"power must lie in \[0, 1\]; got 200"):
            ps.run("fair_one_sided", [(policy, {"power": 200.0})], horizon=10)
    with pytest.raises(ValueError, match="step must be >= 0"):
        ps.run("fair_one_sided", [("exp2", {"step": -1.0})], horizon=10)
    with pytest.raises(ValueError, match="learns from bandit"):
        ps.run("fair_one_sided", ["ucb1"], horizon=10)


@pytest.mark.parametrize("claim", select(["exp2."]), ids=lambda claim: claim.key)
def test_claim_holds_and_its_controls_fail(claim):
    verdict = check(claim)
    assert verdict.outcome == "supported" and verdict.ok, verdict
