"""What the adapter reads off the rules, and what it refuses (ladder T5h)."""

import subprocess
import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from ladder import BETA, games, logits_policy

from prefsim import qualify, registry
from prefsim.llm import LogitsPolicy, PrefixPolicy, matrix, train
from prefsim.llm import trace as llm_trace
from prefsim.llm.methods import METHODS, PRESETS, setup
from prefsim.ops import log_normalize

TABLE = {
    "omd": ["current"],
    "egpo": ["current", "half"],
    "mirror_prox": ["current", "half"],
    "nash_md": [{"current": 0.95, "reference": 0.05}],
    "nash_md_pg": [{"current": 0.875, "reference": 0.125}],
    "nash_ema": ["slow"],
    "nash_ema_pg": ["slow"],
    "mwu": ["current"],
    "sppo": ["current"],
    "inpo": ["current"],
    "omwu": ["current"],
    "comal": ["current"],
    "apo": ["current"],
    "nash_prox": ["current"],
}
STEPS = {"nash_md": {"step": 0.5}, "inpo": {"step": 2.0}, "nash_prox": {"step": 0.4}}


def planned(key, t=0, **settings):
    chosen = setup((key, STEPS.get(key, {})), BETA, settings)
    return llm_trace.plan(chosen.solver, chosen.hyper, BETA, t, chosen.switches.estimator)


@pytest.mark.parametrize("key", TABLE)
def test_opponents(key):
    found = [spec.single or dict(spec.weights) for spec in planned(key).opponents]
    assert [pytest.approx(f) if isinstance(f, dict) else f for f in found] == TABLE[key]


def test_every_solver_is_in_the_table_or_refused():
    for key in registry.keys("solvers"):
        assert (key in TABLE) == (not qualify.opponent_complaint(registry.load("solvers", key)))


def test_schedules_are_read_at_each_iteration():
    weights = [dict(planned("nash_md", t, schedule=True).opponents[0].weights) for t in (0, 2)]
    assert weights[0] == {"reference": 1.0}
    assert weights[1] == pytest.approx({"current": 0.5, "reference": 0.5})


def test_copies():
    assert planned("comal", estimator="variance").kept == {"magnet"}
    assert planned("omwu").kept == {"auxiliary"}
    assert planned("nash_ema").kept == {"slow"}
    assert planned("omd").kept == set()
    assert planned("mwu").scored == {"current"}  # the reference need not be scored


def test_penalty_of_the_policy_gradient_is_that_of_the_step():
    assert planned("omd", estimator="policy_gradient").penalty == {"reference": pytest.approx(BETA)}
    assert planned("mpo").penalty == {"magnet": pytest.approx(0.25)}
    assert planned("spo").penalty == {}
    assert planned("nash_md_pg").penalty == {"reference": BETA}
    # Tiapkin et al. 2025: beta times the divergence from the reference, beta / eta times that from the slow copy.
    assert planned("nash_prox").penalty == {"reference": pytest.approx(BETA), "slow": pytest.approx(BETA / 0.4)}
    assert planned("nash_prox").kept == {"slow"}


def test_presets_name_algorithms():
    assert set(PRESETS) <= set(registry.algorithms("solvers"))
    assert {key for key, _ in METHODS.values()} <= set(registry.algorithms("solvers"))


def changed(**functions):
    """Multiplicative weights with other functions."""
    solver, module = registry.load("solvers", "mwu"), ModuleType("changed")
    vars(module).update(Hyper=solver.Hyper, opponent=solver.opponent, target=solver.target)
    vars(module).update(functions)
    return module


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        (lambda h, i, g, p: i.current + h.step * (g - g.mean(axis=-1, keepdims=True)) ** 2, "not sampled"),
        (lambda h, i, g, p: i.current + h.step * g**2, "cannot be traced"),
    ],
)
def test_rules_that_do_not_carry_over(rule, sentence):
    assert sentence in qualify.torch_complaint(changed(target=rule))


def test_opponent_that_nothing_can_sample():
    ahead = lambda h, i, p: log_normalize(2 * i.current - i.reference)  # noqa: E731
    assert "no geometric mixture" in qualify.torch_complaint(changed(opponent=ahead))


def test_constant_shifts_are_local():
    shifted = lambda h, i, g, p: i.current + h.step * g + 3.0  # noqa: E731
    assert qualify.torch_complaint(changed(target=shifted)) == ""


