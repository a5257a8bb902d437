"""Other libraries of the field on the instances of ``peers.py``, each through its public API as its documentation shows.

Knows nothing of prefsim, so that it runs under an interpreter of its own, with the old packages that some peers need:

    python peer_adapters.py < job.json          # prints one JSON object per line

Each adapter is a generator ``name(job)`` of rows. Arms are shuffled anew for every run (for every batch of runs where a
library simulates batches), because some libraries break ties in favour of the first arm. Regret is the pseudo-regret of
the arms that were played; time is the CPU time of the process, which other programs on the machine do not lengthen.
"""

import contextlib
import io
import json
import sys
import time
from importlib import metadata

import numpy as np


def shuffled(job, run):
    """The run's order of the arms, and its seed."""
    return np.random.default_rng([job["seed"], run]).permutation(len(job["means"]))


def row(name, ours, seconds, regrets, note=""):
    """One line of the table: nanoseconds a round and a run, and the final regret of every run."""
    return {"name": name, "ours": ours, "ns": 1e9 * min(seconds), "regrets": [float(r) for r in regrets], "note": note}


def timed(play, runs, rounds):
    """CPU seconds a round and final regret of every run; ``play(run)`` returns the regret of all its runs."""
    seconds, regrets = [], []
    for run in range(runs):
        begun = time.process_time()
        regret = np.atleast_1d(play(run))
        seconds.append((time.process_time() - begun) / (rounds * len(regret)))
        regrets.extend(regret)
    return seconds, regrets


def pymab(job):
    """``Experiment(...).run()``: its loop over rounds and replicates is native code."""
    from pymab import BanditEnvironment, BernoulliReward, Experiment, ExperimentConfig, GaussianReward, policies
    from pymab.environments import FixedContextProvider, LinearContextualEnvironment

    means, horizon, arms = np.array(job["means"]), job["horizon"], len(job["means"])

    def measure(name, ours, policy, environment, note=""):
        def play(batch):
            order = shuffled(job, batch)
            config = ExperimentConfig(horizon=horizon, n_replicates=job["runs"], seed=job["seed"] + batch)
            result = Experiment(environment=environment(means[order]), policies={name: policy}, config=config).run()
            return (means.max() - means[order[result.actions[:, :, 0]]]).sum(axis=1)

        return row(name, ours, *timed(play, job["batches"], horizon), note)

    def coins(shown):
        return BanditEnvironment(means=shown, reward_model=BernoulliReward())

    def normals(shown):
        return LinearContextualEnvironment(
            shown[:, None], FixedContextProvider(np.ones(1)), GaussianReward(std=job["deviation"])
        )

    yield measure("UCBPolicy", ["ucb1", {}], policies.UCBPolicy(n_arms=arms), coins)
    yield measure("KLUCBPolicy", ["kl_ucb", {"c": 3.0}], policies.KLUCBPolicy(n_arms=arms), coins)
    yield measure("MOSSPolicy", ["moss", {}], policies.MOSSPolicy(n_arms=arms, horizon=horizon), coins)
    thompson = policies.BernoulliThompsonSamplingPolicy(n_arms=arms)
    yield measure("BernoulliThompsonSamplingPolicy", ["thompson", {}], thompson, coins)
    yield measure("EXP3Policy", ["exp3", {}], policies.EXP3Policy(n_arms=arms), coins, "gains, mixing 0.07")
    linear = policies.LinUCBPolicy(n_arms=arms, n_features=1)
    yield measure("LinUCBPolicy", ["linucb", {"scale": 0.22}], linear, normals, "radius 1; ours .8 to 1.2")


def smpybandits(job):
    """``Evaluator(configuration).startAllEnv()`` with one job and one repetition."""
    import matplotlib

    matplotlib.use("Agg")
    from SMPyBandits import Policies as policies
    from SMPyBandits.Arms import Bernoulli
    from SMPyBandits.Environment import Evaluator

    means, horizon = np.array(job["means"]), job["horizon"]

    def measure(ours, policy, note="", **parameters):
        def play(run):
            order = shuffled(job, run)
            np.random.seed(job["seed"] + run)  # noqa: NPY002 (SMPyBandits draws from the global generator)
            evaluator = Evaluator(
                {
                    "horizon": horizon,
                    "repetitions": 1,
                    "n_jobs": 1,
                    "verbosity": 0,
                    "environment": [{"arm_type": Bernoulli, "params": list(means[order])}],
                    "policies": [{"archtype": policy, "params": parameters}],
                }
            )
            evaluator.startAllEnv()
            return (means.max() - means[order]) @ evaluator.lastPulls[0][0, :, 0]

        return row(policy.__name__, ours, *timed(play, job["runs"], horizon), note)

    yield measure(["ucb1", {}], policies.UCB)
    yield measure(["kl_ucb", {}], policies.klUCB)
    yield measure(["moss", {}], policies.MOSSH, horizon=horizon)
    yield measure(["thompson", {}], policies.Thompson)
    yield measure(["exp3", {}], policies.Exp3WithHorizon, "gains, mixing as the horizon wants it", horizon=horizon)
    yield measure(["tsallis_inf", {}], policies.TsallisInf)


