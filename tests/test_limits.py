"""What must stay small: imports at start-up, and memory in the horizon."""

import json
import subprocess
import sys

import pytest

HEAVY = ["scipy", "scipy.stats", "cvxpy", "xarray", "matplotlib", "numba", "torch", "pandas", "h5netcdf", "jinja2"]


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    "statement",
    [
        "import prefsim",
        "import prefsim as ps; ps.PreferenceGame([[.5, .6], [.4, .5]]); ps.games.cyclic(5); ps.bandits.mslr5()",
        "import prefsim as ps; ps.list_algorithms(); ps.list_problems()",
        "import prefsim as ps; a = ps.agent('ucb1', arms=3); a.learn(a.act(), 1.0)",
        "import prefsim.cli",
    ],
)
def test_light_things_stay_light(statement):
    loaded = python(f"{statement}\nimport sys, json\nprint(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))")
    assert json.loads(loaded) == []


def test_bare_import_does_not_even_load_numpy():
    assert python("import prefsim, sys; print('numpy' in sys.modules)").strip() == "False"


def test_memory_does_not_grow_with_the_horizon():
    """10^7 rounds against 10^4, each in a process of its own: peak memory within a few MiB."""
    peak = [
        int(python(
            "import resource, prefsim as ps\n"
            f"ps.run(ps.bandits.bernoulli([.3, .6]), ['ucb1', 'uniform'], horizon={horizon}, runs=2)\n"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        ))
        for horizon in (10**4, 10**4, 10**7)  # the first fills the cache of compiled code
    ]
    assert peak[2] <= peak[1] + 8 * 1024, peak
