"""Self-play with any no-regret learner (SPO): the gap of the average policy is the learner's regret, whoever it is.

The reduction is that of Swamy et al. 2024 (arXiv 2401.04056). In self-play the learner plays ``x_t`` against the gains
``A x_t``, and ``<x_t, A x_t> = 0`` because ``A`` is skew. So for ``x`` the average of ``T`` policies

    Gap_0(x) = 2 max_u <u, A x> = (2 / T) max_u sum_t <u - x_t, A x_t> = 2 Reg_T / T,

an identity that asks nothing of the learner. What the learner adds is a bound on its regret; those below have constants of
their own, derived for payoffs ``|A| <= 1/2``. ``mwu`` has claims of its own (``mwu.regret_identity``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from prefsim import registry
from prefsim.claim import Claim, Control, Evidence
from prefsim.claims import _instances as on
from prefsim.claims.mwu import families, spread_starts
from prefsim.engines.reference import play_game


class Learner(NamedTuple):
    """A solver in self-play and, where one is known with constants, a bound on its regret after ``t`` iterations."""

    key: str
    hyper: Mapping[str, Any]
    regret: Callable[[float, int, Any, Any], Any] | None = None
    """``regret(step, n, D, t)`` with ``D = max_y log 1 / x_0(y)``."""


LEARNERS = (
    Learner("mwu", {"step": 0.2}, lambda eta, n, d, t: d / eta + eta * t / 24),
    Learner("replicator", {"step": 0.2}, lambda eta, n, d, t: d / eta + eta * t / 4),
    Learner("omwu", {"step": 0.5}, lambda eta, n, d, t: d / eta + eta / (24 - 12 * eta**2)),
    Learner("regret_matching_plus", {}, lambda eta, n, d, t: np.sqrt(n * t) / 2),
    # |u - x_0|^2 / (2 eta) + eta sum |A x_s|^2 / 2 with the squared diameter 2 and |A x|^2 <= n / 4.
    Learner("projected_gradient", {"step": 0.1}, lambda eta, n, d, t: 1 / eta + eta * n * t / 8),
    # Without such a bound, some without any: the identity asks for none.
    Learner("fictitious_play", {}),
    Learner("extragradient", {"step": 0.1}),
    Learner("omd", {"step": 0.2}),
    Learner("egpo", {"step": 0.2}),
    Learner("apo", {"step": 0.2}),
    Learner("sppo", {"step": 5.0, "half_partition": True}),
)
"""Constants: Hedge in self-play (``mwu.average_bound``), Prod, optimism (``omwu.average_bound``), Tammelin, Zinkevich."""


def _paths(learner: Learner, batch: on.Instances, start: on.Floats, horizon: int) -> on.Floats:
    """Policies ``x_0 .. x_{T-1}``, shape (m, runs, T, n), also on payoffs that the public entrance refuses."""
    module = registry.load("solvers", learner.key)
    hypers = [module.Hyper(**learner.hyper)] * len(batch.beta)
    player = play_game(module, hypers, batch.beta, 0.5 + batch.payoff, batch.log_reference, start, False)
    path = []
    for t in range(horizon):
        player.advance(t)
        path.append(np.exp(player.current))
    return np.stack(path, axis=2)


def _identity(budget: str, *, diagonal: float = 0.0, played: str = "itself") -> Evidence:
    horizon = {"fast": 60, "paper": 1000}[budget]
    times, cells = np.arange(1, horizon + 1), []
    for batch in families(budget):
        batch = batch._replace(payoff=batch.payoff + diagonal * np.eye(batch.n))
        start = spread_starts(batch)
        for learner in LEARNERS:
            x = _paths(learner, batch, start, horizon)
            # Regret against the gains A q_t of an opponent, by default the learner itself.
            q = x if played == "itself" else np.broadcast_to(x[:, :, :1], x.shape)
            gain = np.einsum("mij,mrtj->mrti", batch.payoff, q)
            regret = (np.cumsum(gain, axis=2) - np.cumsum(on.inner(x, gain), axis=2)[..., None]).max(axis=-1)
            # The gap by its definition: the best that can be won against the average, less the least that it wins.
            mean = np.cumsum(x, axis=2) / times[:, None]
            most = np.einsum("mij,mrtj->mrti", batch.payoff, mean).max(axis=-1)
            least = np.einsum("mij,mrti->mrtj", batch.payoff, mean).min(axis=-1)
            cells.append(on.Cell(np.abs(most - least - 2 * regret / times), on.TOLERANCE))
    return on.evidence("|Gap_0(average) - 2 Reg_T / T|", cells, times)


def _bounds(budget: str, *, last: bool = False, scale: float = 1.0) -> Evidence:
    horizon = {"fast": 400, "paper": 4000}[budget]
    times, cells = np.arange(1, horizon + 1), []
    for batch in families(budget):
        batch = batch._replace(payoff=scale * batch.payoff)
        start = spread_starts(batch)
        distance = -start.min(axis=-1)[..., None]
        for learner in LEARNERS:
            if learner.regret is None:
                continue
            x = _paths(learner, batch, start, horizon)
            policy = x if last else np.cumsum(x, axis=2) / times[:, None]
            gap = 2 * np.einsum("mij,mrtj->mrti", batch.payoff, policy).max(axis=-1)
            cells.append(on.Cell(gap, 2 * learner.regret(learner.hyper.get("step", 1.0), batch.n, distance, times) / times))
    return on.evidence("Gap_0 of the average policy", cells, times)


_NAMES = tuple(learner.key for learner in LEARNERS)
_SOURCE = "reduction: Swamy et al. (SPO, arXiv 2401.04056); constants derived"

CLAIMS = (
    Claim(
        "spo.any_learner",
        "In self-play with any learner, Gap_0 of the average of T policies is exactly 2 Reg_T / T, "
        "Reg_T = max_u sum_t <u - x_t, A x_t>.",
        _SOURCE,
        ("A is skew", "the learner plays itself", "arithmetic average"),
        _identity,
        (
            Control("A is not skew: a diagonal of 0.1 is added", {"diagonal": 0.1}),
            Control("the gains come from another opponent, the first policy", {"played": "another"}),
        ),
        ("spo", *_NAMES),
    ),
    Claim(
        "spo.learner_bounds",
        "Gap_0 of the average of T policies <= 2 R(T) / T with R = D / eta + eta T / 24 (mwu), D / eta + eta T / 4 "
        "(replicator), 2 D + 1 / 42 (omwu, eta = 1/2), sqrt(n T) / 2 (regret matching plus), 1 / eta + eta n T / 8 "
        "(projected gradient); D = max_y log 1 / x_1(y).",
        _SOURCE,
        ("|A| <= 1/2", "constant step"),
        _bounds,
        (
            Control("the last policy instead of the average", {"last": True}),
            Control("payoffs 10 times too large", {"scale": 10.0}),
        ),
        tuple(learner.key for learner in LEARNERS if learner.regret is not None),
    ),
)
