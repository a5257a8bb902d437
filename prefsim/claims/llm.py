"""Why a regression trains a torch policy: the identities behind the losses of ``prefsim.llm``, measured on its own code.

``z = log pi - t`` for the target ``t`` of a step, ``L = E (z(y) - z(y'))^2`` over independent pairs from a measure ``nu``; the
fixed-point target is ``(t - (1 - c) log pi_t) / c``, where ``c`` is the weight of the reference. All are derived
(``docs/llm.md``); R1 to R7 number them. Gradients are those one call of the training code leaves in the parameters, on six
responses with a logit each and on words of at most two letters, in double precision. Needs the extra ``prefsim[llm]``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from prefsim import ops
from prefsim.claim import Claim, Control, Evidence
from prefsim.claims import _instances as on

NEEDS = ("torch",)

BAR = 1e-10
"""What an identity of gradients may miss, relative to their size."""
WORDS = {"fast": ("ab",), "paper": ("ab", "abcd")}
PULLED = ("omd", "online_ipo", "mmd", "egpo", "mirror_prox", "inpo", "nash_md", "nash_ema")
"""Algorithms of the form (1 - c) current + c reference + s gain."""


def _error(found: on.Floats, expected: on.Floats) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def _identity(errors: list[float], label: str = "relative error of the predicted gradient") -> Evidence:
    return Evidence(np.array(errors), upper=BAR, label=label)


def _one_step(budget: str, *, rate: float = 0.25, sampled: bool = False) -> Evidence:
    """R1: one step of plain gradient descent with learning rate ``rate * n`` towards random targets."""
    import torch

    from prefsim.llm import losses

    errors = []
    for n in on.SIZES[budget]:
        for seed in range(on.COUNT[budget]):
            start, goal = on.random_policies(f"one step {seed}", (2, 1), n, spread=2.0)[:, 0]
            weights = None if sampled else torch.full((1, n), 1 / n, dtype=torch.float64)
            for loss in (losses.variance,) if sampled else (losses.variance, losses.pairs):
                logits = torch.tensor(start, requires_grad=True)
                descent = torch.optim.SGD([logits], lr=rate * n)
                lp = torch.log_softmax(logits, dim=-1)[None]
                # What is added to the target is not seen: nobody knows its normaliser.
                loss(lp, torch.tensor(goal + 7.0)[None], weights).sum().backward()
                descent.step()
                errors.append(float(np.abs(ops.log_normalize(logits.detach().numpy()) - goal).max()))
    return _identity(errors, "largest difference of log-probabilities")


def _fixed_point(budget: str, *, factor: float = 1.0, inner: int = 1) -> Evidence:
    """R2: a step at rate 1 on the step target against one at rate ``c`` on the fixed-point target."""
    from prefsim.claims._ladder import hyper, pull
    from prefsim.claims._ladder_samples import moved, stage

    errors = []
    for words in ("", *WORDS[budget]):
        for key in PULLED:
            for behaviour in ("uniform", "current", "reference"):
                asked: dict[str, Any] = {"estimator": "variance", "behaviour": behaviour, "inner": inner}
                given = (key, hyper(key))
                step = moved(stage(words), given, target="step", **asked)
                fixed = moved(stage(words, rate=factor * pull(key)), given, target="fixed_point", **asked)
                errors.append(_error(fixed, step))
    return _identity(errors)


def value_gradient(where: Any, weight: float) -> on.Floats:
    """Gradient of ``E_pi[gain] - beta KL(pi, mu)``, the gain against a mixture with the reference and held fixed."""
    import torch

    from prefsim.claims._ladder import BETA

    policy, game = where.policy, where.game
    space = policy.enumerate([0])
    log_policy = policy.logprob(space)[0]
    reference = torch.tensor(game.log_reference[0])
    opponent = torch.softmax((1 - weight) * log_policy.detach() + weight * reference, dim=-1)
    gain = torch.tensor(np.array(game.preference[0])) @ opponent
    value = (log_policy.exp() * (gain - BETA * (log_policy - reference))).sum()
    (slope,) = torch.autograd.grad(value, policy.table)
    return slope.flatten(1).numpy()


def _policy_gradient(budget: str, *, behaviour: str = "current", target: str = "fixed_point") -> Evidence:
    """R3: minus the gradient of the regression against ``4 / beta`` times the policy gradient."""
    from prefsim.claims._ladder import BETA, hyper
    from prefsim.claims._ladder_samples import moved, stage

    errors = []
    for words in ("", *WORDS[budget]):
        for key, weight in (("omd", 0.0), ("nash_md", BETA * hyper("nash_md")["step"])):
            found = moved(stage(words), (key, hyper(key)), behaviour=behaviour, target=target, mixture_by="sequence")
            errors.append(_error(found, 4 / BETA * value_gradient(stage(words), weight)))
    return _identity(errors)


def _score_function(budget: str, *, mistake: str = "") -> Evidence:
    """The estimator ``policy_gradient`` against the gradient of the value, where a mixture is the opponent."""
    from prefsim.claims._ladder_mistakes import MISTAKES
    from prefsim.claims._ladder_samples import moved, stage

    errors = []
    for words, limit in (("", 1), ("ab", 2), ("abcd", 3)):
        for kl_gradient in ("reward_to_go", "sequence"):
            here, there = (stage(words, limit, scale=0.5) for _ in range(2))
            with MISTAKES[mistake]():
                given = ("nash_md_pg", {"mixture": 0.3})
                found = moved(here, given, kl_gradient=kl_gradient, mixture_by="sequence")
            errors.append(_error(found, value_gradient(there, 0.3)))
    if mistake:  # a response of one token has nothing later to leave out
        errors = [min(errors[2:])]
    return _identity(errors)


def _natural(budget: str, *, natural: bool = True, behaviour: str = "current") -> Evidence:
    """R4: the gradient of the regression on logits, put through the pseudo-inverse of the Fisher matrix."""
    from prefsim.claims._ladder import hyper, tabular
    from prefsim.claims._ladder_samples import moved, stage

    errors = []
    for key in ("omd", "mwu", "nash_md"):
        where = stage()
        start = where.policy.logprob_of("current", where.policy.enumerate([0]))[0].numpy()
        policy = np.exp(start)
        goal = tabular(where.game, key, hyper(key), 1, policy[None])[0, 1]
        change = moved(where, (key, hyper(key)), behaviour=behaviour, estimator="variance", mixture_by="sequence")[0]
        if natural:
            change = np.linalg.pinv(np.diag(policy) - np.outer(policy, policy), hermitian=True) @ change
        errors.append(float(np.abs(ops.log_normalize(start + change / 4) - goal).max()))
    return _identity(errors, "largest difference of log-probabilities")


def _pair_labels(budget: str, *, behaviour: str = "current") -> Evidence:
    """R5: the gradient of the form with labels of pairs against that with win rates over the policy."""
    from prefsim.claims._ladder import hyper
    from prefsim.claims._ladder_mistakes import MISTAKES
    from prefsim.claims._ladder_samples import moved, stage

    errors = []
    for words in ("", *WORDS[budget]):
        for key in ("online_ipo", "inpo", "mwu"):
            given = (key, hyper(key))
            with MISTAKES["" if behaviour == "current" else "any pairs"]():
                labelled = moved(stage(words), given, estimator="pair_label", behaviour=behaviour)
            errors.append(_error(labelled, moved(stage(words), given, estimator="variance", behaviour=behaviour)))
    return _identity(errors if behaviour == "current" else [min(errors)])


def _label_kinds(budget: str, *, certain: bool = False, constant: float = 0.5) -> Evidence:
    """R6: every label written out and weighed with its probability, against soft labels; gradients and values.

    `certain` labels say who is preferred instead of who won; `constant` times the slope is the winner's goal.
    """
    import torch

    from prefsim.claims._ladder_samples import stage
    from prefsim.llm import losses

    errors, slope = [], 0.7
    for words in ("", *WORDS[budget]):
        policy, game, _ = stage(words)
        space = policy.enumerate([0])
        lp, anchor = policy.logprob(space), policy.logprob_ref(space)
        weights, preference = lp.detach().exp(), torch.tensor(np.array(game.preference))
        wins = (1 + (preference - 0.5).sign()) / 2 if certain else preference
        mass, z = weights[:, :, None] * weights[:, None, :], lp - anchor
        won, lost = (mass * (z[:, :, None] - z[:, None, :] - goal * slope) ** 2 for goal in (constant, -constant))
        given = (lp, anchor, slope, preference - 0.5, weights)
        soft, hard = (losses.pair_label(*given, hard=hard).sum() for hard in (False, True))
        coins = (wins * won + (1 - wins) * lost).sum()
        ordered = 2 * (wins * won).sum()  # every pair comes in both orders, and counts where its first member wins
        shift = slope**2 * (mass * (0.25 - (preference - 0.5) ** 2)).sum()
        grads = [torch.autograd.grad(loss, policy.table, retain_graph=True)[0] for loss in (soft, hard, coins, ordered)]
        errors += [_error(found.numpy(), grads[0].numpy()) for found in grads[1:]]
        errors += [float((loss - soft - shift).detach().abs() / soft.detach()) for loss in (hard, coins, ordered)]
    return _identity(errors, "relative error of gradients and values")


def _loss_scale(budget: str, *, scale: float = 0.25, behaviour: str = "current") -> Evidence:
    """R7: the regression at ``loss_scale = scale * beta`` against the estimator ``policy_gradient``."""
    from prefsim.claims._ladder import BETA, hyper
    from prefsim.claims._ladder_samples import moved, stage

    errors = []
    for words in ("", *WORDS[budget]):
        for key in ("omd", "nash_md"):
            given: Any = (key, hyper(key))
            asked: dict[str, Any] = {"target": "fixed_point", "loss_scale": scale * BETA, "behaviour": behaviour}
            found = moved(stage(words), given, mixture_by="sequence", **asked)
            errors.append(_error(found, moved(stage(words), given, estimator="policy_gradient", mixture_by="sequence")))
    return _identity(errors)


CLAIMS = (
    Claim(
        "llm.one_step",
        "On n logits with nu uniform, one step of gradient descent on L with learning rate n/4 ends at the target.",
        "derived (R1): the gradient is (4/n) (z - mean z)",
        ("nu uniform over all responses", "expectation over all n^2 ordered pairs"),
        _one_step,
        (
            Control("learning rate 0.9 n/4", {"rate": 0.225}),
            Control("pairs of equal responses are left out, divisor n - 1", {"sampled": True}),
        ),
    ),
    Claim(
        "llm.fixed_point_target",
        "At pi_t the gradient towards the step is c times that towards its fixed point: step and eta beta = c are one knob.",
        "derived (R2); c = eta/(1 + eta) for mirror_prox",
        ("one gradient step a phase, at the current policy", "any policy, any nu"),
        _fixed_point,
        (
            Control("half the factor", {"factor": 0.5}),
            Control("three gradient steps, the last two away from the current policy", {"inner": 3}),
        ),
        PULLED,
    ),
    Claim(
        "llm.policy_gradient",
        "On policy, grad L towards the fixed point is -(4/beta) times that of E_pi[gain] - beta KL(pi, mu), gains held fixed.",
        "derived (R3)",
        ("nu is the policy, without gradient", "any differentiable policy, gains against any opponent"),
        _policy_gradient,
        (
            Control("nu uniform", {"behaviour": "uniform"}),
            Control("the step target instead of its fixed point", {"target": "step"}),
        ),
        ("omd", "online_ipo", "nash_md", "nash_md_pg"),
    ),
    Claim(
        "llm.score_function",
        "Scores times gain - 1/2 - beta times the log-ratios from their token on (or of the response) are the policy gradient.",
        "derived; Williams (1992) for the score function",
        ("responses of the policy", "log-ratios of later tokens count"),
        _score_function,
        (
            Control("a token's own log-ratio alone", {"mistake": "token penalty"}),
            Control("half the weight of the mixture", {"mistake": "weight halved"}),
        ),
        ("nash_md_pg",),
    ),
    Claim(
        "llm.natural_gradient",
        "On policy on logits, grad L = 4 F z with F = diag(pi) - pi pi^T; the natural step of size 1/4 is the tabular step.",
        "derived (R4)",
        ("one logit a response", "nu is the policy"),
        _natural,
        (
            Control("the plain gradient", {"natural": False}),
            Control("nu uniform", {"behaviour": "uniform"}),
        ),
        ("omd", "mwu", "nash_md"),
    ),
    Claim(
        "llm.pair_labels",
        "With pairs from the opponent, labels P(y > y') - 1/2 in place of differences of win rates leave the gradient.",
        "derived (R5)",
        ("both members of a pair are drawn from the opponent",),
        _pair_labels,
        (
            Control("uniform pairs", {"behaviour": "uniform"}),
            Control("pairs from the reference", {"behaviour": "reference"}),
        ),
        ("online_ipo", "inpo", "mwu"),
    ),
    Claim(
        "llm.label_kinds",
        "Labels P - 1/2, coins +-1/2 and winners first at s/2 have one gradient; coins cost s^2 E(1/4 - (P - 1/2)^2) more.",
        "derived (R6)",
        ("a coin falls for y with probability P(y > y')",),
        _label_kinds,
        (
            Control("the label says who is preferred, not who won", {"certain": True}),
            Control("goal s in place of s/2", {"constant": 1.0}),
        ),
        ("online_ipo", "inpo"),
    ),
    Claim(
        "llm.loss_scale",
        "On policy, beta/4 times L towards the fixed point has the gradient of the estimator policy_gradient.",
        "derived (R7)",
        ("nu is the policy", "one gradient step a batch"),
        _loss_scale,
        (
            Control("a factor beta/2", {"scale": 0.5}),
            Control("nu uniform", {"behaviour": "uniform"}),
        ),
        ("omd", "online_ipo", "nash_md"),
    ),
)
