"""The regularised duality gap: closed form, sandwich, and what equilibria and iterates can reach.

All of it is derived from ``p^T A p = 0``. ``Gap_b`` is two-sided throughout, with temperature ``b`` and best response
``BR_b(p) ∝ mu exp(A p / b)``; the closed form ``2 b KL(p, BR_b(p))`` is what the package reports and needs no inner
optimiser.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from prefsim import metrics, ops
from prefsim.claim import Claim, Control, Evidence
from prefsim.claims import _instances as on
from prefsim.equilibrium import solve_equilibrium
from prefsim.game import PreferenceGame

BETAS = (0.03, 0.3, 1.0)
SPREADS = (0.5, 3.0, 12.0)
"""Spreads of the logits of the policies looked at: interior, mixed, and close to the boundary."""


def _policies(batch: on.Instances) -> on.Floats:
    shape = (len(batch.beta), 4)
    return np.concatenate([on.random_policies(f"gap {s}", shape, batch.n, s) for s in SPREADS], axis=1)


def _two_terms(batch: on.Instances, policy: on.Floats) -> on.Floats:
    """``max_q V(q, p) - min_q V(p, q)`` by the maximum of each concave part, for any payoff."""
    wide, p = batch.wide(), np.exp(policy)
    b = wide.beta
    losses = np.matmul(np.swapaxes(wide.payoff, -1, -2), p[..., None])[..., 0]
    best = b * ops.logsumexp(wide.log_reference + batch.gain(policy) / b[..., None])
    worst = b * ops.logsumexp(wide.log_reference - losses / b[..., None])
    return best + worst + 2 * b * on.inner(p, policy - wide.log_reference)


def _closed_form(budget: str, *, diagonal: float = 0.0) -> Evidence:
    cells = []
    for beta, batch, _ in on.grid(budget, BETAS):
        if diagonal:
            batch = batch.skewed(diagonal)
        policy = _policies(batch)
        gap = metrics.gap(batch.wide(), policy)
        size = 1 + 2 * beta * np.abs(batch.log_reference).max(axis=-1)[:, None]
        cells.append(on.Cell(np.abs(_two_terms(batch, policy) - gap), on.TOLERANCE * size))
    return on.evidence("|two-term gap - 2 b KL(p, BR(p))|", cells)


def _sandwich(budget: str, *, direction: str = "policy first") -> Evidence:
    cells = []
    for beta, batch, _ in on.grid(budget, BETAS):
        policy = _policies(batch)
        star = np.broadcast_to(batch.log_equilibrium[:, None], policy.shape)
        kl = ops.kl(policy, star) if direction == "policy first" else ops.kl(star, policy)
        gap = metrics.gap(batch.wide(), policy)
        cells.append(on.Cell(gap, (2 * beta + 1 / (2 * beta)) * kl, 2 * beta * kl))
    return on.evidence("Gap_b(p)", cells)


def _hidden(n: int, beta: float) -> on.Instances:
    """A dominant action that the reference hides behind a probability of 1e-6."""
    payoff = np.zeros((n, n))
    payoff[0, 1:], payoff[1:, 0] = 0.5, -0.5
    game = PreferenceGame(0.5 + payoff, log_reference=np.where(np.arange(n) == 0, np.log(1e-6), 0.0), beta=beta)
    flat = game.flatten()
    return on.Instances(flat.payoff, flat.log_reference, flat.beta, solve_equilibrium(flat).log_policy)


def _original(budget: str, *, hardest: str = "reference") -> Evidence:
    cells = []
    for beta in (0.01, 0.03, 0.1, 0.3):
        batches = [batch for _, batch, _ in on.grid(budget, (beta,))]
        for batch in [*batches, *(_hidden(n, beta) for n in (3, 10))]:
            gap = 2 * batch.gain(batch.log_equilibrium).max(axis=-1)
            worst = -batch.log_reference.min(axis=-1) if hardest == "reference" else np.log(batch.n)
            cells.append(on.Cell(gap, 2 * beta * worst))
    return on.evidence("Gap_0(pi*_b)", cells)


def _log_ratio(budget: str, *, start: str = "reference") -> Evidence:
    times = on.record({"fast": 60, "paper": 600}[budget])
    cells = []
    for beta, batch, _ in on.grid(budget, BETAS):
        first = batch.log_reference[:, None]
        if start != "reference":
            first = np.broadcast_to(ops.log_normalize(np.where(np.arange(batch.n) == 0, 0.0, -99.0)), first.shape)
        runs: list[tuple[str, dict[str, Any]]] = [("nash_md", {"schedule": True}), ("mirror_prox", {"step": 2 * beta})]
        runs += [(key, {"step": c / beta}) for key in ("egpo", "omd", "nash_md") for c in (0.05, 0.7)]
        for solver, hyper in runs:
            path = on.trajectory(solver, hyper, batch, first, times)
            cells.append(on.Cell(np.abs(path - batch.log_reference[:, None, None]).max(axis=-1), 1 / beta))
    return on.evidence("max |log(pi_t / mu)|", cells, times)


def _nonnegative(budget: str, *, payoff: str = "skew") -> Evidence:
    cells = []
    for beta, batch, _ in on.grid(budget, BETAS):
        if payoff != "skew":
            batch = batch._replace(payoff=np.broadcast_to(-np.eye(batch.n), batch.payoff.shape))
        policy = np.concatenate([_policies(batch), batch.log_reference[:, None]], axis=1)
        p = np.exp(policy)
        reward = beta * ops.logsumexp(batch.log_reference[:, None] + batch.gain(policy) / beta)
        value = 2 * (reward + beta * on.inner(p, policy - batch.log_reference[:, None]))
        size = 1 + 2 * beta * np.abs(batch.log_reference).max(axis=-1)[:, None]
        cells.append(on.Cell(-value, 1e-14 * size))
    return on.evidence("-2 [b KL(p, mu) + b log E_mu exp(A p / b)]", cells)


def _uniform_law(budget: str, *, opponent: str = "itself") -> Evidence:
    cells = []
    for n in (*on.SIZES[budget], 200):
        payoff = on.family(n, 0.3, on.COUNT[budget]).payoff if n < 200 else on.tournament(n)[None]
        batch = on.Instances(payoff, *(np.zeros(payoff.shape[:k]) for k in (2, 1, 2)))
        shape = (len(payoff), 4)
        for policy in (on.random_policies("law", shape, batch.n, s) for s in (0.0, 1.0, 3.0)):
            gain = batch.gain(policy)
            if opponent != "itself":  # the action it beats most often
                victim = gain.argmin(axis=-1)
                gain = np.take_along_axis(np.swapaxes(payoff, 1, 2)[:, None], victim[..., None, None], 2)[:, :, 0]
            for step in (0.1, 2.0, 20.0):
                value = on.log_mean_exp(policy, step * gain)
                cells.append(on.Cell(value, np.log(np.sinh(step / 2) / (step / 2))))
    return on.evidence("log E_m exp(eta A m)", cells)


CLAIMS = (
    Claim(
        "gap.closed_form",
        "Gap_b(p) = max_q V(q, p) - min_q V(p, q) equals 2 b KL(p, BR_b(p)).",
        "derived: the linear term of the KL is p^T A p / b = 0",
        ("A is skew",),
        _closed_form,
        (Control("A is not skew: a diagonal of 0.1 is added", {"diagonal": 0.1}),),
    ),
    Claim(
        "gap.sandwich",
        "2 b KL(p, pi*) <= Gap_b(p) <= (2 b + 1/(2 b)) KL(p, pi*).",
        "derived: decomposition of the gap, Hoeffding's lemma and Pinsker's inequality",
        ("|A| <= 1/2", "the policy comes first in the KL"),
        _sandwich,
        (Control("KL(pi*, p) in place of KL(p, pi*)", {"direction": "equilibrium first"}),),
    ),
    Claim(
        "gap.original_game",
        "Gap_0(pi*_b) <= 2 b max_y log 1/mu(y): the regularised equilibrium nearly solves the original game.",
        "derived: log pi* = log mu + A pi*/b + const",
        ("full-support reference",),
        _original,
        (Control("log n in place of max_y log 1/mu(y), though references hide the best action", {"hardest": "n"}),),
    ),
    Claim(
        "gap.log_ratio",
        "|log pi_t(y)/mu(y)| <= 1/b for all t and y, for EGPO, Nash mirror prox, OMD and Nash-MD started at mu.",
        "derived: the log-ratio is a convex combination of vectors A q / b, before normalisation",
        ("|A| <= 1/2", "start at mu", "step b <= 1"),
        _log_ratio,
        (Control("start far from the reference", {"start": "far"}),),
        ("egpo", "mirror_prox", "omd", "nash_md"),
    ),
    Claim(
        "gap.nonnegative",
        "b KL(p, mu) + b log E_mu exp(A p / b) >= 0.",
        "derived: it is b KL(p, BR_b(p)) for skew A",
        ("A is skew",),
        _nonnegative,
        (Control("A = -I", {"payoff": "minus identity"}),),
    ),
    Claim(
        "gap.uniform_law",
        "log E_m exp(eta (A m)_y) <= log(sinh(eta/2) / (eta/2)) <= eta^2/24 for every policy m against itself.",
        "derived: win rates against oneself lie below the uniform law on [-1/2, 1/2] in convex order",
        ("|A| <= 1/2", "the opponent is the policy itself"),
        _uniform_law,
        (Control("the opponent is the action it beats most often", {"opponent": "victim"}),),
        ("mwu", "nash_md"),
    ),
)
