"""``prefsim bench``: what is timed and how times become numbers; the times themselves are no matter for a test."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from prefsim import bench
from prefsim.bench import bars, games, timing
from prefsim.bench.timing import Case, Measured
from prefsim.cli import app


class Clock:
    """A clock that only work moves."""

    def __init__(self):
        self.now = 0.0

    def process_time(self):
        return self.now

    def work(self, call, unit):
        def job(units):
            self.now += call + units * unit

        return job


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(timing, "time", made)
    return made


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(timing, "SECONDS", 0.001)
    for limit in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(limit, "1")  # what the command sets must not outlive the test


def test_what_a_call_costs_besides_is_taken_off(clock):
    ours, base = timing.compare(clock.work(0.4, 3e-7), clock.work(1e-3, 2e-8), besides=True)
    assert ours == pytest.approx(300e-9)
    assert base == pytest.approx(20e-9)


def test_a_call_counts_unless_it_is_besides(clock):
    ours, base = timing.compare(clock.work(2.0, 0.0), clock.work(0.0, 5e-6), per=10)
    assert ours == pytest.approx(0.2)  # one call was enough
    assert base == pytest.approx(5e-7)


def test_jobs_alternate_and_the_shortest_time_counts(clock):
    order, costs = [], {"a": iter([9.0, 3.0, 1.0, 2.0]), "b": iter([9.0, 4.0, 6.0, 5.0])}

    def job(name):
        order.append(name)
        clock.now += next(costs[name])

    assert timing.best_times(lambda: job("a"), lambda: job("b"), repeats=3).tolist() == [1.0, 4.0]
    assert "".join(order) == "ab" * 4  # the first of each may compile, and is not timed


def test_enough_work_is_timed(clock):
    assert timing._enough(clock.work(1.0, 1e-6), (1, 2), None) * 1e-6 == pytest.approx(timing.SECONDS, rel=0.5)
    assert timing._enough(clock.work(0.0, 1e-6), (1,), None) * 1e-6 == pytest.approx(timing.SECONDS, rel=0.5)


def case(baseline, ours, error=None, name="ucb1"):
    return Case(name, "10 arms", "numba", "round", baseline, lambda: Measured([ours, 10.0], error))


def test_bars():
    def verdict(*given, **named):
        return bench.measure(case(*given, **named)).verdict

    assert verdict(bars.HAND_FUSED, 12.0) == "met"
    assert verdict(bars.HAND_FUSED, 12.1) == "missed"
    assert verdict(bars.HAND_FUSED, 14.9, name="moss") == "met"
    assert verdict(bars.HAND_FUSED, 1.0, 1e-12) == "met"
    assert verdict(bars.HAND_FUSED, 1.0, 1e-11) == "missed"
    assert verdict(bars.UNIFORM, 1e9) == ""
    assert bench.measure(case(bars.HAND_FUSED, 12.0)).ratio == pytest.approx(1.2)


def test_every_bar_is_some_cases():
    cases = list(bench.cases())
    assert {bars.bar(one) for one in cases} - {None} == set(bars.BARS)
    assert not [one for one in cases if one.baseline in (bars.HAND_FUSED, bars.EVERY_PAIR) and timing.missing(one)]
    assert len({one[:5] for one in cases}) == len(cases)


def test_the_threads_of_the_engines_come_back(monkeypatch):
    monkeypatch.setenv("PREFSIM_THREADS", "3")
    seen = []
    bench.measure(Case("", "", "", "", "", lambda: seen.append(timing.os.environ["PREFSIM_THREADS"])))
    assert seen == ["1"] and timing.os.environ["PREFSIM_THREADS"] == "3"


def test_the_numpy_loop_is_mirror_prox():
    """A plain reading of the recursion, one game: both moves start from the policy, the second plays the half-step."""
    payoff, reference, start = (array[0] for array in games.games(1, 4))
    policy, reference = np.exp(start[0]), np.exp(reference)
    for _ in range(3):
        played = policy
        for _ in range(2):
            moved = policy ** (1 - 0.01) * reference**0.01 * np.exp(0.1 * payoff @ played)
            played = moved / moved.sum()
        policy = played
    np.testing.assert_allclose(np.exp(games.numpy_loop(payoff, np.log(reference), start[0], 3)), policy, rtol=1e-13)


def test_timings_are_printed_and_written(tmp_path, monkeypatch, quick):
    file = tmp_path / "bench.json"
    # Nothing that the linear-algebra library would share out over threads.
    light = [one for one in bench.cases() if one.problem.endswith(("n = 10", "arxiv_six_rankers"))]
    monkeypatch.setattr(bench, "cases", lambda: light)
    asked = ["bench", "winner_stays", "egpo", "omd", "--engine", "numba", "--json", str(file)]
    told = CliRunner().invoke(app, asked, prog_name="prefsim")
    assert told.exit_code == 0, told.output
    found = json.loads(file.read_text())
    rows = found["timings"]
    assert [row["name"] for row in rows] == ["winner_stays"] + ["egpo"] * 4 + ["omd"]
    assert {row["engine"] for row in rows} == {"numba"}
    assert all(row["nanoseconds"] > 0 and row["ratio"] > 0 for row in rows)
    assert found["numba"] and found["machine"]
    hand = [row for row in rows if row["baseline"] == "hand-fused kernel"]
    assert len(hand) == 1 and all(row["error"] < 1e-12 and row["bar"] == 1.2 for row in hand)
    assert {row["verdict"] for row in rows if row["baseline"] == "uniform"} == {""}
    lines = told.output.splitlines()
    assert lines[0] == bench.HEADER and len(lines) == len(rows) + 2


def test_large_problems_wait_to_be_asked_for(monkeypatch):
    cases = [one._replace(measure=lambda: Measured([1.0, 1.0])) for one in bench.cases()]
    monkeypatch.setattr(bench, "cases", lambda: cases)
    shown = {slow: {row.problem for row in bench.bench(["egpo", "equilibria"], slow=slow)} for slow in (False, True)}
    assert shown[True] - shown[False] == {"256 policies, n = 4096", "Nash, n = 2000"}


def test_what_is_missing_is_left_out_and_said(tmp_path, monkeypatch, quick):
    monkeypatch.setattr(timing, "SOURCES", tmp_path)
    monkeypatch.setattr(timing, "find_spec", lambda name: None)
    cases = [case._replace(measure=lambda: Measured([1.0, 2.0])) for case in bench.cases()]
    monkeypatch.setattr(bench, "cases", lambda: cases)
    told = CliRunner().invoke(app, ["bench", "linucb", "equilibria", "--engine", "numba"], prog_name="prefsim")
    said = told.stderr.splitlines()
    assert len(said) == 4 and all("are left out" in line and line.endswith(".") for line in said)
    assert "hand-fused kernel" in said[0] and "benchmarks" in said[0]
    assert "QuantEcon" in said[2] and "quantecon is not installed" in said[2]
    assert "linucb" not in told.stdout.replace("linucb                     10 arms                     numba", "")
    assert "HiGHS" in told.stdout and "QuantEcon" not in told.stdout


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="egpp"):
        list(bench.bench(["egpp"]))
    with pytest.raises(ValueError, match="cuda"):
        list(bench.bench(["ucb1"], ["cuda"]))
