"""Fictitious play: best reply to the average of everything played so far, which is the policy reported.

    pi_t = (prior pi_0 + b_0 + ... + b_(t-1)) / (prior + t),      b_t in argmax_y P(y > pi_t)

Among best replies the first action is played. In self-play both sides hold the same average, so this is fictitious play
of the symmetric game without its regulariser. The duality gap tends to 0 in every game (Robinson 1951, Annals of
Mathematics 54), at a rate that depends on the game. With one action that beats all others by 1/2 it is
``(1 - pi_0(best)) prior / (prior + t)``.
"""

from typing import NamedTuple

from prefsim.ops import Array, best_reply, normalize, softmax, win_rates


class Hyper(NamedTuple):
    """Hyperparameters."""

    prior: float = 1.0
    """Number of plays the start counts for, above 0."""


class State(NamedTuple):
    """Log of the average play; number of times each action was played, the start included."""

    policy: Array
    played: Array


def init(hyper, log_policy):
    """The start counts as `prior` plays."""
    return State(log_policy, hyper.prior * softmax(log_policy))


def step(hyper, state, game):
    """Play a best reply once more."""
    played = state.played + best_reply(win_rates(game.preference, state.policy))
    return State(normalize(played, state.policy), played)


def validate(hyper, beta):
    """The first best reply needs something to reply to."""
    return "" if hyper.prior > 0 else f"prior must be positive; got {hyper.prior:g}."
