"""MaxInP, maximum informative pair: of the arms that may be best, duel the two whose difference is least known.

With the logistic regression ``theta``, its matrix ``V`` and its radius ``beta`` (as in every policy for linear duels; the
derived radius, larger than the one usually printed),

    C = { x : <theta, x - y> + beta ||x - y||_{V^-1} >= 0 for all y },   play the pair of C with the largest ||x - y||_{V^-1}

On the event that the ellipsoids hold, both arms and the best one lie in ``C`` and a round costs at most
``2 beta ||x - y||_{V^-1}`` of utility (derived), so that, with ``L`` a bound on ``||x - y||``, ``S`` on ``||theta*||`` and
``kappa = s'(S L)``,

    regret(T) <= 2 beta_T sqrt(2 (1 + delay) T max(1, L^2 / ridge) d ln(1 + T L^2 / (d ridge))),    O~(d sqrt(T) / kappa)

(Saha 2021, "Optimal algorithms for stochastic contextual preference bandits"; constants derived). The radius is of the
order ``1 / kappa``: it is honest and large, and with the derived one the first rounds, about ``d^2 / kappa^2``, explore. The
best arm by ``theta`` is always in ``C``. A round costs O(arms^2 d). Ties over pairs are broken uniformly, then the order is.
"""

from prefsim.ops import TIE
from prefsim.policies._confident_pairs import Hyper, best_pair, bound, init, learn, no_offers, offer, radius, validate
from prefsim.policies._linear_duels import State, describe_arms, distance

__all__ = ["Hyper", "State", "init", "learn", "validate"]

FEEDBACK = "duel"
SIDE = "features"
ANYTIME = False
BOUND_COVERS = "utility"


def act(hyper, state, problem, t, noise):
    """Play the least known pair of arms that may be best."""
    describe_arms(state, problem)
    beta = radius(hyper, state, problem, t)
    for a in range(problem.arms):
        state.index[a] = 1.0
        for b in range(problem.arms):
            if state.score[a] - state.score[b] + beta * distance(state, a, b) < -TIE:
                state.index[a] = 0.0
                break
    no_offers(state)
    for a in range(problem.arms):
        if state.index[a] > 0.0:
            for b in range(a, problem.arms):
                if state.index[b] > 0.0:
                    offer(state, a, b, distance(state, a, b), noise)
    return best_pair(state, noise)


def regret_bound(hyper, truth, problem, t):
    """The bound above and what the rounds cost when an ellipsoid misses; NaN for another radius."""
    return bound(hyper, problem, t, 2.0)
