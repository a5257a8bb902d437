"""One move of a policy: its loss from the rule's target, and the gradient steps that take it there."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from prefsim.engines.game_loops import POLICIES, Iterate
from prefsim.llm import losses, parallel
from prefsim.llm.opponents import Verdict
from prefsim.llm.policy import StepInfo
from prefsim.llm.records import Responses
from prefsim.llm.trace import Plan

if TYPE_CHECKING:
    from prefsim.llm.train import Training


def objective(
    run: Training, t: int, plan: Plan, responses: Responses, verdict: Verdict, phase: int, moved: str = ""
) -> Callable[[Tensor], Tensor]:
    """The loss of token log-probabilities, for the policy's move or for that of the copy `moved`."""
    chosen, weights = run.switches, responses.weights
    if chosen.estimator == "policy_gradient":
        temperature = sum(plan.penalty.values())
        shares = {name: weight / temperature for name, weight in plan.penalty.items() if weight}
        # The sum of the penalties is one penalty, on the distance to the policies' geometric mean, but for a constant.
        scores = [share * run.policy.token_logprobs_of(name, responses) for name, share in shares.items()]
        arguments = (sum(scores, torch.zeros(())), verdict.gain, temperature, weights)
        return lambda lp: _scaled(run, losses.policy_gradient(lp, *arguments, kl_gradient=chosen.kl_gradient))
    rule = getattr(run.setup.solver, moved or "target")
    logs = responses.log_probs
    last = () if moved else (phase,)
    weights_of = plan.moves[moved] if moved else plan.anchors[phase]
    slope = plan.moves[moved].get("gain", 0.0) if moved else plan.slopes[phase]
    c = pull(plan.anchors[phase]) if chosen.target == "fixed_point" else 1.0

    @cache
    def towards() -> tuple[Tensor, Tensor]:
        named = {name: logs.get(name) for name in POLICIES}
        named["half"] = logs.get("half") if phase or moved else logs["current"]
        gain = verdict.gain.to(logs["current"])
        target = rule(run.setup.hyper, Iterate(**named, beta=run.beta, t=t), gain, *last)
        if not moved and (run.exact or chosen.estimator != "pair_label"):  # whose labels stand for the gain
            run.distance = losses.variance(logs["current"], target, weights).mean() / 2
        anchor = sum((w * logs[name] for name, w in weights_of.items() if name != "gain" and w), 0 * gain)
        if chosen.target == "fixed_point":
            target, anchor = ((values - (1 - c) * logs["current"]) / c for values in (target, anchor))
        part = share(anchor)
        return target - (1 - part) * anchor, part * anchor

    def share(like: Tensor) -> Tensor | float:
        return 1 / responses.lengths.to(like) if chosen.log_prob == "mean" else 1.0

    def loss(lp: Tensor) -> Tensor:
        # The first look at sampled responses is through the policy they came from: no forward pass for it alone.
        logs.setdefault("current", lp.detach().sum(-1))
        return _scaled(run, _estimates(run, share(lp) * lp.sum(-1), *towards(), slope / c, verdict, weights))

    return loss


def _scaled(run: Training, values: Tensor) -> Tensor:
    return run.switches.loss_scale * run.part * values.mean()


def _estimates(
    run: Training, lp: Tensor, target: Tensor, anchor: Tensor, slope: float, verdict: Verdict, weights: Tensor | None
) -> Tensor:
    """The chosen estimator, a value a prompt, of the responses that count."""
    if verdict.kept is None:
        return _estimate(run, lp, target, anchor, slope, verdict, weights)
    values = []
    for b, row in enumerate(verdict.kept):
        if run.switches.estimator in ("pairs", "pair_label"):
            whole = row.unflatten(0, (-1, 2)).all(-1)
            row = whole.repeat_interleave(2)
        if row.sum() < 2:
            values.append(0 * lp[b].sum()[None])
            continue
        label = verdict.label[b : b + 1, whole] if run.switches.estimator == "pair_label" else verdict.label
        some = Verdict(verdict.gain[b : b + 1, row], label)
        found, aim, base = (each[b : b + 1, row] for each in (lp, target, anchor))
        values.append(_estimate(run, found, aim, base, slope, some, None))
    return torch.cat(values)


