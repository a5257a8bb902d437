"""State of the loop: the half-step is undone bit for bit, micro-batches add up, a cut-off run goes on exactly (T5e-g)."""

import numpy as np
import pytest
import torch
from ladder import BETA, games, prefix_policy

from prefsim.llm import Key, Responses, SamplingSpec, from_callable, matrix, moves, train
from prefsim.llm.methods import setup
from prefsim.llm.opponents import Verdict
from prefsim.llm.oracles import Judge
from prefsim.llm.train import Training

OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.3),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.3, momentum=0.9),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.05),
    "fused adamw": lambda p: torch.optim.AdamW(p, lr=0.05, fused=True),
}


def game_of(policy, seed=0):
    space = policy.enumerate([0])
    return matrix(games(space.tokens.shape[1], count=3).preference[seed], names=space.texts[0])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_half_step_is_undone_with_the_optimizer(name):
    """Against two optimisers that are kept apart: one for looking ahead, thrown away, and one for the step."""
    policy = prefix_policy(True, optimizer=OPTIMIZERS[name])
    space = policy.enumerate([0])
    preference = torch.tensor(np.array(games(85, count=3).preference[0]))
    twin = prefix_policy(True)
    table, optimizer = twin.table, OPTIMIZERS[name]([twin.table])

    def gradient(anchor, played):
        gain = (preference @ played.exp()[0])[None]
        target = (1 - 0.05) * anchor + 0.05 * twin.logprob_ref(space) + 0.5 * gain
        z = twin.logprob(space) - target
        (2 * (z**2).mean() - 2 * z.mean() ** 2).backward()

    for _ in range(6):
        anchor = twin.logprob(space).detach()
        start, state = table.detach().clone(), optimizer.state_dict()
        ahead = OPTIMIZERS[name]([table])
        ahead.load_state_dict({**state, "state": {i: {k: v.clone() if torch.is_tensor(v) else v for k, v in s.items()}
                                                  for i, s in state["state"].items()}})  # fmt: skip
        table.grad = None
        gradient(anchor, anchor)
        ahead.step()
        half = twin.logprob(space).detach()
        with torch.no_grad():
            table.copy_(start)
        table.grad = None
        gradient(anchor, half)
        optimizer.step()
    settings = {"expectation": "exact", "behaviour": "uniform", "step": 0.5, "horizon": 6, "record": [0]}
    train(policy, [0], game_of(policy), "egpo", beta=BETA, **settings)
    assert (policy.table - table).abs().max() < 1e-13


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("with_moments", [True, False])
def test_snapshots_are_bitwise(name, with_moments):
    """Parameters alone are not enough where the optimiser remembers. A rule of three phases goes back twice."""
    policy = prefix_policy(True, optimizer=OPTIMIZERS[name])
    space = policy.enumerate([0])
    loss = lambda: (policy.logprob(space) ** 2).mean()  # noqa: E731
    policy.step([loss])
    before, state, table = policy.snapshot(), repr(policy.optimizers["current"].state_dict()), policy.table.detach().clone()
    for _ in range(2):
        policy.step([loss])
        assert not torch.equal(policy.table, table)
        if with_moments:
            policy.restore(before)
        else:
            policy.write(before.parameters)
        assert torch.equal(policy.table, table)
    same = repr(policy.optimizers["current"].state_dict()) == state
    assert same == (with_moments or name == "sgd")


def sampled(policy, horizon=6, algorithm=("egpo", {"step": 0.5}), **settings):
    asked = {"beta": BETA, "horizon": horizon, "k": 6, "m": 3, "seed": 4, "batch": 2, **settings}
    oracle = matrix(np.stack([games(85).preference[i % 3] for i in range(5)]), names=policy.enumerate([0]).texts[0])
    return train(policy, range(5), oracle, algorithm, **asked)


def fresh(name="adamw", **settings):
    return prefix_policy(True, count=5, optimizer=OPTIMIZERS[name], clip=1.0, **settings)


METHODS = {
    "variance": ("egpo", {}),
    "pair_label": ("inpo", {"step": 2.0}),
    "soft_logistic": ("dno", {"step": 2.0}),
    "unpaired": ("mwu", {"estimator": "unpaired"}),
    "policy_gradient": ("nash_md_pg", {}),
    "sequence": ("nash_md_pg", {"kl_gradient": "sequence"}),
}


