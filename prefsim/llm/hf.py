"""Policies that are causal language models of transformers, trained in full or through peft adapters."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from inspect import signature
from typing import Any

import torch
from torch import Tensor

from prefsim.llm import parallel
from prefsim.llm.generate import Voice, conditional, generate, positions, scored
from prefsim.llm.policy import Policy
from prefsim.llm.records import Decoding, Key, Responses, SamplingSpec, spell

MOST_ENUMERATED = 10_000
"""Largest number of responses that are enumerated."""


class TransformersPolicy(Policy):
    """A causal language model.

    The reference of a peft model is the model with its adapter off; otherwise a frozen copy of the model as it is now.

    Parameters
    ----------
    model : transformers.PreTrainedModel or peft.PeftModel
        Without active dropout. Trained are the parameters that require gradients.
    tokenizer : transformers tokenizer, optional
        Encodes prompts and decodes responses. Without one, prompts are lists of token ids, and `decode` is needed.
    temperature, max_new_tokens, eos_ids, allowed
        Of :class:`Decoding`. The end tokens default to the tokenizer's; one is needed.
    decode : callable, optional
        ``decode(token_ids)`` returns the text that the judge reads; the tokenizer's, without special tokens, if omitted.
    optimizer : callable, optional
        ``optimizer(parameters)``; AdamW at rate 1e-5 without weight decay if omitted.
    clip, schedule
        As for :class:`Policy`.
    score_batch : int
        Responses scored at a time where no gradient is needed, or enumerated.
    gradient_checkpointing : bool
        Whether layers are computed again in the backward pass instead of being remembered: less memory, the same gradient.
    shard : bool
        Whether each of several processes holds only a part of every parameter (FSDP), copies and reference included.

    Raises
    ------
    ValueError
        If dropout is active, an adapter trains biases, there is no end token, or a number is out of range.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any = None,
        *,
        temperature: float = 1.0,
        max_new_tokens: int = 64,
        eos_ids: Sequence[int] | None = None,
        allowed: Tensor | None = None,
        decode: Callable[[list[int]], str] | None = None,
        optimizer: Callable[[list[Tensor]], torch.optim.Optimizer] | None = None,
        clip: float | None = 1.0,
        schedule: Callable[[int], float] | None = None,
        score_batch: int = 64,
        gradient_checkpointing: bool = False,
        shard: bool = False,
    ) -> None:
        if not temperature > 0:
            raise ValueError(f"temperature must be above 0; got {temperature:g}.")
        if max_new_tokens < 1 or score_batch < 1:
            raise ValueError(f"max_new_tokens and score_batch must be at least 1; got {max_new_tokens} and {score_batch}.")
        if eos_ids is None:
            eos_ids = [] if tokenizer is None or tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
        if not len(eos_ids):
            raise ValueError("eos_ids is empty and the tokenizer has no end token; responses need one, or a list like [0].")
        if decode is None and tokenizer is None:
            raise ValueError("without a tokenizer, give decode: a function from token ids to the text the judge reads.")
        _check_dropout(model)
        self.adapted = hasattr(model, "disable_adapter")
        if self.adapted:
            _check_adapter(model)
        self.model, self.tokenizer = model, tokenizer
        self.decode = decode or (lambda ids: tokenizer.decode(ids, skip_special_tokens=True))
        self.decoding = Decoding(temperature, max_new_tokens, tuple(int(i) for i in eos_ids), allowed)
        self.score_batch = score_batch
        plain = model.get_base_model() if self.adapted else model
        self._chooses = "logits_to_keep" in signature(plain.forward).parameters
        self.base = None if self.adapted else copy.deepcopy(model).requires_grad_(False)
        self.checkpointing = gradient_checkpointing
        if gradient_checkpointing:
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
            model.eval()  # in training mode such a model samples without its cache
        if shard:
            parallel.join(next(model.parameters()).device.type)
        self.sharded = shard and parallel.count() > 1
        if self.sharded:
            for each in (model, self.base):
                if each is not None:
                    parallel.shard(each)
        trained = [p for p in model.parameters() if p.requires_grad]
        super().__init__(trained, optimizer or adamw(1e-5), clip, schedule)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.parameters[0].device

    @contextmanager
    def acting_as(self, name: str, *, train: bool = False) -> Iterator[None]:
        """As :meth:`Policy.acting_as`; the reference is the adapter off, or the frozen copy."""
        if name != "reference":
            with super().acting_as(name, train=train):
                yield
        elif self.adapted:
            with self.model.disable_adapter():
                yield
        else:
            trained, self.model = self.model, self.base
            try:
                yield
            finally:
                self.model = trained

    def encode(self, prompts: Sequence[Any]) -> tuple[Tensor, Tensor]:
        """Token ids and mask of prompts (text, chats or lists of ids), padded on the left, shape (B, Tp)."""
        ids, mask = left_padded([token_ids(self.tokenizer, prompt) for prompt in prompts])
        return ids.to(self.device), mask.to(self.device)

    def _logits(self, responses: Responses) -> Iterator[tuple[slice, Tensor]]:
        """Logits in front of every token of a response, shape (rows, T, vocabulary), some rows after the other."""
        count, k, most = responses.tokens.shape
        ids, mask = self.encode(responses.prompts)
        ids, mask = ids.repeat_interleave(k, 0), mask.repeat_interleave(k, 0)
        tokens = responses.tokens.flatten(0, 1).to(self.device)
        inside = responses.mask.flatten(0, 1).long().to(self.device)
        whole, seen = torch.cat([ids, tokens], dim=1), torch.cat([mask, inside], dim=1)
        for first in range(0, count * k, self.score_batch):
            part = slice(first, first + self.score_batch)
            inputs = {"input_ids": whole[part], "attention_mask": seen[part], "position_ids": positions(seen[part])}
            with self._forgetting():
                out = self(**inputs, use_cache=False, logits_to_keep=most + 1)
            yield part, out.logits[:, -most - 1 : -1]

    def conditionals(self, responses: Responses) -> Tensor:
        """As :meth:`Policy.conditionals`."""
        parts = [conditional(logits, self.decoding) for _, logits in self._logits(responses)]
        return torch.cat(parts).unflatten(0, responses.tokens.shape[:2])

    def token_logprobs(self, responses: Responses) -> Tensor:
        """As :meth:`Policy.token_logprobs`, without the conditionals of all other tokens."""
        tokens = responses.tokens.flatten(0, 1).to(self.device)
        parts = [scored(logits, tokens[part], self.decoding) for part, logits in self._logits(responses)]
        found = torch.cat(parts).unflatten(0, responses.tokens.shape[:2])
        return torch.where(responses.mask.to(self.device), found, 0.0)

    @contextmanager
    def _forgetting(self) -> Iterator[None]:
        """Layers are computed again only in training mode, which where there is no dropout changes nothing else."""
        again = self.checkpointing and torch.is_grad_enabled()
        if again:
            self.model.train()
        try:
            yield
        finally:
            if again:
                self.model.eval()

    def sample(self, prompts: Sequence[Any], k: int, spec: SamplingSpec, key: Key) -> Responses:
        """As :meth:`Policy.sample`."""
        ids, mask = self.encode(prompts)
        uniforms = key.uniforms(k, self.decoding.max_new_tokens).flatten(0, 1).to(self.device)
        if spec.single:
            # To act as a copy is to move all parameters: once, not at every token.
            with self.acting_as(spec.single):
                drawn = generate([Voice(self, 1.0, nullcontext)], ids, mask, self.decoding, uniforms, together=self.sharded)
        else:
            voices = [Voice(self, weight, lambda name=name: self.acting_as(name)) for name, weight in spec.weights]  # type: ignore[misc]
            drawn = generate(voices, ids, mask, self.decoding, uniforms, together=self.sharded)
        tokens, lengths, finished, log_constant, seen = (field.unflatten(0, (len(prompts), k)) for field in drawn)
        weights = None if spec.single else log_constant
        logs = {"generator": seen}
        return self._spelled(Responses(tuple(prompts), tokens, lengths, finished, log_probs=logs, log_weights=weights))

    def __call__(self, *, logits_to_keep: int, **inputs: Any) -> Any:
        """Run whatever model is in force; a model that cannot choose positions computes the logits of all."""
        if self._chooses:
            inputs["logits_to_keep"] = logits_to_keep
        return self.model(**inputs)

    def enumerate(self, prompts: Sequence[Any]) -> Responses:
        """All responses, where `allowed` leaves a few tokens and the limit is short."""
        decoding = self.decoding
        if decoding.allowed is None:
            raise ValueError("all responses of a whole vocabulary cannot be enumerated; give allowed, or sample.")
        usable = decoding.allowed.nonzero()[:, 0].tolist()
        letters, ends = ([i for i in usable if (i in decoding.eos_ids) == end] for end in (False, True))
        count = sum(len(letters) ** size for size in range(decoding.max_new_tokens + 1))
        if count > MOST_ENUMERATED or len(ends) > 1:
            raise ValueError(f"{count} responses with {len(ends)} end tokens are too many to enumerate; sample instead.")
        tokens, lengths, finished = spell(len(letters), decoding.max_new_tokens, bool(ends))
        tokens = torch.tensor([*letters, *ends])[tokens]
        fields = (tokens, lengths, finished)
        tokens, lengths, finished = (field.expand(len(prompts), *field.shape).to(self.device) for field in fields)
        return self._spelled(Responses(tuple(prompts), tokens, lengths, finished))

    def _spelled(self, responses: Responses) -> Responses:
        pairs = zip(responses.tokens.tolist(), responses.lengths.tolist(), strict=True)
        texts = (tuple(self.decode(t[:n]) for t, n in zip(*pair, strict=True)) for pair in pairs)
        return responses._replace(texts=tuple(texts))


