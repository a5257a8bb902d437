"""Experiments: what they refuse, how they are written down, and what comes back."""

import json

import numpy as np
import pytest

import prefsim as ps
from prefsim import results
from prefsim.experiment import record_times

GAME = ps.games.rock_paper_scissors()


def test_toml_round_trip_gives_the_same_numbers(tmp_path):
    games = [
        ps.games.planted([0.5, 0.3, 0.2], [[0, 0.2, -0.1], [-0.2, 0, 0.3], [0.1, -0.3, 0]], 0.3),
        ps.games.cyclic(5).replace(beta=0.2),
        ps.PreferenceGame([[0.5, 0.7], [0.3, 0.5]], [0.2, 0.8], 0.1, names=["x", "y"]),
        ps.games.random(4, seed=3, count=2).replace(beta=[0.1, 0.2]),
    ]
    for game in games:
        experiment = ps.Experiment(
            game, ["egpo", ("nash_md", {"step": ps.Grid([0.1, 0.2])}), ps.Spec("omd", {"step": 0.05}, "slow omd")],
            horizon=20, metrics=["duality_gap", "policy"], record=[3, 7],
        )
        experiment.to_toml(tmp_path / "x.toml")
        again = ps.Experiment.from_toml(tmp_path / "x.toml")
        one, two = ps.run(experiment), ps.run(again)
        assert list(one.algorithm.values) == ["egpo", "nash_md(step=0.1)", "nash_md(step=0.2)", "slow omd"]
        np.testing.assert_allclose(one.policy, two.policy, rtol=1e-15)
        assert list(one.t.values) == [0, 3, 7, 20] == list(two.t.values)
    bandit = ps.Experiment("mslr5", ["rucb:alpha=0.6"], horizon=50, runs=2)
    bandit.to_toml(tmp_path / "b.toml")
    np.testing.assert_array_equal(ps.run(bandit).regret, ps.run(ps.Experiment.from_toml(tmp_path / "b.toml")).regret)


def test_toml_by_hand(tmp_path):
    (tmp_path / "h.toml").write_text(
        'horizon = 10\n[problem]\nfamily = "cyclic"\nn = 3\nbeta = 0.1\n'
        '[[algorithms]]\nkey = "egpo"\nstep = {grid = [0.1, 0.5]}\n[[algorithms]]\nkey = "mwu"\n'
    )
    experiment = ps.Experiment.from_toml(tmp_path / "h.toml")
    assert [s.label for s in experiment.algorithms] == ["egpo(step=0.1)", "egpo(step=0.5)", "mwu"]
    assert experiment.problem.beta == 0.1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("horizon = 3", "lacks problem"),
        ('horizon = 3\nproblem = "cyclic4"\nalgorithms = ["rucb"]\nrunz = 3', "did you mean 'runs'"),
        ("horizon = ", "cannot read the experiment"),
        ('horizon = 3\nalgorithms = ["egpo"]\n[problem]\nfamily = "cyclic"\nm = 3', "argument of cyclic"),
        ('horizon = 3\nalgorithms = ["ucb1"]\n[problem]\nfamily = "bernoulli"', "bernoulli needs means; for example"),
    ],
)
def test_bad_toml(tmp_path, text, sentence):
    (tmp_path / "bad.toml").write_text(text)
    with pytest.raises(ValueError, match=sentence):
        ps.Experiment.from_toml(tmp_path / "bad.toml")
    with pytest.raises(ValueError, match="cannot read the experiment"):
        ps.Experiment.from_toml(tmp_path / "missing.toml")


@pytest.mark.parametrize(
    ("settings", "error", "sentence"),
    [
        ({"horizon": 0}, ValueError, "horizon must be at least 1; got 0"),
        ({"horizon": 2.5}, TypeError, "horizon must be a whole number"),
        ({"horizon": 2**33}, ValueError, "horizon must be at most"),
        ({"runs": -1}, ValueError, "runs must be at least 1; got -1"),
        ({"runs": 2}, ValueError, "give start='random'"),
        ({"horizon": float("nan")}, TypeError, "horizon must be a whole number"),
        ({"algorithms": 5}, TypeError, "algorithms must be a list"),
        ({"metrics": 5}, TypeError, "metrics must be a list"),
        ({"metrics": []}, ValueError, "metrics is empty"),
        ({"record": 5}, TypeError, "record must be a list"),
        ({"rnus": 5}, ValueError, "did you mean 'runs'"),
        ({"engine": None}, ValueError, "unknown engine None"),
        ({"algorithms": [{"key": 5}]}, ValueError, "needs a key, its name"),
        ({"seed": -3}, ValueError, "seed must be at least 0"),
        ({"seed": True}, TypeError, "seed must be a whole number"),
        ({"algorithms": []}, ValueError, "algorithms is empty"),
        ({"algorithms": ["mwu", "mwu"]}, ValueError, "'mwu' twice"),
        ({"algorithms": [3]}, TypeError, "an algorithm is a name"),
        ({"algorithms": ["mwu:step"]}, ValueError, "cannot read 'step'"),
        ({"algorithms": [("mwu", {"step": 0.0})]}, ValueError, "step must be positive"),
        ({"algorithms": [("mwu", {"step": float("nan")})]}, ValueError, "step must be a finite float"),
        ({"algorithms": [("mwu", {"step": "big"})]}, TypeError, "step must be a float"),
        ({"metrics": ["regret"]}, ValueError, "unknown metric 'regret'"),
        ({"record": [11]}, ValueError, "record must be at most 10"),
        ({"record": "some"}, ValueError, "unknown record"),
        ({"start": "here"}, ValueError, "unknown start"),
        ({"algorithms": [("mwu", {"step": float("inf")})]}, ValueError, "step must be a finite float"),
        ({"start": [1.0, 0.0, 0.0]}, ValueError, "every action needs positive probability"),
        ({"start": [0.5, 0.5]}, ValueError, "start must have 3 entries"),
        ({"start": [[0.2, 0.3, 0.5]] * 2}, ValueError, "does not fit 1 instances"),
        ({"engine": "fpga"}, ValueError, "unknown engine"),
        ({"problem": [[0.5]]}, TypeError, "Wrap a preference matrix"),
    ],
)
def test_bad_input_is_refused_before_work(settings, error, sentence):
    arguments = {"problem": GAME, "algorithms": ["mwu"], "horizon": 10, **settings}
    problem, algorithms = arguments.pop("problem"), arguments.pop("algorithms")
    with pytest.raises(error, match=sentence):
        ps.run(problem, algorithms, **arguments)


