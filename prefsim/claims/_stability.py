"""Local stability of self-play near its fixed point: limits on the step by method, and the evidence for them.

Near the fixed point the errors of log-policies turn with frequencies up to ``omega``
(:func:`prefsim.equilibrium.local_frequency`); each mode is multiplied by a complex ``z`` an iteration, and KL by
``|z|^2``. The modes are orthogonal in the metric that KL induces, so the largest ``|z|^2`` bounds the KL itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from prefsim import games, ops, registry
from prefsim.claim import Evidence
from prefsim.claims._instances import Cell, Instances, evidence, plant, random_policies, record, trajectory
from prefsim.equilibrium import local_frequency
from prefsim.stability import stability_limit

Amplification = Callable[[float, float, float], float]
Limit = Callable[[float, float], float]


def _of(solver: str) -> tuple[Limit, Amplification]:
    """``limit(omega, beta)`` and ``amplification(step, omega, beta)`` as the solver's file defines them."""
    module = registry.load("solvers", solver)

    def limit(omega: float, beta: float) -> float:
        return stability_limit(module, module.Hyper(), omega, beta)

    def amplification(step: float, omega: float, beta: float) -> float:
        return module.amplification(module.Hyper(step=step), omega, beta)

    return limit, amplification


omd_limit, omd_amplification = _of("omd")
egpo_limit, egpo_amplification = _of("egpo")
nash_md_limit, nash_md_amplification = _of("nash_md")


def rotating(beta: float) -> list[Instances]:
    """Games that turn at least twice as fast around their equilibrium as `beta`: cyclic and random payoffs, planted."""
    batches = []
    for n in (3, 5, 7):
        payoff = np.concatenate([[games.cyclic(n).payoff] * 2, games.random(n, seed=3, count=3).payoff])
        equilibrium = random_policies("rotating", (5, 1), n, 0.5)[:, 0]
        equilibrium[0] = -np.log(n)
        batch = plant(payoff, equilibrium, np.full(5, beta))
        fast = local_frequency(batch.game(), equilibrium) > 2 * beta
        batches.append(Instances(*(field[fast] for field in batch)))
    return batches


def stability_evidence(
    budget: str,
    solver: str,
    batches: Sequence[Instances],
    limit: Limit,
    amplification: Amplification,
) -> Evidence:
    """KL from the fixed point after a small perturbation, relative to the first, on both sides of a stability limit.

    ``limit(omega, beta)`` is the limit tested: at 0.9 times it the ratio must fall like ``amplification(step, omega,
    beta)`` per iteration, the largest ``|z|^2`` over modes; at 1.1 times it the ratio must end above 1.
    """
    times = record({"fast": 600, "paper": 6000}[budget])
    cells = []
    for batch in batches:
        frequency = local_frequency(batch.game(), batch.log_equilibrium)
        push = 1e-5 * random_policies("push", (len(batch.beta), 2), batch.n)
        start = ops.log_normalize(batch.log_equilibrium[:, None] + push)
        for i, (omega, beta) in enumerate(zip(frequency, batch.beta, strict=True)):
            one = Instances(*(field[i : i + 1] for field in batch))
            for factor in (0.9, 1.1):
                step = factor * limit(float(omega), float(beta))
                kl = one.kl(trajectory(solver, {"step": step}, one, start[i : i + 1], times))
                ratio = (kl / kl[..., :1])[..., 1:]  # at t = 0 it is 1 and says nothing
                if factor < 1:
                    decay = min(1.0, amplification(step, float(omega), float(beta))) ** times[1:]
                    # 1.05: what is beyond first order in a perturbation of 1e-5; below 1e-10 lies rounding.
                    cells.append(Cell(ratio, np.maximum(1.05 * decay, 1e-9)))
                else:
                    cells.append(Cell(ratio, lower=np.where(times[1:] == times[-1], 1.0, np.nan)))
    return evidence("KL(fixed point, pi_t) / KL(fixed point, pi_0)", cells, times[1:])
