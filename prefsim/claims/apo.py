"""Accelerated preference optimisation (He, Yuan and Gu 2024, arXiv 2410.06293).

The paper claims a suboptimality smaller by ``1 - alpha``. With a fixed reward the recursion has a closed form (derived):
log-ratios first move at the base method's pace and in the long run exactly ``1 / (1 - alpha)`` times as fast. Rewards are
fixed in additive games ``A_ij = u_i - u_j``, where ``A q = u - <u, q>`` for every opponent; games have ``beta = 0``.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from prefsim import games, noise, ops
from prefsim.claim import Claim, Control, Evidence
from prefsim.claims import _instances as on

MOMENTA = (0.0, 0.5, 0.9)


def _additive(cycle: float) -> Iterator[tuple[on.Floats, on.Instances, on.Floats]]:
    """Yield utilities, additive games with a cyclic part of weight `cycle`, and starts."""
    for n in (3, 5, 11):
        utilities = 0.5 * noise.uniforms(noise.stream_key(0, "claims", "utilities"), np.arange(4), 0, n, n)
        payoff = (1 - cycle) * games.additive(utilities).payoff + cycle * games.cyclic(n).payoff
        batch = on.unregularised(payoff)
        yield utilities, batch, on.starts(batch)


def _centred(values: on.Floats) -> on.Floats:
    return values - values.mean(axis=-1, keepdims=True)


def _closed_form(budget: str, *, cycle: float = 0.0) -> Evidence:
    times = on.record({"fast": 60, "paper": 120}[budget])
    cells = []
    for utilities, batch, start in _additive(cycle):
        for step in (0.1, 0.5):
            for a in MOMENTA:
                path = on.trajectory("apo", {"step": step, "momentum": a}, batch, start, times)
                rounds = (times - a**2 * (1 - a**times) / (1 - a)) / (1 - a)
                moved = step * rounds[:, None] * _centred(utilities)[:, None, None]
                error = np.abs(_centred(path - start[:, :, None]) - moved).max(axis=-1)
                cells.append(on.Cell(error, on.TOLERANCE * (1 + np.abs(path).max(axis=-1))))
    return on.evidence("error of log-ratios to the start", cells, times)


def _velocity(budget: str, *, last: int = 400) -> Evidence:
    times = np.array([0, last, last + 1])
    cells = []
    for utilities, batch, start in _additive(0.0):
        for a in MOMENTA:
            path = on.trajectory("apo", {"step": 0.05, "momentum": a}, batch, start, times)
            change = _centred(path[:, :, 2] - path[:, :, 1])
            error = np.abs(change - 0.05 / (1 - a) * _centred(utilities)[:, None]).max(axis=-1)
            cells.append(on.Cell(error, on.TOLERANCE * (1 + np.abs(path).max(axis=(-1, -2)))))
    return on.evidence("error of the change of log-ratios an iteration", cells)


def _base(budget: str, *, momentum: float = 0.0) -> Evidence:
    times = on.record({"fast": 60, "paper": 600}[budget])
    cells = []
    for _, batch, start in on.grid(budget, (0.1, 1.0)):
        for solver, game in (("omd", batch), ("mwu", batch._replace(beta=np.zeros_like(batch.beta)))):
            path = on.trajectory("apo", {"step": 0.3, "momentum": momentum}, game, start, times)
            other = on.trajectory(solver, {"step": 0.3}, game, start, times)
            cells.append(on.Cell(np.abs(path - other).max(axis=-1), on.TOLERANCE * (1 + np.abs(other).max(axis=-1))))
    return on.evidence("largest difference of log-probabilities", cells, times)


def _fixed_point(budget: str, *, reference: bool = True) -> Evidence:
    """One iteration from the equilibrium; without `reference` the game is given a uniform one."""
    cells = []
    for _, batch, _ in on.grid(budget, (0.1, 1.0)):
        star = batch.log_equilibrium[:, None]
        game = batch if reference else batch._replace(log_reference=ops.log_normalize(np.zeros_like(batch.log_reference)))
        for a in MOMENTA:
            after = on.trajectory("apo", {"step": 0.5, "momentum": a}, game, star, [0, 1, 2])
            size = 1 + np.abs(after).max(axis=-1)
            cells.append(on.Cell(np.abs(after - star[:, :, None]).max(axis=-1), 1e-10 * size))
    return on.evidence("distance from the equilibrium", cells, np.arange(3))


CLAIMS = (
    Claim(
        "apo.closed_form",
        "With a fixed reward r, log pi_t = log pi_0 + r step / (1 - a) [t - a^2 (1 - a^t) / (1 - a)] + const, a the momentum.",
        "derived from the recursion of He, Yuan and Gu (arXiv 2410.06293)",
        ("additive game", "beta = 0"),
        _closed_form,
        (Control("a cyclic component of weight 0.2 is mixed into A", {"cycle": 0.2}),),
        ("apo",),
    ),
    Claim(
        "apo.velocity",
        "With a fixed reward, log-ratios change by step Delta_r / (1 - a) an iteration in the long run.",
        "derived from the closed form",
        ("additive game", "a^t negligible"),
        _velocity,
        (Control("too early: after 5 iterations", {"last": 5}),),
        ("apo",),
    ),
    Claim(
        "apo.base",
        "Without momentum it is the base method: OMD, and MWU where beta = 0.",
        "definition",
        ("momentum 0",),
        _base,
        (Control("momentum 0.1", {"momentum": 0.1}),),
        ("apo", "omd", "mwu"),
    ),
    Claim(
        "apo.fixed_point",
        "The regularised equilibrium is a fixed point for every step and momentum.",
        "derived: the base step stays, and momentum with it",
        ("the base step is pulled to the reference",),
        _fixed_point,
        (Control("another reference", {"reference": False}),),
        ("apo",),
    ),
)