REFUSED = {
    "k must be at least 2": {"k": 1},
    "k must be even": {"algorithm": "inpo", "step": 2.0, "k": 3},
    "needs responses of the opponent, which for egpo is half": {"algorithm": "egpo", "estimator": "pair_label"},
    "needs responses of the opponent, which for nash_md is": {"algorithm": "nash_md", "opponents": "shared"},
    "anchored at the current policy alone": {"estimator": "unpaired"},
    "target='fixed_point' needs": {"algorithm": "mwu", "target": "fixed_point"},
    "log_z='exact' needs all responses": {"algorithm": "mwu", "estimator": "unpaired", "log_z": "exact"},
    "behaviour='uniform' needs all responses": {"behaviour": "uniform"},
    "needs responses of the current policy": {"estimator": "policy_gradient", "behaviour": "reference"},
    "it gives step instead of opponent": {"algorithm": "regret_matching_plus"},
    "Give estimator='policy_gradient'": {"algorithm": "nash_md_pg", "estimator": "variance"},
    "its target at a response depends on": {"algorithm": "sppo", "half_partition": True},
    "fits auxiliary as a policy of its own": {"algorithm": "omwu", "estimator": "policy_gradient"},
    "unknown estimator: 'varance'; did you mean 'variance'": {"estimator": "varance"},
    "unknown hyperparameter of omd: 'stp'": {"stp": 0.1},
    "step='auto' depends on a whole game": {"step": "auto"},
    "step \\* beta must be at most 1": {"step": 20.0},
    "truncation='drop' leaves no response": {"truncation": "drop", "expectation": "exact"},
    "truncation='drop' changes log-probabilities": {"algorithm": "spo", "truncation": "drop"},
    "horizon must be": {"horizon": 0},
    "expectation must be": {"expectation": "exactly"},
    "prompts is empty": {"prompts": []},
    "label='bernoulli' draws coins": {"expectation": "exact", "label": "bernoulli"},
    "batch must be at most": {"batch": 3},
    "m must be at least 1": {"m": 0},
    "inner must be at least 1": {"inner": 0},
    "unknown algorithm 'egop'; did you mean 'egpo'": {"algorithm": "egop"},
    "seed must be at least 0": {"seed": -1},
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_bad_input(sentence):
    game = games(5, count=1)
    asked = {"algorithm": "omd", "prompts": [0], "horizon": 1, **REFUSED[sentence]}
    policy = LogitsPolicy(5)
    prompts, algorithm = asked.pop("prompts"), asked.pop("algorithm")
    with pytest.raises(ValueError, match=sentence) as caught:
        train(policy, prompts, matrix(game.preference[0]), algorithm, beta=BETA, **asked)
    assert str(caught.value).rstrip().endswith((".", "?"))


def test_bad_policies():
    with pytest.raises(ValueError, match="temperature must be above 0"):
        PrefixPolicy(temperature=0.0)
    with pytest.raises(ValueError, match="reference must have shape"):
        PrefixPolicy("ab", 2, reference=torch.zeros(1, 2, 2))


def test_divergence_is_reported():
    game = games(5, count=1)
    with pytest.raises(FloatingPointError, match="in iteration 1, phase 0, on the prompts"):
        train(logits_policy(game, 1e200), [0], matrix(game.preference[0]), "omd", beta=BETA, horizon=9, expectation="exact")


def test_reference_that_moves_along_is_an_error():
    class Careless(LogitsPolicy):
        def acting_as(self, name, *, train=False):
            return super().acting_as("current" if name == "reference" else name, train=train)

    game = games(5, count=1)
    with pytest.raises(RuntimeError, match="the reference moves along"):
        train(Careless(5), [0], matrix(game.preference[0]), "omd", beta=BETA, horizon=4, expectation="exact")


def test_without_torch_the_extra_is_named():
    code = "import sys; sys.modules['torch'] = None; import prefsim, prefsim.registry; prefsim.llm"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install 'prefsim[llm]'" in done.stderr


def test_results_have_the_axes_of_a_run():
    game = games(5, count=2)
    data = train(
        logits_policy(game, 1.0), range(2), matrix(game.preference), ("egpo", {"step": 0.5}), beta=BETA, horizon=4,
        expectation="exact", record="all",
    )  # fmt: skip
    assert data["duality_gap"].dims == ("algorithm", "instance", "run", "t")
    assert data["t"].values.tolist() == [0, 1, 2, 3, 4]
    assert data["gradients"].values.tolist() == [[0, 2, 4, 6, 8]]  # two phases, two gradients
    assert data["win_rate_vs_reference"].values[0, 0, 0, 0] == pytest.approx(0.5)
    assert np.abs(data["kl_to_reference"].values[0, 0, 0, 0]) < 1e-12
    assert data["step"].values.tolist() == [0.5]
    assert '"engine": "torch"' in data.attrs["provenance"]
