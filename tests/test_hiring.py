"""Hiring agents: the linear program against closed forms and all deviations, the environment and the policy against it."""

from itertools import product

import numpy as np
import pytest
from scipy.optimize import linprog

import prefsim as ps
from prefsim import mechanisms, noise, pivoting, registry
from prefsim.claim import check, select
from prefsim.engines import bandit_loop, reference
from prefsim.hiring import forcing_rules, optimal_mechanism
from prefsim.mechanisms import Sizes, best_responses
from prefsim.policies import hire_commit

hire_agents = registry.load("bandits", "hire_agents")
THREE_EFFORTS = {"accuracy": [[0.5, 0.7, 0.85], [0.5, 0.65, 0.8]], "costs": [[0.0, 0.02, 0.08], [0.0, 0.01, 0.05]]}
GENERAL = {
    "two agents": {},
    "three efforts": THREE_EFFORTS,
    "three agents": {"accuracy": [[0.5, 0.8], [0.5, 0.7], [0.5, 0.75]], "costs": [[0.0, 0.05], [0.0, 0.03], [0.0, 0.04]]},
    "three states": {"prior": [0.5, 0.3, 0.2], "common": 0.4, "limit": 2.0},
}


def parts(problem):
    """Sizes, truth and limit."""
    truth = type(problem.truth)(*(field[0] for field in problem.truth))
    return mechanisms.sizes(problem.hints), truth, problem.hints[5]


def deviations(z, truth, pay, told, i, other, said):
    """``W_i(told, other, said)`` by the definition; `pay` is ``mu`` and ``mu(b) g_i(b, s, theta)`` by (i, b, s, theta)."""
    mu, x = pay
    total = 0.0
    for b in product(range(z.efforts), repeat=z.agents):
        if b[i] != told:
            continue
        played = [*b[:i], other, *b[i + 1 :]]
        b, played = (sum(e * z.efforts**j for j, e in enumerate(p)) for p in (b, played))
        total -= truth.cost[i, other] * mu[b]
        for s in product(range(z.signals), repeat=z.agents):
            reports = [*s[:i], said[s[i]], *s[i + 1 :]]
            seen, told_s = (sum(r * z.signals**j for j, r in enumerate(p)) for p in (s, reports))
            total += truth.joint[played].reshape(-1, z.states)[seen] @ x[i, b, told_s]
    return total


def all_maps(z):
    return list(product(range(z.signals), repeat=z.signals))


@pytest.mark.parametrize(("q", "c", "limit"), [(0.9, 0.1, 1.0), (0.9, 0.1, 0.2), (0.7, 0.02, 0.15), (0.6, 0.05, 1.0)])
def test_one_agent_by_hand(q, c, limit):
    """Paying ``c / (q - 1/2)`` for a right report is the cheapest way, and worth it if ``q c / (q - 1/2) < q - 1/2``."""
    z = Sizes(1, 2, 2, 2, 2)
    joint = np.array([[0.5, 0.5, 0.0, 0.0], [q / 2, (1 - q) / 2, (1 - q) / 2, q / 2]])
    found = optimal_mechanism(z, joint, np.array([[0.0, c]]), np.eye(2), limit)
    pay = c / (q - 0.5)
    hired = pay <= limit and q * pay < q - 0.5
    assert found.value == pytest.approx(q - q * pay if hired else 0.5, abs=1e-12)
    assert found.mechanism[:, 0] == pytest.approx([0, 1] if hired else [1, 0], abs=1e-12)
    if hired:
        assert found.mechanism[1, 1:] == pytest.approx([0, 1, pay, 0, 0, pay], abs=1e-12)