def test_steps_outside_a_method_are_refused():
    game = GAME.replace(beta=0.5)
    for key in ("omd", "egpo", "nash_md"):
        with pytest.raises(ValueError, match="choose step <= 2"):
            ps.run(game, [(key, {"step": 3.0})], horizon=1)
    with pytest.raises(ValueError, match="mirror_prox divides the game by beta"):
        ps.run(GAME, ["mirror_prox"], horizon=1)
    with pytest.raises(ValueError, match="schedule"):
        ps.run(GAME, [("nash_md", {"schedule": True})], horizon=1)


def test_policies_and_environments_must_match():
    with pytest.raises(ValueError, match="learns from duel feedback"):
        ps.run(ps.bandits.bernoulli([0.1, 0.2]), ["rucb"], horizon=5)
    with pytest.raises(ValueError, match="at least two arms"):
        ps.run(ps.bandits.dueling([[0.5]]), ["rucb"], horizon=5)
    with pytest.raises(ValueError, match="mixes matrices"):
        ps.bandits.dueling([ps.games.cyclic(3).preference, ps.games.bradley_terry([2.0, 1.0, 0.0]).preference])
    with pytest.raises(ValueError, match="mean rewards in"):
        ps.bandits.bernoulli([0.5, 1.5])
    with pytest.raises(TypeError, match="takes no further settings"):
        ps.run(ps.Experiment(GAME, ["mwu"], 3), horizon=3)
    with pytest.raises(TypeError, match="needs algorithms and horizon"):
        ps.run(GAME, ["mwu"])


def test_record_times():
    times = record_times(1000)
    assert times[0] == 0 and times[-1] == 1000 and 100 in times and 512 in times and (np.diff(times) > 0).all()
    assert len(record_times(10**7)) < 200
    np.testing.assert_array_equal(record_times(4, "all"), np.arange(5))
    np.testing.assert_array_equal(record_times(1), [0, 1])


def test_average_is_the_arithmetic_mean_of_the_iterates_played():
    data = ps.run(GAME, ["mwu"], horizon=9, record="all", metrics=["policy", "average_duality_gap"], start=[0.6, 0.3, 0.1])
    policies = data.policy.values[0, 0, 0]
    for t in range(1, 10):
        expected = 2 * (GAME.payoff @ policies[:t].mean(axis=0)).max()
        assert data.average_duality_gap.values[0, 0, 0, t] == pytest.approx(expected, rel=1e-12)
    assert data.average_duality_gap.values[0, 0, 0, 0] == pytest.approx(float(ps.duality_gap(GAME, policies[0])))


def test_random_starts_are_runs():
    data = ps.run(GAME, ["mwu"], horizon=3, runs=4, start="random", metrics=["policy"])
    starts = data.policy.values[0, 0, :, 0]
    assert np.unique(starts, axis=0).shape[0] == 4
    again = ps.run(GAME, ["omd"], horizon=3, runs=2, start="random", metrics=["policy"])
    np.testing.assert_array_equal(again.policy.values[0, 0, :, 0], starts[:2])


