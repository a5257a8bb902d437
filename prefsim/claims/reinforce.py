"""Group-relative REINFORCE: where AsymRE ends, what TOPR weighs, BNPO's normaliser and corrections for noisy verifiers.

All of it is derived; the sources are those of the methods. ``b`` is the policy that drew the responses, ``r0`` and ``r1`` are
the false-positive and the false-negative rate of a verifier. These claims need the extra ``prefsim[llm]``, like the functions
they are about.
"""

from __future__ import annotations

import numpy as np

from prefsim import ops
from prefsim.claim import Claim, Control, Evidence
from prefsim.claims import _instances as on

NEEDS = ("torch",)

NEAR = 0.005
"""Distance from its limit at which the gradient flow is stopped; responses outside the support leave it like 1/t."""
RATES = ((0.0, 0.2), (0.1, 0.25), (0.3, 0.05), (0.45, 0.5))


def _rewards(n: int, count: int) -> on.Floats:
    """Rewards in (0, 1], the best of which is 1, shape (count, n)."""
    values = on.random_policies("rewards", (count, 1), n)[:, 0]
    return np.exp(values - values.max(axis=-1, keepdims=True))


def _asymre(budget: str, *, kappa: bool = True, closer: float = 0.0) -> Evidence:
    """Gradient ascent against the limit, with baselines `closer` to the mean than the limit is told, as a share of the way."""
    from prefsim.llm.reinforce import asymre_advantages
    from prefsim.llm.surrogate import policy_loss

    steps, cells = {"fast": 1000, "paper": 5000}[budget], []
    for n in on.SIZES[budget][:3]:
        behaviour = np.exp(on.random_policies("behaviour", (on.COUNT[budget], 1), n)[:, 0])
        for b, r in zip(behaviour, _rewards(n, on.COUNT[budget]), strict=True):
            mean = b @ r
            for value in (r.min() - 0.1, r.min(), mean - 0.2 * (mean - r.min())):
                advantage = asymre_advantages(r, value=value + closer * (mean - value))
                # The loss is linear in log-probabilities, so its values at unit vectors are its derivatives.
                pull = -np.array([policy_loss(unit, advantage, n * b) for unit in np.eye(n)])
                theta = np.zeros(n)
                for _ in range(steps):
                    theta += (pull - pull.sum() * ops.softmax(theta)) / pull.sum()
                terms = b * (r - value) / (mean - value)
                kept = np.maximum(terms, 0)
                limit = ops.project_simplex(terms) if kappa else kept / kept.sum()  # max(terms - c, 0), summing to 1
                cells.append(on.Cell(np.abs(ops.softmax(theta) - limit).max()[None], NEAR))
    return on.evidence("distance from the limit", cells)


def _topr(budget: str, *, baseline: bool = True) -> Evidence:
    from prefsim.llm.reinforce import asymre_advantages, topr_weights

    cells = []
    for p in (0.1, 0.3, 0.8):
        rewards = np.where(np.arange(100) < round(100 * p), 1.0, -1.0)
        for c in (-0.6, 0.4, 0.8):
            terms = topr_weights(rewards, 0 * rewards, 0 * rewards)
            terms = terms * np.abs(asymre_advantages(rewards, value=c if baseline else 0.0))
            measured = terms[rewards > 0].sum() / terms.sum()
            cells.append(on.residual(np.array([measured]), [np.array([p * (1 - c) / (1 + c * (1 - 2 * p))])]))
    return on.evidence("error of the share", cells)


def _chances(r0: float, r1: float) -> on.Floats:
    """Probability of the reports (1, 0), for a wrong and for a correct response."""
    return np.array([[r0, 1 - r0], [1 - r1, r1]])


def _backward(budget: str, *, swapped: bool = False) -> Evidence:
    from prefsim.llm.reinforce import backward_rewards

    cells = []
    for r0, r1 in RATES:
        told = (r1, r0) if swapped else (r0, r1)
        means = _chances(r0, r1) @ backward_rewards(np.array([1.0, 0.0]), *told)
        cells.append(on.residual(means, [np.array([0.0, 1.0])]))
    return on.evidence("error of the conditional means", cells)


