"""Ask and tell equals the simulation on the same feedback, and refuses what makes no sense."""

import numpy as np
import pytest

import prefsim as ps
from prefsim import noise, registry

POLICIES = sorted(registry.algorithms("policies"))


@pytest.mark.parametrize("policy", POLICIES)
def test_agent_plays_the_simulated_run(policy):
    """Drive the agent by hand on the environment's own noise and arm order: the regret must be the simulated one."""
    kinds = registry.algorithm("policies", policy).module.FEEDBACK
    duel = kinds == "duel"
    problem = ps.bandits.cyclic4() if duel else ps.bandits.bernoulli([0.3, 0.6, 0.5])
    environment = registry.load("bandits", problem.environment)
    truth = environment.Truth(*(field[0] for field in problem.truth))
    horizon = 120
    simulated = ps.run(problem, [policy], horizon=horizon, seed=4)
    live = ps.agent(policy, problem.arms, seed=4, horizon=horizon)
    shuffle = noise.open_stream(*noise.stream_key(4, "", "order"), 0, 0)
    order = np.arange(problem.arms)
    for i in range(problem.arms - 1, 0, -1):
        j = int(noise.uniform(shuffle) * (i + 1))
        order[i], order[j] = order[j], order[i]
    world = noise.open_stream(*noise.stream_key(4, "", "environment"), 0, 0)
    total = 0.0
    for t in range(1, horizon + 1):
        noise.seek(world, t)
        action = live.act()
        assert live.act() == action
        played = (order[action[0]], order[action[1]]) if duel else order[action]
        live.learn(action, environment.feedback(truth, played, t, world))
        total += environment.regrets(truth, played)[0]
    assert live.t == horizon
    assert total == simulated.regret.values[0, 0, 0, -1]


def test_uniform_names_pairs_for_duels():
    first, second = ps.agent("uniform", arms=4, duels=True).act()
    assert 0 <= first < 4 and 0 <= second < 4


def test_agent_refuses():
    with pytest.raises(ValueError, match="exp3 needs horizon"):
        ps.agent("exp3", arms=3)
    with pytest.raises(ValueError, match="arms must be at least 2"):
        ps.agent("rucb", arms=1)
    with pytest.raises(ValueError, match="not duels"):
        ps.agent("ucb1", arms=3, duels=True)
    with pytest.raises(ValueError, match="did you mean 'ucb1'"):
        ps.agent("ucb2", arms=3)
    live = ps.agent("ucb1", arms=3)
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
