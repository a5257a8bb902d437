"""Feedback models: unbiased estimates of the same win rates, equal on every engine, counted in queries."""

import inspect

import numpy as np
import pytest

import prefsim as ps
from prefsim import noise, registry
from prefsim.engines import reference
from prefsim.feedback import KINDS, Feedback, Oracle, estimate, evaluations

GAME = ps.games.random(5, seed=2).replace(beta=0.2)
MODELS = ["sampled:samples=3", "duels:samples=2", "noisy:scale=0.3"]


@pytest.mark.parametrize("kind", KINDS[1:])
def test_estimates_are_unbiased(kind):
    """4000 estimates against the exact win rates, each mean within 4.5 standard errors; the wrong opponent fails."""
    policy = np.array([0.4, 0.3, 0.15, 0.1, 0.05])
    handle = noise.open_stream(1, 2, 0, 0)
    seen = np.empty((4000, 5))
    for k, row in enumerate(seen):
        noise.seek(handle, k)
        estimate(KINDS.index(kind), 2, 0.3, GAME.payoff, policy, handle, row)
    error = seen.std(axis=0) / np.sqrt(len(seen)) + 1e-12
    assert (np.abs(seen.mean(axis=0) - GAME.payoff @ policy) < 4.5 * error).all()
    assert (np.abs(seen.mean(axis=0) - GAME.payoff @ policy[::-1]) > 4.5 * error).any()


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("kernel", ["fused", "body"])
def test_engines_agree_on_the_same_noise(model, kernel):
    from prefsim.engines import numba_games as compiled

    feedback = Feedback.parse(model)
    oracle = Oracle(KINDS.index(feedback.kind), feedback.samples, feedback.scale, 7, 9)
    for key in ("egpo", "nash_md"):
        entry = registry.algorithm("solvers", key)
        flat = GAME.flatten()
        start = np.array(flat.log_reference[:, None]) + np.zeros((1, 3, 1))
        arguments = (entry.module, [entry.hyper({})], np.array(flat.beta), 0.5 + flat.payoff, np.array(flat.log_reference))
        plain = reference.GamePlayer(*arguments, start, True, oracle)
        fast = {"fused": compiled.FusedPlayer, "body": compiled.BodyPlayer}[kernel](*arguments, start, True, oracle)
        for stop in (1, 25):
            plain.advance(stop)
            fast.advance(stop)
            np.testing.assert_allclose(fast.current, plain.current, rtol=1e-12, atol=1e-12)
        assert np.abs(plain.current[0, 0] - plain.current[0, 1]).max() > 1e-3  # runs differ


def test_runs_share_nothing_and_splits_change_nothing():
    settings = {"horizon": 50, "feedback": "duels", "metrics": ["policy"]}
    many = ps.run(GAME, ["omd", "egpo"], runs=5, **settings)
    few = ps.run(GAME, ["egpo"], runs=2, **settings)
    np.testing.assert_array_equal(many.policy.sel(algorithm=["egpo"], run=[0, 1]), few.policy)
    assert np.unique(many.policy.values[0, 0, :, -1], axis=0).shape[0] == 5


def test_more_samples_come_closer_to_the_exact_run():
    def distance(samples):
        data = ps.run(GAME, [("omd", {"step": 0.05})], horizon=400, runs=20, feedback=f"sampled:samples={samples}",
                      metrics=["kl_to_equilibrium"])
        return float(data.kl_to_equilibrium.values[..., -1].mean())

    assert distance(64) < distance(4) < distance(1)


class Watched(np.ndarray):
    """A preference matrix that counts the products it takes part in."""

    products = 0

    def __array_ufunc__(self, ufunc, method, *inputs, **settings):
        if ufunc is np.matmul:
            Watched.products += 1
        plain = [a.view(np.ndarray) if isinstance(a, Watched) else a for a in inputs]
        return getattr(ufunc, method)(*plain, **settings)