def _forward(budget: str, *, swapped: bool = False) -> Evidence:
    from prefsim.llm.reinforce import forward_weights

    cells = []
    for r0, r1 in RATES:
        means = _chances(r0, r1) @ forward_weights(np.array([1.0, 0.0]), r0 if swapped else r1)
        cells.append(on.residual(means, [np.array([-(1 - r0 - r1), 0.0])]))
    return on.evidence("error of the conditional means", cells)


def _forward_gradient(budget: str, *, on_policy: bool = True) -> Evidence:
    from prefsim.llm.reinforce import forward_weights

    cells = []
    for n in on.SIZES[budget]:
        policy, other = np.exp(on.random_policies("forward", (2, on.COUNT[budget]), n))
        drawn = policy if on_policy else other
        correct = np.arange(n) % 2
        for r0, r1 in RATES:
            mean = (_chances(r0, r1) @ forward_weights(np.array([1.0, 0.0]), r1))[correct]
            noisy, clean = (drawn * w - (drawn * w).sum(axis=-1, keepdims=True) * policy for w in (mean, correct))
            cells.append(on.residual(noisy, [(1 - r0 - r1) * clean]))
    return on.evidence("error of the predicted gradient", cells)


def _bnpo(budget: str, *, parameters: tuple[float, float] = (1.5, 1.5)) -> Evidence:
    from prefsim.llm.reinforce import bnpo_advantages

    count, ratios = 200, []
    for successes in (1, 10, 60, 100, 190):
        rewards, p = (np.arange(count) < successes).astype(float), successes / count
        ratios.append((1 - p) / bnpo_advantages(rewards, parameters=parameters)[0] / np.sqrt(p * (1 - p)))
    return on.evidence("error of the ratio", [on.residual(np.array(ratios), [np.full(len(ratios), ratios[2])])])


_NOISY = "arXiv 2510.00915 for the correction; identity derived"

CLAIMS = (
    Claim(
        "reinforce.asymre_limit",
        "Gradient flow of AsymRE on logits ends at ((b (r - V) - kappa) / W)_+, W = E_b r - V, kappa >= 0 from the sum.",
        "Arnal et al. (arXiv 2506.20520) for the objective; limit derived",
        ("V below the mean reward E_b r", "full gradient flow, exact expectations"),
        _asymre,
        (
            Control("the positive part is normalised by a factor instead of kappa", {"kappa": False}),
            Control("the baseline lies closer to the mean than stated", {"closer": 0.5}),
        ),
    ),
    Claim(
        "reinforce.topr_share",
        "With rewards +-1 less c, positives, a share p of responses, are p (1 - c) / (1 + c (1 - 2 p)) of the weight.",
        "Le Roux et al. (arXiv 2503.14286); derived",
        ("on policy, so that no ratio is clipped",),
        _topr,
        (Control("the baseline is left out", {"baseline": False}),),
    ),
    Claim(
        "reinforce.backward",
        "Backward-corrected rewards have conditional means 1 for correct and 0 for wrong responses.",
        _NOISY,
        ("known r0 and r1, r0 + r1 < 1",),
        _backward,
        (Control("the two rates are swapped", {"swapped": True}),),
    ),
    Claim(
        "reinforce.forward",
        "Forward weights have conditional means 0 for correct and -(1 - r0 - r1) for wrong responses.",
        _NOISY,
        ("known r1, r0 + r1 < 1",),
        _forward,
        (Control("r0 is taken for r1", {"swapped": True}),),
    ),
    Claim(
        "reinforce.forward_gradient",
        "On policy the expected gradient of forward weights is 1 - r0 - r1 times that of true rewards.",
        _NOISY,
        ("responses drawn from the policy itself",),
        _forward_gradient,
        (Control("responses drawn from another policy", {"on_policy": False}),),
    ),
    Claim(
        "reinforce.bnpo_normaliser",
        "BNPO's normaliser with parameters (3/2, 3/2) is sqrt(p (1 - p)) up to a constant, the scale of GRPO.",
        "Xiao et al. (arXiv 2506.02864); derived",
        ("rewards 0 and 1",),
        _bnpo,
        (Control("parameters (2, 2)", {"parameters": (2.0, 2.0)}),),
    ),
)
