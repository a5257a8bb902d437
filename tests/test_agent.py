"""Ask and tell equals the simulation on the same feedback, and refuses what makes no sense."""

import numpy as np
import pytest
from arenas import PROBLEMS, kinds

import prefsim as ps
from prefsim import noise, registry
from prefsim.engines import reference

CASES = [(policy, kind) for policy in sorted(registry.algorithms("policies")) for kind in kinds(policy)]
LIVE = {
    "bandit": "ties and certainty",
    "duel": "no winner",
    "bandit with features": "contexts",
    "bandit with fixed features": "linear",
    "bandit with advice": "experts",
    "duel with features": "fresh pairs",
    "bandit with dynamics": "budgets",
    "bandit with memory": "gaps in the memory",
    "clicks with features": "two crowds",
    "semi with one-sided feedback": "few classifiers",
    "reports with hiring": "two agents",
    "full": "table",
    "entries": "rationed",
}


def simulate(live, policy, problem, horizon, checkpoint=None):
    """Drive the agent by hand on the environment's own noise and arm order; cumulative regret at the end."""
    environment = registry.load("bandits", problem.environment)
    truth = environment.Truth(*(field[0] for field in problem.truth))
    told = problem.problem(horizon)
    world = reference.allocate(environment)(told, truth) if hasattr(environment, "State") else ()
    shuffle = noise.open_stream(*noise.stream_key(4, "", "order"), 0, 0)
    order = np.arange(problem.arms)
    for i in range(problem.arms - 1, 0, -1):
        j = int(noise.uniform(shuffle) * (i + 1))
        order[i], order[j] = order[j], order[i]
    nature = noise.open_stream(*noise.stream_key(4, "", "environment"), 0, 0)
    if hasattr(environment, "start"):
        environment.start(truth, world, told, nature)
    total, told_free = 0.0, told.free
    for t in range(1, horizon + 1):
        noise.seek(nature, t)
        features = truth.features[order] if "features" in truth._fields else None
        if hasattr(environment, "observe"):
            environment.observe(truth, world, t, nature)
            features = world.features[order]
        action = live.act(features) if features is not None else live.act()
        assert live.act() == action
        if t == horizon // 2 and checkpoint is not None:
            live.save(checkpoint)
            live = ps.Agent.load(checkpoint)
        played = (order[action[0]], order[action[1]]) if isinstance(action, tuple) else order[action]
        if hasattr(live.state, "commitment"):
            world.commitment[order] = live.state.commitment
        signal = environment.feedback(truth, world, played, t, nature)
        told = world.report if "report" in getattr(world, "_fields", ()) else signal
        if live.told == "entries":
            asked = live.ask() & ~((np.arange(problem.arms) == action) & told_free)
            assert asked.sum() <= world.budget[0]
            world.budget[0] -= asked.sum()
            told = np.where(asked | ((np.arange(problem.arms) == action) & told_free), world.rewards[order], np.nan)
        elif live.told == "full":
            told = world.rewards[order]
        live.learn(action, told)
        total += environment.regrets(truth, world, played, t, signal)[0]
    assert live.t == horizon
    return total


@pytest.mark.parametrize(("policy", "kind"), CASES)
def test_agent_plays_the_simulated_run(policy, kind, tmp_path):
    """The regret must be the simulated one, also when the agent is written to a file and read again on the way."""
    problem = PROBLEMS[kind][LIVE[kind]]
    horizon = 120
    simulated = ps.run(problem, [policy], horizon=horizon, seed=4)
    settings = {"seed": 4, "horizon": horizon, "duels": kind.startswith("duel"), **problem.known, "hints": problem.hints}
    settings["feedback"] = None if kind.startswith("duel") else kind.split()[0]
    for checkpoint in (None, tmp_path / "agent.npz"):
        live = ps.agent(policy, problem.arms, **settings)
        assert simulate(live, policy, problem, horizon, checkpoint) == simulated.regret.values[0, 0, 0, -1]