def test_files_are_written_whole_and_carry_provenance(tmp_path):
    data = ps.run(ps.bandits.arxiv_six_rankers(), ["rucb", "uniform"], horizon=100, runs=3, metrics=["regret", "weak_regret"])
    assert data.regret.attrs["normalisation"] == "duel_average" and data.regret.dims == ("algorithm", "instance", "run", "t")
    ps.save(data, tmp_path / "d.nc")
    back = ps.load(tmp_path / "d.nc")
    assert back.identical(data)
    said = json.loads(back.attrs["provenance"])
    assert said["experiment"]["problem"] == {"family": "arxiv_six_rankers"} and said["seed"] == 0
    assert {"prefsim.policies.rucb", "prefsim.bandits.dueling", "prefsim.noise"} <= set(said["sources"])
    np.testing.assert_array_equal(ps.run(ps.Experiment.from_dict(said["experiment"])).regret, data.regret)
    assert [p.name for p in tmp_path.iterdir()] == ["d.nc"]
    for path, sentence in ((tmp_path / "no" / "d.nc", "does not exist; create it"), (tmp_path, "is a folder")):
        with pytest.raises(ValueError, match=sentence):
            ps.save(data, path)
    (tmp_path / "other.nc").write_text("nothing")
    for name, sentence in (("other.nc", "is not a netCDF file"), ("missing.nc", "there is no file")):
        with pytest.raises(ValueError, match=sentence):
            ps.load(tmp_path / name)


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    target = tmp_path / "d.txt"
    target.write_text("old")

    def half(path):
        with open(path, "w") as stream:
            stream.write("ne")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        results.write_whole(target, half)
    assert target.read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_content_key_names_the_experiment():
    one = ps.Experiment(GAME, ["mwu"], 10)
    assert results.content_key(one) == results.content_key(ps.Experiment(ps.games.rock_paper_scissors(), ["mwu"], 10))
    assert results.content_key(one) != results.content_key(ps.Experiment(GAME, ["mwu"], 11))
    assert results.content_key(one) != results.content_key(ps.Experiment(GAME, [("mwu", {"step": 0.2})], 10))


@pytest.mark.parametrize("key", ["additive", "bradley_terry", "cyclic", "planted", "random", "rock_paper_scissors"])
def test_changed_games_are_written_down_as_they_are(tmp_path, key):
    game = getattr(ps.games, key)()
    warm = game.replace(beta=0.5)
    for changed in (warm, warm.replace(beta=0.2), game.replace(reference=[1 / game.n] * game.n)):
        ps.Experiment(changed, ["mwu"], 3).to_toml(tmp_path / "g.toml")
        again = ps.Experiment.from_toml(tmp_path / "g.toml").problem
        np.testing.assert_allclose(again.preference, changed.preference, rtol=1e-15)
        np.testing.assert_allclose(again.log_reference, changed.log_reference, rtol=1e-14)
        np.testing.assert_array_equal(again.beta, changed.beta)


def test_grids_take_numpy_ranges():
    swept = ("mwu", {"step": ps.Grid(np.linspace(0.1, 0.3, 3))})
    experiment = ps.Experiment(GAME, [swept, ("omd", {"step": np.float32(0.5)})], 3)
    assert len(experiment.algorithms) == 4 and ps.run(experiment).step.values[-1] == 0.5
    with pytest.raises(ValueError, match="a Grid needs a list"):
        ps.Grid(5)


def test_the_step_an_error_suggests_is_accepted():
    for beta in (0.11, 0.13, 0.15, 0.6):
        with pytest.raises(ValueError, match="choose step <=") as refused:
            ps.run(GAME.replace(beta=beta), [("omd", {"step": 100.0})], horizon=1)
        suggested = float(str(refused.value).split("<=")[1].rstrip(". "))
        ps.run(GAME.replace(beta=beta), [("omd", {"step": suggested})], horizon=1)
    ps.run(GAME.replace(beta=0.06), [("mirror_prox", {"step": 1e16})], horizon=1)


@pytest.mark.parametrize("policy", ["ucb1:exploration=-1", "exp3:step=-1", "rucb:alpha=0", "double_thompson:alpha=-1"])
def test_hyperparameters_of_policies_are_checked(policy):
    problem = ps.bandits.cyclic4() if "alpha" in policy else ps.bandits.bernoulli([0.1, 0.2])
    with pytest.raises(ValueError, match="must be >"):
        ps.run(problem, [policy], horizon=5)


def test_slopes_keep_to_their_assumption():
    data = ps.run(ps.bandits.cyclic4(), ["rucb:alpha=0.3", "rucb"], horizon=5)
    assert np.isnan(data.regret_slope_upper.values[0]).all() and np.isfinite(data.regret_slope_upper.values[1]).all()


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({"reference": "a"}, TypeError, "reference must be a number or a regular array"),
        ({"beta": "a"}, TypeError, "beta must be a number"),
        ({"names": 5}, TypeError, "names must be a list"),
        ({"names": "ab"}, TypeError, "names must be a list"),
        ({"names": ["a", "a"]}, ValueError, "each differently"),
    ],
)
def test_bad_games_are_refused(arguments, error, sentence):
    with pytest.raises(error, match=sentence):
        ps.PreferenceGame([[0.5, 0.6], [0.4, 0.5]], **arguments)


def test_other_objects_are_refused():
    for call in (ps.solve_equilibrium, lambda game: ps.duality_gap(game, [0.5, 0.5])):
        with pytest.raises(TypeError, match="Wrap a matrix in"):
            call(5)
    with pytest.raises(TypeError, match="verify takes claims by key"):
        ps.verify(["egpo"])
    with pytest.raises(TypeError, match="means must be a number or a regular array"):
        ps.bandits.bernoulli([[0.1], [0.2, 0.3]])
