"""Regret held against its theorems, and the controls that falsify what a learner sees, shared by the claims about bandits.

An environment draws its feedback from the first field of its truth and charges regret from the gaps. Exchanging that
field alone breaks the link between the two on which every regret bound rests, in the same simulation and code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prefsim import registry
from prefsim.agent import Agent
from prefsim.bandit import Bandit
from prefsim.claim import Control, Evidence
from prefsim.run import run
from prefsim.statistics import log_slope

Floats = NDArray[np.float64]

CONFIDENCE = 0.999
"""Joint confidence of the limits on the mean over runs within one claim."""

class Share(Evidence):
    """Evidence that counts: `measured` holds 0 or 1 per run, shape (runs, ...), and the limits on its mean are exact.

    Those of Clopper and Pearson 1934; a Student interval has no width where all runs agree.
    """

    def limits(self) -> tuple[Floats, Floats, Floats]:
        """Shares of runs, and their lower and upper limits at the joint confidence of all entries and both sides."""
        from scipy import stats

        hits = np.asarray(self.measured, dtype=np.float64)
        level = CONFIDENCE if self.confidence is None else self.confidence
        sides = (1 - level) / max(1, hits[0].size) / sum(bound is not None for bound in (self.upper, self.lower))
        counts = hits.sum(axis=0)
        low = stats.beta.ppf(sides, counts, len(hits) - counts + 1)
        high = stats.beta.ppf(1 - sides, counts + 1, len(hits) - counts)
        return counts / len(hits), np.where(counts > 0, low, 0.0), np.where(counts < len(hits), high, 1.0)


RESOLUTION = {"fast": 0.5, "paper": 0.75}
"""Share of an asymptotic lower bound required of a finite run: a slope may come to its limit from below, and cannot be
told from it by fewer than many thousand runs."""

COIN = Control(
    "feedback follows the truth: every reward or duel shows a fair coin instead, regret still counts the truth",
    {"feedback": "coin"},
)
NOISELESS = Control(
    "feedback is as noisy as the truth says: the better arm always shows it, which takes less exploration than the "
    "lower bound demands",
    {"feedback": "noiseless"},
)

GROWTH = 2.0
"""Most that regret / ln T may grow in a decade; regret of the order sqrt(T) reaches 2.4 or more, linear regret 7.6."""


def with_feedback(bandit: Bandit, feedback: str) -> Bandit:
    """Return a bandit with the same regrets whose rewards or duels are drawn from something else.

    Parameters
    ----------
    bandit : Bandit
        A Bernoulli or dueling bandit.
    feedback : {"true", "coin", "noiseless", "tie"}
        Drawn from the truth; from fair coins; without noise, 1 above probability 1/2 and 0 below; from the truth
        except that arms 0 and 1 tie in duels.
    """
    if feedback == "true":
        return bandit
    chances, *rest = bandit.truth
    if feedback == "coin":
        seen = np.full_like(chances, 0.5)
    elif feedback == "noiseless":
        seen = np.heaviside(chances - 0.5, 0.5)
    elif feedback == "tie":
        seen = chances.copy()
        seen[:, 0, 1] = seen[:, 1, 0] = 0.5
    else:
        raise registry.unknown(feedback, ["true", "coin", "noiseless", "tie"], "feedback")
    # The name tells run() that no theorem covers this regret.
    normalisation = f"{bandit.normalisation}, {feedback} feedback"
    truth = type(bandit.truth)(seen, *rest)
    return Bandit(bandit.environment, truth, bandit.arms, normalisation=normalisation, **bandit.known)  # type: ignore[arg-type]


def truths(bandit: Bandit) -> list[Any]:
    """The truth of every instance of a batch."""
    return [type(bandit.truth)(*fields) for fields in zip(*bandit.truth, strict=True)]


def regret(bandit: Bandit, policy: str, horizon: int, runs: int, record: Any = None, **hyper: float) -> tuple[Any, Floats]:
    """Play a policy and return the record times, shape (t,), and its regret, shape (runs, instances, t)."""
    data = run(bandit, [(policy, hyper)], horizon=horizon, runs=runs, record=record)
    return data["t"].values, np.moveaxis(data["regret"].values[0], 0, 1)


def bound_evidence(
    policy: str, bandits: Sequence[Bandit], horizon: int, runs: int, feedback: str = "true", **hyper: float
) -> Evidence:
    """Mean regret at half decades against ``regret_bound`` of the policy's default hyperparameters.

    `feedback` and `hyper` change what is played, never the bound.
    """
    record = [int(horizon / 10 ** (k / 2)) for k in range(9)]
    rule = registry.load("policies", policy)
    measured, bound = [], []
    for bandit in bandits:
        times, curves = regret(with_feedback(bandit, feedback), policy, horizon, runs, record, **hyper)
        measured.append(curves)
        bound += [rule.regret_bound(rule.Hyper(), truth, bandit.problem(horizon), times) for truth in truths(bandit)]
    return Evidence(np.concatenate(measured, axis=1), np.array(bound), times=times, confidence=CONFIDENCE, label="regret")


def slopes(bandits: Sequence[Bandit], policy: str, horizon: int, runs: int, feedback: str = "true") -> Floats:
    """Coefficient of ``ln t`` over the last decade in every run, shape (runs, instances of all bandits)."""
    curves = [regret(with_feedback(bandit, feedback), policy, horizon, runs) for bandit in bandits]
    return np.concatenate([log_slope(times, values) for times, values in curves], axis=1)


def growth(
    bandits: Sequence[Bandit], policy: str, horizon: int, runs: int, feedback: str = "true", **hyper: float
) -> Evidence:
    """Growth of mean regret / ln t over the last decade, which stays near 1 for regret of the order ``ln T``.

    The mean over runs of ``(a - GROWTH b) / mean(b) + GROWTH`` is the ratio of the means of ``a`` and ``b``, and lies
    beyond GROWTH exactly if the mean of the paired ``a - GROWTH b`` is positive.
    """
    measured = []
    for bandit in bandits:
        times, curves = regret(with_feedback(bandit, feedback), policy, horizon, runs, [horizon // 10], **hyper)
        before, after = np.moveaxis(curves[..., 1:] / np.log(times[1:]), -1, 0)
        measured.append((after - GROWTH * before) / before.mean(axis=0) + GROWTH)
    values = np.concatenate(measured, axis=1)
    return Evidence(values, GROWTH, confidence=CONFIDENCE, label="growth of regret / ln t in a decade")


def mean_estimate(
    begin: Callable[[int], Agent],
    chances: Floats,
    losses: Floats,
    learn: Callable[[Agent, int, float], None] = Agent.learn,  # type: ignore[assignment]
) -> Floats:
    """Expected change of ``state.loss`` in one round, by enumerating the arm drawn.

    Parameters
    ----------
    begin : callable
        ``begin(seed)`` gives an agent with the history in question.
    chances : ndarray, shape (arms,)
        The probabilities with which it should draw, from their definition.
    losses : ndarray, shape (arms,)
        What the arms cost.
    learn : callable
        How the agent is told, for controls that interfere.
    """
    mean: Any = 0.0
    seed, seen = 0, set[Any]()
    while len(seen) < len(losses):
        live = begin(seed)
        history, arm, seed = live.state.loss.copy(), live.act(), seed + 1
        if arm not in seen:
            seen.add(arm)
            learn(live, arm, 1 - losses[arm])  # type: ignore[arg-type,index]
            mean = mean + chances[arm] * (live.state.loss - history)  # type: ignore[index]
    return np.asarray(mean)