def products(key, beta=0.2):
    """Win-rate vectors each of 12 iterations asks for, in the plain reading of the rule."""
    solver, game = registry.algorithm("solvers", key).module, GAME.replace(beta=beta).flatten()
    preference, start = game.preference.view(Watched), np.array(game.log_reference[:, None])
    player = reference.play_game(
        solver, [solver.Hyper()], np.array(game.beta), preference, np.array(game.log_reference), start, False
    )
    counts = []
    for t in range(12):
        Watched.products = 0
        player.advance(t + 1)
        counts.append(Watched.products)
    return counts


@pytest.mark.parametrize("key", registry.keys("solvers"))
def test_solvers_ask_for_as_many_win_rates_as_they_declare(key):
    declared, counted = evaluations(registry.load("solvers", key)), products(key)
    if np.isnan(declared):
        assert len({*counted, *products(key, beta=0.05)}) > 1  # it does depend on the game
    else:
        assert counted == [declared] * 12


def test_queries_and_gradients_are_counted():
    data = ps.run(GAME, ["egpo", "omd"], horizon=10, record=[], runs=2, feedback="duels:samples=3")
    assert data.gradients.values.tolist() == [[0, 20], [0, 10]]
    assert data.queries.values.tolist() == [[0, 20 * 15], [0, 10 * 15]]
    assert (data.queries.units, data.gradients.units) == ("duels", "win-rate vectors")
    algorithms = ["omd", "mirror_prox", "extragradient", "comal", "nash_prox"]
    exact = ps.run(GAME, algorithms, horizon=10, record=[], engine="reference")
    assert exact.queries.values[:-1, 1].tolist() == [250, 500, 500, 250] and exact.queries.units == "entries of P"
    assert np.isnan(exact.queries[-1]).all() and np.isnan(exact.gradients[-1]).all()


@pytest.mark.parametrize(("line", "shown"), [("EVALUATIONS = 0", "got 0"), ("EVALUATIONS = 'two'", "got 'two'")])
def test_a_count_that_is_none_is_refused(tmp_path, monkeypatch, line, shown):
    (tmp_path / "solvers").mkdir()
    text = inspect.getsource(registry.load("solvers", "projected_gradient"))
    (tmp_path / "solvers" / "miscounted.py").write_text(f"{text}\n{line}\n")
    monkeypatch.setenv("PREFSIM_PATH", str(tmp_path))
    registry._forget()
    with pytest.raises(ValueError, match=f"miscounted.py: EVALUATIONS is how many win-rate vectors.*{shown}"):
        registry.load("solvers", "miscounted")
    monkeypatch.undo()
    registry._forget()


def test_feedback_is_written_down(tmp_path):
    experiment = ps.Experiment(GAME, ["omd"], 20, runs=2, feedback=("noisy", {"scale": 0.2}))
    experiment.to_toml(tmp_path / "f.toml")
    again = ps.Experiment.from_toml(tmp_path / "f.toml")
    assert again.feedback == experiment.feedback == Feedback("noisy", 1, 0.2)
    np.testing.assert_array_equal(ps.run(experiment).duality_gap, ps.run(again).duality_gap)


@pytest.mark.parametrize(
    ("feedback", "error", "sentence"),
    [
        ("duel", ValueError, "did you mean 'duels'"),
        ("duels:samples=0", ValueError, "samples must be at least 1"),
        ("duels:sample=2", ValueError, "did you mean 'samples'"),
        ("noisy:scale=-1", ValueError, "scale must be a positive"),
        (3, TypeError, "feedback is one of exact, sampled"),
    ],
)
def test_bad_feedback_is_refused(feedback, error, sentence):
    with pytest.raises(error, match=sentence):
        ps.run(GAME, ["omd"], horizon=5, feedback=feedback)
    with pytest.raises(ValueError, match="part of its environment"):
        ps.run(ps.bandits.cyclic4(), ["rucb"], horizon=5, feedback="duels")
    with pytest.raises(ValueError, match="not log-odds"):
        ps.run(ps.PreferenceGame([[0.5, 0.6], [0.4, 0.5]], transform="log_odds"), ["mwu"], horizon=5, feedback="duels")
