"""Small policies that hold every response: free logits for every prefix, or one logit a response.

They are complete, so that the training code that drives a language model can be held against the tabular solvers with exact
expectations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from prefsim.llm.policy import Policy
from prefsim.llm.records import Decoding, Key, Responses, SamplingSpec, spell


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
            fields = spell(self.letters, self.limit, self.ends)
            tokens, lengths, finished = (field.expand(len(asked), *field.shape) for field in fields)
            self._spaces[asked] = self._spelled(Responses(asked, tokens, lengths, finished))
        return self._spaces[asked]

    def _spelled(self, responses: Responses) -> Responses:
        def text(tokens: list[int], length: int) -> str:
            return "".join(self.names[token] for token in tokens[:length] if token < self.letters)

        pairs = zip(responses.tokens.tolist(), responses.lengths.tolist(), strict=True)
        return responses._replace(texts=tuple(tuple(map(text, tokens, lengths)) for tokens, lengths in pairs))

    @torch.no_grad()
    def sample(self, prompts: Sequence[Any], k: int, spec: SamplingSpec, key: Key) -> Responses:
        """As :meth:`Policy.sample`."""
        rows = []
        for name, weight in spec.weights:
            with self.acting_as(name):
                rows.append(weight * self._log_rows()[list(prompts)])
        voices = torch.stack(rows).sum(0)
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
