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

A policy known through samples takes the inner iterations one by one: ``opponent`` and ``target`` are those of ``omd`` on
the divided game, at the longest step of its theorem (constants derived), and `slow` holds ``pi`` for `period` of them.
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
    period: int = 20
    """Inner iterations a step where a policy is trained by them; the step itself takes as many as it needs."""


class State(NamedTuple):
    """The log-policy."""

    policy: Array


def init(hyper, log_policy):
    """Nothing but the start."""
    return State(log_policy)


def divided(hyper, beta):
    """The reference's weight in the divided game, and its temperature ``b``."""
    pull = hyper.step / (1 + hyper.step)
    return pull, beta / pull


def respond(hyper, beta, start, reference, gain):
    """Right-hand side of the implicit equation: the best response in the divided game."""
    pull, temperature = divided(hyper, beta)
    return (1 - pull) * start + pull * reference + gain / temperature


def step(hyper, state, game):
    """Solve the implicit equation by mirror prox from the current policy; the rows of a batch that are done wait."""
    start, mu = state.policy, game.reference
    pull, temperature = divided(hyper, game.beta)
    pace = temperature / (temperature + hyper.bound)
    policy = log_normalize(start)
    for _ in range(hyper.inner):
        reply = log_normalize(respond(hyper, game.beta, start, mu, win_rates(game.preference, policy)))
        # On past the tolerance, until rounding hides the moves: what is left must not depend on when one looked.
        error = span((policy - reply) / (column(span(policy)) / pace + (1 + hyper.bound) / temperature))
        done = (error <= ROUNDING) | (error != error)
        if every(done):
            break
        half = log_normalize((1 - pace) * policy + pace * reply)
        reply = log_normalize(respond(hyper, game.beta, start, mu, win_rates(game.preference, half)))
        policy = choose(done, policy, log_normalize((1 - pace) * policy + pace * reply))
    reply = log_normalize(respond(hyper, game.beta, start, mu, win_rates(game.preference, policy)))
    solved = span((policy - reply) / (1 + column(span(policy)) + 1 / temperature)) <= hyper.tolerance
    return State(choose(solved, policy, nan * policy))


def opponent(hyper, iterate, phase):
    """Self-play, in the inner loop of a policy that is trained."""
    return iterate.current


def target(hyper, iterate, gain, phase):
    """One inner iteration, which shrinks the KL divergence to where the loop ends by ``1 - pace``."""
    pull, temperature = divided(hyper, iterate.beta)
    pace = temperature**2 / (temperature**2 + hyper.bound**2)
    return (1 - pace) * iterate.current + pace * respond(hyper, iterate.beta, iterate.slow, iterate.reference, gain)


def slow(hyper, iterate, gain):
    """Where the step began: the new policy at the end of a period, else what it was."""
    moves = 1.0 * ((iterate.t + 1) % hyper.period == 0)
    return moves * iterate.half + (1 - moves) * iterate.slow


def validate(hyper, beta):
    """The divided game needs a temperature."""
    if beta <= 0:
        return "the game is divided by beta; give it a temperature above 0."
    valid = min(hyper.inner, hyper.period) >= 1 and hyper.tolerance > 0 and hyper.bound > 0
    return "" if valid else "inner, tolerance, bound and period must be positive."


def kl_bound(hyper, beta, initial, spread, t):
    """``(1 + step)^-t KL_0``, for any step."""
    return (1 + hyper.step) ** -t * initial


def amplification(hyper, omega, beta):
    """``|z|^2`` of the mode that shrinks least, ``z = 1 / (1 + step - i step omega / beta)`` at ``omega = 0``."""
    return (1 + hyper.step) ** -2


BOUNDS = {"kl_to_equilibrium": kl_bound}
