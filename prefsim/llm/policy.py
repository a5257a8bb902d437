"""Policies that training can drive: what they have in common."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from prefsim.llm import parallel
from prefsim.llm.records import Decoding, Key, Responses, SamplingSpec


class StepInfo(NamedTuple):
    """What an update did."""

    loss: float
    gradient_norm: float
    clipped: bool
    gradients: int = 1


class Snapshot(NamedTuple):
    """Trained parameters and the optimiser's state, to return to bit for bit."""

    parameters: list[Tensor]
    optimizer: dict[str, Any]


class Policy(ABC):
    """A policy over responses with trained parameters, copies of them by name, and an optimiser.

    A subclass says how responses are sampled, scored and spelled; the rest is here. The live parameters are ``current``;
    a copy such as ``previous`` or ``slow`` is a list of tensors that takes their place while it is asked
    (:meth:`acting_as`).

    Parameters
    ----------
    parameters : list of Tensor
        What is trained.
    optimizer : callable
        ``optimizer(parameters)`` returns a torch optimiser; called once more for every copy that is fitted itself.
    clip : float, optional
        Largest norm of the gradient.
    schedule : callable, optional
        ``schedule(t)`` multiplies the optimiser's learning rates at iteration `t`.
    """

    decoding: Decoding

    def __init__(
        self,
        parameters: list[Tensor],
        optimizer: Callable[[list[Tensor]], torch.optim.Optimizer],
        clip: float | None = None,
        schedule: Callable[[int], float] | None = None,
    ) -> None:
        self.parameters = parameters
        self.build = optimizer
        self.optimizers = {"current": optimizer(parameters)}
        self.rates = [group["lr"] for group in self.optimizers["current"].param_groups]
        self.clip = clip
        self.schedule = schedule
        self.copies: dict[str, list[Tensor]] = {}
        self.fitted = self.live = "current"
        self.time = 0

    @abstractmethod
    def sample(self, prompts: Sequence[Any], k: int, spec: SamplingSpec, key: Key) -> Responses:
        """Draw `k` responses to each prompt from a policy or, token by token, from a geometric mixture."""

    @abstractmethod
    def conditionals(self, responses: Responses) -> Tensor:
        """Log-probabilities of every token at every position, under the live parameters, shape (B, k, T, vocabulary)."""

    @abstractmethod
    def enumerate(self, prompts: Sequence[Any]) -> Responses:
        """All responses; ValueError where there are too many."""

    def token_logprobs(self, responses: Responses) -> Tensor:
        """Log-probabilities of the tokens under the live parameters, 0 beyond the end, shape (B, k, T), with gradient."""
        return _picked(self.conditionals(responses), responses)

    def logprob(self, responses: Responses) -> Tensor:
        """Log-probabilities of the responses under the live parameters, shape (B, k), with gradient."""
        return self.token_logprobs(responses).sum(-1)

    def token_logprobs_of(self, name: str, responses: Responses) -> Tensor:
        """Log-probabilities of the tokens under a named policy, without gradient, shape (B, k, T)."""
        with torch.no_grad(), self.acting_as(name):
            return self.token_logprobs(responses)

    def logprob_of(self, name: str, responses: Responses) -> Tensor:
        """Log-probabilities of the responses under a named policy, without gradient, shape (B, k)."""
        return self.token_logprobs_of(name, responses).sum(-1)

    def logprob_ref(self, responses: Responses) -> Tensor:
        """Log-probabilities of the responses under the reference, without gradient, shape (B, k)."""
        return self.logprob_of("reference", responses)

    @torch.no_grad()
    def mixture_logprob(self, spec: SamplingSpec, responses: Responses) -> Tensor:
        """Log-probabilities of the responses under the geometric mixture taken token by token, shape (B, k)."""
        total: Tensor | float = 0.0
        for name, weight in spec.weights:
            with self.acting_as(name):
                total = total + weight * self.conditionals(responses)
        return _picked(torch.log_softmax(torch.as_tensor(total), dim=-1), responses).sum(-1)

    def read(self) -> list[Tensor]:
        """Copy the live parameters."""
        return [p.detach().clone() for p in self.parameters]

    @torch.no_grad()
    def write(self, values: list[Tensor]) -> None:
        """Put values into the live parameters."""
        for parameter, value in zip(self.parameters, values, strict=True):
            parameter.copy_(parallel.placed(value, parameter))

    def keep(self, name: str) -> None:
        """Copy the live parameters under a name."""
        self.copies[name] = self.read()

    def average(self, name: str, weight: float) -> None:
        """Move a copy to ``weight * copy + (1 - weight) * live``, parameter by parameter."""
        self.copies[name] = [weight * c + (1 - weight) * p for c, p in zip(self.copies[name], self.read(), strict=True)]

    @contextmanager
    def acting_as(self, name: str, *, train: bool = False) -> Iterator[None]:
        """Put a copy in the place of the live parameters; with `train` its changes and its own optimiser are kept."""
        if name == self.live:
            yield
            return
        if name not in self.copies:
            raise ValueError(f"there is no copy {name!r} of the policy; known: {', '.join(self.copies) or 'none'}.")
        values, live, fitted = self.read(), self.live, self.fitted
        self.write(self.copies[name])
        self.live = name
        if train:
            self.fitted = name
            if name not in self.optimizers:
                self.optimizers[name] = self.build(self.parameters)
                self.set_time(self.time)
        try:
            yield
            if train:
                self.keep(name)
        finally:
            self.live, self.fitted = live, fitted
            self.write(values)

    @contextmanager
    def arrived(self, name: str, current: list[Tensor]) -> Iterator[None]:
        """Call what is live by another name while `current` is still the policy."""
        self.copies["current"], self.live = current, name
        try:
            yield
        finally:
            self.live = "current"
            del self.copies["current"]

    def snapshot(self) -> Snapshot:
        """Copy the live parameters and the optimiser's state."""
        return Snapshot(self.read(), copy.deepcopy(self.optimizers[self.fitted].state_dict()))

    def restore(self, snapshot: Snapshot) -> None:
        """Return to a snapshot, bit for bit."""
        self.write(snapshot.parameters)
        optimizer = self.optimizers[self.fitted]
        optimizer.state.clear()  # or there would be three copies of the moments at once
        optimizer.load_state_dict(copy.deepcopy(snapshot.optimizer))

    def set_time(self, t: int) -> None:
        """Set the learning rates of iteration `t`; the schedule has no state of its own."""
        self.time = t
        factor = 1.0 if self.schedule is None else self.schedule(t)
        for optimizer in self.optimizers.values():
            for group, rate in zip(optimizer.param_groups, self.rates, strict=True):
                group["lr"] = rate * factor

    def backward(self, loss: Tensor) -> None:
        """Add the gradient of a loss."""
        loss.backward()

    def step(self, losses: Iterable[Callable[[], Tensor]]) -> StepInfo:
        """Add up the gradients of the losses, one micro-batch after the other, clip, and update once.

        Raises
        ------
        FloatingPointError
            If the loss or the gradient is not finite; the parameters are as they were.
        """
        optimizer = self.optimizers[self.fitted]
        optimizer.zero_grad(set_to_none=True)
        total = 0.0
        for loss_of in losses:
            loss = loss_of()
            self.backward(loss)
            total += loss.item()
        (total,) = parallel.total(total)
        parallel.add_up(self.parameters)
        norm = self._gradient_norm()
        if not torch.isfinite(torch.tensor([total, norm])).all():
            raise FloatingPointError(f"the loss is {total:g} and the norm of its gradient {norm:g}")
        largest = float("inf") if self.clip is None else self.clip
        clipped = norm > largest
        if clipped:
            for p in self.parameters:
                if p.grad is not None:
                    p.grad.mul_(largest / norm)
        optimizer.step()
        return StepInfo(total, norm, clipped)

    def _gradient_norm(self) -> float:
        norms = [torch.linalg.vector_norm(p.grad) for p in self.parameters if p.grad is not None]
        return parallel.whole(torch.linalg.vector_norm(torch.stack(norms))).item() if norms else 0.0

    def solve(self, loss_of: Callable[[], Tensor], most: int, tolerance: float) -> StepInfo:
        """Minimise a loss by L-BFGS with a strong Wolfe line search, until the gradient has shrunk by `tolerance`.

        The loss is divided by the size of its first gradient, so that the solver's absolute tolerances mean something.
        """
        if any(map(parallel.sharded, self.parameters)):
            raise ValueError("inner_solver='lbfgs' is for small policies, which need no shards; give inner_solver='optimizer'.")
        gradients = 0

        def gradient_of(scale: float) -> Tensor:
            nonlocal gradients
            gradients += 1
            for p in self.parameters:
                p.grad = None
            loss = loss_of() / scale
            self.backward(loss)
            parallel.add_up(self.parameters)
            return loss.new_tensor(parallel.total(loss.item())[0])

        first = gradient_of(1.0).item()
        norm = self._gradient_norm()
        if norm > 0:
            largest = max(p.grad.abs().max().item() for p in self.parameters if p.grad is not None)
            solver = torch.optim.LBFGS(
                self.parameters,
                max_iter=most,
                max_eval=2 * most,
                tolerance_grad=tolerance,
                tolerance_change=1e-16,
                history_size=100,
                line_search_fn="strong_wolfe",
            )
            solver.step(lambda: gradient_of(largest))  # type: ignore[no-untyped-call]
        return StepInfo(first, norm, False, gradients)

    def state(self) -> dict[str, Any]:
        """All that must survive: parameters, copies and optimisers."""
        optimizers = {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()}
        return parallel.whole({"parameters": self.read(), "copies": self.copies, "optimizers": optimizers})  # type: ignore[no-any-return]

    def load_state(self, state: dict[str, Any]) -> None:
        """Return to what :meth:`state` gave."""
        self.write(state["parameters"])
        self.copies = {
            name: [parallel.placed(value, p).clone() for value, p in zip(values, self.parameters, strict=True)]
            for name, values in state["copies"].items()
        }
        for name, content in state["optimizers"].items():
            optimizer = self.optimizers.setdefault(name, self.build(self.parameters))
            trained = [p for group in optimizer.param_groups for p in group["params"]]
            kept = {
                i: {name: parallel.placed(value, trained[i]) for name, value in values.items()}
                for i, values in content["state"].items()
            }
            optimizer.load_state_dict({**content, "state": kept})


def _picked(conditionals: Tensor, responses: Responses) -> Tensor:
    """Log-probabilities of the tokens that occurred, 0 beyond the end."""
    found = conditionals.gather(-1, responses.tokens[..., None])[..., 0]
    return torch.where(responses.mask, found, 0.0)
