"""EXP3 on batches of constant length, the adversarial baseline for dynamical linear bandits.

    p(i) = (1 - gamma) exp(eta G(i)) / sum_j exp(eta G(j)) + gamma / K
    G(i) += r / p(i) for the arm of the batch, r = mean over the batch of (y + 2 M) / (4 M), clipped to [0, 1]

with ``gamma = min(1, sqrt(K ln K / ((e - 1) 2 N / 3)))``, ``eta = gamma / K``, ``N = T / k`` batches,
``M = (Theta + Omega Bn / (1 - rho_bar)) U``. ``batch = 0`` takes ``k = ceil(ln M_e / ln(1 / rho_bar))``, where ``M_e`` is
the number of epochs that DynLin-UCB needs for ``T`` rounds (8 for the synthetic system at 10^6); ``batch = 1`` is plain
EXP3. The last batch, cut off by the horizon, teaches nothing. Sources: Auer, Cesa-Bianchi, Freund, Schapire 2002 (EXP3);
Dekel, Tewari, Arora 2012 (batches against memory); the constants are those of the experiments of Mussi, Metelli, Restelli
2023, from the authors' code. No guarantee is drawn: the competitor of EXP3's theorem is not the steady policy.
"""

from math import ceil, exp, log, sqrt
from typing import NamedTuple

from prefsim.ops import Array, floats, integers, uniform

FEEDBACK = "bandit"
HINTS = "dynamics"
ANYTIME = False


class Hyper(NamedTuple):
    """Hyperparameters."""

    batch: int = 0
    """Rounds of a batch; 0 for the length that the memory asks for, 1 for plain EXP3."""


class State(NamedTuple):
    """Estimated gains, and the batch being played."""

    gain: Array = floats("arms")
    weight: Array = floats("arms")
    """``exp(eta (G - max G))``."""
    total: Array = floats(1)
    """Sum of the weights."""
    gamma: Array = floats(1)
    batch: Array = integers(1)
    left: Array = integers(1)
    """Rounds of the batch still to play."""
    arm: Array = integers(1)
    chance: Array = floats(1)
    """Probability with which the batch's arm was drawn."""
    reward: Array = floats(1)
    """Sum of the batch's mapped rewards."""


def validate(hyper):
    """Refuse what makes no sense."""
    return f"batch must be >= 0, 0 for the default; got {hyper.batch}." if hyper.batch < 0 else ""


def length(rho, horizon):
    """``ceil(ln M_e / ln(1 / rho))``, at least 1."""
    epoch, hold, power, t = 0, 0, 1.0, 0
    while t < horizon:
        epoch += 1
        while epoch * power * rho >= 1.0 - 1e-9 and hold < horizon:
            hold += 1
            power *= rho
        t += hold + 1
    return max(1, ceil(log(epoch) / log(1.0 / rho) - 1e-9)) if rho > 0.0 else 1


def init(hyper, state, problem):
    """Equal weights."""
    state.batch[0] = hyper.batch if hyper.batch > 0 else length(problem.hints[0], problem.horizon)
    arms, batches = problem.arms, problem.horizon / state.batch[0]
    state.gamma[0] = min(1.0, sqrt(arms * log(arms) / ((exp(1.0) - 1.0) * 2.0 * batches / 3.0)))
    for i in range(arms):
        state.weight[i] = 1.0
    state.total[0] = arms


def act(hyper, state, problem, t, noise):
    """Draw an arm at the beginning of a batch."""
    if state.left[0] == 0:
        state.left[0], state.reward[0] = state.batch[0], 0.0
        gamma, point = state.gamma[0], uniform(noise)
        arm = 0
        chance = (1.0 - gamma) * state.weight[0] / state.total[0] + gamma / problem.arms
        while arm < problem.arms - 1 and point >= chance:
            point -= chance
            arm += 1
            chance = (1.0 - gamma) * state.weight[arm] / state.total[0] + gamma / problem.arms
        state.arm[0], state.chance[0] = arm, chance
    return state.arm[0]


def learn(hyper, state, problem, t, action, feedback):
    """Credit the arm with the batch's mean reward over its probability."""
    rho, _, theta, omega, push, size, _, _ = problem.hints
    most = (theta + omega * push / (1.0 - rho)) * size
    if most > 0.0:
        state.reward[0] += min(1.0, max(0.0, (feedback + 2.0 * most) / (4.0 * most)))
    state.left[0] -= 1
    if state.left[0] == 0:
        state.gain[action] += state.reward[0] / state.batch[0] / state.chance[0]
        best = state.gain[0]
        for i in range(1, problem.arms):
            best = max(best, state.gain[i])
        total = 0.0
        for i in range(problem.arms):
            state.weight[i] = exp(state.gamma[0] / problem.arms * (state.gain[i] - best))
            total += state.weight[i]
        state.total[0] = total
