"""Tuned steps against the closed forms of rock-paper-scissors, budgets counted by hand, and the rule for ties."""

import re
import shlex
import warnings

import numpy as np
import pytest
from typer.testing import CliRunner

import prefsim as ps
from prefsim import registry
from prefsim.cli import app
from prefsim.step_search import arrival, choose, median_logs, resolution

BETA = 0.2
OMEGA = 1 / (2 * np.sqrt(3))
"""Frequency of rock-paper-scissors at its uniform equilibrium: ``A`` has eigenvalues ``i sqrt(3) / 2``, ``A S = A / 3``."""
START = [0.36, 0.33, 0.31]
"""Close to the equilibrium, where iterations are linear; all perturbations turn at the same frequency."""
RPS = ps.games.rock_paper_scissors().replace(beta=BETA)

FACTOR = {
    "omd": lambda s: abs(1 - s * BETA + 1j * s * OMEGA),
    "inpo": lambda s: abs(1 - BETA / s + 1j * OMEGA / s),
    "mmd": lambda s: abs(1 + 1j * s * OMEGA) / (1 + s * BETA),
    "egpo": lambda s: abs((1 - s * BETA) * (1 + 1j * s * OMEGA) - (s * OMEGA) ** 2),
}
"""Factor of an error in one iteration, from the recursions."""

CLOSED = {"omd": BETA / (BETA**2 + OMEGA**2), "inpo": (BETA**2 + OMEGA**2) / BETA, "mmd": BETA / OMEGA**2}


def tune(algorithms, game=RPS, **settings):
    return ps.tune(game, algorithms, **{"start": START, "metric": "kl_to_equilibrium", **settings})


# 3600 queries: the smallest divergences are rounding, and only the time it takes to get there tells steps apart.
@pytest.mark.parametrize("queries", [540, 3600])
@pytest.mark.parametrize("key", FACTOR)
def test_steps_are_those_of_the_closed_form(key, queries):
    tuned = tune([key], queries=queries)
    grid = np.geomspace(0.05, 4.9, 20001)
    exact = grid[FACTOR[key](grid).argmin()]
    assert exact == pytest.approx(CLOSED.get(key, exact), rel=1e-3)
    assert tuned.steps[key] == pytest.approx(exact, rel=0.1)
    assert not tuned.at_edge
    if queries == 540:
        predicted = FACTOR[key](tuned.steps[key]) ** (2 * tuned.horizons[key])  # KL is quadratic in the error
        first = tuned.data.kl_to_equilibrium.values[0, 0, 0, 0]
        assert np.log(tuned.scores[key]) == pytest.approx(np.log(first * predicted), abs=0.3)


def test_euclidean_extragradient_in_the_game_without_temperature():
    # z = 1 + i x - x^2 with x = step sqrt(3) / 2: |z|^2 = 1 - x^2 + x^4 is smallest at x^2 = 1/2.
    tuned = tune(["extragradient"], game=RPS.replace(beta=0.0), queries=3600, engine="reference")
    assert tuned.steps["extragradient"] == pytest.approx(np.sqrt(2 / 3), rel=0.1)


def test_every_solver_gets_the_same_queries():
    tuned = tune(["omd", "egpo", "extragradient", "fictitious_play"], queries=1000, engine="reference")
    assert tuned.horizons == {"omd": 111, "egpo": 55, "extragradient": 55, "fictitious_play": 111}  # 9 an evaluation
    for key, horizon in tuned.horizons.items():
        alone = tuned.data.where(tuned.data.key == key, drop=True).dropna("t")
        assert alone.t[-1] == horizon
        spent = alone.queries.values[:, -1]
        assert (spent <= 1000).all() and (spent * (horizon + 1) > 1000 * horizon).all()


def test_the_budget_is_counted_in_the_unit_of_the_feedback():
    tuned = tune(["omd", "egpo"], queries=1000, feedback="duels:samples=5", seed=1)  # 3 actions, 5 duels each
    assert tuned.horizons == {"omd": 66, "egpo": 33}
    assert tuned.data.queries.attrs["units"] == "duels"


