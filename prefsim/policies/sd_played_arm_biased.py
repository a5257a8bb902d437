"""Shrinking dartboard on the played arm's loss: the tempting bug, kept because claims about the dartboard must refuse it.

    keep the arm with probability exp(-step lhat(arm)),    else draw from p(k) ~ exp(-step L(k)),
    lhat(k) = (mean loss of the batch) / p(k) for the arm played, 0 for the others

The dartboard's arm has the law ``p`` only if the estimates do not depend on it. Here they do: an arm that is kept is charged
again, one that is not drawn is never charged, ``p(arm)`` is not the chance with which the arm is played given what is known,
and the estimate is biased. No bound holds. Source: derived (``shrinking_dartboard``; learning rate of ``batched_exp3``).
"""

from prefsim.policies._batches import State, prepare  # noqa: F401
from prefsim.policies.batched_exp3 import Hyper, act, ask, count, learn, learn_entries, validate  # noqa: F401

FEEDBACK = ("bandit", "entries")
REWARDS = "unit"
ANYTIME = False


def init(hyper, state, problem):
    """Equal weights."""
    prepare(state, problem, count(hyper, problem), 1, hyper.step, 1)