def adamw(rate: float) -> Callable[[list[Tensor]], torch.optim.Optimizer]:
    """AdamW without weight decay, all in one pass over each parameter."""
    return lambda parameters: torch.optim.AdamW(parameters, lr=rate, weight_decay=0.0, fused=True)


def token_ids(tokenizer: Any, prompt: Any) -> list[int]:
    """Token ids of a prompt: text, a chat (a list of turns), or a list of ids already."""
    if isinstance(prompt, str):
        if tokenizer is None:
            raise ValueError("prompts are text, but there is no tokenizer; give one, or lists of token ids.")
        found = tokenizer(prompt)["input_ids"]
    elif prompt and isinstance(prompt[0], dict):
        found = tokenizer.apply_chat_template(prompt, add_generation_prompt=True, return_dict=True)["input_ids"]
    else:
        found = list(prompt)
    if not found:
        raise ValueError(f"the prompt {prompt!r} has no tokens; a model needs at least one to start from.")
    return found


def left_padded(lists: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Rows of token ids and their mask, padded on the left, each of shape (rows, longest)."""
    width = max(map(len, lists))
    ids = torch.zeros(len(lists), width, dtype=torch.int64)
    mask = torch.zeros_like(ids)
    for row, found in enumerate(lists):
        ids[row, width - len(found) :] = torch.tensor(found)
        mask[row, width - len(found) :] = 1
    return ids, mask


def _check_dropout(model: Any) -> None:
    """Refuse networks that are random: what is scored must be what was sampled."""
    for name, module in model.named_modules():
        rate = getattr(module, "attention_dropout", 0.0)  # some attention layers hold a number instead of a module
        if isinstance(module, torch.nn.modules.dropout._DropoutNd):
            rate = module.p
        if isinstance(rate, float) and rate > 0:
            raise ValueError(
                f"dropout of {name} is {rate:g}; set every dropout of the model and its adapter to 0, because the scored "
                "network must be the sampled one (eval() does not last through gradient checkpointing)."
            )


def _check_adapter(model: Any) -> None:
    """Refuse adapters that are not undone by switching them off."""
    for config in model.peft_config.values():
        bias = getattr(config, "bias", "none")
        if bias != "none":
            raise ValueError(f"the adapter trains biases (bias={bias!r}), which stay when it is off; give bias='none'.")
