"""Optimistic multiplicative weights in self-play: OMWU, and ONPO (Zhang et al. 2025, arXiv 2502.16852).

Everything follows from one exact energy identity. The bound on the average iterate is linear in ``D``: the form
``4 sqrt(D) / T`` in which it is sometimes quoted cannot hold for large ``D``, since in the game where one action beats
all others ``T Gap_0(average)`` tends to nearly ``4 D``; it serves as a control. The last iterate converges locally to a
full-support equilibrium below a sharp limit on the step. Games have ``beta = 0`` and the gap is the two-sided ``Gap_0``.
"""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import Any

import numpy as np

from prefsim import games, ops
from prefsim.claim import Claim, Control, Evidence
from prefsim.claims import _instances as on
from prefsim.claims import mwu
from prefsim.engines.reference import GamePlayer
from prefsim.equilibrium import local_frequency
from prefsim.solvers import mwu as plain
from prefsim.solvers import omwu

LIMIT = 1 / sqrt(3)
"""Largest locally stable ``eta omega``."""


def paths(batch: on.Instances, step: float, start: on.Floats, rounds: int) -> tuple[on.Floats, on.Floats]:
    """Played and auxiliary policies of iterations 0 to `rounds`, each of shape (m, runs, rounds + 1, n)."""
    player = GamePlayer(
        omwu, [omwu.Hyper(step)] * len(batch.beta), batch.beta, 0.5 + batch.payoff, batch.log_reference, start, False
    )
    seen = []
    for t in range(rounds + 1):
        player.advance(t)
        seen.append((player.policies["current"], player.policies["auxiliary"]))
    played, auxiliary = (np.stack(policies, axis=2) for policies in zip(*seen, strict=True))
    return played, auxiliary


def _energy(budget: str, *, keep: bool = True) -> Evidence:
    rounds = {"fast": 40, "paper": 400}[budget]
    cells = []
    for batch in mwu.families(budget):
        for step in (0.1, 0.5, 2.0):
            played, auxiliary = paths(batch, step, mwu.spread_starts(batch), rounds)
            y, x, after = played[:, :, :-1], auxiliary[:, :, :-1], auxiliary[:, :, 1:]
            u = np.broadcast_to(on.random_policies("comparator", (1, 1), batch.n), y.shape)
            a, b = (np.cumsum(ops.kl(y, other), axis=-1) for other in (after, x))
            gained = np.cumsum(step * on.inner(batch.gain(y), np.exp(u) - np.exp(y)), axis=-1)
            terms = [ops.kl(u, x)[..., :1], -ops.kl(u, after), a, -b if keep else 0 * b]
            cells.append(on.residual(gained, terms))
    return on.evidence("residual of the summed energy identity", cells, np.arange(1, rounds + 1))


def linear(distance: Any) -> Any:
    """``T Gap_0`` at step 1/2: ``4 D + 1/21``."""
    return 4 * distance + 1 / 21


def square_root(distance: Any) -> Any:
    """``4 sqrt(D)``, which is too small for large ``D``."""
    return 4 * np.sqrt(distance)


def _average(budget: str, *, bound: Callable[[Any], Any] = linear) -> Evidence:
    times = on.record({"fast": 2000, "paper": 20000}[budget])
    cells = []
    for batch in [*mwu.families(budget), on.dominant(4), on.dominant(50)]:
        start = mwu.spread_starts(batch)
        gap = mwu.values("average_duality_gap", batch, 0.5, start, times, "omwu")[..., 1:]
        cells.append(on.Cell(times[1:] * gap, bound(-start.min(axis=-1)[..., None])))
    return on.evidence("T Gap_0 of the average policy", cells, times[1:])


def _guessed_start(budget: str, *, optimism: bool = True) -> Evidence:
    rounds = {"fast": 800, "paper": 8000}[budget]
    cells = []
    for batch in mwu.families(budget):
        x = mwu.spread_starts(batch)
        for step in (0.3, 1.0):
            rule: Any = omwu if optimism else plain
            hypers = [rule.Hyper(step)] * len(batch.beta)
            player = GamePlayer(rule, hypers, batch.beta, 0.5 + batch.payoff, batch.log_reference, x, True)
            if optimism:
                player.policies["current"] = ops.log_normalize(x + step * batch.gain(x))
            gaps = []
            for t in (1, 10, 100, rounds):
                player.advance(t)
                total: Any = player.total
                gaps.append(2 * batch.gain(np.log(total)).max(axis=-1))  # t times the gap, because gains are linear
            cells.append(on.Cell(np.stack(gaps, axis=-1), 2 * -x.min(axis=-1)[..., None] / step))
    return on.evidence("T Gap_0 of the average policy", cells, np.array([1, 10, 100, rounds]))


