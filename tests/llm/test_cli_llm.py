"""``prefsim llm`` end to end on tiny models: runs, resuming, evaluation, games of answers, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import llama, transformers
from typer.testing import CliRunner

import prefsim as ps
from prefsim import results
from prefsim.cli import app
from prefsim.llm import build, config, pool, runs
from prefsim.llm.methods import setup
from prefsim.llm.train import Training

DOCS = Path(__file__).parents[2] / "docs"

FILE = """
[model]
builtin = "tiny"
max_new_tokens = 6

[prompts]
file = "prompts.txt"
held_out = "held_out.jsonl"

[judge]
kind = "committee"
criteria = ["brevity", "diversity", "judge.py:vowels"]
calibration = 6

[method]
name = "egpo"
step = 0.5

[training]
beta = 0.1
horizon = 3
k = 3
learning_rate = 3e-3

[output]
folder = "run"
checkpoint_every = 1
policy_every = 2
"""

JUDGE = """
def vowels(prompt, texts):
    return [sum(text.count(letter) for letter in "aeiou") for text in texts]

def cycle(prompt, a, b):
    \"\"\"First letters a-i beat j-r beat s-z and the rest, which beat a-i.\"\"\"
    kind = lambda text: min((ord(text[:1] or "z") - ord("a")) % 26 // 9, 2)
    return [[0.5 if x == y else (0.5, 0.8, 0.2)[(kind(y) - kind(x)) % 3] for y in b] for x in a]
"""


def call(*args):
    return CliRunner().invoke(app, ["llm", *map(str, args)])


def sentence(result):
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: "), result.stderr
    return lines[0]


@pytest.fixture
def folder(tmp_path):
    write(tmp_path)
    return tmp_path


def write(folder, text=FILE, name="config.toml"):
    (folder / "prompts.txt").write_text("one\n\ntwo words\n")
    (folder / "held_out.jsonl").write_text('{"prompt": "three"}\n{"prompt": "four"}\n{"prompt": "five"}\n')
    (folder / "judge.py").write_text(JUDGE)
    (folder / name).write_text(text)
    return folder / name


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One run that nothing disturbed, and what it printed."""
    folder = tmp_path_factory.mktemp("finished")
    result = call("train", write(folder))
    assert result.exit_code == 0, result.output
    return folder, result.stdout


def test_a_run_leaves_results_log_and_policies(finished):
    folder, printed = finished
    data = results.load(folder / "run" / "results.nc")
    assert data["win_rate_vs_reference"].dims == ("algorithm", "instance", "run", "t")
    assert data["t"].values.tolist() == [0, 1, 2, 3]
    assert data["gradients"].values[0].tolist() == [0, 2, 4, 6]
    lines = [json.loads(line) for line in (folder / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["t"] for line in lines] == [0, 1, 2, 3]
    run = runs.open_run(folder / "run")
    assert list(run.policies) == [2, 3] and run.prompts == ["one", "two words"] and run.held_out == ["three", "four", "five"]
    assert f"{data['win_rate_vs_reference'].values.flat[-1]:.4g}" in printed
    start = build.policy(run.config.model)
    last = runs.load_policy(run.policies[3], start)
    assert any(not torch.equal(p, q) for p, q in zip(last, start.parameters, strict=True))


def test_the_cli_runs_what_python_runs(finished):
    """The same model, judge and numbers by hand: the file adds nothing and hides nothing."""
    folder, _ = finished
    policy = build.policy(config.Model(builtin="tiny", max_new_tokens=6), learning_rate=3e-3)
    asked = ["one", "two words"]
    judge = build.oracle(config.read(folder / "config.toml").judge, folder)
    build.calibrate(judge, policy, asked, 6, 0)
    assert set(judge.scales) == set(asked) and judge.kappa == 4
    data = ps.llm.train(policy, asked, judge, "egpo", beta=0.1, step=0.5, horizon=3, k=3)
    found = results.load(folder / "run" / "results.nc")
    for name in data.data_vars:
        assert np.array_equal(found[name].values, data[name].values, equal_nan=True), name
    last = runs.load_policy(runs.open_run(folder / "run").policies[3], policy)
    assert all(torch.equal(p, q) for p, q in zip(last, policy.parameters, strict=True))


def test_resuming_gives_what_the_uninterrupted_run_gave(finished, folder, monkeypatch):
    whole, _ = finished
    iterate = Training.iterate

    def killed(self, t):
        if t == 2:
            raise KeyboardInterrupt
        iterate(self, t)

    monkeypatch.setattr(Training, "iterate", killed)
    assert call("train", folder / "config.toml").exit_code == 130
    done = []
    monkeypatch.setattr(Training, "iterate", lambda self, t: [done.append(t), iterate(self, t)])
    with (folder / "run" / "log.jsonl").open("a") as log:
        log.write('{"t": 3, "half": ')  # what a kill leaves behind
    assert call("train", folder / "config.toml").exit_code == 0
    assert done == [2]  # it goes on, and does not begin again
    expected, found = (results.load(each / "run" / "results.nc") for each in (whole, folder))
    for name in (*expected.data_vars, "gradients", "responses", "generated_tokens", "comparisons"):
        assert np.array_equal(expected[name].values, found[name].values, equal_nan=True), name
    like = build.policy(config.Model(builtin="tiny")).parameters
    for t in (2, 3):
        files = [runs.policy_file(each / "run", t) for each in (whole, folder)]
        pairs = zip(*(torch.load(file, weights_only=True) for file in files), like, strict=True)
        assert all(torch.equal(p, q) for p, q, _ in pairs)
    assert [json.loads(line)["t"] for line in (folder / "run" / "log.jsonl").read_text().splitlines()] == [0, 1, 2, 3]


def test_a_run_goes_on_to_a_larger_horizon_and_nothing_else(finished, tmp_path):
    whole, _ = finished
    write(tmp_path, FILE.replace("horizon = 3", "horizon = 1"))
    assert call("train", tmp_path / "config.toml").exit_code == 0
    write(tmp_path, FILE.replace("step = 0.5", "step = 0.4"))
    assert "holds a run with other method.step;" in sentence(call("train", tmp_path / "config.toml"))
    write(tmp_path, FILE.replace("calibration = 6", "calibration = 7"))
    assert "holds a run with other judge.calibration;" in sentence(call("train", tmp_path / "config.toml"))
    write(tmp_path)
    (tmp_path / "prompts.txt").write_text("one\nthree words now\n")
    assert "holds a run with other the prompts' text;" in sentence(call("train", tmp_path / "config.toml"))
    write(tmp_path)
    assert call("train", tmp_path / "config.toml").exit_code == 0
    files = [runs.policy_file(each / "run", 3) for each in (whole, tmp_path)]
    pairs = zip(*(torch.load(file, weights_only=True) for file in files), strict=True)
    assert all(torch.equal(p, q) for p, q in pairs)


def test_evaluation_of_checkpoints(finished, tmp_path):
    folder, _ = finished
    result = call("evaluate", folder / "run", f"again={folder / 'run'}@3", "--k", 3, "--json", tmp_path / "pool.json")
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "pool.json").read_text())
    assert found["policies"] == ["reference", "run@2", "run@3", "again@3"]
    center, lower, upper = (np.array(found["win_rates"][name]) for name in ("center", "lower", "upper"))
    np.testing.assert_allclose(center + center.T, 1, atol=1e-12)
    assert (lower <= center + 1e-12).all() and (center <= upper + 1e-12).all()
    # Recomputed here from samples under the same keys, pair by pair.
    run = runs.open_run(folder / "run")
    policy = build.policy(run.config.model)
    judge = build.oracle(run.config.judge, run.home)
    build.calibrate(judge, policy, run.held_out, 6, 0)
    policy.copies["three"] = runs.load_policy(run.policies[3], policy)
    drawn = {
        name: policy.sample(run.held_out, 3, ps.llm.SamplingSpec(((acting, 1.0),)), key("evaluation/" + name))
        for name, acting in (("reference", "reference"), ("run@3", "three"))
    }
    texts = zip(run.held_out, drawn["run@3"].texts, drawn["reference"].texts, strict=True)
    wins = [judge.win_matrix(prompt, a, b).mean().item() for prompt, a, b in texts]
    assert center[2, 0] == pytest.approx(np.mean(wins), abs=1e-12)
    ratio = policy.logprob_of("three", drawn["run@3"]) - policy.logprob_ref(drawn["run@3"])
    assert found["kl_to_reference"]["center"][2] == pytest.approx(ratio.mean().item(), abs=1e-6)
    assert found["kl_to_reference"]["center"][0] == 0
    assert found["exploitability"]["center"] == pytest.approx(np.maximum(center.max(axis=0) - 0.5, 0).tolist(), abs=1e-12)
    assert f"{center[2, 0]:.3f} [" in result.stdout and "again@3" in result.stdout


