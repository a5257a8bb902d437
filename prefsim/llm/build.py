"""What a configuration stands for: the policy, the prompts and the judge."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from prefsim import registry
from prefsim.llm import judges, oracles
from prefsim.llm.config import JudgeTable, Lora, Model
from prefsim.llm.hf import TransformersPolicy, adamw
from prefsim.llm.records import Key, SamplingSpec
from prefsim.llm.tiny import readable, tiny

if TYPE_CHECKING:
    from prefsim.llm.policy import Policy

DTYPES = {name: getattr(torch, name) for name in ("float32", "bfloat16", "float16", "float64")}


def load(chosen: Model | JudgeTable, *, causal: bool = True) -> tuple[Any, Any]:
    """Model and tokenizer of a folder, or the built-in ones; nothing is downloaded.

    Raises
    ------
    ValueError
        If transformers is missing, or finds no such model.
    """
    if find_spec("transformers") is None:
        raise ValueError("language models need transformers; install the extra: pip install 'prefsim[llm]'.")
    if chosen.builtin is not None:
        if chosen.builtin != "tiny":
            raise registry.unknown(chosen.builtin, ["tiny"], "builtin model")
        built, small = tiny(getattr(chosen, "seed", 0))
        return built.eval().to(chosen.device), small
    from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer

    if chosen.folder is None or not chosen.folder.is_dir():
        raise ValueError(f"there is no folder {chosen.folder}; give one that holds a model and its tokenizer.")
    dtype = getattr(chosen, "dtype", "float32")
    if dtype not in DTYPES:
        raise registry.unknown(dtype, DTYPES, "dtype")
    asked = {"local_files_only": True, **({} if chosen.gguf is None else {"gguf_file": chosen.gguf})}
    kind = AutoModelForCausalLM if causal else AutoModel
    try:
        tokenizer = AutoTokenizer.from_pretrained(chosen.folder, **asked)
        model = kind.from_pretrained(chosen.folder, **asked)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise ValueError(f"{chosen.folder} holds no model that transformers can load: {error}.") from error
    return model.to(DTYPES[dtype]).eval().to(chosen.device), tokenizer


def policy(chosen: Model, *, learning_rate: float = 1e-5, clip: float = 1.0, shard: bool = False) -> TransformersPolicy:
    """The policy to train or to sample."""
    if not learning_rate > 0 or clip < 0:
        raise ValueError(f"learning_rate must be above 0 and clip at least 0; got {learning_rate:g} and {clip:g}.")
    model, tokenizer = load(chosen)
    if chosen.lora is not None:
        model = _adapted(model, chosen.lora, chosen.seed)
    return TransformersPolicy(
        model,
        tokenizer,
        temperature=chosen.temperature,
        max_new_tokens=chosen.max_new_tokens,
        allowed=readable() if chosen.builtin == "tiny" else None,
        optimizer=adamw(learning_rate),
        clip=clip or None,
        score_batch=chosen.score_batch,
        gradient_checkpointing=chosen.gradient_checkpointing,
        shard=shard,
    )


def _adapted(model: Any, lora: Lora, seed: int) -> Any:
    if find_spec("peft") is None:
        raise ValueError("[model.lora] needs peft; install the extra: pip install 'prefsim[llm]'.")
    from peft import LoraConfig, get_peft_model

    if lora.rank < 1:
        raise ValueError(f"[model.lora] rank must be at least 1; got {lora.rank}.")
    targets = lora.targets or "all-linear"
    config = LoraConfig(r=lora.rank, lora_alpha=lora.alpha, target_modules=targets, lora_dropout=0.0, task_type="CAUSAL_LM")  # type: ignore[arg-type]
    # The first weights of an adapter come from torch's global generator.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return get_peft_model(model, config)


def prompts(path: Path, chat: bool) -> list[Any]:
    """Prompts of a text file (a line each) or a .jsonl file, as text or as chats of one turn."""
    try:
        lines = [line for line in path.read_text().splitlines() if line.strip()]
        found = [json.loads(line)["prompt"] for line in lines] if path.suffix == ".jsonl" else lines
    except OSError as error:
        raise ValueError(f"cannot read the prompts {path}: {error}.") from None
    except (ValueError, KeyError, TypeError):
        raise ValueError(f'{path} must hold a line {{"prompt": "..."}} for each prompt.') from None
    if not found or not all(isinstance(prompt, str) for prompt in found):
        raise ValueError(f"{path} holds no prompts, or some that are not text.")
    return [[{"role": "user", "content": prompt}] for prompt in found] if chat else found


def oracle(chosen: JudgeTable, folder: Path) -> oracles.PreferenceOracle:
    """The judge; `folder` is where ``file.py:name`` is looked for."""
    makers = {
        "committee": _committee,
        "pairwise_llm": _pairwise,
        "embedding_head": _head,
        "scores": _scores,
        "callable": _callable,
    }
    if chosen.kind not in makers:
        raise registry.unknown(chosen.kind, makers, "kind of [judge]:")
    return makers[chosen.kind](chosen, folder)


def _need(chosen: JudgeTable, *names: str) -> None:
    for name in names:
        if getattr(chosen, name) is None:
            raise ValueError(f'[judge] of kind = "{chosen.kind}" lacks {name}.')


def _committee(chosen: JudgeTable, folder: Path) -> oracles.PreferenceOracle:
    _need(chosen, "criteria")

    def criterion(name: str) -> judges.Scores:
        if name == "relevance":
            return judges.relevance(judges.pooled(*load(chosen, causal=False)))
        if ":" in name:
            return _function(name, folder)
        if name not in judges.CRITERIA:
            raise registry.unknown(name, [*judges.CRITERIA, "relevance"], "criterion")
        return judges.CRITERIA[name]

    made = [criterion(name) for name in chosen.criteria or ()]
    return oracles.committee(made, chosen.weights, chosen.kappa, payoff=chosen.payoff)


def _pairwise(chosen: JudgeTable, folder: Path) -> oracles.PreferenceOracle:
    model, tokenizer = load(chosen)
    given = {"template": chosen.template, "verdicts": chosen.verdicts}
    settings: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    return judges.pairwise_llm(model, tokenizer, chat=chosen.chat, payoff=chosen.payoff, **settings)


def _head(chosen: JudgeTable, folder: Path) -> oracles.PreferenceOracle:
    _need(chosen, "head")
    head = judges.load_head(chosen.head)
    features = judges.of_answers(judges.pooled(*load(chosen, causal=False)))
    return judges.head_oracle(head, features, payoff=chosen.payoff)


def _scores(chosen: JudgeTable, folder: Path) -> oracles.PreferenceOracle:
    _need(chosen, "function")
    return oracles.from_scores(_function(str(chosen.function), folder), chosen.scale, payoff=chosen.payoff)


def _callable(chosen: JudgeTable, folder: Path) -> oracles.PreferenceOracle:
    _need(chosen, "function")
    return oracles.from_callable(_function(str(chosen.function), folder), payoff=chosen.payoff)


def _function(where: str, folder: Path) -> Callable[..., Any]:
    """The function ``name`` of ``file.py:name``."""
    file, _, name = where.rpartition(":")
    path = folder / file
    spec = spec_from_file_location(path.stem, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise ValueError(f"there is no Python file {path}; write file.py:name, from the configuration's folder.")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    if not callable(getattr(module, name, None)):
        raise ValueError(f"{path} has no function {name!r}.")
    return getattr(module, name)  # type: ignore[no-any-return]


def calibrate(judge: oracles.PreferenceOracle, policy: Policy, asked: Sequence[Any], count: int, seed: int) -> None:
    """Fix the scales of a committee on answers of the reference that are drawn for this alone."""
    if not isinstance(judge, oracles.Committee):
        return
    if count < 2:
        raise ValueError(f"[judge] calibration must be at least 2 answers; got {count}.")
    key = Key.of(seed, "llm", "calibration", 0, range(len(asked)))
    drawn = policy.sample(asked, count, SamplingSpec((("reference", 1.0),)), key)
    for prompt, texts in zip(asked, drawn.texts, strict=True):
        judge.calibrate(prompt, texts)
