"""Judges that are models: a language model asked which answer is better, a trained head on features, and plain criteria."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pickle import UnpicklingError
from string import Formatter
from typing import Any

import torch
from torch import Tensor

from prefsim.llm.embedding import EmbeddingHead, ScoreHead
from prefsim.llm.generate import positions
from prefsim.llm.hf import left_padded, token_ids
from prefsim.llm.oracles import PreferenceOracle, embedding_head, from_callable, from_scores
from prefsim.llm.verdict import first_preferred

Scores = Callable[[Any, Sequence[str]], Any]

TEMPLATE = """Which answer to the question is better?

Question: {prompt}

Answer A: {first}

Answer B: {second}

The better answer is"""
VERDICTS = (" A", " B")


def spoken(prompt: Any) -> str:
    """What a person reads of a prompt: the text, or the user's last turn of a chat."""
    if isinstance(prompt, str):
        return prompt
    turns = [turn["content"] for turn in prompt if isinstance(turn, Mapping) and turn.get("role") == "user"]
    if not turns:
        raise ValueError(f"this judge reads text, and the prompt {prompt!r} is neither text nor a chat with a user's turn.")
    return str(turns[-1])


def pairwise_llm(
    model: Any,
    tokenizer: Any,
    template: str = TEMPLATE,
    verdicts: Sequence[str] = VERDICTS,
    *,
    chat: bool = False,
    batch: int = 16,
    payoff: str = "probability",
) -> PreferenceOracle:
    """Ask a causal language model which of two answers is better, and read the log-probabilities of its verdict tokens.

    The oracle says what the model says of the answer shown first; :class:`Judge` asks in both orders and averages.

    Parameters
    ----------
    model, tokenizer
        Of transformers.
    template : str
        The question, with ``{prompt}``, ``{first}`` and ``{second}``.
    verdicts : sequence of str
        What the model says if the first is better, if the second is and, where there is a third, if neither is. A token each.
    chat : bool
        Whether the question is the user's turn of a chat.
    batch : int
        Questions at a time.
    payoff : {"probability", "log_odds"}
        What is played for.

    Raises
    ------
    ValueError
        If the template lacks a place, or a verdict is not one token.
    """
    places = {name for _, name, _, _ in Formatter().parse(template) if name is not None}
    if places != {"prompt", "first", "second"}:
        raise ValueError(f"template must hold {{prompt}}, {{first}} and {{second}}, and no other braces; got {template!r}.")
    if len(verdicts) not in (2, 3) or len(set(verdicts)) != len(verdicts):
        raise ValueError(f"verdicts must be two different texts, or three with a tie; got {list(verdicts)!r}.")
    said = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in verdicts]
    for text, ids in zip(verdicts, said, strict=True):
        if len(ids) != 1:
            raise ValueError(f"the verdict {text!r} is {len(ids)} tokens of this judge; choose words that are one token each.")
    chosen = torch.tensor([ids[0] for ids in said])

    @torch.no_grad()
    def compare(prompt: Any, a: Sequence[str], b: Sequence[str]) -> Tensor:
        asked = [template.format(prompt=spoken(prompt), first=first, second=second) for first in a for second in b]
        device, found = next(model.parameters()).device, []
        for start in range(0, len(asked), batch):
            questions = asked[start : start + batch]
            chats = [[{"role": "user", "content": text}] for text in questions] if chat else questions
            ids, mask = (rows.to(device) for rows in left_padded([token_ids(tokenizer, each) for each in chats]))
            out = model(input_ids=ids, attention_mask=mask, position_ids=positions(mask), use_cache=False)
            found.append(torch.log_softmax(out.logits[:, -1].float(), dim=-1)[:, chosen.to(device)].double().cpu())
        logs = torch.cat(found)
        return first_preferred(*logs.unbind(-1)).reshape(len(a), len(b))

    oracle = from_callable(compare, payoff=payoff)
    oracle.kind = "pairwise_llm"  # type: ignore[attr-defined]
    return oracle


