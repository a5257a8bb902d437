"""The training loop: sample, judge, regress onto the rule's target; phases, inner solves and copies of the policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from prefsim import noise
from prefsim.engines.loops import POLICIES, Iterate
from prefsim.experiment import record_times
from prefsim.llm import losses, opponents
from prefsim.llm.checkpoint import Checkpoints
from prefsim.llm.methods import Setup, setup
from prefsim.llm.oracles import Judge, PreferenceOracle
from prefsim.llm.policy import Policy, StepInfo
from prefsim.llm.progress import Progress
from prefsim.llm.records import Key, Responses, SamplingSpec
from prefsim.llm.trace import Plan, copies, plan

if TYPE_CHECKING:
    import xarray as xr


def train(
    policy: Policy,
    prompts: Sequence[Any],
    oracle: PreferenceOracle,
    algorithm: str | tuple[str, Mapping[str, Any]],
    *,
    beta: float,
    horizon: int,
    k: int = 8,
    m: int | None = None,
    batch: int | None = None,
    expectation: str = "sampled",
    seed: int = 0,
    name: str = "llm",
    record: Any = None,
    callback: Callable[[int, Policy], None] | None = None,
    checkpoint: str | None = None,
    checkpoint_every: int = 1,
    log: str | None = None,
    **settings: Any,
) -> xr.Dataset:
    """Train a policy against a judge by a registered preference-game algorithm.

    Parameters
    ----------
    policy : Policy
        Changed in place; its reference is what it started from.
    prompts : sequence
        What the policy answers.
    oracle : PreferenceOracle
        Judge of responses.
    algorithm : str or (str, mapping)
        A solver of the registry or a name of ``prefsim.llm.methods.METHODS``, with hyperparameters if any.
    beta : float
        Temperature of the regularised game.
    horizon : int
        Iterations of the rule.
    k, m : int
        Responses a prompt, and opponents' responses a prompt (`k` if omitted).
    batch : int, optional
        Prompts an iteration, in a new random order every pass; all of them if omitted.
    expectation : {"sampled", "exact"}
        ``"exact"`` enumerates all responses of a small policy instead of sampling.
    seed, name : int, str
        Name all random numbers. They do not depend on anything else.
    record : sequence of int or "all", optional
        Iterations at which the policy is measured, as for :func:`prefsim.run`.
    callback : callable, optional
        ``callback(t, policy)`` after `t` iterations, ``t = 0 .. horizon``.
    checkpoint, checkpoint_every : str, int
        Folder to go on from and to write to, and iterations between writings.
    log : str, optional
        File that gets a JSON line at every record time.
    **settings
        Hyperparameters of the algorithm, and the switches of :class:`Switches`.

    Returns
    -------
    xarray.Dataset
        Axes ``(algorithm, instance, run, t)`` as of :func:`prefsim.run`; costs are coordinates of ``t``: ``gradients``,
        ``responses``, ``generated_tokens``, ``comparisons``, ``seconds``.

    Raises
    ------
    ValueError, TypeError
        Before any work starts, naming the argument; or where the judge's or the policy's numbers cannot be used.
    FloatingPointError
        If a loss or gradient is not finite, naming iteration, phase and prompts.
    """
    chosen = setup(algorithm, beta, settings)
    times = record_times(horizon, record)
    for argument, value in {"k": k, "m": m, "batch": batch, "checkpoint_every": checkpoint_every}.items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise ValueError(f"{argument} must be a whole number of at least 1; got {value!r}.")
    if not len(prompts):
        raise ValueError("prompts is empty; give at least one.")
    if batch is not None and batch > len(prompts):
        raise ValueError(f"batch must be at most the number of prompts, {len(prompts)}; got {batch}.")
    run = Training(policy, list(prompts), Judge(oracle, order_swap=chosen.switches.order_swap), chosen, beta)
    run.configure(k, m or k, batch, expectation, seed, name)
    progress = Progress(run, times, log)
    stored = Checkpoints(checkpoint, checkpoint_every, progress.description())
    start = stored.resume(run, progress)
    for t in range(start, horizon + 1):
        if t > start:
            run.iterate(t - 1)
        progress.measure_if_due(t)
        if t > start:
            stored.save_if_due(t, horizon, run, progress)
        if callback is not None:
            callback(t, policy)
    return progress.dataset()


class Training:
    """The state of one training run; see :func:`train` for the arguments."""

    def __init__(self, policy: Policy, prompts: list[Any], judge: Judge, chosen: Setup, beta: float) -> None:
        self.policy, self.prompts, self.judge, self.setup, self.beta = policy, prompts, judge, chosen, beta
        self.switches = chosen.switches
        self.counts = {"gradients": 0, "responses": 0, "generated_tokens": 0}
        self.latest: dict[str, float] = {}
        self.effective: float | None = None
        self._plans: dict[int, Plan] = {}

    def configure(self, k: int, m: int, batch: int | None, expectation: str, seed: int, name: str) -> None:
        """Set sizes and randomness, refuse what cannot work, and make the copies the rule needs."""
        self.k, self.m, self.batch, self.seed, self.name = k, m, batch, seed, name
        if expectation not in ("sampled", "exact"):
            raise ValueError(f"expectation must be 'sampled' or 'exact'; got {expectation!r}.")
        self.exact = expectation == "exact"
        noise.stream_key(seed, name, "")
        first = self.plan_of(0)
        self._check(first)
        for copy in sorted(first.kept):
            self.policy.keep(copy)
        self._begun = self._fingerprint()
        if self.exact:
            self.space = self.policy.enumerate(self.prompts)
            texts = zip(self.prompts, self.space.texts, strict=True)
            self.payoff = torch.stack([self.judge.gains(prompt, found, found) for prompt, found in texts])

    def plan_of(self, t: int) -> Plan:
        """The rule at iteration `t`, traced."""
        if t not in self._plans:
            self._plans = {t: plan(self.setup.solver, self.setup.hyper, self.beta, t, self.switches.estimator)}
        return self._plans[t]

    def _fingerprint(self) -> float:
        return sum(p.detach().double().abs().sum().item() for p in self.policy.parameters)

    def _check(self, plan: Plan) -> None:
        """Refuse estimators where their assumption does not hold."""
        chosen, label = self.switches, self.setup.label
        if not self.exact and chosen.behaviour == "uniform":
            raise ValueError("behaviour='uniform' needs all responses; give expectation='exact', or another behaviour.")
        if not self.exact and self.k < 2 and chosen.estimator != "policy_gradient":
            raise ValueError(f"k must be at least 2 responses a prompt for {chosen.estimator}; got {self.k}.")
        if not self.exact and self.k % 2 and chosen.estimator in ("pairs", "pair_label"):
            raise ValueError(f"k must be even for {chosen.estimator}; got {self.k}.")
        if chosen.estimator in ("unpaired", "policy_gradient") and chosen.behaviour != "current":
            raise ValueError(f"{chosen.estimator} needs responses of the current policy; give behaviour='current'.")
        for phase in range(len(plan.opponents)):
            self._check_opponent(plan, phase)
        for anchor in plan.anchors:
            if chosen.estimator == "unpaired" and {name for name, weight in anchor.items() if weight} != {"current"}:
                raise ValueError(
                    f"unpaired needs a target anchored at the current policy alone, but {label} moves towards others too; "
                    "use estimator='variance', which has no normaliser."
                )
        if chosen.target == "fixed_point" and (not plan.anchors or min(map(pull, plan.anchors)) <= 0):
            raise ValueError(
                f"target='fixed_point' needs a step (1 - c) current + c reference with c > 0, which {label} is not here; "
                "use target='step'."
            )
        half = any(anchor.get("half") for anchor in plan.anchors)
        if half and chosen.extragradient_batch == "fresh":
            raise ValueError(f"the target of {label} holds the half-step; give extragradient_batch='same'.")

    def _check_opponent(self, plan: Plan, phase: int) -> None:
        """Pair labels and shared opponents mean that the responses come from the opponent."""
        spec, chosen = plan.opponents[phase], self.switches
        shared = chosen.opponents == "shared" and not self.exact and chosen.estimator != "pair_label"
        if spec.single == chosen.behaviour or not (shared or chosen.estimator == "pair_label"):
            return
        asked = "opponents='shared'" if shared else "estimator='pair_label'"
        opponent = " and ".join(f"{weight:g} {name}" for name, weight in spec.weights)
        raise ValueError(
            f"{asked} needs responses of the opponent, which for {self.setup.label} is {opponent} in phase {phase}, while "
            f"they come from {chosen.behaviour}; use estimator='variance' with opponents='fresh'."
        )

    def iterate(self, t: int) -> None:
        """One iteration of the rule."""
        policy, plan = self.policy, self.plan_of(t)
        policy.set_time(t)
        self.instances = self._turn(t)
        responses = self.respond(t, "responses", plan)
        snapshot = policy.snapshot() if len(plan.opponents) > 1 else None
        if "previous" in plan.kept:
            policy.keep("entering")
        for phase, spec in enumerate(plan.opponents):
            if snapshot is None or phase == 0:
                drawn = opponents.draw(self, t, phase, spec)
            else:
                # What is live now is the half-step: opponents are drawn before the parameters go back.
                with policy.arrived("half", snapshot.parameters):
                    drawn = opponents.draw(self, t, phase, spec)
                    if any(anchor.get("half") for anchor in plan.anchors):
                        responses.log_probs["half"] = policy.logprob_of("half", responses)
                policy.restore(snapshot)
                if self.switches.extragradient_batch == "fresh" and not self.exact:
                    responses = self.respond(t, f"responses/{phase}", plan)
            verdict = opponents.judge(self, t, phase, drawn, responses)
            self.fit(t, phase, responses, self.objective(t, plan, responses, verdict, phase))
        self._move_copies(t, plan, responses, verdict)

    def _turn(self, t: int) -> tuple[int, ...]:
        """Numbers of the prompts of an iteration."""
        count = len(self.prompts)
        if self.batch is None:
            return tuple(range(count))
        places = [divmod(place, count) for place in range(t * self.batch, (t + 1) * self.batch)]
        key = noise.stream_key(self.seed, self.name, "prompts")
        orders = {turn: np.argsort(noise.uniforms(key, 0, 0, turn, count)) for turn, _ in places}
        return tuple(int(orders[turn][place]) for turn, place in places)

    def key(self, t: int, stream: str) -> Key:
        """Key of the random numbers of a stream at an iteration."""
        return Key.of(self.seed, self.name, stream, t, self.instances)

    def asked(self) -> list[Any]:
        """The prompts of the iteration."""
        return [self.prompts[i] for i in self.instances]

    def respond(self, t: int, stream: str, plan: Plan) -> Responses:
        """Sample or enumerate responses, and score them under every policy the rule looks at."""
        policy, behaviour = self.policy, self.switches.behaviour
        if self.exact:
            found = policy.enumerate(self.asked())
        else:
            found = policy.sample(self.asked(), self.k, SamplingSpec(((behaviour, 1.0),)), self.key(t, stream))
            self.count(found)
        scored = {"current"} | (plan.scored - {"half"}) | ({behaviour} if self.exact else set()) - {"uniform"}
        logs = {name: policy.logprob_of(name, found) for name in sorted(scored)}
        for name, values in logs.items():
            if not torch.isfinite(values).all():
                raise FloatingPointError(f"log-probabilities under {name} are not finite in iteration {t}.")
        if t > 0 and t & (t - 1) == 0 and "reference" in logs and torch.equal(logs["current"], logs["reference"]):
            if self._fingerprint() != self._begun:
                raise RuntimeError(
                    "the parameters have moved, but the policy's log-probabilities equal the reference's on every response: "
                    "the reference moves along. With adapters, it must be computed with the adapter off."
                )
        weights = None
        if self.exact:
            even = torch.full_like(logs["current"], 1 / found.tokens.shape[1])
            weights = even if behaviour == "uniform" else torch.softmax(logs[behaviour], dim=-1)
        return found._replace(log_probs=logs, weights=weights)

    def count(self, responses: Responses) -> None:
        """Add generated responses to the costs."""
        self.counts["responses"] += responses.lengths.numel()
        self.counts["generated_tokens"] += int(responses.lengths.sum())

    def objective(
        self, t: int, plan: Plan, responses: Responses, verdict: opponents.Verdict, phase: int, moved: str = ""
    ) -> Callable[[Tensor], Tensor]:
        """The loss of token log-probabilities, for the policy's move or for that of the copy `moved`."""
        chosen, weights = self.switches, responses.weights
        if chosen.estimator == "policy_gradient":
            pulled, temperature = plan.penalty
            other = self.policy.token_logprobs_of(pulled, responses)
            arguments = (other, verdict.gain, temperature, weights)
            return lambda lp: self._scaled(losses.policy_gradient(lp, *arguments, kl_gradient=chosen.kl_gradient))
        rule = getattr(self.setup.solver, moved or "target")
        logs = responses.log_probs
        named = {name: logs.get(name) for name in POLICIES}
        named["half"] = logs.get("half") if phase or moved else logs["current"]
        iterate = Iterate(**named, beta=self.beta, t=t)
        last = () if moved else (phase,)
        gain = verdict.gain.to(logs["current"])
        target = rule(self.setup.hyper, iterate, gain, *last)
        anchor = rule(self.setup.hyper, iterate, torch.zeros_like(gain), *last)
        slope = plan.moves[moved].get("gain", 0.0) if moved else plan.slopes[phase]
        if chosen.target == "fixed_point":
            c = pull(plan.anchors[phase])
            target, anchor = ((values - (1 - c) * logs["current"]) / c for values in (target, anchor))
            slope = slope / c
        return lambda lp: self._scaled(self._estimate(lp.sum(-1), target, anchor, slope, verdict, weights))

    def _scaled(self, values: Tensor) -> Tensor:
        return self.switches.loss_scale * values.mean()

    def _estimate(
        self, lp: Tensor, target: Tensor, anchor: Tensor, slope: float, verdict: opponents.Verdict, weights: Tensor | None
    ) -> Tensor:
        """The chosen estimator, a value a prompt."""
        chosen = self.switches
        if chosen.estimator in ("variance", "pairs"):
            return getattr(losses, chosen.estimator)(lp, target, weights)
        if chosen.estimator == "pair_label":
            hard = chosen.label == "bernoulli"
            return losses.pair_label(lp, anchor, slope, verdict.label.to(lp), weights, hard=hard)
        gain = verdict.gain.to(lp)
        if chosen.estimator == "unpaired":
            return losses.unpaired(lp, anchor, slope, gain, chosen.log_z, weights)
        return losses.soft_logistic(lp, anchor, slope, gain, weights)

    def fit(self, t: int, phase: int, responses: Responses, loss_of: Callable[[Tensor], Tensor]) -> None:
        """Take the gradient steps of one move, all on the same responses."""
        chosen, policy = self.switches, self.policy
        steps: list[StepInfo] = []
        try:
            if chosen.inner_solver == "lbfgs":
                whole = lambda: loss_of(policy.token_logprobs(responses))  # noqa: E731
                steps.append(policy.solve(whole, chosen.inner, chosen.inner_tolerance))
            else:
                for _ in range(chosen.inner):
                    parts, loss = self._micro_batches(responses, loss_of)
                    info = policy.step(parts)
                    steps.append(info if loss is None else info._replace(loss=loss))
                    if steps[-1].gradient_norm <= chosen.inner_tolerance * steps[0].gradient_norm:
                        break
        except FloatingPointError as error:
            raise FloatingPointError(
                f"{error} in iteration {t}, phase {phase}, on the prompts {list(self.instances)}; choose a smaller learning "
                "rate or step."
            ) from None
        self.counts["gradients"] += sum(info.gradients for info in steps)
        first = steps[0]
        self.latest = {"loss": first.loss, "gradient_norm": first.gradient_norm, "clipped": float(first.clipped)}
        if chosen.inner > 1:
            with torch.no_grad():
                self.latest["residual"] = loss_of(policy.token_logprobs(responses)).item()

    def _micro_batches(
        self, responses: Responses, loss_of: Callable[[Tensor], Tensor]
    ) -> tuple[list[Callable[[], Tensor]], float | None]:
        """Closures whose gradients add up to that of the loss, and the loss where they do not add up to it themselves."""
        policy, size = self.policy, self.switches.micro_batch
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

        return [of(part, derivative) for part, derivative in zip(parts, derivatives, strict=True)], loss.item()

    def _move_copies(self, t: int, plan: Plan, responses: Responses, verdict: opponents.Verdict) -> None:
        """Move auxiliary, magnet and slow as the rule says, and let ``previous`` follow."""
        policy, last = self.policy, len(plan.opponents) - 1
        if any(move.get("half") for name, move in plan.moves.items() if not copies(name, move)):
            responses.log_probs["half"] = policy.logprob_of("current", responses)
        for name, move in plan.moves.items():
            if copies(name, move):
                policy.average(name, move.get(name, 0.0))
            else:
                found = dict(self.latest)
                with policy.acting_as(name, train=True):
                    self.fit(t, last, responses, self.objective(t, plan, responses, verdict, last, name))
                self.latest = found
        if "entering" in policy.copies:
            policy.copies["previous"] = policy.copies.pop("entering")


def pull(anchor: dict[str, float]) -> float:
    """Weight ``c`` of the reference in ``(1 - c) current + c reference``; 0 for any other anchor."""
    some = {name: weight for name, weight in anchor.items() if weight != 0}
    plain = set(some) <= {"current", "reference"} and abs(sum(some.values()) - 1) < 1e-9
    return some.get("reference", 0.0) if plain else 0.0
