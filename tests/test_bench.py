"""``prefsim bench``: what is timed and how times become numbers; the times themselves are no matter for a test."""

import json

import pytest
from typer.testing import CliRunner

from prefsim import bench
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


def test_what_a_call_costs_besides_is_taken_off(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(bench, "time", clock)
    ours, base = bench._together(clock.work(0.4, 3e-7), clock.work(1e-3, 2e-8))
    assert ours == pytest.approx(300.0)
    assert base == pytest.approx(20.0)


def test_enough_work_is_timed(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(bench, "time", clock)
    assert bench._enough(clock.work(1.0, 1e-6)) * 1e-6 == pytest.approx(bench.SECONDS, rel=0.5)


def test_timings_are_printed_and_written(tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "SECONDS", 0.001)
    file = tmp_path / "bench.json"
    asked = ["bench", "ucb1", "egpo", "rucb", "--engine", "numba", "--json", str(file)]
    told = CliRunner().invoke(app, asked, prog_name="prefsim")
    assert told.exit_code == 0, told.output
    found = json.loads(file.read_text())
    assert [t["key"] for t in found["timings"]] == ["ucb1", "egpo", "egpo", "rucb"]
    assert {t["engine"] for t in found["timings"]} == {"numba"}
    assert all(t["nanoseconds"] >= 0 and t["ratio"] >= 0 for t in found["timings"])
    assert found["numba"] and found["machine"]
    assert told.output.count("uniform") == 2


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="egpp"):
        list(bench.bench(["egpp"]))
    with pytest.raises(ValueError, match="cuda"):
        list(bench.bench(["ucb1"], ["cuda"]))
