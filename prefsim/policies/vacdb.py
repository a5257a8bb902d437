"""VACDB's symmetric rule: duel the pair with the largest sum of utilities plus the doubt about its difference.

With the logistic regression ``theta``, its matrix ``V`` and its radius ``beta`` (as in every policy for linear duels),

    play   argmax over pairs (x, y), x = y allowed, of   <theta, x + y> + beta ||x - y||_{V^-1}

On the event that the ellipsoids hold, a round costs at most ``beta ||x - y||_{V^-1}`` of utility (derived: compare with the
pairs of the best arm and either one), half of what MaxInP pays, so that, with ``L`` a bound on ``||x - y||``,

    regret(T) <= beta_T sqrt(2 (1 + delay) T max(1, L^2 / ridge) d ln(1 + T L^2 / (d ridge)))

The rule of Di, Jin, Wu, Zhao, Farnoud, Gu 2023, "Variance-aware regret bounds for stochastic contextual dueling bandits",
without the layers and weights that give their bound ``O~(d sqrt(sum_t sigma_t^2) + d)`` (recalled). A round costs O(arms^2 d).
Ties over pairs are broken uniformly, then the order is.
"""

from prefsim.policies._confident_pairs import Hyper, best_pair, bound, init, learn, no_offers, offer, radius, validate
from prefsim.policies._linear_duels import State, describe_arms, distance

__all__ = ["Hyper", "State", "init", "learn", "validate"]

FEEDBACK = "duel"
SIDE = "features"
ANYTIME = False
BOUND_COVERS = "utility"


def act(hyper, state, problem, t, noise):
    """Play the pair with the largest bound."""
    describe_arms(state, problem)
    beta = radius(hyper, state, problem, t)
    no_offers(state)
    for a in range(problem.arms):
        for b in range(a, problem.arms):
            offer(state, a, b, state.score[a] + state.score[b] + beta * distance(state, a, b), noise)
    return best_pair(state, noise)


def regret_bound(hyper, truth, problem, t):
    """The bound above and what the rounds cost when an ellipsoid misses; NaN for another radius."""
    return bound(hyper, problem, t, 1.0)
