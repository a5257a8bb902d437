"""Ailon, Karnin and Joachims (2014), "Reducing dueling bandits to cardinal bandits": sparring and its identity."""

from __future__ import annotations

import numpy as np

from prefsim import noise, registry
from prefsim.bandits.arithmetic8 import arithmetic8
from prefsim.bandits.arxiv_six_rankers import arxiv_six_rankers
from prefsim.bandits.cyclic4 import cyclic4
from prefsim.bandits.mslr5 import mslr5
from prefsim.claim import Claim, Control, Evidence
from prefsim.claims._regret import truths
from prefsim.engines import reference

ROUNDS = {"fast": 1000, "paper": 20_000}


def identity(budget: str, right: str = "own victory") -> Evidence:
    """Average duel regret less half the sum of the learners' regrets, after every round, against every arm as comparator.

    The learners' rewards are read off their own books. With ``right="same bit"`` the right learner is paid when the left
    arm wins.
    """
    module = registry.load("policies", "sparring")
    hyper, residual = module.Hyper(), []
    for seed, bandit in enumerate((arxiv_six_rankers(), cyclic4(), arithmetic8(), mslr5())):
        preference, problem = truths(bandit)[0].preference, bandit.problem(0)
        state = reference.allocate(module)(problem)
        module.init(hyper, state, problem)
        luck, nature = (noise.open_stream(*noise.stream_key(seed, "", name), 0, 0) for name in ("policy", "environment"))
        cost, entitled, worst = np.zeros(bandit.arms), np.zeros((2, bandit.arms)), 0.0
        for t in range(1, ROUNDS[budget] + 1):
            noise.seek(luck, t)
            noise.seek(nature, t)
            i, j = module.act(hyper, state, problem, t, luck)
            won = 1.0 if noise.uniform(nature) < preference[i, j] else 0.0
            if right == "same bit":
                module.learner_learn(hyper, module.copy_of(state, 0), problem, t, i, won)
                module.learner_learn(hyper, module.copy_of(state, 1), problem, t, j, won)
            else:
                module.learn(hyper, state, problem, t, (i, j), won)
            cost += (preference[:, i] - 0.5 + preference[:, j] - 0.5) / 2
            entitled += preference[:, [j, i]].T  # what each arm would have earned on the left, and on the right
            earned = np.array([module.copy_of(state, k).total.sum() for k in range(2)])
            worst = max(worst, np.abs(cost - (entitled - earned[:, None]).sum(axis=0) / 2).max())
        residual.append(worst / ROUNDS[budget])
    return Evidence(residual, 1e-12, label="residual of the identity, per round")


CLAIMS = (
    Claim(
        key="sparring.identity",
        statement="Against every fixed arm the average duel regret is half the sum of the two learners' regrets, exactly and "
        "in every run.",
        source="Ailon, Karnin, Joachims 2014; derived from P + P^T = 1",
        assumptions=("P + P^T = 1", "the right learner is paid 1 - o"),
        measure=identity,
        controls=(Control("the right learner is paid 1 - o: both are paid o", {"right": "same bit"}),),
        algorithms=("sparring", "versatile_dueling"),
    ),
)