def test_what_is_found_runs_and_has_the_score_reported():
    tuned = tune(["egpo", ("nash_ema", {"decay": 0.5}), "regret_matching_plus"], queries=900, engine="reference")
    assert [key for key, _ in tuned.algorithms] == ["egpo", "nash_ema", "regret_matching_plus"]
    assert tuned.algorithms[1][1] == {"decay": 0.5, "step": tuned.steps["nash_ema(decay=0.5)"]}
    assert tuned.algorithms[2] == ("regret_matching_plus", {}) and np.isnan(tuned.steps["regret_matching_plus"])
    settings = {"start": START, "metrics": ["kl_to_equilibrium"], "record": "all", "engine": "reference"}
    again = ps.run(RPS, tuned.algorithms, horizon=100, **settings)
    finals = again.kl_to_equilibrium.isel(instance=0, run=0)
    for k, (label, score) in enumerate(tuned.scores.items()):
        assert float(finals[k].sel(t=tuned.horizons[label])) == pytest.approx(score, rel=1e-9)


@pytest.mark.filterwarnings("ignore::prefsim.stability.StabilityWarning")
def test_nothing_on_a_fine_grid_is_better_over_a_batch():
    games = ps.PreferenceGame([ps.games.random(4, seed=s).preference for s in range(5)], beta=0.1)
    tuned = ps.tune(games, ["omd"], queries=16 * 60)
    steps = np.geomspace(0.1, 9.9, 60)
    data = ps.run(games, [("omd", {"step": ps.Grid(steps)})], horizon=60, metrics=["duality_gap"])
    finals = np.median(data.duality_gap.values[:, :, 0, -1], axis=1)
    assert tuned.scores["omd"] < 1.3 * finals.min()
    assert tuned.steps["omd"] == pytest.approx(steps[finals.argmin()], rel=0.12)


def test_grids_of_other_hyperparameters_and_labels_of_ones_own():
    decays = ps.Grid([0.0, 0.5])
    tuned = tune([("nash_ema", {"decay": decays}), ps.Spec("omd", {}, "mine")], queries=540)
    assert list(tuned.steps) == ["nash_ema(decay=0)", "nash_ema(decay=0.5)", "mine"]
    assert tuned.steps["nash_ema(decay=0)"] == pytest.approx(tuned.steps["mine"], rel=0.1)  # without memory it is omd
    labels = ps.run(RPS, tuned.algorithms[2:], horizon=3, start=START).algorithm.values
    assert list(labels) == ["mine"]
    assert {str(label) for label in tuned.data.algorithm.values} >= {"mine(step=0.1)", "nash_ema(decay=0.5, step=0.1)"}


def test_a_seed_says_everything():
    settings = {"queries": 3 * 40, "feedback": "sampled", "runs": 4, "start": "random"}
    first, again, other = (tune(["omd"], seed=seed, **settings) for seed in (0, 0, 1))
    assert first.data.drop_attrs().identical(again.data.drop_attrs()) and first.steps == again.steps
    assert not np.allclose(first.data.kl_to_equilibrium.values[0], other.data.kl_to_equilibrium.values[0])


def test_the_end_of_the_range_is_an_edge_to_widen():
    with pytest.warns(UserWarning, match=re.escape("best step 0.5 is the largest tried; widen steps=(0.01, 0.5)")):
        tuned = tune(["omd"], queries=540, steps=(0.01, 0.5))
    assert list(tuned.at_edge) == ["omd"] and tuned.at_edge["omd"] in str(tuned)
    with pytest.warns(UserWarning, match="smallest tried"):
        assert tune(["omd"], queries=540, steps=(3, 100)).steps == {"omd": 3.0}