def test_agent_looks_at_features():
    vectors = [[1.0, 0.0], [0.0, 1.0]]
    live = ps.agent("linucb", features=vectors, horizon=50)
    live.learn(live.act(), 0.3)
    with pytest.raises(ValueError, match="features of the arms"):
        ps.agent("linucb", arms=2, horizon=50)
    blind = ps.agent("linucb", arms=2, dimension=2, horizon=50)
    with pytest.raises(ValueError, match="linucb needs features"):
        blind.act()
    with pytest.raises(ValueError, match=r"shape \(arms, dimension\) = \(2, 2\)"):
        blind.act([[1.0, 2.0, 3.0]])
    assert blind.act(vectors) in (0, 1)
    planner = ps.agent("phased_elimination", features=vectors, horizon=50)
    planner.learn(planner.act(), 0.3)
    with pytest.raises(ValueError, match="they may not change"):
        planner.act([[1.0, 0.0], [1.0, 1.0]])


def test_files_that_hold_no_agent_are_refused(tmp_path):
    path = tmp_path / "agent.npz"
    np.savez(path, other=np.zeros(3))
    with pytest.raises(ValueError, match="holds no agent"):
        ps.Agent.load(path)


def test_uniform_names_pairs_for_duels():
    first, second = ps.agent("uniform", arms=4, duels=True).act()
    assert 0 <= first < 4 and 0 <= second < 4


def test_agent_refuses():
    with pytest.raises(ValueError, match="exp3 needs horizon"):
        ps.agent("exp3", arms=3)
    with pytest.raises(ValueError, match=r"expert is for dynamics.* give hints"):
        ps.agent("expert", features=[[1.0, 0.0, 0.0]])
    with pytest.raises(ValueError, match="hints must be a flat list"):
        ps.agent("expert", features=[[1.0, 0.0, 0.0]], hints=[np.nan])
    for key, few in (("ar2", [0.5]), ("hire_commit", [2.0, 2.0])):
        with pytest.raises(ValueError, match=f"fewer than {key} reads"):
            ps.agent(key, features=[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], horizon=9, hints=few)
    with pytest.raises(ValueError, match="arms must be at least 2"):
        ps.agent("rucb", arms=1)
    with pytest.raises(ValueError, match="not duels"):
        ps.agent("ucb1", arms=3, duels=True)
    with pytest.raises(ValueError, match="did you mean 'ucb1'"):
        ps.agent("ucb2", arms=3)
    live = ps.agent("thompson", arms=3)
    with pytest.raises(ValueError, match="learn without act"):
        live.learn(0, 1.0)
    arm = live.act()
    with pytest.raises(ValueError, match="not the one act"):
        live.learn((arm + 1) % 3, 1.0)
    with pytest.raises(ValueError, match="reward in"):
        live.learn(arm, 2.0)
    duel = ps.agent("rucb", arms=3)
    with pytest.raises(ValueError, match="whether the first arm won"):
        duel.learn(duel.act(), 0.5)


def test_agent_of_entries_refuses():
    with pytest.raises(ValueError, match="exp3 learns from bandit feedback, not from 'full'"):
        ps.agent("exp3", arms=2, horizon=5, feedback="full")
    with pytest.raises(ValueError, match="budget must be a number >= 0"):
        ps.agent("shrinking_dartboard", arms=2, horizon=5, budget=-1)
    live = ps.agent("shrinking_dartboard", arms=2, horizon=5, feedback="entries", budget=10, free=False)
    with pytest.raises(ValueError, match="ask without act"):
        live.ask()
    arm = live.act()
    assert live.ask().all()
    for bad, sentence in (([0.5], "for each of 2 arms"), ([0.5, np.nan], r"every arm of ask\(\)"), ([0.5, 2.0], "reward in")):
        with pytest.raises(ValueError, match=sentence):
            live.learn(arm, bad)
    live.learn(arm, [0.5, 1.0])
    assert live.t == 1
