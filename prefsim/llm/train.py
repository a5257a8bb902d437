"""The training loop: sample, judge, regress onto the rule's target; phases, inner solves and copies of the policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from prefsim import noise
from prefsim.experiment import record_times, whole
from prefsim.llm import moves, opponents, parallel
from prefsim.llm.checkpoint import Checkpoints
from prefsim.llm.methods import Setup, setup
from prefsim.llm.oracles import Judge, PreferenceOracle
from prefsim.llm.policy import Policy
from prefsim.llm.progress import Progress, bar
from prefsim.llm.records import Key, Responses, SamplingSpec
from prefsim.llm.trace import Plan, copies, plan

if TYPE_CHECKING:
    import xarray as xr

PROBED = (3, 15, 63)
"""Iterations after which the policy must have left its reference."""


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
    tensorboard: str | None = None,
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
    tensorboard : str, optional
        Folder that gets the same numbers as events for TensorBoard, whose package must be installed.
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
    parallel.join(policy.parameters[0].device.type)
    if not len(prompts):
        raise ValueError("prompts is empty; give at least one.")
    horizon, k = whole("horizon", horizon, 1, None), whole("k", k, 1, None)
    checkpoint_every = whole("checkpoint_every", checkpoint_every, 1, None)
    m = k if m is None else whole("m", m, 1, None)
    batch = None if batch is None else whole("batch", batch, 1, len(prompts))
    times = record_times(horizon, record)
    run = Training(policy, list(prompts), Judge(oracle, order_swap=chosen.switches.order_swap), chosen, beta)
    run.configure(k, m, batch, expectation, seed, name)
    progress = Progress(run, times, log, tensorboard)
    stored = Checkpoints(checkpoint, checkpoint_every, progress.description())
    start = stored.resume(run, progress)
    with bar(horizon) as report:
        for t in range(start, horizon + 1):
            if t > start:
                run.iterate(t - 1)
            progress.measure_if_due(t)
            if t > start:
                stored.save_if_due(t, horizon, run, progress)
            if callback is not None:
                callback(t, policy)
            report(t, run.latest)
    return progress.dataset()


class Training:
    """The state of one training run; see :func:`train` for the arguments."""

    def __init__(self, policy: Policy, prompts: list[Any], judge: Judge, chosen: Setup, beta: float) -> None:
        self.policy, self.prompts, self.judge, self.setup, self.beta = policy, prompts, judge, chosen, beta
        self.switches = chosen.switches
        self.counts = {"gradients": 0, "responses": 0, "generated_tokens": 0}
        self.latest: dict[str, float] = {}
        self.effective: float | None = None
        self.distance: Tensor | None = None
        self._plans: dict[int, Plan] = {}
        self._references: dict[tuple[int, ...], Tensor] = {}

    def configure(self, k: int, m: int, batch: int | None, expectation: str, seed: int, name: str) -> None:
        """Set sizes and randomness, refuse what cannot work, and make the copies the rule needs."""
        self.k, self.m, self.batch, self.seed, self.name = k, m, batch, seed, name
        if expectation not in ("sampled", "exact"):
            raise ValueError(f"expectation must be 'sampled' or 'exact'; got {expectation!r}.")
        self.exact = expectation == "exact"
        noise.stream_key(seed, name, "")
        for copy in sorted(self.plan_of(0).kept):
            self.policy.keep(copy)
        self._begun = self._fingerprint()
        asked = {"prompts": len(self.prompts), "batch": batch or len(self.prompts)}
        parallel.check(self.policy.parameters, self._begun, asked)
        if self.exact:
            self.space = self.enumerate(self.prompts)
            texts = zip(self.prompts, self.space.texts, strict=True)
            self.payoff = torch.stack([self.judge.gains(prompt, found, found) for prompt, found in texts])

    def plan_of(self, t: int) -> Plan:
        """The rule at iteration `t`, traced."""
        if t not in self._plans:
            self._plans = {t: plan(self.setup.solver, self.setup.hyper, self.beta, t, self.switches.estimator)}
            self._check(self._plans[t])
        return self._plans[t]

    def _fingerprint(self) -> float:
        return sum(parallel.whole(p.detach().double().abs().sum()).item() for p in self.policy.parameters)

    def _check(self, plan: Plan) -> None:
        """Refuse estimators where their assumption does not hold."""
        chosen, label = self.switches, self.setup.label
        if not self.exact and chosen.behaviour == "uniform":
            raise ValueError("behaviour='uniform' needs all responses; give expectation='exact', or another behaviour.")
        if self.exact and chosen.label == "bernoulli" and chosen.estimator != "pair_label":
            raise ValueError("label='bernoulli' draws coins, but expectation='exact' knows their means; give label='soft'.")
        if not self.exact and self.k < 2 and chosen.estimator != "policy_gradient":
            raise ValueError(f"k must be at least 2 responses a prompt for {chosen.estimator}; got {self.k}.")
        if not self.exact and self.k % 2 and chosen.estimator in ("pairs", "pair_label"):
            raise ValueError(f"k must be even for {chosen.estimator}; got {self.k}.")
        if chosen.estimator in ("unpaired", "policy_gradient") and chosen.behaviour != "current":
            raise ValueError(f"{chosen.estimator} needs responses of the current policy; give behaviour='current'.")
        if self.exact and chosen.estimator == "best_worst":
            raise ValueError("best_worst picks among samples; give expectation='sampled', or estimator='soft_logistic'.")
        for phase in range(len(plan.opponents)):
            self._check_opponent(plan, phase)
        for anchor in plan.anchors:
            if chosen.estimator == "unpaired" and {name for name, weight in anchor.items() if weight} != {"current"}:
                raise ValueError(
                    f"unpaired needs a target anchored at the current policy alone, but {label} moves towards others too; "
                    "use estimator='variance', which has no normaliser."
                )
        if chosen.target == "fixed_point" and (not plan.anchors or min(map(moves.pull, plan.anchors)) <= 0):
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
        opponent = spec.single or " and ".join(f"{weight:g} {name}" for name, weight in spec.weights)
        raise ValueError(
            f"{asked} needs responses of the opponent, which for {self.setup.label} is {opponent} in phase {phase}, while "
            f"they come from {chosen.behaviour}; use estimator='variance' with opponents='fresh'."
        )

    def iterate(self, t: int) -> None:
        """One iteration of the rule."""
        policy, plan = self.policy, self.plan_of(t)
        policy.set_time(t)
        turn = self._turn(t)
        self.instances = tuple(parallel.share(turn))
        self.part = len(self.instances) / len(turn)
        responses = self.respond(t, "responses", plan)
        snapshot = policy.snapshot() if len(plan.opponents) > 1 else None
        if "previous" in plan.kept:
            policy.keep("entering")
        for phase, spec in enumerate(plan.opponents):
            if snapshot is None or phase == 0:
                drawn = opponents.draw(self, t, phase, spec, responses)
            else:
                # What is live now is the half-step: opponents are drawn before the parameters go back.
                with policy.arrived("half", snapshot.parameters):
                    drawn = opponents.draw(self, t, phase, spec, responses)
                    if any(anchor.get("half") for anchor in plan.anchors):
                        responses.log_probs["half"] = policy.logprob_of("half", responses)
                policy.restore(snapshot)
                if self.switches.extragradient_batch == "fresh" and not self.exact:
                    responses = self.respond(t, f"responses/{phase}", plan)
            with self.judge.together():
                verdict = opponents.judge(self, t, phase, drawn, responses)
            moves.fit(self, t, phase, responses, moves.objective(self, t, plan, responses, verdict, phase))
        self._move_copies(t, plan, responses, verdict)
        if t in PROBED and "reference" in plan.scored | set(plan.penalty):
            self._probe(responses)

    def _probe(self, responses: Responses) -> None:
        """A reference that moves along makes every log-ratio 0, and training then looks quiet and healthy."""
        here, there = self.policy.logprob_of("current", responses), self.policy.logprob_ref(responses)
        if torch.equal(here, there) and self._fingerprint() != self._begun:
            raise RuntimeError(
                "the parameters have moved, but the policy's log-probabilities equal the reference's on every response: the "
                "reference moves along. With adapters, it must be computed with the adapter off."
            )

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
        """Sample or enumerate responses, and score them under every policy the rule looks at.

        Sampled ones are scored under ``current`` by the first gradient step on them (:func:`prefsim.llm.moves.objective`).
        """
        policy, behaviour = self.policy, self.switches.behaviour
        if self.exact:
            found = self.enumerate(self.asked())
        else:
            found = policy.sample(self.asked(), self.k, SamplingSpec(((behaviour, 1.0),)), self.key(t, stream))
            self.count(found)
        scored = (plan.scored - {"half"}) | ({"current", behaviour} if self.exact else set()) - {"uniform"}
        scored -= set() if self.exact else {"current"}
        logs = {name: self._score(name, found) for name in sorted(scored)}
        for name, values in logs.items():
            if not torch.isfinite(values).all():
                raise FloatingPointError(f"log-probabilities under {name} are not finite in iteration {t}.")
        weights = None
        if self.exact:
            even = torch.full_like(logs["current"], 1 / found.tokens.shape[1])
            weights = even if behaviour == "uniform" else torch.softmax(logs[behaviour], dim=-1)
        return found._replace(log_probs=logs, weights=weights)

    def enumerate(self, prompts: Sequence[Any]) -> Responses:
        """All responses that count."""
        found = self.policy.enumerate(prompts)
        return found.ended() if self.switches.truncation == "drop" else found

    def _score(self, name: str, responses: Responses) -> Tensor:
        """Log-probabilities under a named policy; those of the reference on all responses do not change."""
        if not (self.exact and name == "reference"):
            return self.policy.logprob_of(name, responses)
        if self.instances not in self._references:
            self._references = {self.instances: self.policy.logprob_ref(responses)}
        return self._references[self.instances]

    def count(self, responses: Responses) -> None:
        """Add generated responses to the costs."""
        sampled, tokens = parallel.total(responses.lengths.numel(), int(responses.lengths.sum()))
        self.counts["responses"] += sampled
        self.counts["generated_tokens"] += tokens

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
                    moves.fit(self, t, last, responses, moves.objective(self, t, plan, responses, verdict, last, name))
                self.latest = found
        if "entering" in policy.copies:
            policy.copies["previous"] = policy.copies.pop("entering")