def test_the_end_of_what_a_solver_admits_is_reported_and_not_complained_about():
    # In an additive game only the pull matters: the error shrinks by exactly 1 - step beta, best at step 1 / beta.
    game = ps.games.additive([0.3, 0.1, 0.0]).replace(beta=0.3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tuned = tune(["omd", "inpo"], game=game, queries=9 * 30)
        assert tuned.steps["omd"] == pytest.approx(1 / 0.3, rel=1e-3) and tuned.steps["omd"] <= 1 / 0.3
        assert tuned.steps["inpo"] == pytest.approx(0.3, rel=1e-3) and tuned.steps["inpo"] >= 0.3
    assert tuned.at_edge["omd"].endswith("3.333 is the largest the solver admits here.")
    assert tuned.at_edge["inpo"].endswith("0.3 is the smallest the solver admits here.")


def test_inadmissible_steps_are_skipped():
    tuned = tune(["omd", "inpo"], queries=90)
    data = tuned.data
    assert data.step.where(data.key == "omd").max() == 1 / BETA
    assert data.step.where(data.key == "inpo").min() == BETA
    assert data.step.where(data.key == "inpo").max() == 1000 and data.step.where(data.key == "omd").min() == 1e-4


@pytest.mark.parametrize("beta", [0.15, 1 / 3, 0.07, 0.0237])
def test_ends_that_do_not_fit_the_digits_are_rounded_inwards(beta):
    data = tune(["omd", "inpo"], game=RPS.replace(beta=beta), queries=9).data
    assert 0.9989 / beta < data.step.where(data.key == "omd").max() <= 1 / beta
    assert beta <= data.step.where(data.key == "inpo").min() < 1.0011 * beta


def test_a_step_that_plays_no_part_stays_the_default():
    tuned = tune([("nash_md", {"schedule": True})], queries=360)
    assert tuned.steps == {"nash_md(schedule=true)": registry.load("solvers", "nash_md").Hyper().step}


BLAST = '''"""A solver that leaves the numbers at steps above 2."""

from typing import NamedTuple


class Hyper(NamedTuple):
    """Hyperparameters."""

    step: float = 0.1
    """Learning rate."""


def opponent(hyper, iterate, phase):
    return iterate.current


def target(hyper, iterate, gain, phase):
    return (1 - (hyper.step / 2) ** 100) * iterate.current + hyper.step * gain
'''


@pytest.fixture
def blast(tmp_path):
    (tmp_path / "solvers").mkdir()
    (tmp_path / "solvers" / "blast.py").write_text(BLAST)
    ps.add_path(tmp_path)
    yield "blast"
    registry._added.remove(tmp_path.resolve())
    registry._forget()


def test_diverging_is_worst(blast):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tuned = tune([blast], queries=90)
    assert np.isnan(tuned.data.kl_to_equilibrium.sel(algorithm="blast(step=10)")).any() and tuned.steps["blast"] < 2.5
    with pytest.warns(UserWarning, match=re.escape("best step 50 is the smallest tried; widen steps=(50, 100)")):
        lost = tune([blast], queries=90, steps=(50, 100))
    assert lost.scores["blast"] == np.inf and "diverged" in str(lost)


def test_medians_are_taken_in_logarithms_and_survive_what_is_no_number():
    values = np.array([[1e-4, 1e-8], [0.0, 1e-320], [-1e-17, 1.0], [np.nan, np.inf]]).reshape(4, 2, 1, 1)
    medians = median_logs(values)[:, 0]
    np.testing.assert_allclose(medians[:3], np.log([1e-6, 1e-300, 1e-150]), rtol=1e-12)
    assert medians[3] == np.inf


def test_the_rule_for_ties():
    times, rounding = np.array([0, 10, 20, 40]), np.log(1e-24)
    curves = np.log([
        [1.0, 1e-12, 1e-24, 1e-30],  # rounding from 20 on
        [1.0, 1e-20, 1e-28, 1e-31],  # there first
        [1.0, 1e-26, 1e-10, 1e-33],  # there before, but did not stay; smallest at the end, which is rounding
        [1.0, 1e-30, 1e-30, 1e-23],  # not there
    ])
    apart = np.array([3.0, 2.0, 1.0, 0.0])
    assert choose(curves, times, rounding, apart) == 1
    assert choose(curves[[0, 2]], times, rounding, apart[[0, 2]]) == 0
    assert choose(curves / 4, times, rounding, apart) == 2  # nothing is rounding: the smallest final value
    assert choose(curves[[1, 1]], times, rounding, np.array([2.0, 1.0])) == 1  # equal throughout: nearest to the default
    plateau = np.log([[1.0, 0.5, 0.2, 0.1], [1.0, 0.2, 0.1001, 0.1001], [1.0, 0.2, 0.102, 0.102]])
    assert choose(plateau, times, rounding, np.zeros(3)) == 1  # a plateau is reached within 1 percent
    to_zero = np.log([[1.0, 1e-2, 1e-2, 1e-300], [1.0, 1e-10, 1e-10, 1e-30]])  # the second meets 1e-24 before the first
    assert choose(to_zero, times, rounding, np.array([0.0, 1.0])) == 1
    slow = np.log([[1.0, 1e-2, 1e-2, 1e-32], [1.0, 1e-10, 1e-10, 1e-25]])  # here the first does
    assert choose(slow, times, rounding, np.array([1.0, 0.0])) == 0
    assert choose(np.full((3, 4), np.inf), times, rounding, np.array([2.0, 0.5, 1.0])) == 1
    assert choose(np.array([[0.0, -1, -2, np.inf], [0.0, 0, 0, 0]]), times, rounding, np.zeros(2)) == 1


def test_arrival_of_a_geometric_decay_is_exact_between_records():
    times = np.array([0, 3, 10, 40])
    assert arrival(-0.7 * times, times, -0.7 * 17.3) == pytest.approx(17.3, rel=1e-12)
    assert arrival(np.array([np.inf, np.inf, -1.0, -2.0]), times, -1.0) == 10
    assert arrival(-0.7 * times, times, 1.0) == 0


def test_what_counts_as_rounding():
    square, plain = 2 * np.log(1e-12), np.log(1e-12)
    mixed = ps.PreferenceGame(RPS.preference, beta=[0.0, 0.1])
    assert [resolution(name, RPS) for name in ("duality_gap", "average_exploitability", "span_to_equilibrium")] == [
        square, square, plain,
    ]
    assert [resolution(name, mixed) for name in ("duality_gap", "kl_to_equilibrium")] == [plain, square]


@pytest.mark.parametrize(
    ("algorithms", "settings", "said"),
    [
        ([("omd", {"step": 0.1})], {}, "omd(step=0.1) fixes its step"),
        ([("omd", {"step": "auto"})], {}, "fixes its step"),
        (["omd", "omd"], {}, "holds 'omd' twice"),
        (["nash_prox"], {}, "nash_prox asks for a number of preferences that is not known in advance"),
        (["omd", "egpo"], {"queries": 17}, "does not pay for one iteration of egpo, which takes 18"),
        (["omd"], {"queries": 0}, "queries must be at least 1"),
        (["omd"], {"queries": 1.5}, "queries must be a whole number"),
        (["omd"], {"metric": "duality"}, "did you mean 'duality_gap'"),
        (["omd"], {"metric": "win_rate"}, "unknown metric to make small"),
        (["omd"], {"horizon": 10}, "tune takes queries"),
        (["omd"], {"metrics": ["duality_gap"]}, "tune takes metric"),
        (["omd"], {"horzion": 10}, "did you mean 'horizon'"),
        (["omd"], {"steps": (1, 0.1)}, "the smaller one first"),
        (["omd"], {"steps": (0, 0.1)}, "positive"),
        (["omd"], {"steps": 3}, "pair of numbers"),
        (["omd"], {"steps": (6, 9)}, "no step between 6 and 9 will do: omd on a game with beta = 0.2: step * beta"),
        ([("nash_ema", {"decay": 2.0})], {}, "decay must lie in [0, 1)"),
        ([("nash_ema", {"dekay": 0.2})], {}, "did you mean 'decay'"),
        (["rucb"], {}, "runs on bandits"),
        (["fictitious_play"], {"feedback": "duels"}, "cannot work from duels feedback"),
    ],
)
def test_refusals_are_sentences(algorithms, settings, said):
    with pytest.raises((ValueError, TypeError), match=re.escape(said)):
        tune(algorithms, **{"queries": 900, **settings})


def test_a_game_is_needed():
    with pytest.raises(TypeError, match="whose policies have no step"):
        ps.tune(ps.bandits.bernoulli([0.3, 0.7]), ["ucb1"], queries=10)
    with pytest.raises(TypeError, match="PreferenceGame"):
        ps.tune(RPS.preference, ["omd"], queries=10)
    with pytest.raises(ValueError, match="needs beta > 0"):
        tune(["mirror_prox"], game=RPS.replace(beta=0.0), queries=900)


def test_candidates_can_be_kept_and_drawn(tmp_path):
    tuned = tune(["omd", "egpo"], queries=540)
    ps.save(tuned.data, tmp_path / "tuned.nc")
    kept = ps.load(tmp_path / "tuned.nc")
    assert kept.drop_attrs().identical(tuned.data.drop_attrs())
    egpo = kept.where(kept.key == "egpo", drop=True).dropna("t")
    best = [y for *_, x, y in ps.plot(egpo, x="step").table if x == tuned.steps["egpo"]]
    assert best == [pytest.approx(tuned.scores["egpo"])]


def call(*arguments):
    return CliRunner().invoke(app, ["tune", *map(str, arguments)])


def test_command_prints_the_table_and_the_run_to_go_on_with():
    given = ["cyclic", "--set", "n=5", "--set", "margin=0.25", "--beta", "0.1", "--start", "[0.4, 0.3, 0.1, 0.1, 0.1]"]
    solvers = ["omd", "egpo", "nash_ema:decay=0.5", "nash_md:schedule=true", "fictitious_play"]
    result = call(*given, *solvers, "--queries", 2500, "--metric", "kl_to_equilibrium")
    assert result.exit_code == 0, result.output
    game = ps.games.cyclic(n=5, margin=0.25).replace(beta=0.1)
    mapped = ["omd", "egpo", ("nash_ema", {"decay": 0.5}), ("nash_md", {"schedule": True}), "fictitious_play"]
    start = [0.4, 0.3, 0.1, 0.1, 0.1]
    same = ps.tune(game, mapped, queries=2500, metric="kl_to_equilibrium", start=start)
    assert str(same) in result.stdout
    line = shlex.split(result.stdout.splitlines()[-1])
    assert line[:4] == ["prefsim", "run", "cyclic", f"omd:step={same.steps['omd']:g}"]
    assert line[line.index("--horizon") + 1] == "100" == str(max(same.horizons.values()))
    again = CliRunner().invoke(app, line[1:])
    assert again.exit_code == 0, again.output
    shown = re.search(r"nash_ema\(\S+ \S+ +(\S+)", again.stdout)[1]
    assert float(shown) == pytest.approx(same.scores["nash_ema(decay=0.5)"], rel=1e-3)


def test_command_reads_a_matrix_of_ones_own(tmp_path):
    path = tmp_path / "own wins.csv"
    path.write_text(",a,b,c\na,0,6,3\nb,4,0,7\nc,7,3,0\n")
    result = call("--preference", path, "--counts", "egpo", "--beta", 0.3, "--queries", 300)
    assert result.exit_code == 0, result.output
    assert CliRunner().invoke(app, shlex.split(result.stdout.splitlines()[-1])[1:]).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("cyclic omd", "--queries"),
        ("cyclic omd:step=1 --queries 90", "fixes its step"),
        ("cyclic --queries 90", "algorithms is empty"),
        ("some.toml --queries 90", "tune reads no experiments"),
        ("arxiv_six_rankers rucb --queries 90", "bandit"),
    ],
)
def test_command_refuses_in_one_sentence(arguments, said):
    result = call(*arguments.split())
    assert result.exit_code == 2 and said in result.stderr and len(result.stderr.splitlines()) == 1
