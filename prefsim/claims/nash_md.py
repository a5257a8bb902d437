"""Nash mirror descent (Munos et al. 2024, arXiv 2312.00886, Theorem 1).

The paper proves ``KL(pi*, pi+) <= (1 - eta tau) KL(pi*, pi) + 2 eta^2`` per step and, under ``eta_t = 2/(tau (t + 2))``,
``KL(pi*, pi_T) <= 8/(tau^2 (T + 1))``. From the energy identity of the step, and because win rates of a policy against
itself lie below a uniform law in convex order, the residual is ``eta^2/24`` and the bound ``1/(6 tau^2 (T + 1))``, 48
times sharper; a block game shows that 1/24 cannot be lowered. Bounds only: exact runs decay faster. With a constant
step the method converges elsewhere, to a policy known in closed form. ``tau`` is the game's ``beta``.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from prefsim import metrics, ops
from prefsim.claim import Claim, Control, Evidence
from prefsim.claims import _instances as on
from prefsim.claims import _stability as near
from prefsim.equilibrium import solve_equilibrium
from prefsim.solvers import nash_md

BETAS = (0.01, 0.1, 1.0)
PAPER_RESIDUAL, RESIDUAL = 2.0, 1 / 24
PAPER_RATE, RATE = 8.0, 1 / 6
_BLOCK_BETA = 1e-5


def _block(scale: float) -> tuple[float, on.Instances, on.Floats]:
    """A = [[B, -B], [-B, B]] for a transitive tournament B: the residual is nearly attained from the first block."""
    n, beta = 64, _BLOCK_BETA
    half = scale * on.tournament(n // 2)
    batch = on.Instances(
        np.block([[half, -half], [-half, half]])[None],
        np.full((1, n), -np.log(n)),
        np.array([beta]),
        np.full((1, n), -np.log(n)),
    )
    start = ops.log_normalize(np.where(np.arange(n) < n // 2, 0.0, -9.0))
    return beta, batch, start[None, None]


def _one_step(budget: str, *, constant: float, scale: float = 1.0) -> Evidence:
    times = np.arange({"fast": 20, "paper": 300}[budget] + 1)
    cells = []
    for beta, batch, start in [*on.grid(budget, BETAS, scale), _block(scale)]:
        runs: list[tuple[dict[str, Any], Any]] = [({"step": s}, s) for s in (0.1, 0.5)]
        if beta > _BLOCK_BETA:  # where the first scheduled step would underflow probabilities
            runs.append(({"schedule": True}, 2 / (beta * (times[:-1] + 2))))
        for hyper, step in runs:
            kl = batch.kl(on.trajectory("nash_md", hyper, batch, start, times))
            cells.append(on.Cell(kl[..., 1:] - (1 - step * beta) * kl[..., :-1], constant * np.square(step)))
    return on.evidence("KL(pi*, pi_t+1) - (1 - eta tau) KL(pi*, pi_t)", cells, times[1:])


def _one_step_paper(budget: str, **change: Any) -> Evidence:
    return _one_step(budget, constant=PAPER_RESIDUAL, **change)


def _one_step_sharp(budget: str, **change: Any) -> Evidence:
    return _one_step(budget, constant=RESIDUAL, **change)


def _slowed(factor: int) -> Any:
    """The schedule divided by `factor`."""

    def later(iterate: Any) -> Any:
        return iterate._replace(t=factor * (iterate.t + 2) - 2)

    schedule = nash_md.Hyper(schedule=True)
    return SimpleNamespace(
        opponent=lambda hyper, iterate, phase: nash_md.opponent(schedule, later(iterate), phase),
        target=lambda hyper, iterate, gain, phase: nash_md.target(schedule, later(iterate), gain, phase),
    )


def _schedule(budget: str, *, constant: float, scale: float = 1.0, slowdown: int = 1) -> Evidence:
    times = on.record({"fast": 200, "paper": 10000}[budget])
    cells = []
    for beta, batch, start in on.grid(budget, BETAS, scale):
        far = np.where(np.arange(batch.n) == 0, 0.0, -50.0)  # the bound holds from any start
        start = np.concatenate([start, np.broadcast_to(ops.log_normalize(far), start[:, :1].shape)], axis=1)
        solver, hyper = ("nash_md", {"schedule": True}) if slowdown == 1 else (_slowed(slowdown), {})
        kl = batch.kl(on.trajectory(solver, hyper, batch, start, times))
        cells.append(on.Cell(kl[..., 1:], constant / (beta**2 * (times[1:] + 1))))
    return on.evidence("KL(pi*, pi_T)", cells, times[1:])


def _schedule_paper(budget: str, **change: Any) -> Evidence:
    return _schedule(budget, constant=PAPER_RATE, **change)


def _schedule_sharp(budget: str, **change: Any) -> Evidence:
    return _schedule(budget, constant=RATE, **change)


def _constant_step(budget: str, *, limit: str = "biased") -> Evidence:
    times = on.record({"fast": 1500, "paper": 5000}[budget])
    last = np.where(times == times[-1], 1.0, np.nan)
    cells = []
    for beta, batch, start in on.grid(budget, (0.1, 0.5)):
        for step in (0.2, 1.0):
            game = batch.game()
            mixture = solve_equilibrium(game.replace(beta=beta / (1 - step * beta))).log_policy
            predicted = metrics.best_response(game, mixture) if limit == "biased" else batch.log_equilibrium
            path = on.trajectory("nash_md", {"step": step}, batch, start, times)
            error = np.abs(path - predicted[:, None, None]).max(axis=-1)
            cells.append(on.Cell(error, on.TOLERANCE * (1 + np.abs(path).max(axis=-1)) / beta * last))
    return on.evidence("largest error of log-probabilities", cells, times)


def _first_step(budget: str, *, schedule: bool = True) -> Evidence:
    cells = []
    for beta, batch, start in on.grid(budget, BETAS):
        step = 1 / beta if schedule else 0.5 / beta
        hyper = {"schedule": True} if schedule else {"step": step}
        reached = on.trajectory("nash_md", hyper, batch, start, [0, 1])[:, :, 1]
        gain = batch.gain(batch.log_reference[:, None])
        predicted = ops.log_normalize(batch.log_reference[:, None] + step * gain)
        cells.append(
            on.Cell(np.abs(reached - predicted).max(axis=-1), on.TOLERANCE * (1 + np.abs(predicted).max(axis=-1)))
        )
    return on.evidence("largest error of log-probabilities", cells)


def _energy(budget: str, *, diagonal: float = 0.0, comparator: str = "equilibrium") -> Evidence:
    times = np.arange({"fast": 20, "paper": 200}[budget] + 1)
    cells = []
    for beta, batch, start in on.grid(budget, BETAS):
        if diagonal:
            batch = batch.skewed(diagonal)
        for step in (0.1, 0.9 / beta):
            path = on.trajectory("nash_md", {"step": step}, batch, start, times)
            l, after, c = path[:, :, :-1], path[:, :, 1:], step * beta
            m = ops.log_normalize((1 - c) * l + c * batch.log_reference[:, None, None])
            star = batch.log_equilibrium if comparator == "equilibrium" else batch.log_reference
            star = np.broadcast_to(star[:, None, None], after.shape)
            terms = [(1 - c) * ops.kl(star, l), -(1 - c) * ops.kl(m, l), -c * ops.kl(m, star)]
            terms.append(on.log_mean_exp(m, step * batch.gain(m)))
            cells.append(on.residual(ops.kl(star, after), terms))
    return on.evidence("residual of the energy identity", cells, times[1:])


def _stability(budget: str, *, limit: Any = near.nash_md_limit) -> Evidence:
    # With everything uniform the fixed point is uniform at every step, and so is omega.
    batches = [on.Instances(*(field[:1] for field in batch)) for batch in near.rotating(0.05)]
    return near.stability_evidence(budget, "nash_md", batches, limit, near.nash_md_amplification)


def _additive(budget: str, *, cycle: float = 0.0) -> Evidence:
    return on.additive_evidence(budget, "nash_md", cycle)


_STEP = ("|A| <= 1/2", "eta tau <= 1")
_SCHEDULE = ("|A| <= 1/2", "eta_t = 2 / (tau (t + 2))", "any start", "T >= 1")

CLAIMS = (
    Claim(
        "nash_md.one_step_paper",
        "KL(pi*, pi_t+1) <= (1 - eta tau) KL(pi*, pi_t) + 2 eta^2 for eta tau <= 1.",
        "Munos et al. (arXiv 2312.00886), the step from which Theorem 1 follows",
        _STEP,
        _one_step_paper,
        (Control("payoffs 40 times too large", {"scale": 40.0}),),
        ("nash_md",),
    ),
    Claim(
        "nash_md.one_step",
        "KL(pi*, pi_t+1) <= (1 - eta tau) KL(pi*, pi_t) + eta^2 / 24 for eta tau <= 1; nearly attained on a block game.",
        "derived: energy identity, and log E_m exp(eta (A m)) <= eta^2 / 24",
        _STEP,
        _one_step_sharp,
        (Control("payoffs 10 times too large", {"scale": 10.0}),),
        ("nash_md",),
    ),
    Claim(
        "nash_md.schedule_paper",
        "KL(pi*, pi_T) <= 8 / (tau^2 (T + 1)) under eta_t = 2 / (tau (t + 2)), from any start.",
        "Munos et al. (arXiv 2312.00886), Theorem 1",
        _SCHEDULE,
        _schedule_paper,
        (Control("all steps divided by 20", {"slowdown": 20}),),
        ("nash_md",),
    ),
    Claim(
        "nash_md.schedule",
        "KL(pi*, pi_T) <= 1 / (6 tau^2 (T + 1)) under eta_t = 2 / (tau (t + 2)), from any start.",
        "derived: induction over the one-step bound with eta^2 / 24",
        _SCHEDULE,
        _schedule_sharp,
        (Control("payoffs 40 times too large", {"scale": 40.0}), Control("all steps divided by 20", {"slowdown": 20})),
        ("nash_md",),
    ),
    Claim(
        "nash_md.constant_step_limit",
        "With a constant step the iterates converge to the best response, at tau, to the equilibrium at temperature "
        "tau / (1 - eta tau), not to the equilibrium at tau.",
        "derived: the fixed point of the step",
        ("eta below the local stability limit",),
        _constant_step,
        (Control("the regularised equilibrium itself is claimed to be the limit", {"limit": "equilibrium"}),),
        ("nash_md",),
    ),
    Claim(
        "nash_md.first_step",
        "The first scheduled step goes to mu exp(P(. > mu) / tau), normalised, from any start.",
        "derived: eta_0 tau = 1",
        ("eta_0 tau = 1",),
        _first_step,
        (Control("a first step with eta_0 tau = 1/2", {"schedule": False}),),
        ("nash_md",),
    ),
    Claim(
        "nash_md.energy_identity",
        "KL(pi*, l+) = (1 - c) KL(pi*, l) - (1 - c) KL(m, l) - c KL(m, pi*) + log E_m exp(eta A m), c = eta tau, "
        "m the mixture of l and mu, for every step from l to l+.",
        "derived: definition of the mixture and skewness of A",
        ("A is skew", "pi* is the regularised equilibrium", "any step with eta tau <= 1"),
        _energy,
        (
            Control("the reference in place of the equilibrium", {"comparator": "reference"}),
            Control("A is not skew: a diagonal of 0.1 is added", {"diagonal": 0.1}),
        ),
        ("nash_md",),
    ),
    Claim(
        "nash_md.local_stability",
        "Near its fixed point KL is multiplied by at most |z|^2 = (1 - eta tau)^2 (1 + eta^2 omega^2) an iteration; "
        "Nash-MD converges locally below the step where that is 1 and not above.",
        "derived: linearisation, with omega the largest rotation frequency at the mixture",
        ("cyclic tournaments with uniform reference, whose fixed point does not depend on the step",),
        _stability,
        (Control("the limit of EGPO is claimed for Nash-MD", {"limit": near.egpo_limit}),),
        ("nash_md",),
    ),
    Claim(
        "nash_md.additive_game",
        "In an additive game A_ij = u_i - u_j every log-ratio error is multiplied by exactly 1 - eta tau an iteration.",
        "derived: A p = u - <u, p>, so the opponent does not matter",
        ("A_ij = u_i - u_j",),
        _additive,
        (Control("a cyclic component of weight 0.2 is mixed into A", {"cycle": 0.2}),),
        ("nash_md",),
    ),
)