def amplification(x: on.Floats, times: Any) -> on.Floats:
    """``|e_t|^2`` of modes with ``x = eta omega``: ``e+ = (1 + 2 i x) e - i x e-``, ``e_0 = 1``, ``e_-1 = 0``."""
    before, error, seen = 0j * x, 0j * x + 1, []
    for _ in range(int(times[-1]) + 1):
        seen.append(np.abs(error) ** 2)
        before, error = error, (1 + 2j * x) * error - 1j * x * before
    return np.array(seen)[times]


def _stability(budget: str, *, limit: float = LIMIT) -> Evidence:
    times = on.record({"fast": 600, "paper": 3000}[budget])
    cycles = [on.unregularised(games.cyclic(n).payoff[None]) for n in (3, 5, 7)]
    cells = []
    for batch in (*cycles, on.interior(3), on.interior(5)):
        push = 1e-5 * on.random_policies("push", (len(batch.beta), 2), batch.n)
        start = ops.log_normalize(batch.log_equilibrium[:, None] + push)
        for i, fastest in enumerate(local_frequency(batch.game(), batch.log_equilibrium)):
            one = on.Instances(*(field[i : i + 1] for field in batch))
            p = np.exp(one.log_equilibrium[0])
            turning = np.linalg.eigvals(one.payoff[0] @ (np.diag(p) - np.outer(p, p))).imag
            modes = np.sort(np.abs(turning))[1:]  # without the constant vector, which normalising removes
            for factor in (0.9, 1.1):
                step = factor * limit / float(fastest)
                kl = one.kl(on.trajectory("omwu", {"step": step}, one, start[i : i + 1], times))
                ratio = kl / kl[..., :1]
                if factor < 1:
                    predicted = amplification(step * modes, times).max(axis=-1)
                    predicted[-1] = min(predicted[-1], 1.0)  # it must have come closer in the end
                    cells.append(on.Cell(ratio, np.maximum(1.05 * predicted, 1e-9)))
                else:
                    cells.append(on.Cell(ratio, lower=np.where(times == times[-1], 1.0, np.nan)))
    return on.evidence("KL(pi*, y_t) / KL(pi*, y_0)", cells, times)


CLAIMS = (
    Claim(
        "omwu.energy_identity",
        "eta sum_t <A y_t, u - y_t> = KL(u, x_1) - KL(u, x_T+1) + sum_t [KL(y_t, x_t+1) - KL(y_t, x_t)] for every policy u.",
        "derived: definition of the step",
        ("any step", "any A"),
        _energy,
        (Control("KL(y_t, x_t) is dropped", {"keep": False}),),
        ("omwu", "onpo"),
    ),
    Claim(
        "omwu.average_bound",
        "T Gap_0 of the average of T iterates <= 4 D + 1/21 at eta = 1/2, D = max_y log 1 / x_1(y).",
        "derived from the energy identity; optimism: Zhang et al. (ONPO, arXiv 2502.16852)",
        ("|A| <= 1/2", "eta = 1/2", "y_1 = x_1"),
        _average,
        (Control("4 sqrt(D) is claimed, where one action beats 49 others", {"bound": square_root}),),
        ("omwu", "onpo"),
    ),
    Claim(
        "omwu.guessed_start",
        "T Gap_0 of the average of T iterates <= 2 D / eta for eta <= 1, if y_1 = x_1 exp(eta A x_1) normalised.",
        "derived from the energy identity",
        ("|A| <= 1/2", "one more evaluation at the start"),
        _guessed_start,
        (Control("plain multiplicative weights", {"optimism": False}),),
        ("omwu", "onpo"),
    ),
    Claim(
        "omwu.local_stability",
        "Near a full-support equilibrium modes obey z^2 - (1 + 2 i x) z + i x = 0, x = eta omega, so the last iterate "
        "converges locally below eta omega = 1/sqrt(3) and not above.",
        "derived: linearisation, with omega the rotation frequencies of A (diag pi* - pi* pi*^T)",
        ("full-support equilibrium, odd n", "perturbation of 1e-5", "0.9 and 1.1 times the limit"),
        _stability,
        (Control("the limit is taken to be eta omega = 1", {"limit": 1.0}),),
        ("omwu", "onpo"),
    ),
)
