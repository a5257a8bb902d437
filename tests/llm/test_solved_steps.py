"""Steps solved to their minimiser are the tabular steps, whatever the estimator (ladder T1s), and on a complete
autoregressive policy as well (T3)."""

import numpy as np
import pytest
import torch
from ladder import BETA, STEP, games, hyper, logits_policy, paths, prefix_policy, tabular

from prefsim.llm import losses, matrix, train
from prefsim.llm.train import Training

OUTER = 40
SOLVED = {"expectation": "exact", "inner_solver": "lbfgs", "inner": 200, "inner_tolerance": 1e-11, "record": [0]}


def error(found, expected):
    """Largest difference of probabilities."""
    return np.abs(np.exp(found) - np.exp(expected)).max()


def solved(key, given, n=64, preference=None, transform="probability", horizon=OUTER, **settings):
    """Log-policies of a logits policy whose every step is solved, and the games."""
    game, found = games(n, transform=transform), []
    oracle = matrix(game.preference if preference is None else preference, payoff=transform)
    asked = {**SOLVED, **settings}
    policy = logits_policy(game, 1.0)
    train(policy, range(3), oracle, (key, given), beta=BETA, horizon=horizon, callback=paths(found), **asked)
    return np.stack(found, axis=1), game


CASES = {
    "inpo, soft labels": ("inpo", {"estimator": "pair_label"}),
    "inpo, expected hard labels": ("inpo", {"estimator": "pair_label", "label": "bernoulli"}),
    "dno": ("dno", {"estimator": "soft_logistic"}),
    "onpo": ("onpo", {"estimator": "pair_label"}),
    "sppo": ("sppo", {"estimator": "variance"}),
    "sppo, exact log Z": ("sppo", {"estimator": "unpaired", "log_z": "exact"}),
    "omd, pairs": ("omd", {"estimator": "pairs"}),
}


@pytest.mark.parametrize("case", CASES)
def test_estimators_reach_the_tabular_step(case):
    key, settings = CASES[case]
    found, game = solved(key, hyper(key), **settings)
    assert error(found, tabular(game, key, hyper(key), OUTER)) <= 1e-6


@pytest.mark.parametrize("settings", [{"estimator": "variance"}, {"estimator": "unpaired", "log_z": "exact"}])
def test_log_odds(settings):
    found, game = solved("gpo", {"step": 8.0}, transform="log_odds", **settings)
    assert error(found, tabular(game, "gpo", {"step": 8.0}, OUTER)) <= 1e-6


def test_published_normaliser_is_the_lambert_policy():
    given = {"step": 2.0}
    found, game = solved("sppo", given, estimator="unpaired", log_z="half")
    assert error(found, tabular(game, "sppo", {**given, "half_partition": True}, OUTER)) <= 1e-6
    assert error(found, tabular(game, "mwu", given, OUTER)) > 1e-4  # not the step it stands in for


def test_pairs_from_elsewhere_are_caught(monkeypatch):
    """Labels say how a response fares against those it is paired with: these must be the opponent's."""
    with pytest.raises(ValueError, match="pair_label.* needs responses of the opponent"):
        solved("inpo", hyper("inpo"), estimator="pair_label", behaviour="uniform")
    monkeypatch.setattr(Training, "_check_opponent", lambda *_: None)
    found, game = solved("inpo", hyper("inpo"), estimator="pair_label", behaviour="uniform", horizon=5)
    assert error(found, tabular(game, "inpo", hyper("inpo"), 5)) > 1e-4


SHAPES = {"three letters": False, "at most three letters": True}


def grown(key, ends, horizon=25, **settings):
    """Largest error of a prefix policy whose every step is solved, and its log-policies."""
    policy, found = prefix_policy(ends), []
    space = policy.enumerate([0])
    reference = policy.logprob_ref(space).numpy()
    n = reference.shape[1]
    game = games(n, count=1).replace(log_reference=reference)
    oracle = matrix(game.preference[0], names=space.texts[0])
    asked = {**SOLVED, "estimator": "variance", "mixture_by": "sequence", **settings}
    train(policy, [0], oracle, (key, hyper(key)), beta=BETA, horizon=horizon, callback=paths(found), **asked)
    found = np.stack(found, axis=1)
    return error(found, tabular(game, key, hyper(key), horizon)), found


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("key", ["omd", "egpo", "nash_md", "inpo", "sppo"])
def test_prefix_policy(key, shape):
    assert grown(key, SHAPES[shape])[0] <= 1e-6


def test_length_normalised_log_probabilities_are_caught(monkeypatch):
    true = Training._estimate

    def normalised(self, lp, target, *rest):
        return true(self, lp / self.space.lengths, target, *rest)

    monkeypatch.setattr(Training, "_estimate", normalised)
    assert grown("omd", True, 2)[0] > 1e-4


def test_token_mixture_is_not_the_sequence_mixture():
    assert grown("nash_md", True, 2, mixture_by="token")[0] > 1e-6


def test_one_half_for_the_normaliser_is_caught():
    def distance(log_z):
        policy, found = prefix_policy(True), []
        space = policy.enumerate([0])
        game = games(85, count=1).replace(log_reference=policy.logprob_ref(space).numpy())
        oracle = matrix(game.preference[0], names=space.texts[0])
        asked = {**SOLVED, "estimator": "unpaired", "log_z": log_z, "step": 2.0}
        train(policy, [0], oracle, "sppo", beta=BETA, horizon=5, callback=paths(found), **asked)
        return error(np.stack(found, axis=1), tabular(game, "mwu", {"step": 2.0}, 5))

    assert distance("exact") <= 1e-6
    assert distance("half") > 1e-4


def test_closed_form_of_the_solved_step():
    """The minimiser over prefix policies holds the conditional marginals of the target: no solver involved."""
    policy = prefix_policy(True)
    space = policy.enumerate([0])
    target = torch.log_softmax(torch.randn(85, generator=torch.Generator().manual_seed(0), dtype=torch.float64), dim=0)
    policy.solve(lambda: losses.variance(policy.logprob(space), target[None]).mean(), 400, 1e-12)
    mass, prefixes = {}, {}
    for text, ended, probability in zip(space.texts[0], space.finished[0].tolist(), target.exp().tolist(), strict=True):
        path = text + "." * ended
        for size in range(len(path)):
            step = mass.setdefault(path[:size], {})
            step[path[size]] = step.get(path[size], 0.0) + probability
            prefixes.setdefault(path[:size], policy._prefixes(space.tokens)[0][space.texts[0].index(text)][size].item())
    rows = torch.softmax(policy.table[0].detach(), dim=-1)
    for prefix, step in mass.items():
        total = sum(step.values())
        expected = torch.tensor([step[letter] / total for letter in "abcd."], dtype=torch.float64)
        assert (rows[prefixes[prefix]] - expected).abs().max() <= 1e-6


@pytest.mark.parametrize("solve", ["optimizer", "lbfgs"])
def test_inner_steps_stop_at_the_tolerance(solve):
    game = games(8, count=1)
    policy = logits_policy(game, 1.0)
    data = train(
        policy, [0], matrix(game.preference[0]), "omd", beta=BETA, step=STEP, horizon=1, expectation="exact",
        behaviour="uniform", inner=500, inner_solver=solve, inner_tolerance=1e-6,
    )  # fmt: skip
    assert 2 < int(data["gradients"].values[0, -1]) < 200
    assert data["residual"].values[0, 0, 0, -1] < 1e-9 * data["loss"].values[0, 0, 0, -1]