def test_best_responses_to_checkpoints(finished, tmp_path):
    run = finished[0] / "run"
    result = call("evaluate", f"{run}@3", "--k", 2, "--best-response", 2, "--json", tmp_path / "pool.json")
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "pool.json").read_text())["trained_best_responses"]
    # The one against the run's last policy once more: its temperature, its rate, its prompts to train on.
    opened = runs.open_run(run)
    policy = build.policy(opened.config.model, learning_rate=3e-3)
    policy.copies["three"] = runs.load_policy(opened.policies[3], policy)
    judge = build.oracle(opened.config.judge, opened.home)
    build.calibrate(judge, policy, opened.held_out, 6, 0)
    settings = {"beta": 0.1, "steps": 2, "k": 2, "acting": "three", "held_out": opened.held_out}
    alone = ps.llm.best_response(policy, opened.prompts, judge, **settings)
    assert len(found) == 2
    for name in alone._fields:
        assert found[1][name]["center"] == pytest.approx(float(getattr(alone, name).center), abs=1e-6)
    assert f"{found[1]['win_rate']['center']:.3f} [" in result.stdout


def key(stream, count=3):
    return ps.llm.Key.of(0, "llm", stream, 0, range(count))


def test_evaluation_refuses(finished, tmp_path):
    folder, _ = finished
    run = folder / "run"
    assert "is no folder of prefsim llm train" in sentence(call("evaluate", tmp_path))
    assert "has no policy of iteration 1; kept: 2, 3." in sentence(call("evaluate", f"{run}@1"))
    assert "two policies are called run@2; name their runs" in sentence(call("evaluate", run, run))
    assert "must end in .json" in sentence(call("evaluate", run, "--json", tmp_path / "pool.txt"))
    (tmp_path / "one.txt").write_text("only one\n")
    assert "at least 2 policies, 2 prompts" in sentence(call("evaluate", run, "--prompts", tmp_path / "one.txt"))