def _estimate(
    run: Training, lp: Tensor, target: Tensor, anchor: Tensor, slope: float, verdict: Verdict, weights: Tensor | None
) -> Tensor:
    """The chosen estimator, a value a prompt."""
    chosen = run.switches
    if chosen.estimator in ("variance", "pairs"):
        return getattr(losses, chosen.estimator)(lp, target, weights)
    if chosen.estimator == "pair_label":
        hard = chosen.label == "bernoulli"
        return losses.pair_label(lp, anchor, slope, verdict.label.to(lp), weights, hard=hard)
    gain = verdict.gain.to(lp)
    if chosen.estimator == "unpaired":
        return losses.unpaired(lp, anchor, slope, gain, chosen.log_z, weights)
    if chosen.estimator == "best_worst":
        return losses.best_worst(lp, anchor, slope, gain, chosen.margin)
    return losses.soft_logistic(lp, anchor, slope, gain, weights)


def fit(run: Training, t: int, phase: int, responses: Responses, loss_of: Callable[[Tensor], Tensor]) -> None:
    """Take the gradient steps of one move, all on the same responses."""
    chosen, policy = run.switches, run.policy
    steps: list[StepInfo] = []
    try:
        if chosen.inner_solver == "lbfgs":
            whole = lambda: loss_of(policy.token_logprobs(responses))  # noqa: E731
            steps.append(policy.solve(whole, chosen.inner, chosen.inner_tolerance))
        else:
            for _ in range(chosen.inner):
                parts, loss = _micro_batches(run, responses, loss_of)
                info = policy.step(parts)
                steps.append(info if loss is None else info._replace(loss=loss))
                if steps[-1].gradient_norm <= chosen.inner_tolerance * steps[0].gradient_norm:
                    break
    except FloatingPointError as error:
        raise FloatingPointError(
            f"{error} in iteration {t}, phase {phase}, on the prompts {list(run.instances)}; choose a smaller learning "
            "rate or step."
        ) from None
    run.counts["gradients"] += sum(info.gradients for info in steps)
    first = steps[0]
    run.latest = {"loss": first.loss, "gradient_norm": first.gradient_norm, "clipped": float(first.clipped)}
    if chosen.inner > 1:
        with torch.no_grad():
            (run.latest["residual"],) = parallel.total(loss_of(policy.token_logprobs(responses)).item())


def _micro_batches(
    run: Training, responses: Responses, loss_of: Callable[[Tensor], Tensor]
) -> tuple[list[Callable[[], Tensor]], float | None]:
    """Closures whose gradients add up to that of the loss, and the loss where they do not add up to it themselves."""
    policy, size = run.policy, run.switches.micro_batch
    shape = responses.tokens.shape
    count = shape[0] * shape[1]
    if size == 0 or size >= count:
        return [lambda: loss_of(policy.token_logprobs(responses))], None
    parts = [responses.rows(first, min(first + size, count)) for first in range(0, count, size)]
    with torch.no_grad():
        scores = torch.cat([policy.token_logprobs(part) for part in parts]).reshape(shape)
    scores.requires_grad_()
    loss = loss_of(scores)
    derivatives = losses.coefficients(loss, scores).flatten(0, 1)[:, None].split(size)

    def of(part: Responses, derivative: Tensor) -> Callable[[], Tensor]:
        return lambda: losses.surrogate(policy.token_logprobs(part), derivative)

    return [of(part, derivative) for part, derivative in zip(parts, derivatives, strict=True)], parallel.total(loss.item())[0]


def pull(anchor: dict[str, float]) -> float:
    """Weight ``c`` of the reference in ``(1 - c) current + c reference``; 0 for any other anchor."""
    some = {name: weight for name, weight in anchor.items() if weight != 0}
    plain = set(some) <= {"current", "reference"} and abs(sum(some.values()) - 1) < 1e-9
    return some.get("reference", 0.0) if plain else 0.0
