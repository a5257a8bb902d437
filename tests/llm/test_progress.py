"""What is logged while a policy trains: against plain readings of the same samples."""

import json
import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from ladder import BETA, games, prefix_policy
from tiny import MODELS, moved, policy_of

from prefsim.llm import Key, SamplingSpec, generate, matrix, train
from prefsim.llm.progress import Progress

PROMPTS, SIZES = 3, {"k": 5, "m": 4}


def oracle():
    space = prefix_policy(True).enumerate([0]).texts[0]
    return matrix(games(85).preference, names=space)


def trained(horizon=4, callback=None, **settings):
    policy = prefix_policy(True, count=PROMPTS, optimizer=lambda p: torch.optim.AdamW(p, lr=0.05))
    asked = {"beta": BETA, "horizon": horizon, "step": 0.5, "seed": 3, "record": [0, 2, 4], **SIZES, **settings}
    return train(policy, range(PROMPTS), oracle(), "omd", callback=callback, **asked)


def texts_of(policy, name, k, t):
    """The samples that measuring takes."""
    key = Key.of(3, "llm", f"evaluation/{name}", t, range(PROMPTS))
    return policy.sample(range(PROMPTS), k, SamplingSpec(((name, 1.0),)), key)


def test_win_rates_against_the_policy_before_and_lengths():
    drawn = {}

    def callback(t, policy):
        drawn[t] = texts_of(policy, "current", SIZES["k"], t), texts_of(policy, "reference", SIZES["m"], t)

    data, judge = trained(callback=callback), oracle()
    assert np.isnan(data["win_rate_vs_previous"].values[0, 0, 0, 0])
    for row, (before, now) in enumerate([(0, 2), (2, 4)], start=1):
        sets = [(judge.win_matrix(x, drawn[now][0].texts[x], drawn[before][0].texts[x])) for x in range(PROMPTS)]
        means = [wins.mean().item() for wins in sets]
        found = data.isel(t=row).squeeze()
        assert float(found["win_rate_vs_previous"]) == pytest.approx(np.mean(means), abs=1e-12)
        assert float(found["win_rate_vs_previous_se"]) == pytest.approx(np.std(means, ddof=1) / PROMPTS**0.5, abs=1e-12)
        hard = [np.where(w == 0.5, 0.5, w > 0.5).mean() for w in (wins.numpy() for wins in sets)]
        assert float(found["thresholded_win_rate_vs_previous"]) == pytest.approx(np.mean(hard), abs=1e-12)
        ours, theirs = drawn[now]
        rates = np.stack([judge.win_matrix(x, ours.texts[x], theirs.texts[x]).numpy().mean(1) for x in range(PROMPTS)])
        lengths = ours.lengths.numpy()
        centred = [values - values.mean(axis=1, keepdims=True) for values in (rates, lengths)]
        expected = np.corrcoef(*(values.ravel() for values in centred))[0, 1]
        assert float(found["length_correlation"]) == pytest.approx(expected, abs=1e-12)


def test_variance_of_what_is_left_is_half_the_loss():
    for estimator in ("variance", "soft_logistic"):
        data = trained(estimator=estimator).isel(t=-1).squeeze()
        assert (abs(data["target_variance"] - data["loss"] / 2) < 1e-12) == (estimator == "variance")


def test_exact_win_rate_against_the_policy_before():
    policies = []

    def callback(t, policy):
        policies.append(policy.logprob_of("current", policy.enumerate(range(PROMPTS))).exp().numpy())

    data = trained(expectation="exact", callback=callback)
    expected = np.einsum("xi,xij,xj->x", policies[4], games(85).preference, policies[2]).mean()
    assert data["win_rate_vs_previous"].values[0, 0, 0, -1] == pytest.approx(expected, abs=1e-12)
    assert abs(expected - 0.5) > 1e-3


def test_the_policy_before_survives_a_restart(tmp_path):
    class Killed(Exception):
        pass

    def kill(t, policy):
        if t == 3:
            raise Killed

    whole, settings = trained(), {"checkpoint": str(tmp_path), "checkpoint_every": 3}
    with pytest.raises(Killed):
        trained(callback=kill, **settings)
    again = trained(**settings)
    assert np.array_equal(again["win_rate_vs_previous"], whole["win_rate_vs_previous"], equal_nan=True)


@pytest.mark.parametrize("name", MODELS)
def test_generator_and_scorer_agree(name, monkeypatch):
    """Log-probabilities of sampled tokens, cached and one by one, against the scorer's on whole texts."""
    policy = moved(MODELS[name](), limit=6)
    settings = {"beta": BETA, "horizon": 1, "k": 4, "record": [0]}
    judge = matrix(np.full((2, 1, 1), 0.5), names=[""])
    monkeypatch.setattr(type(judge), "win_matrix", lambda self, prompt, a, b: torch.full((len(a), len(b)), 0.5))
    data = train(policy, [[7], [5, 9, 6]], judge, "omd", **settings).isel(t=0).squeeze()
    assert 0 <= data["generator_difference"] <= data["largest_generator_difference"] < 1e-4
    cool, true = policy_of(MODELS[name](), limit=6), generate.conditional
    monkeypatch.setattr(generate, "conditional", lambda logits, decoding: true(logits, decoding._replace(temperature=0.9)))
    data = train(cool, [[7], [5, 9, 6]], judge, "omd", **settings).isel(t=0).squeeze()
    assert data["generator_difference"] > 1e-2


def stub(monkeypatch):
    """A writer that remembers, in the place of TensorBoard's."""
    written, module = [], ModuleType("torch.utils.tensorboard")

    class SummaryWriter:
        def __init__(self, folder):
            self.folder = folder

        def add_scalar(self, name, value, t):
            written.append((self.folder, name, value, t))

        def flush(self):
            pass

    module.SummaryWriter = SummaryWriter
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    return written


def test_tensorboard_gets_the_numbers_of_the_log(monkeypatch, tmp_path):
    written, log = stub(monkeypatch), tmp_path / "log.jsonl"
    trained(tensorboard="events", log=str(log))
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    expected = [("events", name, value, row["t"]) for row in rows for name, value in row.items() if name != "t"]
    assert written == [entry for entry in expected if np.isfinite(entry[2])]
    assert {entry[3] for entry in written} == {0, 2, 4} and "loss" in {entry[1] for entry in written}


def test_without_tensorboard_it_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    monkeypatch.setattr(Progress, "measure_if_due", lambda *_: pytest.fail("work was done before the refusal"))
    with pytest.raises(ValueError, match="pip install tensorboard, or leave it out"):
        trained(tensorboard="events")
