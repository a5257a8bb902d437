"""The TOML file of the command line: which model, prompts, judge and method, and where the results go.

The chapter "Language models" of the documentation has a complete example. Every table is a class here; its fields are the
entries the file may hold, those without a default are needed.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_type_hints

from prefsim import registry


class Lora(NamedTuple):
    """``[model.lora]``: train an adapter of peft instead of all parameters."""

    rank: int = 16
    alpha: float = 32.0
    targets: list[str] | None = None
    """Names of the layers; all linear layers but the last if omitted."""


class Model(NamedTuple):
    """``[model]``: what is trained or sampled."""

    folder: Path | None = None
    """Folder that transformers loads model and tokenizer from; nothing is downloaded."""
    builtin: str | None = None
    """``"tiny"``: random weights, two layers, and answers of small letters and spaces. For trying things out."""
    gguf: str | None = None
    """Name of a GGUF file inside the folder."""
    dtype: str = "float32"
    """``float32``, ``bfloat16``, ``float16`` or ``float64``."""
    device: str = "cpu"
    chat: bool = False
    """Whether prompts go through the tokenizer's chat template, as the user's turn."""
    temperature: float = 1.0
    max_new_tokens: int = 64
    score_batch: int = 64
    """Responses scored at a time."""
    gradient_checkpointing: bool = False
    """Compute layers again in the backward pass instead of remembering them: less memory, the same gradient."""
    seed: int = 0
    """Of weights that are random at first: those of ``tiny`` and of an adapter."""
    lora: Lora | None = None


class Prompts(NamedTuple):
    """``[prompts]``: text files with a prompt a line, or .jsonl files with ``{"prompt": "..."}`` a line."""

    file: Path
    held_out: Path | None = None
    """Prompts for evaluation that training never sees."""


class JudgeTable(NamedTuple):
    """``[judge]``: who prefers what; which entries count depends on `kind`."""

    kind: str
    """``committee``, ``pairwise_llm``, ``embedding_head``, ``scores`` or ``callable``."""
    payoff: str = "probability"
    criteria: list[str] | None = None
    """Of a committee: ``relevance`` (needs `folder`), ``brevity``, ``length``, ``diversity``, or ``file.py:function``."""
    weights: list[float] | None = None
    kappa: float = 4.0
    calibration: int = 12
    """Answers of the reference to a prompt that fix the scales of a committee's criteria."""
    folder: Path | None = None
    """Model that reads: a causal language model (``pairwise_llm``), or one with hidden states to pool."""
    builtin: str | None = None
    """``"tiny"`` instead of a folder."""
    gguf: str | None = None
    device: str = "cpu"
    template: str | None = None
    """Question to a ``pairwise_llm``, with ``{prompt}``, ``{first}`` and ``{second}``."""
    verdicts: list[str] | None = None
    """Its answers: for the first, for the second and, if there is a third, for a tie; a token each."""
    chat: bool = False
    """Whether the question goes through the judge's chat template."""
    head: Path | None = None
    """State of a trained ``EmbeddingHead`` or ``ScoreHead``, as ``torch.save(head.state_dict(), path)`` writes it."""
    function: str | None = None
    """``file.py:name`` of the function of ``scores`` (``f(prompt, texts)``) or ``callable`` (``f(prompt, a, b)``)."""
    scale: float = 1.0
    """Of ``scores``: ``sigmoid((f(a) - f(b)) / scale)``."""


class Training(NamedTuple):
    """``[training]``: sizes of a run."""

    beta: float
    horizon: int
    k: int = 8
    m: int | None = None
    batch: int | None = None
    seed: int = 0
    learning_rate: float = 1e-5
    """Of AdamW without weight decay."""
    clip: float = 1.0
    """Largest norm of the gradient; 0 for any."""
    record: list[int] | None = None


class Parallel(NamedTuple):
    """``[parallel]``: how several processes, if a launcher started them, hold the model."""

    shard: bool = False
    """Each holds a part of every parameter (FSDP) instead of all of them."""


class Output(NamedTuple):
    """``[output]``: the folder of the results."""

    folder: Path
    checkpoint_every: int = 10
    """Iterations between checkpoints to go on from."""
    policy_every: int | None = None
    """Iterations between policies kept for evaluation; a quarter of the horizon if omitted. The last is always kept."""
    tensorboard: Path | None = None
    """Folder of events for TensorBoard."""