def test_judge_matrix_closes_the_loop(folder):
    """Answers become games; a solver of the registry reaches the equilibrium that the command printed."""
    text = FILE.replace('kind = "committee"', 'kind = "callable"\nfunction = "judge.py:cycle"')
    write(folder, text.replace('criteria = ["brevity", "diversity", "judge.py:vowels"]\n', ""))
    out = folder / "games.npz"
    result = call("judge-matrix", folder / "config.toml", "--out", out, "--k", 7, "--beta", 0.1)
    assert result.exit_code == 0, result.output
    game, told = ps.games.from_npz(out), json.loads((folder / "games.json").read_text())
    assert game.preference.shape == (2, 7, 7) and game.beta.tolist() == [0.1, 0.1]
    space = {}
    exec(JUDGE, space)
    for x, each in enumerate(told["games"]):
        assert each["prompt"] == ["one", "two words"][x]
        np.testing.assert_allclose(game.preference[x], space["cycle"]("", each["answers"], each["answers"]), atol=1e-12)
        assert each["cyclic_triples"] == ps.summarize(game.preference[x]).cyclic_triples
    assert sum(each["cyclic_triples"] for each in told["games"]) > 0  # this judge shows in a sample
    data = ps.run(game, [("egpo", {"step": 0.5})], horizon=400, metrics=["duality_gap"], engine="reference")
    assert data["duality_gap"].values[..., -1].max() < 1e-10
    reached = ps.solve_equilibrium(game)
    np.testing.assert_allclose([each["equilibrium"] for each in told["games"]], reached.policy, atol=1e-9)
    assert "2 games of 7 actions: 2 intransitive" in result.stdout
    solved = CliRunner().invoke(app, ["run", "--preference", str(out), "egpo", "--horizon", "20", "--engine", "reference"])
    assert solved.exit_code == 0 and "2 games of 7 actions" in solved.stdout
    assert "must end in .npz" in sentence(call("judge-matrix", folder / "config.toml", "--out", folder / "games.csv"))


