"""Other bandit libraries beside prefsim: speed and regret on the same instances.

    python benchmarks/peers.py [--python INTERPRETER ...] [--report benchmarks/PEERS.md]

Every peer that is installed for this interpreter, or for one of those named, is run through its public API
(``peer_adapters.py``); the others are named and skipped. SMPyBandits and duelpy need an interpreter with NumPy below 1.24.
Uniform play's regret is the yardstick: a policy that learns stays well below it.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

os.environ["PREFSIM_THREADS"] = os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np

import prefsim as ps

HERE = Path(__file__).parent
MEANS = np.linspace(0.1, 0.9, 10)
HORIZON, DUELS, RUNS, BATCHES, DEVIATION = 2_000, 5_000, 10, 3, 0.5
PROBLEMS = {
    "bernoulli": ps.bandits.bernoulli(MEANS),
    "linear": ps.bandits.linear(np.eye(len(MEANS)), MEANS, deviation=DEVIATION),
    "arithmetic8": ps.bandits.arithmetic8(),
}
PEERS = ("pymab", "SMPyBandits", "mabwiser", "duelpy")

JOB = {
    "seed": 0,
    "means": MEANS.tolist(),
    "horizon": HORIZON,
    "duels": DUELS,
    "runs": RUNS,
    "batches": BATCHES,
    "deviation": DEVIATION,
    "preference": PROBLEMS["arithmetic8"].truth.preference[0].tolist(),
}

READ = {
    ("SMPyBandits", "0.9.7"): """\
* `Exp3WithHorizon` (`Policies/Exp3.py`): line 174 sets `gamma` to the learning rate of the theorem it cites,
  `sqrt(2 ln K / (T K))`, and line 105 learns at the rate `gamma / K`, ten times less here. At the rate `gamma` the regret falls
  from 624 to 253.
""",
    ("duelpy", "1.0.0"): """\
* `RelativeUCB` (`algorithms/relative_ucb.py`): line 220 asks whether the outcome of a duel is `< 0`, but `MatrixFeedback.duel`
  returns a `bool`, so that every duel is entered as won by the champion. With a feedback that answers 1 and -1 instead, the
  regret after 10,000 duels falls from 1749 to 469 (uniform play: 1750). What is left above RUCB's is line 217, by which the
  champion is never its own challenger, so that even the right champion goes on paying for every duel.
* `DoubleThompsonSampling` (`algorithms/double_thompson_sampling.py`, lines 174 to 190): `preferences[:][champion]` is the
  champion's row. Among the arms that the champion is not yet known to beat, it duels the one that it most likely beats; the
  paper takes the column, the arm most likely to beat the champion. With columns the regret after 10,000 duels falls from 196 to
  69. `DoubleThompsonSamplingPlus` inherits these lines.
* `Rmed1`, `Rmed2`, `Rmed2FH` (`algorithms/rmed.py`): line 197, `np.argwhere(...)[0]`, keeps one opponent of all those that
  beat an arm; line 236 sums the divergence of every arm over the opponents of the arm last looked at. With both as in the paper
  the regret of `Rmed1` after 10,000 duels falls from 1365 to 172.
* `CopelandConfidenceBound` (`algorithms/copeland_confidence_bound.py`): `_obtain_suitable_opponent_for` excludes the candidate
  itself, so that a known winner goes on duelling others. With it among the opponents, and the random set only where it is not
  empty, the regret after 3,000 duels falls from 345 to 243 (uniform play: 525). Line 289 appends the winner to the list of
  candidates again in every round, so that a round costs more and more.
""",
    ("mabwiser", "2.7.4"): """\
* `UCB1` (`ucb.py`): arms without data have the index 0 (`arm_to_expectation`) rather than infinity and are not tried while any
  other index is above 0; what it is to learn from must hold every arm, as the first `fit` here does.
""",
}
"""What the sources of these versions say about regret that is not the rule's; the repairs were tried as described."""


def instance(key):
    """Name of the problem on which a policy is compared."""
    if ps.registry.algorithm("policies", key).module.FEEDBACK == "duel":
        return "arithmetic8"
    return "linear" if key.startswith("lin") else "bernoulli"


def ours(key, hyper):
    """Nanoseconds a round and run, the best batch on one thread, and the final regrets of all runs."""
    problem = PROBLEMS[instance(key)]
    horizon = DUELS if instance(key) == "arithmetic8" else HORIZON
    seconds, regrets = [], []
    for batch in range(-1, BATCHES):  # the first one compiles
        begun = time.process_time()
        data = ps.run(problem, [(key, hyper)], horizon=horizon, runs=100, seed=batch + 1)
        if batch >= 0:
            seconds.append((time.process_time() - begun) / (100 * horizon))
            regrets.extend(data["regret"].values[0, 0, :, -1])
    return {"ns": 1e9 * min(seconds), "regrets": regrets, "uniform": horizon * float(problem.truth.gap.mean())}


