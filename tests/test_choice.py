"""``engine="auto"``: what it takes, the sentence it leaves, and that nothing else depends on it."""

import json
import subprocess
import sys

import numpy as np
import pytest

import prefsim as ps
from prefsim.engines import choice

DUELS = ps.bandits.arxiv_six_rankers()


@pytest.fixture
def fresh(monkeypatch):
    """A process that has neither loaded the compiled engine nor played anything."""
    monkeypatch.setattr(choice, "loaded", lambda: False)
    monkeypatch.setattr(choice, "_spent", 0.0)


def chosen(*arguments, **settings):
    return choice.choose(ps.Experiment(*arguments, **settings))


def test_short_runs_of_bandits_are_not_worth_loading_a_compiler(fresh):
    engine, reason = chosen(DUELS, ["rucb", "uniform"], horizon=1000, runs=2)
    assert engine == "reference"
    assert reason == (
        "4,000 rounds should take the reference engine about 0.4 s or less, and loading the compiled engine takes about 0.6 s."
    )


@pytest.mark.parametrize("more", [{"horizon": 6001}, {"horizon": 601, "runs": 10}])
def test_long_runs_are(fresh, more):
    engine, reason = chosen(DUELS, ["rucb"], **more)
    assert engine == "numba" and "could take the reference engine 0.6 s" in reason


def test_every_instance_and_algorithm_counts(fresh):
    batch = ps.bandits.bernoulli([[0.1, 0.4], [0.3, 0.35], [0.2, 0.9]])
    assert chosen(batch, ["ucb1", "uniform"], horizon=1000)[0] == "reference"
    assert chosen(batch, ["ucb1", "uniform", "moss"], horizon=1000)[0] == "numba"


def test_many_arms_make_long_rounds(fresh):
    """What a compiled round does in microseconds, a plain one of Thompson sampling on 1000 arms does in milliseconds."""
    many, few = (ps.bandits.bernoulli(np.linspace(0.1, 0.9, arms)) for arms in (1000, 10))
    assert [chosen(b, ["thompson"], horizon=300)[0] for b in (few, many)] == ["reference", "numba"]
    pairs = ps.bandits.dueling(0.5 + 0.1 * np.sign(np.arange(40) - np.arange(40)[:, None]))
    assert chosen(pairs, ["double_thompson"], horizon=300)[0] == "numba"
    plane = np.random.default_rng(0).normal(size=(50, 20))
    linear = ps.bandits.linear(plane / np.linalg.norm(plane, axis=1, keepdims=True), np.eye(20)[0])
    assert [chosen(b, ["uniform"], horizon=300)[0] for b in (linear, few)] == ["numba", "reference"]


def test_many_short_runs_together_are_worth_it(fresh):
    taken = [chosen(DUELS, ["rucb"], horizon=2500)[0] for _ in range(4)]
    assert taken == ["reference", "reference", "numba", "numba"]


def test_what_is_loaded_is_used(fresh, monkeypatch):
    monkeypatch.setattr(choice, "loaded", lambda: True)
    assert chosen(DUELS, ["rucb"], horizon=10) == ("numba", "The compiled engine was loaded in this process already.")


def test_games_are_compiled(fresh):
    engine, reason = chosen("rock_paper_scissors", ["mwu"], horizon=1)
    assert engine == "numba" and reason.startswith("Games are compiled")


def test_the_choice_changes_no_number(fresh):
    bandit = ps.bandits.bernoulli([0.2, 0.5, 0.45])
    settings = {"horizon": 600, "runs": 3, "metrics": ["regret", "switches"]}
    ours = ps.run(bandit, ["thompson"], **settings)
    said = json.loads(ours.provenance)
    assert said["engine"] == "reference" and said["engine_reason"].startswith("1,800 rounds should take")
    compiled = ps.run(bandit, ["thompson"], engine="numba", **settings)
    for name in settings["metrics"]:
        np.testing.assert_array_equal(ours[name], compiled[name])
    assert json.loads(compiled.provenance)["engine_reason"] == "It was asked for."
    again = ps.run(bandit, ["thompson"], **{**settings, "horizon": 2500})
    assert json.loads(again.provenance)["engine"] == "numba"


def test_a_new_process_does_without_numba_until_it_needs_it():
    run = "ps.run(ps.bandits.bernoulli([.2, .5]), ['ucb1'], horizon=500)"
    text = f"import sys, prefsim as ps; {run}; print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
