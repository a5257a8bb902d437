"""Start-up in fresh processes: import, help, and the first simulated number with a warm cache; printed, never asserted.

Each is shown as a ratio to importing NumPy, the floor of any Python toolkit for arrays, measured in between. Times are CPU
seconds of the process, which on an idle machine are those on the clock and on a busy one vary less.

    python -m pytest benchmarks/test_startup.py -s -n 0
"""

import os
import subprocess
import sys

import pytest

FIRST_NUMBER = "import prefsim as ps; ps.run(ps.bandits.arxiv_six_rankers(), ['rucb'], horizon=100)"
COMMANDS = {
    "import prefsim": ["-c", "import prefsim"],
    "prefsim --help": ["-m", "prefsim", "--help"],
    "first simulated number": ["-c", FIRST_NUMBER],
}


def seconds(arguments):
    begun = os.times()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    ended = os.times()
    return ended.children_user + ended.children_system - begun.children_user - begun.children_system


@pytest.mark.parametrize("name", COMMANDS)
def test_start_up(name):
    seconds(COMMANDS[name])  # fills the caches
    pairs = [(seconds(COMMANDS[name]), seconds(["-c", "import numpy"])) for _ in range(5)]
    ours, floor = (min(column) for column in zip(*pairs, strict=True))
    print(f"\n{name}: {ours:.2f} s, import numpy {floor:.2f} s, ratio {ours / floor:.1f}")
