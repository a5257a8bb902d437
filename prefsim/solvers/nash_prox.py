"""Nash Prox: the proximal point method, whose step plays against the policy it arrives at.

    log pi+ = (log pi + step log mu) / (1 + step) + step / (beta (1 + step)) * P(. > pi+),   then normalised

``pi+`` is the equilibrium of the game with reference ``m ∝ pi^(1 / (1 + step)) mu^(step / (1 + step))`` and temperature
``b = beta (1 + step) / step``. An inner loop of mirror prox finds it, one of whose iterations shrinks the KL divergence
to it by ``1 + b / bound`` for payoffs ``|A| <= bound``. Its end is certified: ``log pi+`` and the right-hand side agree to
``tolerance (1 + 1 / b + max log pi+ - min log pi+)`` or better; a policy that misses this after `inner` iterations is NaN
rather than wrong, and reported as divergence. For *any* step

    (1 + step) KL(pi*, pi+) + step KL(pi+, pi*) + KL(pi+, pi) = KL(pi*, pi)

exactly, so ``KL(pi*, .)`` shrinks by ``1 + step`` or more (Tiapkin et al. 2025, arXiv 2505.19731; the identity follows from
the three-point equality of mirror steps and ``A`` being skew).
"""

from math import nan
from typing import NamedTuple

from prefsim.ops import Array, choose, column, every, log_normalize, span, win_rates

EVALUATIONS = nan
"""Two each inner iteration and one at the end; how many inner iterations it takes depends on the game."""

ROUNDING = 1e-15
"""A few units in the last place; moves of the inner loop below this share of its terms are lost."""


class Hyper(NamedTuple):
    """Hyperparameters."""

    step: float = 1.0
    """``eta`` of the game divided by ``beta``; any positive number."""
    inner: int = 20000
    """Most iterations of the inner loop."""
    tolerance: float = 1e-12
    """Largest error of the inner equation in log-probabilities ``l``, over ``1 + 1 / b + max l - min l``."""
    bound: float = 0.5
    """Largest payoff ``|A|``; raise it for log-odds games."""


class State(NamedTuple):
    """The log-policy."""

    policy: Array


def init(hyper, log_policy):
    """Nothing but the start."""
    return State(log_policy)


def step(hyper, state, game):
    """Solve the implicit equation by mirror prox from the current policy; the rows of a batch that are done wait."""
    pull = hyper.step / (1 + hyper.step)
    anchor = (1 - pull) * state.policy + pull * game.reference
    temperature = game.beta / pull
    pace = temperature / (temperature + hyper.bound)
    policy = log_normalize(state.policy)
    for _ in range(hyper.inner):
        reply = log_normalize(anchor + win_rates(game.preference, policy) / temperature)
        # On past the tolerance, until rounding hides the moves: what is left must not depend on when one looked.
        error = span((policy - reply) / (column(span(policy)) / pace + (1 + hyper.bound) / temperature))
        done = (error <= ROUNDING) | (error != error)
        if every(done):
            break
        half = log_normalize((1 - pace) * policy + pace * reply)
        reply = log_normalize(anchor + win_rates(game.preference, half) / temperature)
        policy = choose(done, policy, log_normalize((1 - pace) * policy + pace * reply))
    reply = log_normalize(anchor + win_rates(game.preference, policy) / temperature)
    solved = span((policy - reply) / (1 + column(span(policy)) + 1 / temperature)) <= hyper.tolerance
    return State(choose(solved, policy, nan * policy))


def validate(hyper, beta):
    """The divided game needs a temperature."""
    if beta <= 0:
        return "the game is divided by beta; give it a temperature above 0."
    valid = hyper.inner >= 1 and hyper.tolerance > 0 and hyper.bound > 0
    return "" if valid else "inner, tolerance and bound must be positive."


def kl_bound(hyper, beta, initial, spread, t):
    """``(1 + step)^-t KL_0``, for any step."""
    return (1 + hyper.step) ** -t * initial


def amplification(hyper, omega, beta):
    """``|z|^2`` of the mode that shrinks least, ``z = 1 / (1 + step - i step omega / beta)`` at ``omega = 0``."""
    return (1 + hyper.step) ** -2


BOUNDS = {"kl_to_equilibrium": kl_bound}