def theirs(interpreters):
    """Rows of the peers installed for these interpreters; a peer that fails on one is asked on the next."""
    rows, failures = {}, {}
    for python in interpreters:
        command = [python, str(HERE / "peer_adapters.py")]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            process.stdin.write(json.dumps(JOB))
            process.stdin.close()
            for line in process.stdout:
                row = json.loads(line)
                if "error" in row:
                    failures[row["peer"]] = (
                        f"{row['peer']} {row['version']} does not run with NumPy {row['numpy']}: {row['error']}"
                    )
                else:
                    rows.setdefault((python, row["peer"]), []).append(row)
                print(f"{row['peer']}: {row.get('name') or row['error']}", file=sys.stderr)
    found = {}
    for (_, peer), measured in rows.items():
        found.setdefault(peer, measured)
    return found, {peer: text for peer, text in failures.items() if peer not in found}


def mean(regrets):
    """Mean and standard error as text."""
    return f"{np.mean(regrets):.0f} ± {np.std(regrets, ddof=1) / np.sqrt(len(regrets)):.0f}"


def speed(nanoseconds):
    """A time with three digits."""
    return f"{nanoseconds:,.0f}" if nanoseconds >= 100 else f"{nanoseconds:.1f}"


HEADER = """\
| peer's class | our key | regret, peer | regret, ours | uniform | ns, peer | ns, ours | times faster | |
|---|---|---|---|---|---|---|---|---|
"""


def table(rows):
    """One peer's policies beside ours."""
    lines = []
    for row in rows:
        key, hyper = row["ours"]
        mine = ours(key, hyper)
        shown = f"`{key}`" + (f" ({', '.join(f'{k} = {v:g}' for k, v in hyper.items())})" if hyper else "")
        cells = [f"`{row['name']}`", shown, mean(row["regrets"]), mean(mine["regrets"]), f"{mine['uniform']:.0f}"]
        cells += [speed(row["ns"]), speed(mine["ns"]), f"{row['ns'] / mine['ns']:,.0f}", row["note"]]
        lines.append(f"| {' | '.join(cells)} |\n")
    return HEADER + "".join(lines)


def report(found, failures):
    """The text of ``PEERS.md``."""
    parts = [
        f"""\
# Beside other libraries

Made by `python benchmarks/peers.py`: every library through its public API, in the manner of its documentation
(`peer_adapters.py`), and the same rule of prefsim {ps.__version__} on the same instance.

* Bernoulli: ten arms with means .1 to .9 in equal steps, {HORIZON:,} rounds. `linucb`, `lin_thompson`: the same means, Gaussian
  noise of deviation {DEVIATION}, one-hot features (one model an arm, as MABWiser and PyMAB have it). Duels: `arithmetic8`,
  {DUELS:,} rounds, average regret.
* Regret is the pseudo-regret of the arms played, mean ± standard error over runs ({RUNS} of each peer, {RUNS * BATCHES} of
  PyMAB, {100 * BATCHES} of ours). *uniform* is what uniform play pays: a policy that learns stays well below it. Arms are in a
  random order (a batch's own for PyMAB, a run's own elsewhere), so that ties broken by number cannot help.
* Time is CPU time of the process a round and run, which other work on the machine does not lengthen much; the best run of a
  peer, the best of {BATCHES} batches for PyMAB ({RUNS} runs each) and ours (100 runs each, one thread, compiled before, checks
  and labels included). {platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__} for ours.
* Hyperparameters are the peer's defaults, and ours are set to them where both have them; a remark says where rules differ.
* All four install with pip. SMPyBandits and duelpy then fail on import with today's packages, which have neither
  `scipy.special.btdtri` nor `numpy.float`; they ran with SciPy 1.10.1 and the NumPy named below.
"""
    ]
    for peer in PEERS:
        if peer not in found:
            parts.append(f"\n## {peer}\n\n{failures.get(peer, peer + ' is not installed for any of the interpreters')}.\n")
            continue
        first = found[peer][0]
        parts.append(f"\n## {peer} {first['version']} (NumPy {first['numpy']})\n\n{table(found[peer])}")
        remarks = READ.get((peer, first["version"]))
        if remarks:
            parts.append(f"\nFrom its source:\n\n{remarks}")
    parts.append(
        "\n## banditpylib\n\nNot measured: it is not on the package registry, only in a source repository, which "
        "the machine of this report cannot reach.\n"
    )
    return "".join(parts)


def main():
    """Measure and print, or write the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", action="append", default=[], help="another interpreter to look for peers in")
    parser.add_argument("--report", help="file to write instead of the screen")
    chosen = parser.parse_args()
    found, failures = theirs([sys.executable, *chosen.python])
    for peer in PEERS:
        if peer not in found:
            told = failures.get(peer, f"{peer} is not installed for any of the interpreters; skipped")
            print(f"{told}; pip install {peer}, or name another interpreter with --python.", file=sys.stderr)
    text = report(found, failures)
    if chosen.report:
        Path(chosen.report).write_text(text, encoding="utf-8")
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