def pooled(model: Any, tokenizer: Any, batch: int = 32) -> Callable[[Sequence[str]], Tensor]:
    """Features of texts: a model's last hidden states, averaged over the tokens.

    Returns
    -------
    callable
        ``features(texts)``, float32, shape (texts, width). An empty text, where it has no token, has features 0.
    """

    @torch.no_grad()
    def features(texts: Sequence[str]) -> Tensor:
        device, found = next(model.parameters()).device, []
        for start in range(0, len(texts), batch):
            lists = [tokenizer(text)["input_ids"] for text in texts[start : start + batch]]
            ids, mask = (rows.to(device) for rows in left_padded([each or [0] for each in lists]))
            out = model(input_ids=ids, attention_mask=mask, position_ids=positions(mask), output_hidden_states=True)
            there = mask * torch.tensor([bool(each) for each in lists], device=device)[:, None]
            total = (out.hidden_states[-1].float() * there[..., None]).sum(1)
            found.append((total / there.sum(1, keepdim=True).clamp(min=1)).cpu())
        return torch.cat(found)

    return features


def of_answers(features: Callable[[Sequence[str]], Tensor]) -> Callable[[Any, Sequence[str]], Tensor]:
    """Features of answers, each read after its prompt."""
    return lambda prompt, texts: features([f"{spoken(prompt)}\n{text}" for text in texts])


def head_oracle(
    head: EmbeddingHead, features: Callable[[Any, Sequence[str]], Tensor], *, payoff: str = "probability"
) -> PreferenceOracle:
    """Oracle of a trained head.

    Parameters
    ----------
    head : EmbeddingHead or ScoreHead
        As :func:`prefsim.llm.embedding.train_head` leaves it; a score head makes a transitive oracle.
    features : callable
        ``features(prompt, texts)``, shape (texts, width), the ones it was trained on; see :func:`pooled`.
    payoff : {"probability", "log_odds"}
        What is played for.
    """

    @torch.no_grad()
    def embed(prompt: Any, texts: Sequence[str]) -> Tensor:
        return head(features(prompt, texts).to(head.weight.device))

    if isinstance(head, ScoreHead):
        return from_scores(lambda prompt, texts: embed(prompt, texts)[:, 0], payoff=payoff)
    return embedding_head(embed, [1.0] * (head.weight.shape[1] // 2), payoff=payoff)


def load_head(path: Any) -> EmbeddingHead:
    """Read a head from a file of ``torch.save(head.state_dict(), path)``; one column of weights is a score."""
    try:
        state = torch.load(path, weights_only=True)
        width, columns = state["weight"].shape
    except (OSError, UnpicklingError, KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise ValueError(f"cannot read a head from {path}: {error}; torch.save(head.state_dict(), path) writes one.") from None
    head = ScoreHead(width) if columns == 1 else EmbeddingHead(width, columns // 2)
    head.load_state_dict(state)
    return head


def length(prompt: Any, texts: Sequence[str]) -> list[float]:
    """Number of characters."""
    return [float(len(text)) for text in texts]


def brevity(prompt: Any, texts: Sequence[str]) -> list[float]:
    """Minus the number of characters."""
    return [-float(len(text)) for text in texts]


def diversity(prompt: Any, texts: Sequence[str]) -> list[float]:
    """Distinct words over words; 0 for an answer without words."""
    words = [text.lower().split() for text in texts]
    return [len(set(each)) / len(each) if each else 0.0 for each in words]


def relevance(features: Callable[[Sequence[str]], Tensor]) -> Scores:
    """Cosine of the angle between the features of an answer and of its prompt."""

    def score(prompt: Any, texts: Sequence[str]) -> Tensor:
        return torch.cosine_similarity(features(texts), features([spoken(prompt)]), dim=-1)

    return score


CRITERIA: dict[str, Scores] = {"brevity": brevity, "diversity": diversity, "length": length}
"""Criteria that need no model."""
