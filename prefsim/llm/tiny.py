"""A small language model with random weights and a tokenizer of bytes, both made in code: nothing to install or download."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


class ByteTokenizer:
    """A token a byte of UTF-8, and three more: padding, beginning and end. It merges nothing."""

    pad_token_id, bos_token_id, eos_token_id = 256, 257, 258
    size = 259

    def __call__(self, text: str, add_special_tokens: bool = True) -> dict[str, list[int]]:
        """Token ids of a text, after the token of the beginning unless `add_special_tokens` is False."""
        return {"input_ids": [self.bos_token_id] * add_special_tokens + list(text.encode())}

    def decode(self, ids: Sequence[int], skip_special_tokens: bool = True) -> str:
        """Text of token ids; special tokens have none."""
        return bytes(i for i in ids if i < 256).decode(errors="replace")

    def apply_chat_template(self, chat: Sequence[dict[str, str]], **_: Any) -> dict[str, list[int]]:
        """Token ids of a chat, each turn on a line of its own."""
        return self("".join(f"{turn['role']}: {turn['content']}\n" for turn in chat))


def tiny(seed: int = 0) -> tuple[Any, ByteTokenizer]:
    """Model (Llama, two layers, width 32, random weights by `seed`) and tokenizer."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=ByteTokenizer.size, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=1024, pad_token_id=ByteTokenizer.pad_token_id,
        bos_token_id=ByteTokenizer.bos_token_id, eos_token_id=ByteTokenizer.eos_token_id, initializer_range=0.2,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(config), ByteTokenizer()


def readable() -> Tensor:
    """Tokens that make plain words: small letters, the space and the end; bool, shape (vocabulary,)."""
    allowed = torch.zeros(ByteTokenizer.size, dtype=torch.bool)
    allowed[[*b"abcdefghijklmnopqrstuvwxyz ", ByteTokenizer.eos_token_id]] = True
    return allowed