def test_a_checker_hired_at_random_by_hand():
    """Both read one source. A second reader, however rare, makes honest work of the first cost no more than ``2 c``.

    Told to work, agent 1 is paid ``2 c / epsilon`` where the second was hired too (chance ``epsilon``) and agrees; a shirker
    agrees half of the time. The higher the limit, the rarer the second.
    """
    q, c = 0.75, 0.04
    z, truth, _ = parts(ps.bandits.hire_agents([[0.5, q], [0.5, q]], [[0.0, c], [0.0, c]], common=1.0))
    values = [optimal_mechanism(z, truth.joint, truth.cost, truth.utility, limit).value for limit in (1.0, 100.0, 10_000.0)]
    assert values[0] < values[1] < values[2] < q - 2 * c
    assert values[2] == pytest.approx(q - 2 * c, abs=1e-3)
    alone = q - q * c / (q - 0.5)
    assert values[0] > alone


@pytest.mark.parametrize("name", GENERAL)
def test_program_is_the_one_over_all_deviations(name):
    """The same optimum with one constraint for every map of reports, written down by definition, without ``z``."""
    z, truth, limit = parts(ps.bandits.hire_agents(**{"accuracy": [[0.5, 0.8], [0.5, 0.7]], **GENERAL[name]}))
    profiles, outcomes = truth.joint.shape
    shape = (z.agents, profiles, outcomes // z.states, z.states)
    size = profiles + int(np.prod(shape))

    def split(v):
        return v[:profiles], v[profiles:].reshape(shape)

    if size > 200:  # one vector per variable is asked of the definition: look at the first constraints only
        found = optimal_mechanism(z, truth.joint, truth.cost, truth.utility, limit)
        mu = found.mechanism[:, 0]
        x = np.moveaxis(found.mechanism[:, 1 + shape[2] :].reshape(profiles, z.agents, *shape[2:]), 1, 0) * mu[:, None, None]
        for i, told in np.ndindex(z.agents, z.efforts):
            best = deviations(z, truth, (mu, x), told, i, told, tuple(range(z.signals)))
            for other in range(z.efforts):
                for said in all_maps(z):
                    assert deviations(z, truth, (mu, x), told, i, other, said) <= best + 1e-9
        return
    unit = np.eye(size)
    rows = []
    for i, told in np.ndindex(z.agents, z.efforts):
        honest = np.array([deviations(z, truth, split(v), told, i, told, tuple(range(z.signals))) for v in unit])
        for other in range(z.efforts):
            for said in all_maps(z):
                rows.append([deviations(z, truth, split(v), told, i, other, said) for v in unit] - honest)
    gain = np.zeros(size)
    by_outcome = truth.joint.reshape(profiles, -1, z.states)
    gain[:profiles] = (by_outcome @ truth.utility.T).max(-1).sum(-1)
    gain[profiles:] -= np.broadcast_to(by_outcome, shape).ravel()
    limits = np.zeros((size - profiles, size))
    for k, (_, b, _, _) in enumerate(np.ndindex(shape)):
        limits[k, profiles + k], limits[k, b] = 1.0, -limit
    mass = np.zeros((1, size))
    mass[0, :profiles] = 1.0
    total = np.vstack([rows, limits])
    oracle = linprog(-gain, A_ub=total, b_ub=np.zeros(len(total)), A_eq=mass, b_eq=[1.0], method="highs")
    found = optimal_mechanism(z, truth.joint, truth.cost, truth.utility, limit)
    assert found.value == pytest.approx(-oracle.fun, abs=1e-8)
    assert found.residual <= 1e-9


@pytest.mark.parametrize("name", GENERAL)
def test_agents_do_what_is_best_for_them(name):
    """Responses to random mechanisms against every effort and map of reports; their profit against a simulation."""
    problem = ps.bandits.hire_agents(**{"accuracy": [[0.5, 0.8], [0.5, 0.7]], **GENERAL[name]})
    z, truth, _ = parts(problem)
    generator = np.random.default_rng(1)
    profiles = len(truth.joint)
    deviated = 0
    for _ in range(2):
        mechanism = generator.uniform(size=(profiles, mechanisms.width(z)))
        mechanism[:, 0] = generator.dirichlet(np.ones(profiles))
        mechanism[:, 1 : 1 + z.signals**z.agents] = generator.integers(z.decisions, size=(profiles, z.signals**z.agents))
        pay = mechanism[:, 1 + z.signals**z.agents :].reshape(profiles, z.agents, -1, z.states)
        x = np.moveaxis(pay, 1, 0) * mechanism[:, 0, None, None]
        effort, report = np.zeros((2, z.agents, z.efforts * z.signals), dtype=np.int64)
        gain, most = best_responses(z, truth.joint, truth.cost, mechanism, effort, report), 0.0
        for i, told in np.ndindex(z.agents, z.efforts):
            options = {
                (other, said): deviations(z, truth, (mechanism[:, 0], x), told, i, other, said)
                for other in range(z.efforts)
                for said in all_maps(z)
            }
            chosen = (int(effort[i, told]), tuple(report[i, told * z.signals : (told + 1) * z.signals].tolist()))
            assert options[chosen] == pytest.approx(max(options.values()), abs=2e-9)
            obeying = options[told, tuple(range(z.signals))]
            most = max(most, max(options.values()) - obeying)
            deviated += chosen != (told, tuple(range(z.signals)))
        assert gain == pytest.approx(most, abs=1e-12)
        world = reference.allocate(hire_agents)(problem.problem(), truth)
        world.commitment[:] = mechanism
        stream = noise.open_stream(1, 2, 0, 0)
        drawn = generator.choice(profiles, 4000, p=mechanism[:, 0])
        signals = []
        for t, b in enumerate(drawn):
            noise.seek(stream, t)
            signals.append(hire_agents.feedback(truth, world, b, t, stream))
        expected = mechanisms.profit(z, truth.joint, truth.utility, mechanism, effort, report)
        assert abs(np.mean(signals) - expected) < 5 * np.std(signals) / np.sqrt(4000)
        assert hire_agents.regrets(truth, world, 0, 1, 0.0)[0] == pytest.approx(truth.best[0] - expected, abs=1e-12)
    assert deviated > 0


def test_kernel_of_the_default():
    """A signal is right with the accuracy of its effort; from one source the better agent is right wherever the worse is."""
    psi = hire_agents._shared_source(np.array([[0.5, 0.8], [0.5, 0.7]]), 1.0, 2)
    np.testing.assert_allclose(psi.sum(axis=1), 1.0, atol=1e-15)
    by_agents = psi.reshape(2, 2, 2, 2, 2)  # effort of agent 1, of agent 0, signal of 1, of 0, state
    assert by_agents[1, 1, 1, 1, 1] == pytest.approx(0.7) and by_agents[1, 1, 0, 1, 1] == pytest.approx(0.1)
    assert by_agents[1, 1, 1, 0, 1] == 0.0 and by_agents[0, 1, 0, 1, 1] == pytest.approx(0.8)
    assert by_agents[0, 0, 0, 0].tolist() == [1.0, 1.0]
    apart = hire_agents._shared_source(np.array([[0.5, 0.8], [0.5, 0.7]]), 0.0, 3)
    np.testing.assert_allclose(apart.sum(axis=1), 1.0, atol=1e-15)
    assert apart[3, 2 + 3 * 0, 2] == pytest.approx(0.8 * 0.15)
    assert (hire_agents._shared_source(np.array([[0.5, 0.8], [0.5, 0.7]]), 1.0, 3).sum(axis=1) - 1 < 1e-15).all()


def maximise(table, basis, cobasis):
    """Whether the program in a table has a maximum."""
    room = np.zeros((2, table.shape[1]))
    return pivoting.maximise(table, basis, cobasis, *room, 1e-11)


@pytest.mark.parametrize("seed", range(20))
def test_simplex_agrees_with_highs(seed):
    generator = np.random.default_rng(seed)
    rows, columns = generator.integers(3, 12, 2)
    matrix, right = generator.normal(size=(rows, columns)), generator.uniform(size=rows) * (generator.uniform(size=rows) < 0.5)
    matrix = np.vstack([matrix, np.ones(columns)])  # bounded, and degenerate where the right side is 0
    right, cost = np.append(right, 2.0), generator.normal(size=columns)
    table = np.zeros((rows + 2, columns + 1))
    table[:-1, :-1], table[:-1, -1], table[-1, :-1] = matrix, right, cost
    basis, cobasis = np.zeros(rows + 1, dtype=int), np.zeros(columns, dtype=int)
    assert maximise(table, basis, cobasis)
    v = np.zeros(columns)
    for k, variable in enumerate(basis):
        if variable < columns:
            v[variable] = table[k, -1]
    best = -linprog(-cost, A_ub=matrix, b_ub=right, method="highs").fun
    assert -table[-1, -1] == pytest.approx(best, abs=1e-9) and cost @ v == pytest.approx(best, abs=1e-9)
    assert v.min() >= -1e-12 and (matrix @ v <= right + 1e-9).all()
    assert sorted([*basis, *cobasis]) == list(range(rows + 1 + columns))


def test_simplex_on_what_has_no_maximum_and_on_what_cycles():
    table = np.array([[1.0, -1.0, 1.0], [1.0, 1.0, 0.0]])
    assert not maximise(table, np.zeros(1, int), np.zeros(2, int))
    # Beale 1955: Dantzig's rule with lowest-index ties returns to its first basis for ever.
    beale = np.array(
        [[0.25, -60, -1 / 25, 9, 0], [0.5, -90, -1 / 50, 3, 0], [0, 0, 1, 0, 1], [0.75, -150, 0.02, -6, 0]], dtype=float
    )
    assert maximise(beale, np.zeros(3, int), np.zeros(4, int)) and -beale[-1, -1] == pytest.approx(0.05)


@pytest.mark.parametrize("settings", [{}, THREE_EFFORTS])
def test_policy_recovers_costs_and_optimum_from_an_exact_model(settings):
    """After the first stage, with the true frequencies put in, costs are exact and the plan is optimal."""
    problem = ps.bandits.hire_agents(**settings)
    z, truth, _ = parts(problem)
    hyper, told = hire_commit.Hyper(slack=0.0), problem.problem(1000)
    told.features[:] = truth.features
    state, world = reference.allocate(hire_commit)(told), reference.allocate(hire_agents)(told, truth)
    hire_commit.init(hyper, state, told)
    stream = noise.open_stream(1, 2, 0, 0)
    for t in range(1, hire_commit.costing(z) + 1):
        noise.seek(stream, t)
        arm = hire_commit.act(hyper, state, told, t, stream)
        bandit_loop.hand_commitment(state, world, np.arange(problem.arms))
        hire_agents.feedback(truth, world, arm, t, stream)
        hire_commit.learn(hyper, state, told, t, arm, world.report)
    state.joint[:] = truth.joint
    hire_commit.plan(hyper, state, told)
    np.testing.assert_allclose(state.cost, truth.cost, atol=1e-8)
    # Obedience is indifferent by less than the precision of the costs, so the agents are taken at their word here.
    effort, report = np.tile(np.arange(z.efforts), (z.agents, 1)), np.tile(np.arange(z.signals), (z.agents, z.efforts))
    earned = mechanisms.profit(z, truth.joint, truth.utility, state.commitment, effort, report)
    assert earned == pytest.approx(truth.best[0], abs=1e-6)
    assert state.commitment[:, 0].sum() == pytest.approx(1.0, abs=1e-12)


def test_forcing_forces_agents_of_different_kinds():
    """Signals of the first agent are reversed, and differ in quality and cost: every profile is obeyed by the margin stated."""
    right = np.array([[[1.0, 0.0], [0.7, 0.8], [0.85, 0.95]], [[1.0, 0.0], [0.75, 0.6], [0.9, 0.8]]])  # right if theta is 0, 1
    kernel = np.zeros((9, 4, 2))
    for b, s, theta in np.ndindex(*kernel.shape):
        own = [right[i, b // 3**i % 3, theta] for i in range(2)]
        shown = [s % 2 == (theta if b % 3 == 0 else 1 - theta), s // 2 == theta]
        kernel[b, s, theta] = np.prod([q if hit else 1 - q for q, hit in zip(own, shown, strict=True)])
    problem = ps.bandits.hire_agents(np.full((2, 3), 0.8), [[0.0, 0.01, 0.06], [0.0, 0.01, 0.08]], kernel=kernel)
    z, truth, limit = parts(problem)
    rules, margin = forcing_rules(z, truth.joint, truth.cost, limit)
    np.testing.assert_array_equal(problem.hints[6 + truth.utility.size :], rules.ravel())
    honest, least = (0, 1), np.inf
    for b in range(9):
        mu, x = np.zeros(9), np.zeros((2, 9, 4, 2))
        mu[b] = 1.0
        for i, s in np.ndindex(2, 4):
            x[i, b, s] = rules[i, b // 3**i % 3, s // 2**i % 2]
        for i in range(2):
            told = b // 3**i % 3
            obeying = deviations(z, truth, (mu, x), told, i, told, honest)
            choices = [(e, f) for e in range(3) for f in all_maps(z) if (e, f) != (told, honest)]
            others = [deviations(z, truth, (mu, x), told, i, e, f) for e, f in choices]
            assert max(others) <= obeying + 1e-12
            if told:
                least = min(least, obeying - max(others))
    assert least == pytest.approx(margin, abs=1e-9) and margin > 1e-3


def test_commitments_are_handed_over_under_true_numbers():
    class Pair:
        def __init__(self, rows):
            self.commitment = np.array(rows, dtype=float)

    state, world = Pair([[1, 2], [3, 4], [5, 6]]), Pair(np.zeros((3, 2)))
    bandit_loop.hand_commitment(state, world, np.array([2, 0, 1]))
    assert world.commitment.tolist() == [[3, 4], [5, 6], [1, 2]]


def test_slack_buys_obedience():
    strict, loose = (
        ps.run("hire_agents", [("hire_commit", {"slack": s})], horizon=20_000, runs=20, metrics=["deviations"], record=[20_000])
        for s in (1.0, 0.0)
    )
    forced = 60  # rounds of halving, in half of which the agent shirks
    assert np.median(strict.deviations[..., -1]) <= forced < 10_000 < np.median(loose.deviations[..., -1])


def test_refusals():
    cases = {
        "one shape": {"accuracy": [[0.5, 0.8]]},
        "0 for the first effort": {"costs": [[0.1, 0.2], [0.0, 0.1]]},
        "prior must": {"prior": [0.5, 0.6]},
        "utility must": {"utility": [[1.0, -1.0]]},
        "limit must": {"limit": 0.0},
        "kernel must have shape": {"kernel": np.ones((4, 3, 2)) / 3},
        "kernel must hold": {"kernel": np.ones((4, 4, 2))},
        "Raise limit": {"costs": [[0.0, 0.9], [0.0, 0.9]]},
    }
    for sentence, settings in cases.items():
        with pytest.raises(ValueError, match=sentence):
            ps.bandits.hire_agents(**settings)
    with pytest.raises(ValueError, match="learns from reports feedback"):
        ps.run(ps.bandits.bernoulli([0.5, 0.4]), ["hire_commit"], horizon=10)
    with pytest.raises(ValueError, match="explore must be above 0"):
        ps.run("hire_agents", [("hire_commit", {"explore": 0.0})], horizon=10)
    live = ps.agent("hire_commit", 4, dimension=2, hints=ps.bandits.hire_agents().hints, horizon=100)
    arm = live.act([[0, 0], [1, 0], [0, 1], [1, 1]])
    with pytest.raises(ValueError, match="report of the round"):
        live.learn(arm, 1.0)


@pytest.mark.parametrize("claim", select(["hire"]), ids=lambda claim: claim.key)
def test_claim_holds_and_its_controls_fail(claim):
    verdict = check(claim)
    assert verdict.outcome == ("consistent on this window" if claim.asymptotic else "supported"), verdict
    assert verdict.ok, verdict
