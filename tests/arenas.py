"""Problems on which every policy is tested, by what it learns from."""

import numpy as np

import prefsim as ps
from prefsim import registry

NO_WINNER = [
    [0.5, 0.7, 0.7, 0.2, 0.9],
    [0.3, 0.5, 0.8, 0.6, 0.8],
    [0.3, 0.2, 0.5, 0.7, 0.6],
    [0.8, 0.4, 0.3, 0.5, 0.6],
    [0.1, 0.2, 0.4, 0.4, 0.5],
]
"""Copeland scores 3, 3, 2, 2, 0 out of 4."""

CIRCLE = np.column_stack([np.cos(np.arange(5.0)), np.sin(np.arange(5.0))])

BUDGETS = {
    "A": [[0.2, 0.1], [0.0, 0.3]],
    "B": [[0.3, 0.0], [0.0, 0.05]],
    "omega": [1.0, 0.2],
    "theta": [0.5, -0.5],
    "actions": [[1.0, 0.0], [0.4, 0.6], [0.0, 1.0]],
    "sigma": 0.02,
}

PROBLEMS = {
    "bandit": {
        "ten arms": ps.bandits.bernoulli([0.9, *np.linspace(0.1, 0.7, 9)]),
        "ties and certainty": ps.bandits.bernoulli([[0.0, 1.0, 1.0], [0.3, 0.3, 0.6]]),
        "one arm": ps.bandits.bernoulli([0.5]),
    },
    "duel": {
        "winner": ps.bandits.arithmetic8(),
        "no winner": ps.bandits.dueling(NO_WINNER),
        "all tied": ps.bandits.dueling(np.full((3, 3), 0.5)),
        "certainty": ps.bandits.dueling([[0.5, 1.0], [0.0, 0.5]]),
    },
    "bandit with features": {
        "linear": ps.bandits.linear(CIRCLE, [0.6, 0.8], deviation=0.3),
        "same arm twice": ps.bandits.linear([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], [[0.5, 0.2], [0.1, 0.3]]),
        "one feature": ps.bandits.linear([[1.0], [0.5]], [0.7]),
        "contexts": ps.bandits.contextual_linear(arms=4),
    },
    "duel with features": {
        "utilities": ps.bandits.contextual_duels([0.6, 0.8], features=CIRCLE),
        "twins": ps.bandits.contextual_duels([0.5, 0.2], features=[[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]),
        "steep scores": ps.bandits.score_duels(magnitude=300.0),
        "fresh pairs": ps.bandits.contextual_duels([0.6, 0.0, -0.8], arms=4),
    },
    "bandit with advice": {
        "experts": ps.bandits.expert_advice(),
        "one expert": ps.bandits.expert_advice([[0.2, 0.8]], [[[0.5], [0.5]]]),
    },
    "bandit with dynamics": {
        "budgets": ps.bandits.dynamical_linear(**BUDGETS),
        "two memories": ps.bandits.dynamical_linear([[[0.3]], [[0.8]]], [[0.2, 0.0]], [0.5], [0.1, 0.3], np.eye(2)),
        "no memory": ps.bandits.dynamical_linear([[0.0]], [[0.5]], [1.0], [0.2], [[1.0], [-1.0]]),
    },
    "bandit with memory": {
        "practice": ps.bandits.practice_curves(arms=4, memory=4),
        "gaps in the memory": ps.bandits.tallying(
            [1.0, 0.0, 0.5], [[[0.9, 0.2, 0.5, 0.1], [0.6, 0.5, 0.4, 0.3]], [[0.5, 0.5, 0.5, 0.5], [1.0, 1.0, 1.0, 0.0]]], 0.5
        ),
        "one play": ps.bandits.tallying([2.0], [[0.0, 1.0], [1.0, 0.5], [0.3, 0.4]], deviation=0.0),
    },
    "semi with one-sided feedback": {
        "few classifiers": ps.bandits.fair_one_sided([[1.0, 0.0], [0.0, 1.0]], thresholds=3, individuals=3, panel=3),
    },
    "reports with hiring": {"two agents": ps.bandits.hire_agents()},
}

PROBLEMS["clicks with features"] = {
    "slates": ps.bandits.slate_clicks((0.6, 0.5, 0.4, 0.1), (1.0, 0.2)),
    "two crowds": ps.bandits.slate_clicks([[0.0, 1.0, 0.5], [0.3, 0.3, 0.3]], (0.2, 1.0)),
    "one position": ps.bandits.slate_clicks([0.2, 0.7], [0.5]),
}

TABLE = np.array([[0.9, 0.2, 0.5, 0.6], [0.1, 0.0, 0.5, 0.6], [0.8, 0.4, 0.5, 1.0]])
"""Losses, of which those of arm 1 are the smallest in all."""

PROBLEMS["full"] = {
    "table": ps.bandits.switching_losses(TABLE, feedback="full"),
    "two tables": ps.bandits.switching_losses([[[0.0, 1.0]], [[0.3, 0.2]]], cost=0.3, feedback="full", coins=True),
    "one expert's losses": ps.bandits.switching_losses([[0.4], [0.7]], feedback="full"),
}
PROBLEMS["entries"] = {
    "rationed": ps.bandits.switching_losses(TABLE, cost=2.0, feedback="entries", budget=1000),
    "two walks": ps.bandits.multi_scale_random_walk(3, [0.1, 0.4], 0.2, feedback="extra", budget=300),
    "free to ask": ps.bandits.switching_losses([[0.2, 0.1]], cost=0.0, feedback="entries"),
    "nearly blind": ps.bandits.switching_losses(TABLE, feedback="entries", budget=2),
}

PROBLEMS["bandit with fixed features"] = {k: p for k, p in PROBLEMS["bandit with features"].items() if k != "contexts"}
"""For policies that plan ahead with the features of the arms."""

LEARNABLE = ("ten arms", "winner", "no winner", "linear", "contexts", "experts", "utilities", "fresh pairs",
             "budgets", "practice", "slates", "table", "rationed")
"""Those on which whatever learns must beat uniform play."""

PATIENCE = {"interleaved_filter": 30_000, "savage": 30_000, "beat_the_mean": 300_000, "max_in_pair": 30_000, "vacdb": 30_000,
            "scalable_copeland": 100_000}
"""Rounds by which a policy must beat uniform play, where 3000 are too few: the confidence radii of the rules that explore
until one arm is left, and the derived radii of linear duels, let none go before."""

UNPROMISED = [(policy, "no winner") for policy in ("rmed1", "rmed2", "rmed2fh")]
"""Policies whose theorems need what a learnable problem lacks, here a Condorcet winner: they need not beat uniform play."""

UNTAUGHT = ("uniform", "expert", "ar2", "reinforce_ada")
"""Policies that need not beat uniform play: two do not learn, AR2's model, in which an arm's reward is forgotten while it
rests, is not that of a dynamical linear bandit, so that it goes round the arms, and Reinforce-Ada asks most where rewards
are rare."""


def kinds(policy):
    """Kinds of problems a policy plays, keys of ``PROBLEMS``."""
    rule = registry.algorithm("policies", policy).module
    accepted = (rule.FEEDBACK,) if isinstance(rule.FEEDBACK, str) else rule.FEEDBACK
    side = getattr(rule, "HINTS", "") or getattr(rule, "SIDE", "")
    side = f"fixed {side}" if getattr(rule, "FIXED", False) else side
    return [f"{feedback} with {side}" if side else feedback for feedback in accepted]


def renumbered(problem, order):
    """The same problem with its arms in another order, or None if its arms have no numbers of their own."""
    truth = problem.truth
    if problem.environment == "bernoulli":
        return ps.bandits.bernoulli(truth.means[0][order])
    if problem.environment == "dueling":
        return ps.bandits.dueling(truth.preference[0][np.ix_(order, order)])
    if problem.environment == "switching_losses":
        feedback, budget = ("full", None) if "full" in problem.feedback else ("entries", problem.known["budget"])
        return ps.bandits.switching_losses(truth.losses[0][:, order], truth.cost[0, 0], feedback, budget)
    if problem.environment == "linear":
        return ps.bandits.linear(truth.features[0][order], [0.6, 0.8], deviation=truth.deviation[0, 0])
    if problem.environment == "score_duels":
        return ps.bandits.contextual_duels([0.6, 0.8], features=truth.features[0][order])
    if problem.environment == "expert_advice":
        return ps.bandits.expert_advice(truth.means[0][:, order], truth.advice[0][:, order])
    if problem.environment == "tallying" and problem.instances == 1:
        return ps.bandits.tallying(truth.weights[0], truth.curves[0][order], deviation=problem.known["deviation"])
    if problem.environment == "slate_clicks":
        return ps.bandits.slate_clicks(truth.attraction[0][np.argsort(order[: truth.attraction.shape[1]])], (1.0, 0.2))
    if problem.environment == "dynamical_linear" and problem.instances == 1:
        return ps.bandits.dynamical_linear(**{**BUDGETS, "actions": truth.features[0][order]})
    return None
