"""Games written to .npz files come back the same, and are accepted wherever games are."""

from __future__ import annotations

import numpy as np
import pytest
from typer.testing import CliRunner

import prefsim as ps
from prefsim import registry
from prefsim.cli import app
from prefsim.problems import build_problem

JUDGED = ps.games.low_rank_mixture(n=4, rank=2, intransitivity=0.5, seed=1, count=3)
REFERENCE = np.random.default_rng(0).dirichlet(np.ones(4), size=3)


def same(one, other):
    assert (one.preference == other.preference).all() and (one.payoff == other.payoff).all()
    assert (one.beta == other.beta).all() and one.batch_shape == other.batch_shape
    np.testing.assert_allclose(one.log_reference, other.log_reference, rtol=1e-14)
    assert (one.names, one.transform) == (other.names, other.transform)


@pytest.mark.parametrize(
    "game",
    [
        ps.games.rock_paper_scissors(),
        ps.PreferenceGame(JUDGED.preference, REFERENCE, [0.0, 0.1, 0.2], names=["é", "b", "c", "d"]),
        ps.PreferenceGame(JUDGED.preference, beta=0.3, transform="log_odds"),
        ps.PreferenceGame(JUDGED.preference[None, :2], log_reference=[0.0, -800.0, -1.0, -2.0], beta=0.1),
    ],
    ids=["single", "batch with reference and names", "log-odds", "two axes, far reference"],
)
def test_round_trip(tmp_path, game):
    game.save(tmp_path / "game.npz")
    same(ps.games.from_npz(tmp_path / "game.npz"), game)
    same(ps.games.from_npz(tmp_path / "game.npz", beta=0.7), game.replace(beta=np.full(game.batch_shape, 0.7)))


def test_what_numpy_writes_is_read(tmp_path):
    np.savez(tmp_path / "plain.npz", preference=JUDGED.preference)
    same(ps.games.from_npz(tmp_path / "plain.npz"), ps.PreferenceGame(JUDGED.preference))


def test_saving_is_whole_or_not_at_all(tmp_path):
    path = tmp_path / "game.npz"
    JUDGED.save(path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"path must end in \.npz"):
        JUDGED.save(tmp_path / "game.csv")
    with pytest.raises(ValueError, match="does not exist; create it first"):
        JUDGED.save(tmp_path / "absent" / "game.npz")
    assert path.read_bytes() == before and [file.name for file in tmp_path.iterdir()] == ["game.npz"]


def test_every_solver_takes_a_saved_batch(tmp_path):
    JUDGED.replace(beta=0.2).save(tmp_path / "judge.npz")
    game = ps.games.from_npz(tmp_path / "judge.npz")
    solvers = sorted(registry.algorithms("solvers"))
    data = ps.run(game, solvers, horizon=2, engine="reference")
    assert data["duality_gap"].shape[:2] == (len(solvers), 3) and np.isfinite(data["duality_gap"]).all()
    exact = ps.solve_equilibrium(game)
    assert exact.gap.max() < 1e-12 and exact.policy.shape == (3, 4)


def test_experiments_keep_the_game_and_problems_name_the_file(tmp_path):
    JUDGED.replace(beta=0.2).save(tmp_path / "judge.npz")
    game = ps.games.from_npz(tmp_path / "judge.npz")
    same(build_problem({"family": "from_npz", "path": str(tmp_path / "judge.npz")}), game)
    experiment = ps.Experiment(game, ["egpo"], horizon=5)
    experiment.to_toml(tmp_path / "experiment.toml")
    (tmp_path / "judge.npz").unlink()
    same(ps.Experiment.from_toml(tmp_path / "experiment.toml").problem, game)


def test_command_line(tmp_path):
    JUDGED.replace(beta=0.2).save(tmp_path / "judge.npz")

    def call(*arguments):
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    out = tmp_path / "x.nc"
    result = call("run", "--preference", tmp_path / "judge.npz", "egpo", "--horizon", 50, "--engine", "reference", "--out", out)
    assert result.exit_code == 0, result.output
    tournaments = [ps.summarize(matrix) for matrix in JUDGED.preference]
    cyclic, winners = sum(not t.transitive for t in tournaments), sum(t.condorcet_winner is not None for t in tournaments)
    assert f"3 games of 4 actions: {cyclic} intransitive, {winners} with a Condorcet winner." in result.stdout
    assert 0 < cyclic < 3
    direct = ps.run(JUDGED.replace(beta=0.2), ["egpo"], horizon=50, engine="reference")
    assert (ps.load(out)["duality_gap"].values == direct["duality_gap"].values).all()
    JUDGED[0].save(tmp_path / "one.npz")
    single = call("run", "--preference", tmp_path / "one.npz", "egpo", "--beta", 0.1, "--horizon", 5, "--engine", "reference")
    assert "KL-regularised equilibrium, beta = 0.1" in single.stdout
    counts = CliRunner().invoke(app, ["run", "--preference", str(tmp_path / "one.npz"), "egpo", "--counts"])
    assert counts.exit_code == 2 and "an .npz file holds preferences" in counts.output


def test_files_that_hold_no_games(tmp_path):
    def refused(message, **content):
        np.savez(tmp_path / "bad.npz", **content)
        with pytest.raises(ValueError, match=message) as caught:
            ps.games.from_npz(tmp_path / "bad.npz")
        assert "\n" not in str(caught.value) and str(caught.value).endswith(".")

    refused("must hold preference and may hold log_reference, beta, names, transform; got wins", wins=np.eye(2))
    refused("got preference, extra", preference=np.full((2, 2), 0.5), extra=1)
    refused(r"bad\.npz: preference must satisfy P \+ P\^T = 1", preference=np.full((2, 2), 0.6))
    refused(r"bad\.npz: beta must be a finite temperature", preference=np.full((2, 2), 0.5), beta=-1.0)
    refused("names must name all 2 actions", preference=np.full((2, 2), 0.5), names=np.array(["a"]))
    refused("names must be a list", preference=np.full((2, 2), 0.5), names=np.array("a"))
    refused("transform must be 'probability' or 'log_odds'", preference=np.full((2, 2), 0.5), transform=np.array("odds"))
    refused("cannot be read as an .npz file", preference=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ValueError, match=r"there is no file .*absent\.npz"):
        ps.games.from_npz(tmp_path / "absent.npz")
    for name, content in {"text.npz": b"a,b\n", "empty.npz": b"", "broken.npz": b"PK\x03\x04 no archive"}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=r"cannot be read as an \.npz file"):
            ps.games.from_npz(tmp_path / name)
    np.save(tmp_path / "lone.npy", np.eye(2))
    with pytest.raises(ValueError, match=r"cannot be read as an \.npz file"):
        ps.games.from_npz(tmp_path / "lone.npy")