def mabwiser(job):
    """``fit`` on a first pull of every arm, then ``predict`` and ``partial_fit`` a round at a time."""
    from mabwiser.mab import MAB, LearningPolicy

    means, horizon, arms = np.array(job["means"]), job["horizon"], len(job["means"])

    def measure(ours, policy, note="", linear=False):
        def play(run):
            order = shuffled(job, run)
            shown = means[order]
            generator = np.random.default_rng([job["seed"], run, 1])
            context = [[1.0]] if linear else None

            def pay(arm):
                return generator.normal(shown[arm], job["deviation"]) if linear else float(generator.random() < shown[arm])

            mab = MAB(arms=list(range(arms)), learning_policy=policy, seed=job["seed"] + run)
            everyone = list(range(arms))
            mab.fit(everyone, [pay(a) for a in everyone], [[1.0]] * arms if linear else None)
            regret = (means.max() - shown).sum()
            for _ in range(horizon - arms):
                arm = mab.predict(context)
                mab.partial_fit([arm], [pay(arm)], context)
                regret += means.max() - shown[arm]
            return regret

        return row(type(policy).__name__, ours, *timed(play, job["runs"], horizon), note)

    yield measure(["ucb1", {}], LearningPolicy.UCB1(alpha=1.0))
    yield measure(["thompson", {}], LearningPolicy.ThompsonSampling())
    yield measure(["linucb", {"scale": 0.22}], LearningPolicy.LinUCB(alpha=1.0), "radius 1; ours .8 to 1.2", linear=True)
    yield measure(["lin_thompson", {}], LearningPolicy.LinTS(alpha=job["deviation"]), "posterior, not widened", linear=True)


def duelpy(job):
    """``Algorithm(MetricKeepingFeedbackMechanism(MatrixFeedback(...)), ...).run()``, as its command line does."""
    from duelpy import algorithms
    from duelpy.feedback import MatrixFeedback
    from duelpy.stats.metrics import AverageRegret, Cumulative
    from duelpy.util.feedback_decorators import MetricKeepingFeedbackMechanism

    preference, horizon = np.array(job["preference"]), job["duels"]

    def measure(ours, algorithm, note="", **parameters):
        def play(run):
            order = np.random.default_rng([job["seed"], run]).permutation(len(preference))
            matrix = preference[np.ix_(order, order)]
            state = np.random.RandomState(job["seed"] + run)
            feedback = MetricKeepingFeedbackMechanism(
                MatrixFeedback(matrix, random_state=state),
                metrics={"regret": Cumulative(AverageRegret(matrix))},
                sample_interval=horizon,
            )
            algorithm(feedback, time_horizon=horizon, random_state=state, **parameters).run()
            return feedback.results["regret"][-1]

        return row(algorithm.__name__, ours, *timed(play, job["runs"], horizon), note)

    yield measure(["rucb", {}], algorithms.RelativeUCB)
    yield measure(["rmed1", {}], algorithms.Rmed1)
    yield measure(["rmed2", {}], algorithms.Rmed2)
    yield measure(["rmed2fh", {}], algorithms.Rmed2FH)
    yield measure(["double_thompson", {}], algorithms.DoubleThompsonSampling)
    yield measure(["double_thompson_plus", {}], algorithms.DoubleThompsonSamplingPlus)
    yield measure(["copeland_confidence_bound", {"alpha": 0.501}], algorithms.CopelandConfidenceBound)
    yield measure(["winner_stays", {}], algorithms.WinnerStaysWeakRegret, "made for weak regret")


PEERS = {"pymab": pymab, "SMPyBandits": smpybandits, "mabwiser": mabwiser, "duelpy": duelpy}


def main():
    """Run every installed peer; a row a line as soon as it is there."""
    job = json.load(sys.stdin)
    for name, adapter in PEERS.items():
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        told = {"peer": name, "version": version, "numpy": np.__version__}
        rows = adapter(job)
        while True:
            with contextlib.redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
                try:
                    measured = next(rows, None)
                except (ImportError, AttributeError, TypeError, ValueError) as error:  # packages newer than the peer knows
                    print(json.dumps({**told, "error": str(error).splitlines()[0]}), file=sys.__stdout__, flush=True)
                    break
            if measured is None:
                break
            print(json.dumps({**told, **measured}), flush=True)


if __name__ == "__main__":
    main()