@pytest.mark.parametrize("case", METHODS)
def test_micro_batches(case):
    """The gradient of any loss is a weighted sum of scores, a few responses at a time."""
    key, settings = METHODS[case]
    policies = [fresh("sgd"), fresh("sgd")]
    data = [sampled(policy, 2, key, micro_batch=size, **settings) for policy, size in zip(policies, (0, 5), strict=True)]
    assert (policies[0].table - policies[1].table).abs().max() <= 1e-10
    assert np.nanmax(np.abs(data[0]["loss"].values - data[1]["loss"].values)) <= 1e-10
    assert not torch.equal(policies[0].table, policies[0].copies["reference"][0])


class Killed(Exception):
    """What ends a run in the middle."""


@pytest.mark.parametrize("algorithm", ["egpo", "omwu", "nash_ema", "comal", "apo"])
@pytest.mark.parametrize("at", [1, 4])
def test_resume(tmp_path, algorithm, at):
    whole, cut = fresh(), fresh()
    settings = {"record": [0, 2, 3, 6], "estimator": "variance"}
    expected = sampled(whole, algorithm=(algorithm, {}), **settings)
    settings |= {"checkpoint": str(tmp_path / "run"), "checkpoint_every": 2}

    def kill(t, policy):
        if t == at:
            raise Killed

    with pytest.raises(Killed):
        sampled(cut, algorithm=(algorithm, {}), callback=kill, **settings)
    again = fresh()
    found = sampled(again, algorithm=(algorithm, {}), **settings)
    assert torch.equal(whole.table, again.table)
    assert found.drop_vars("seconds").identical(expected.drop_vars("seconds")) or found["t"].equals(expected["t"])
    for name in expected.data_vars:
        assert np.array_equal(found[name].values, expected[name].values, equal_nan=True), name
    for cost in ("gradients", "responses", "generated_tokens", "comparisons"):
        assert np.array_equal(found[cost].values, expected[cost].values), cost


def test_resume_with_other_settings_is_refused(tmp_path):
    folder = str(tmp_path / "run")
    sampled(fresh(), 2, checkpoint=folder)
    with pytest.raises(ValueError, match="holds a run with other switches"):
        sampled(fresh(), 2, checkpoint=folder, label="bernoulli")
    with pytest.raises(ValueError, match="holds a run with other hyper"):
        sampled(fresh(), 2, algorithm=("egpo", {"step": 0.4}), checkpoint=folder)


def test_numbers_depend_on_seed_prompt_and_response_only():
    policy = prefix_policy(True, count=5)
    spec = SamplingSpec((("current", 1.0),))
    key = lambda *prompts: Key.of(0, "test", "responses", 3, prompts)  # noqa: E731
    many = policy.sample(range(5), 6, spec, key(0, 1, 2, 3, 4))
    few = policy.sample([2, 4], 3, spec, key(2, 4))
    assert torch.equal(many.tokens[[2, 4], :3], few.tokens)
    assert not torch.equal(many.tokens, policy.sample(range(5), 6, spec, Key.of(1, "test", "responses", 3, range(5))).tokens)


def test_batches_pass_over_all_prompts():
    run = object.__new__(Training)
    run.prompts, run.batch, run.seed, run.name = list(range(5)), 2, 0, "test"
    seen = [i for t in range(5) for i in run._turn(t)]
    assert sorted(seen[:5]) == sorted(seen[5:]) == list(range(5))


def test_learning_rate_schedule_counts_iterations():
    rates = []
    policy = fresh("sgd", schedule=lambda t: 1 / (1 + t))
    sampled(policy, 3, callback=lambda t, p: rates.append(p.optimizers["current"].param_groups[0]["lr"]))
    assert rates == pytest.approx([0.3, 0.3, 0.15, 0.1])  # once per pair of phases


def test_log_lines(tmp_path):
    file = tmp_path / "log.jsonl"
    data = sampled(fresh(), 2, log=str(file), record="all")
    import json

    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["t"] for line in lines] == [0, 1, 2]
    assert lines[2]["loss"] == data["loss"].values[0, 0, 0, 2]


def test_fresh_batch_of_the_second_phase():
    policies = [fresh("sgd"), fresh("sgd")]
    data = [sampled(p, 2, extragradient_batch=kind) for p, kind in zip(policies, ("same", "fresh"), strict=True)]
    assert data[1]["responses"].values[0, -1] > data[0]["responses"].values[0, -1]
    assert not torch.equal(policies[0].table, policies[1].table)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("who", ["plain", "mixture", "sequence"])
