"""Regret matching plus: play in proportion to truncated regrets.

    R+ = max(R + P(. > pi) - 1/2, 0),      pi+ = R+ / sum R+

(the policy wins against itself with probability 1/2). Without any regret the policy stays; regrets up to 1e-12 are
rounding and count as none. Plays the game without its regulariser. The *average* of the first ``T`` iterates satisfies,
for ``n`` actions, payoffs ``|P - 1/2| <= 1/2`` and any start,

    Gap_0(average) <= sqrt(n / T)

(Tammelin 2014, arXiv 1407.5042; here the squared regrets grow by at most ``n / 4`` an iteration because ``R`` is
orthogonal to the new regrets). The last iterate need not converge.
"""

from math import exp
from typing import NamedTuple

from prefsim.ops import Array, normalize, positive_part, softmax, win_rates


class Hyper(NamedTuple):
    """No hyperparameters."""


class State(NamedTuple):
    """Log-policy and truncated regrets."""

    policy: Array
    regrets: Array


def init(hyper, log_policy):
    """No regrets yet."""
    return State(log_policy, 0 * softmax(log_policy))


def step(hyper, state, game):
    """Add the new regrets and match them."""
    regrets = positive_part(state.regrets + win_rates(game.preference, state.policy) - 0.5)
    return State(normalize(regrets, state.policy), regrets)


def average_gap_bound(hyper, beta, initial, spread, t):
    """``sqrt(n / t)`` with ``n <= exp(spread)``, equal for a uniform start."""
    return (exp(spread) / t) ** 0.5 if beta == 0 and spread < 700 else float("nan")


BOUNDS = {"average_duality_gap": average_gap_bound}
