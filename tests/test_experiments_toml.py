"""The experiments behind the figures load from their files and run."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import prefsim as ps

FILES = sorted((Path(__file__).parents[1] / "docs" / "experiments").glob("*.toml"))


def test_there_are_experiments():
    assert FILES


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_runs(path):
    experiment = ps.Experiment.from_toml(path)
    data = ps.run(replace(experiment, horizon=20))
    assert data["t"].values[-1] == 20
    for metric in experiment.metrics:
        assert np.isfinite(data[metric].values).all()