class Config(NamedTuple):
    """A whole file."""

    model: Model
    prompts: Prompts
    judge: JudgeTable
    method: dict[str, Any] | None = None
    """``[method]``: ``name``, hyperparameters and switches."""
    training: Training | None = None
    parallel: Parallel = Parallel()
    output: Output | None = None


def read(path: str | Path) -> Config:
    """Read a file; paths in it are relative to its folder.

    Raises
    ------
    ValueError, TypeError
        In a sentence that names the file, the table and the entry.
    """
    path = Path(path)
    try:
        content = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"cannot read {path}: {error}.") from None
    return parse(content, str(path), path.resolve().parent)


def parse(content: Mapping[str, Any], path: str, folder: Path) -> Config:
    """Check what a file holds; see :func:`read`."""
    config: Config = _table(Config, content, path, "", folder)
    if config.method is not None and not isinstance(config.method.get("name"), str):
        raise ValueError(f'{path}: [method] needs name = "...", a solver such as egpo or nash_md.')
    for table, chosen in (("model", config.model), ("judge", config.judge)):
        if chosen.folder is not None and chosen.builtin is not None:
            raise ValueError(f"{path}: [{table}] has both folder and builtin; give one.")
    if config.model.folder is None and config.model.builtin is None:
        raise ValueError(f'{path}: [model] needs folder = "...", or builtin = "tiny".')
    return config


def plain(value: Any) -> Any:
    """A table as JSON can hold it; :func:`parse` reads it again."""
    if hasattr(value, "_asdict"):
        return {name: plain(entry) for name, entry in value._asdict().items() if entry is not None}
    return str(value) if isinstance(value, Path) else value


def _table(kind: Any, content: Any, file: str, where: str, folder: Path) -> Any:
    """Build one table, checking names and types of its entries."""
    shown = f"[{where}]" if where else "the file"
    if not isinstance(content, Mapping):
        raise TypeError(f"{file}: {where} must be a table, written [{where}]; got {content!r}.")
    hints = get_type_hints(kind)
    for name in content:
        if name not in hints:
            raise ValueError(f"{file}: {registry.unknown(name, hints, f'entry of {shown}:')}")
    for name in hints:
        if name not in content and name not in kind._field_defaults:
            raise ValueError(f"{file}: {shown} lacks {name}; see the chapter on language models for a complete example.")
    found = {}
    for name, value in content.items():
        inside = next((each for each in (hints[name], *get_args(hints[name])) if hasattr(each, "_fields")), None)
        if inside is not None:
            found[name] = _table(inside, value, file, f"{where}.{name}".lstrip("."), folder)
        else:
            found[name] = _entry(value, hints[name], f"{file}: {shown} {name}", folder)
    return kind(**found)


def _entry(value: Any, hint: Any, where: str, folder: Path) -> Any:
    """Check the type of one entry; whole numbers pass for numbers, texts for paths."""
    kinds = {
        Path: ("a path in quotes", lambda v: isinstance(v, str)),
        str: ("text in quotes", lambda v: isinstance(v, str)),
        bool: ("true or false", lambda v: isinstance(v, bool)),
        int: ("a whole number", lambda v: isinstance(v, int) and not isinstance(v, bool)),
        float: ("a number", lambda v: isinstance(v, (int, float)) and not isinstance(v, bool)),
        list[str]: ("a list of texts", lambda v: isinstance(v, list) and all(isinstance(x, str) for x in v)),
        list[float]: ("a list of numbers", lambda v: isinstance(v, list) and all(type(x) in (int, float) for x in v)),
        list[int]: ("a list of whole numbers", lambda v: isinstance(v, list) and all(type(x) is int for x in v)),
        dict[str, Any]: ("a table", lambda v: isinstance(v, dict)),
    }
    wanted = next(each for each in (hint, *get_args(hint)) if each in kinds)
    words, fits = kinds[wanted]
    if not fits(value):
        raise TypeError(f"{where} must be {words}; got {value!r}.")
    if wanted is Path:
        return folder / Path(value).expanduser()
    return float(value) if wanted is float else value
