"""Two processes do what one does (ladder T5f): all numbers of a run, cut off or not, with whole parameters or parts of them."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import processes
import pytest
import torch
from processes import CUT, MISTAKEN, MISTAKES, REFUSED, RUNS

from prefsim.llm import parallel, runs

pytest.importorskip("accelerate", reason="processes are tested where accelerate is installed")

HERE = Path(__file__).parent
FILE = """
parallel.shard = true
model = {builtin = "tiny", max_new_tokens = 6}
prompts = {file = "prompts.txt"}
judge = {kind = "committee", criteria = ["brevity", "diversity"], calibration = 4}
method = {name = "egpo", step = 0.5}
training = {beta = 0.1, horizon = 2, k = 3, learning_rate = 1e-4}
output = {folder = "NAME", policy_every = 1}
"""


def bar(name):
    return 1e-6 if "single" in name else 1e-10


@pytest.fixture(scope="module")
def alone():
    return {name: processes.whole(name) for name in RUNS}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What two processes found, and left."""
    folder = tmp_path_factory.mktemp("two")
    (folder / "prompts.txt").write_text("one\ntwo words\n")
    for name in ("alone", "together"):
        (folder / f"{name}.toml").write_text(FILE.replace("NAME", name))
    for name in CUT:
        processes.cut(name, folder / f"alone-{name}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    paths = os.pathsep.join([str(HERE.parents[1]), str(HERE)])
    common |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": paths, "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, str(HERE / "processes.py"), str(folder)]
    pair = [
        subprocess.Popen(command, env={**os.environ, **common, "RANK": rank, "LOCAL_RANK": rank}, stderr=subprocess.PIPE)
        for rank in "01"
    ]
    try:
        said = [each.communicate(timeout=240)[1].decode() for each in pair]
    finally:
        for each in pair:
            each.kill()
    assert [each.returncode for each in pair] == [0, 0], said
    return folder


@pytest.fixture(scope="module")
def together(folder):
    return [torch.load(folder / f"found-{rank}.pt", weights_only=False) for rank in (0, 1)]


def distance(found, expected):
    """Largest difference of parameters, and of what was measured (relative where above 1); counts must be equal."""
    sizes = [(p - q).abs().max().item() for p, q in zip(found["parameters"], expected["parameters"], strict=True)]
    # In single precision the norm of a gradient is that of small differences of log-probabilities, each rounded.
    easier = 4 if found["parameters"][0].dtype == torch.float32 else 1
    return max([*sizes, measured(found["columns"], expected["columns"]) / easier])


def measured(found, expected):
    assert found.keys() == expected.keys()
    sizes = [0.0]
    for name, values in expected.items():
        if not np.issubdtype(values.dtype, np.floating):
            assert np.array_equal(found[name], values), name
            continue
        if not np.array_equal(np.isnan(found[name]), np.isnan(values)):
            return np.inf
        scale = np.maximum(np.abs(values), 1)
        sizes.append(np.nanmax(np.abs(found[name] - values) / scale, initial=0.0))
    return max(sizes)


@pytest.mark.parametrize("name", RUNS)
def test_one_is_two(alone, together, name):
    for found in together:
        assert distance(found[name], alone[name]) <= bar(name)
    parameters = [found[name]["parameters"] for found in together]
    assert all(map(torch.equal, *parameters))


@pytest.mark.parametrize("name", CUT)
def test_resume(alone, together, folder, name):
    """Two go on where two stopped, and where one did; and one where two did."""
    for found in together:
        assert distance(found[f"again {name}"], together[0][name]) == 0
        assert distance(found[f"alone {name}"], alone[name]) <= bar(name)
    found = processes.whole(name, checkpoint=str(folder / f"together-{name}"))
    assert distance(found, alone[name]) <= bar(name)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_caught(alone, together, mistake):
    assert any(distance(found[mistake], alone[MISTAKEN]) > 1e-4 for found in together)


def test_a_configuration_in_shards(together, folder):
    """One process writes; the folder is that of a run in one process."""
    data, _ = runs.train_file(folder / "alone.toml")
    for name in ("win_rate_vs_reference", "response_length", "judge_inconsistency"):  # which the texts decide
        assert np.allclose(together[0]["file"][name], data[name].values, rtol=0, atol=1e-12), name
    for name in ("log.jsonl", "policy-00000002.pt", "results.nc", "run.json", "state.pt"):
        assert (folder / "together" / name).is_file()
    assert len((folder / "together" / "log.jsonl").read_text().splitlines()) == 3
    ends = [torch.load(folder / name / "policy-00000002.pt", weights_only=True) for name in ("alone", "together")]
    assert max((p - q).abs().max() for p, q in zip(*ends, strict=True)) <= 1e-6


@pytest.mark.parametrize("words", REFUSED)
def test_refusals(together, words):
    for found in together:
        assert words in found["refused"][words]


@pytest.mark.parametrize("engine", ["DEEPSPEED", "FSDP"])
def test_engines_of_the_launcher_are_refused(monkeypatch, engine):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv(f"ACCELERATE_USE_{engine}", "true")
    with pytest.raises(ValueError, match=f"settings of {engine} are not read"):
        parallel.join("cpu")