def test_sampler_agrees_with_scorer(temperature, who):
    """Frequencies of 200,000 samples against the enumerated probabilities (ladder T2b)."""
    policy = prefix_policy(True, temperature=temperature)
    policy.write([policy.table + torch.tensor(np.random.default_rng(1).normal(size=policy.table.shape))])
    spec = SamplingSpec((("current", 0.6), ("reference", 0.4)) if who != "plain" else (("current", 1.0),))
    space, count = policy.enumerate([0]), 200_000
    found = policy.sample([0], count, spec, Key.of(0, "test", "sampler", 0, [0]))
    weights = torch.ones(count, dtype=torch.float64)
    if who == "sequence":
        logs = sum(w * policy.logprob_of(name, space) for name, w in spec.weights)
        expected = torch.softmax(logs[0], dim=-1)
        weights = found.log_weights[0].exp()
        assert weights.max() <= 1 + 1e-12
    else:
        expected = policy.mixture_logprob(spec, space)[0].exp()
    index = {text: i for i, text in enumerate(space.texts[0])}
    places = torch.tensor([index[text] for text in found.texts[0]])
    totals = torch.zeros(85, dtype=torch.float64).index_add_(0, places, weights)
    shares = totals / weights.sum()
    # Variance of the self-normalised mean, and of a plain frequency where all weights are 1.
    inside = torch.zeros(85, dtype=torch.float64).index_add_(0, places, weights**2)
    variance = inside * (1 - 2 * shares) + shares**2 * (weights**2).sum()
    common = expected * count >= 25
    z = (shares - expected)[common] / (variance[common].sqrt() / weights.sum())
    assert z.abs().max() < 4.5
    assert abs(expected.sum() - 1) < 1e-12


def test_sampling_at_another_temperature_is_caught():
    policy, cool = prefix_policy(True), prefix_policy(True, temperature=0.9)
    space, spec = policy.enumerate([0]), SamplingSpec((("current", 1.0),))
    texts = cool.sample([0], 200_000, spec, Key.of(0, "test", "sampler", 0, [0])).texts[0]
    expected = policy.logprob(space)[0].detach().exp().numpy() * 200_000
    index = {text: i for i, text in enumerate(space.texts[0])}
    counts = np.bincount([index[text] for text in texts], minlength=85)
    common = expected >= 25
    assert (np.abs(counts - expected)[common] / np.sqrt(expected[common])).max() > 4.5


@pytest.mark.parametrize("method", ["online_ipo_1", "online_ipo_2", "egpo", "sppo", "nash_md_pg", "spo"])
def test_judges_numbers_follow_the_policy_to_its_device(method):
    """A judge's numbers are on the CPU wherever the policy is; a device that only knows shapes refuses a mixture too."""

    class Elsewhere:
        def token_logprobs_of(self, name, responses):
            return torch.zeros(2, 4, 3, device="meta")

    run = Training(Elsewhere(), [0, 1], Judge(from_callable(None)), setup(method, BETA, {"step": 0.5}), BETA)
    run.exact, run.k, run.part = False, 4, 1.0
    verdict = Verdict(torch.zeros(2, 4, dtype=torch.float64), torch.zeros(2, 2, dtype=torch.float64))
    sizes = torch.ones(2, 4, device="meta")
    logs = {"reference": sizes}
    responses = Responses((0, 1), torch.zeros(2, 4, 3, device="meta"), sizes, sizes > 0, log_probs=logs)
    with pytest.raises(RuntimeError, match="device"):
        sizes + verdict.gain
    for phase in range(len(run.plan_of(0).opponents)):
        lp = torch.zeros(2, 4, 3, device="meta", requires_grad=True)
        loss = moves.objective(run, 0, run.plan_of(0), responses, verdict, phase)(lp)
        loss.backward()
        assert loss.device == lp.grad.device == lp.device and loss.dtype == torch.float32


@pytest.mark.parametrize("micro_batch", [0, 3])
@pytest.mark.parametrize("method", ["online_ipo_2", "egpo", "onpo"])
def test_responses_are_scored_under_the_policy_they_came_from(method, micro_batch, monkeypatch):
    """Though the score is taken from the first gradient step on them, and later steps are at other parameters."""
    policy = prefix_policy(True, optimizer=OPTIMIZERS["sgd"])
    chosen = setup(method, BETA, {"step": 0.5, "micro_batch": micro_batch, "inner": 3})
    run = Training(policy, [0], Judge(game_of(policy)), chosen, BETA)
    run.configure(4, 4, None, "sampled", 0, "scored")
    fitted, plain = [], moves.fit
    monkeypatch.setattr(moves, "fit", lambda *given: (plain(*given), fitted.append(given[3])))
    start = policy.read()
    run.iterate(0)
    end = policy.logprob_of("current", fitted[0])
    policy.write(start)
    for responses in fitted:
        scored = policy.logprob_of("current", responses)
        assert (responses.log_probs["current"] - scored).abs().max() < 1e-14
    assert len(fitted) == (1 if method == "online_ipo_2" else 2) and (end - scored).abs().max() > 1e-3
