"""Policies that training can drive: what they have in common, and the small ones that hold every response.

:class:`LogitsPolicy` and :class:`PrefixPolicy` are complete, so that the same training code that drives a language model
can be held against the tabular solvers with exact expectations.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from prefsim.llm.records import Decoding, Key, Responses, SamplingSpec, spell


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
            parameter.copy_(value)

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
            self.optimizers.setdefault(name, self.build(self.parameters))
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
        self.optimizers[self.fitted].load_state_dict(copy.deepcopy(snapshot.optimizer))

    def set_time(self, t: int) -> None:
        """Set the learning rates of iteration `t`; the schedule has no state of its own."""
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
        norm = self._gradient_norm()
        if not torch.isfinite(torch.tensor([total, norm])).all():
            raise FloatingPointError(f"the loss is {total:g} and the norm of its gradient {norm:g}")
        clipped = self.clip is not None and norm > self.clip
        if clipped:
            for p in self.parameters:
                if p.grad is not None:
                    p.grad.mul_(self.clip / norm)
        optimizer.step()
        return StepInfo(total, norm, clipped)

    def _gradient_norm(self) -> float:
        norms = [torch.linalg.vector_norm(p.grad) for p in self.parameters if p.grad is not None]
        return torch.linalg.vector_norm(torch.stack(norms)).item() if norms else 0.0

    def solve(self, loss_of: Callable[[], Tensor], most: int, tolerance: float) -> StepInfo:
        """Minimise a loss by L-BFGS with a strong Wolfe line search, until the gradient has shrunk by `tolerance`.

        The loss is divided by the size of its first gradient, so that the solver's absolute tolerances mean something.
        """

        def gradient_of(scale: float) -> Tensor:
            nonlocal gradients
            gradients += 1
            for p in self.parameters:
                p.grad = None
            loss = loss_of() / scale
            self.backward(loss)
            return loss

        gradients = 0
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
                history_size=50,
                line_search_fn="strong_wolfe",
            )
            solver.step(lambda: gradient_of(largest))  # type: ignore[no-untyped-call]
        return StepInfo(first, norm, False, gradients)

    def state(self) -> dict[str, Any]:
        """All that must survive: parameters, copies and optimisers."""
        optimizers = {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()}
        return {"parameters": self.read(), "copies": self.copies, "optimizers": optimizers}

    def load_state(self, state: dict[str, Any]) -> None:
        """Return to what :meth:`state` gave."""
        self.write(state["parameters"])
        self.copies = {name: [value.clone() for value in values] for name, values in state["copies"].items()}
        for name, content in state["optimizers"].items():
            self.optimizers.setdefault(name, self.build(self.parameters)).load_state_dict(content)


def _picked(conditionals: Tensor, responses: Responses) -> Tensor:
    """Log-probabilities of the tokens that occurred, 0 beyond the end."""
    found = conditionals.gather(-1, responses.tokens[..., None])[..., 0]
    return torch.where(responses.mask, found, 0.0)


class PrefixPolicy(Policy):
    """A complete autoregressive policy: a free row of logits for every prefix, on words over a small alphabet.

    Prompts are the numbers ``0 .. prompts - 1``; each has a table of its own.

    Parameters
    ----------
    alphabet : str
        The letters.
    limit : int
        Most letters of a response.
    ends : bool
        Whether a response may end early, in an end token; otherwise all have `limit` letters.
    prompts : int
        Number of prompts.
    reference : Tensor, optional, shape (prompts, rows, tokens)
        Logits to start from, which are the reference; zeros if omitted. :meth:`rows` says how many rows there are.
    temperature : float
        Of the softmax.
    optimizer, clip, schedule
        As for :class:`Policy`; plain gradient descent at rate 1 if omitted.
    """

    def __init__(
        self,
        alphabet: str = "abcd",
        limit: int = 3,
        *,
        ends: bool = True,
        prompts: int = 1,
        reference: Tensor | None = None,
        temperature: float = 1.0,
        optimizer: Callable[[list[Tensor]], torch.optim.Optimizer] | None = None,
        clip: float | None = None,
        schedule: Callable[[int], float] | None = None,
    ) -> None:
        if not temperature > 0:
            raise ValueError(f"temperature must be above 0; got {temperature:g}.")
        self.letters, self.limit, self.ends = len(alphabet), limit, ends
        self.decoding = Decoding(temperature, limit, (self.letters,) if ends else ())
        self.names: Sequence[str] = alphabet
        shape = (prompts, self.rows(), self.letters + ends)
        if reference is not None and reference.shape != shape:
            raise ValueError(f"reference must have shape {shape} (prompts, rows, tokens); got {tuple(reference.shape)}.")
        start = torch.zeros(shape, dtype=torch.float64) if reference is None else reference.detach().clone()
        self.table = start.requires_grad_()
        self._spaces: dict[tuple[Any, ...], Responses] = {}
        super().__init__([self.table], optimizer or (lambda p: torch.optim.SGD(p, lr=1.0)), clip, schedule)
        self.keep("reference")

    def rows(self) -> int:
        """Number of prefixes shorter than the limit: the empty one, then by length."""
        return sum(self.letters**size for size in range(self.limit))

    def _prefixes(self, tokens: Tensor) -> Tensor:
        """Number of the row in front of each position, shape of `tokens`; beyond the end it is any row."""
        number = torch.zeros_like(tokens[..., 0])
        found, offset = [], 0
        for t in range(tokens.shape[-1]):
            found.append(offset + number)
            number = number * self.letters + tokens[..., t].clamp(max=self.letters - 1)
            offset += self.letters**t
        return torch.stack(found, dim=-1)

    def _log_rows(self) -> Tensor:
        return torch.log_softmax(self.table / self.decoding.temperature, dim=-1)

    def conditionals(self, responses: Responses) -> Tensor:
        """As :meth:`Policy.conditionals`."""
        prompt = torch.tensor(responses.prompts)[:, None, None]
        return self._log_rows()[prompt, self._prefixes(responses.tokens)]

    def enumerate(self, prompts: Sequence[Any]) -> Responses:
        """All responses, the same for every prompt."""
        asked = tuple(prompts)
        if asked not in self._spaces:
            fields = (field.expand(len(asked), *field.shape) for field in spell(self.letters, self.limit, self.ends))
            self._spaces[asked] = self._spelled(Responses(asked, *fields))
        return self._spaces[asked]

    def _spelled(self, responses: Responses) -> Responses:
        def text(tokens: list[int], length: int) -> str:
            return "".join(self.names[token] for token in tokens[:length] if token < self.letters)

        pairs = zip(responses.tokens.tolist(), responses.lengths.tolist(), strict=True)
        return responses._replace(texts=tuple(tuple(map(text, tokens, lengths)) for tokens, lengths in pairs))

    @torch.no_grad()
    def sample(self, prompts: Sequence[Any], k: int, spec: SamplingSpec, key: Key) -> Responses:
        """As :meth:`Policy.sample`."""
        voices = 0.0
        for name, weight in spec.weights:
            with self.acting_as(name):
                voices = voices + weight * self._log_rows()[list(prompts)]
        constant = torch.logsumexp(voices, dim=-1)
        steps = torch.exp(voices - constant[..., None]).cumsum(-1)
        uniforms = key.uniforms(k, self.limit)
        prompt = torch.arange(len(prompts))[:, None]
        row = torch.zeros(len(prompts), k, dtype=torch.int64)
        tokens = torch.zeros(len(prompts), k, self.limit, dtype=torch.int64)
        finished = torch.zeros(len(prompts), k, dtype=torch.bool)
        lengths, log_weights = torch.zeros_like(row), torch.zeros(len(prompts), k, dtype=voices.dtype)
        number, offset = row.clone(), 0
        for t in range(self.limit):
            row = offset + number
            reached = steps[prompt, row]
            token = (uniforms[..., t : t + 1] * reached[..., -1:] >= reached[..., :-1]).sum(-1)
            tokens[..., t] = torch.where(finished, 0, token)
            log_weights += torch.where(finished, 0.0, constant[prompt, row])
            lengths += ~finished
            finished |= token == self.letters
            number = number * self.letters + token.clamp(max=self.letters - 1)
            offset += self.letters**t
        weights = log_weights if len(spec.weights) > 1 else None
        return self._spelled(Responses(tuple(prompts), tokens, lengths, finished, log_weights=weights))


class LogitsPolicy(PrefixPolicy):
    """One logit for each of `n` responses, which are the texts ``0 .. n - 1``: the tabular policy as a torch module.

    Parameters
    ----------
    n : int
        Number of responses.
    reference : Tensor, optional, shape (n,) or (prompts, n)
        Logits to start from, which are the reference; zeros if omitted.
    prompts : int
        Number of prompts.
    **settings
        ``temperature``, ``optimizer``, ``clip`` and ``schedule`` of :class:`PrefixPolicy`.
    """

    def __init__(self, n: int, reference: Tensor | None = None, *, prompts: int = 1, **settings: Any) -> None:
        table = None if reference is None else reference.expand(prompts, n)[:, None]
        super().__init__("?" * n, 1, ends=False, prompts=prompts, reference=table, **settings)
        self.names = [str(y) for y in range(n)]