BAD = {
    "unknown entry of [training]: 'horzon'; did you mean 'horizon'?": ("horizon = 3", "horzon = 3"),
    "unknown entry of the file: 'traning'; did you mean 'training'?": ("[training]", "[traning]"),
    "[training] horizon must be a whole number; got '3'.": ("horizon = 3", 'horizon = "3"'),
    "[training] k must be a whole number; got True.": ("k = 3", "k = true"),
    "[judge] criteria must be a list of texts": ('criteria = ["brevity", "diversity", "judge.py:vowels"]', "criteria = 3"),
    "[training] lacks beta": ("beta = 0.1\n", ""),
    "unknown algorithm 'egpp'; did you mean": ('"egpo"', '"egpp"'),
    "unknown estimator: 'varianse'": ("step = 0.5", 'step = 0.5\nestimator = "varianse"'),
    "unknown hyperparameter of egpo: 'stepp'": ("step = 0.5", "stepp = 0.5"),
    "unknown builtin model 'small'": ('"tiny"', '"small"'),
    "there is no folder": ('builtin = "tiny"', 'folder = "nowhere"'),
    '[model] needs folder = "..."': ('builtin = "tiny"\n', ""),
    "has both folder and builtin": ('builtin = "tiny"', 'builtin = "tiny"\nfolder = "x"'),
    "unknown kind of [judge]: 'comittee'": ('"committee"', '"comittee"'),
    "lacks function": ('"committee"', '"scores"'),
    "unknown criterion 'brevitty'": ('"brevity"', '"brevitty"'),
    "has no function 'vowel'": ("judge.py:vowels", "judge.py:vowel"),
    "there is no Python file": ("judge.py:vowels", "jugde.py:vowels"),
    "cannot read the prompts": ('file = "prompts.txt"', 'file = "promts.txt"'),
    '[method] needs name = "..."': ('name = "egpo"\n', ""),
    "has no [output]": ('[output]\nfolder = "run"\ncheckpoint_every = 1\npolicy_every = 2\n', ""),
    "learning_rate must be above 0": ("3e-3", "0"),
    "cannot read": ("[model]", "[model"),
    "horizon must be at least 1": ("horizon = 3", "horizon = 0"),
    "unknown entry of [model.lora]: 'rnk'": ("max_new_tokens = 6", "max_new_tokens = 6\nlora = {rnk = 2}"),
}


@pytest.mark.parametrize("said", BAD)
def test_bad_files(said, folder):
    before, after = BAD[said]
    assert before in FILE
    write(folder, FILE.replace(before, after))
    assert said in sentence(call("train", folder / "config.toml"))
    assert not (folder / "run" / "state.pt").exists()


def test_without_torch_the_extra_is_named():
    code = (
        "import sys; sys.modules['torch'] = None; sys.argv = ['prefsim', 'llm', 'train', 'x.toml']\n"
        "from prefsim.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr == "error: prefsim llm needs torch; install the extra: pip install 'prefsim[llm]'.\n"


def test_the_example_of_the_chapter(tmp_path):
    """Every entry of the page's file is known, and its other files are the ones that this version reads."""
    sys.path.append(str(DOCS))
    import examples

    (block,) = examples.blocks(DOCS / "llm.md", "toml")
    chosen = config.read(write(tmp_path, block))
    assert chosen.model.lora.rank == 16 and chosen.prompts.held_out == tmp_path / "held_out.txt"
    assert setup(chosen.method.pop("name"), chosen.training.beta, chosen.method).label == "egpo"


def test_help_reaches_the_commands():
    assert "judge-matrix" in call().stdout and "--hard" in call("evaluate", "--help").stdout
    assert "No such command" in sentence(call("trian"))


def test_a_folder_with_an_adapter(folder):
    """A saved model with a tokenizer of transformers, a chat, LoRA, and a judge that is a language model."""
    tokenizers = pytest.importorskip("tokenizers", reason="saved models need a tokenizer")
    pytest.importorskip("peft", reason="adapters are tested where peft is installed")
    words = {word: i for i, word in enumerate(["<end>", "A", "B", "user", "one", "two", "words", "red", "blue", "<unk>"])}
    inside = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="<unk>"))
    inside.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=inside, eos_token="<end>", unk_token="<unk>")
    tokenizer.chat_template = "{% for turn in messages %}{{ turn.role }} {{ turn.content }} {% endfor %}"
    llama(vocabulary=len(words)).save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    judge = 'kind = "pairwise_llm"\nfolder = "model"\nchat = true\nverdicts = ["A", "B"]'
    text = FILE.replace('kind = "committee"\ncriteria = ["brevity", "diversity", "judge.py:vowels"]', judge)
    text = text.replace('builtin = "tiny"', 'folder = "model"\nchat = true').replace("3e-3", "0.1").replace("egpo", "nash_md")
    write(folder, text.replace("[prompts]", "[model.lora]\nrank = 2\n\n[prompts]"))
    result = call("train", folder / "config.toml")
    assert result.exit_code == 0, result.output + repr(result.exception)
    run = runs.open_run(folder / "run")
    assert run.prompts[0] == [{"role": "user", "content": "one"}]
    policy = build.policy(run.config.model)
    assert policy.adapted and all("lora" in name for name, p in policy.model.named_parameters() if p.requires_grad)
    policy.write(runs.load_policy(run.policies[3], policy))
    found = pool.evaluate_policies(
        {"reference": (policy, "reference"), "trained": (policy, "current")},
        run.held_out,
        build.oracle(run.config.judge, run.home),
        k=2,
    )
    assert found.kl.center[0] == 0 != found.kl.center[1]
    assert found.inconsistency > 0  # the judge minds the order
    assert call("evaluate", folder / "run", "--k", 2).exit_code == 0
