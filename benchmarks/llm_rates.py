"""What sampling, the micro-batched gradient, memory and precision of the torch adapter cost.

    python benchmarks/llm_rates.py [--parts tokens mixture surrogate memory precision] [--model tiny smollm2] [--device cpu]

Ratios are taken in turns in one process. `mixture` holds the cached geometric mixture against its own uncached form and, where
TRL has it (last in 1.13), against the mixture of its Nash-MD trainer. Prints Markdown.
"""

import argparse
import os

os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"

import llm_models as made
import torch
import transformers

from prefsim.llm import Key, SamplingSpec
from prefsim.llm.generate import Voice, generate

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float64": torch.float64}
PLAIN = SamplingSpec((("current", 1.0),))
MIXED = SamplingSpec((("current", 0.6), ("reference", 0.4)))


def moved(handle):
    """The policy a little away from its reference."""
    with torch.no_grad():
        for p in handle.parameters:
            p.mul_(1.02)
    return handle


def sampler(handle, asked, spec, k, cached=True):
    """A job that samples, and what it last drew."""
    ids, mask = handle.encode(asked)
    uniforms = Key.of(0, "benchmark", "tokens", 0, range(len(asked))).uniforms(k, handle.decoding.max_new_tokens)
    voices = [Voice(handle, weight, lambda name=name: handle.acting_as(name)) for name, weight in spec.weights]
    drawn = []

    def job():
        drawn[:] = [generate(voices, ids, mask, handle.decoding, uniforms.flatten(0, 1).to(ids.device), cached=cached)]

    return job, drawn


def tokens(shape, device, dtype, repeats, batch, k, lengths):
    """Tokens a second over length: plain, cached mixture, uncached mixture."""
    print(f"\n### Tokens a second, {shape}: {batch} x {made.PROMPT} prompt tokens, {k} responses each, {dtype}, {device}\n")
    print("| new tokens | plain | cached mixture | uncached mixture | cached / plain | cached / uncached | same tokens |")
    print("|---|---|---|---|---|---|---|")
    base, asked = made.model(shape, device, dtype), made.prompts(batch)
    for length in lengths:
        handle = moved(made.policy(base, shape, length))
        jobs = [sampler(handle, asked, *kind) for kind in ((PLAIN, k), (MIXED, k), (MIXED, k, False))]
        plain, cached, uncached = (
            batch * k * length / s for s in made.best([job for job, _ in jobs], device, repeats, warm=repeats > 1)
        )
        same = torch.equal(jobs[1][1][0].tokens, jobs[2][1][0].tokens)
        rates = f"{plain:,.0f} | {cached:,.0f} | {uncached:,.0f}"
        ratios = f"{cached / plain:.2f} | {cached / uncached:.1f}"
        print(f"| {length} | {rates} | {ratios} | {'yes' if same else 'no'} |", flush=True)


def mixture(shape, device, dtype, repeats, batch, k, length=64):
    """The cached mixture beside the one of TRL's Nash-MD trainer."""
    try:
        from trl.experimental.nash_md.nash_md_trainer import GeometricMixtureWrapper
    except ImportError:
        print("\nTRL's mixture is not measured: the installed TRL has none (1.13 is the last that has).")
        return
    handle = moved(made.policy(made.model(shape, device, dtype), shape, length))
    ours, _ = sampler(handle, made.prompts(batch), MIXED, k)
    ids, mask = (rows.repeat_interleave(k, 0) for rows in handle.encode(made.prompts(batch)))
    # Its own `use_cache=False` comes too late for transformers 5.23: both models would append to one cache.
    config = transformers.GenerationConfig(
        max_new_tokens=length, do_sample=True, top_k=0, top_p=1.0, pad_token_id=0, eos_token_id=None, use_cache=False
    )
    wrapped = GeometricMixtureWrapper(handle.model, handle.base, config, mixture_coef=0.4, device=torch.device(device))

    def theirs():
        with torch.no_grad():
            wrapped.generate(input_ids=ids, attention_mask=mask, generation_config=config)

    own, other = made.best([ours, theirs], device, repeats, warm=repeats > 1)
    print(f"\n{shape}, {length} new tokens: TRL's mixture, its cache off, takes {other / own:.1f} times ours ({own:.3f} s).")


def surrogate(shape, device, dtype, repeats, counts, length=16, micro=4):
    """Time and memory of one gradient over the number of responses, at a fixed micro-batch and at once."""
    print(f"\n### One gradient, {shape}, 1 prompt, {length} new tokens, {dtype}, {device}\n")
    head = (f"{what}, {how}" for what in ("seconds", "MiB") for how in (f"{micro} at a time", "at once"))
    print(f"| k | {' | '.join(head)} |\n|---|---|---|---|---|")
    for k in counts:
        rows = []
        for size in (micro, 0):
            handle = moved(made.policy(made.model(shape, device, dtype), shape, length))
            run = made.training(handle, made.prompts(1), "online_ipo_2", k, micro_batch=size)
            drawn = handle.sample(made.prompts(1), k, PLAIN, Key.of(0, "benchmark", "surrogate", k, [0]))
            run.policy.sample = lambda *_, found=drawn: found._replace(log_probs={})
            step = made.stepping(run)
            step()
            rows.append((step, peak(step, handle.model, device)))
        times = made.best([step for step, _ in rows], device, repeats, warm=0)
        print(f"| {k} | {times[0]:.3f} | {times[1]:.3f} | {rows[0][1]:.0f} | {rows[1][1]:.0f} |", flush=True)


def peak(job, model, device):
    """MiB above what is held already; on a CPU, activations kept for the gradient, as autograd saves them."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        job()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    kept = Kept(model)
    with torch.autograd.graph.saved_tensors_hooks(kept.pack, lambda packed: packed.tensor):
        job()
    return kept.most / 2**20


class Kept:
    """Counts the bytes of what autograd keeps, each storage once and parameters never, and their largest sum."""

    class Handle:
        def __init__(self, owner, tensor):
            self.owner, self.tensor = owner, tensor
            self.place, self.size = tensor.untyped_storage().data_ptr(), tensor.untyped_storage().nbytes()
            owner.add(self)

        def __del__(self):
            self.owner.drop(self)

    def __init__(self, model):
        # Parameters count as used already.
        self.users = {p.untyped_storage().data_ptr(): 1 for p in model.parameters()}
        self.now = self.most = 0

    def pack(self, tensor):
        return self.Handle(self, tensor)

    def add(self, handle):
        self.users[handle.place] = self.users.get(handle.place, 0) + 1
        if self.users[handle.place] == 1:
            self.now += handle.size
            self.most = max(self.most, self.now)

    def drop(self, handle):
        self.users[handle.place] -= 1
        if not self.users[handle.place]:
            self.now -= handle.size


def memory(shape, device, dtype, tokens=128, batch=4, k=4):
    """Peak memory of a whole iteration by method, all parameters and an adapter; needs a GPU."""
    if torch.device(device).type != "cuda":
        print("\nPeak memory of whole iterations is not measured: there is no GPU.")
        return
    print(f"\n### Peak MiB of an iteration, {shape}, {batch} prompts, k = {k}, {tokens} new tokens, {dtype}, {device}\n")
    print("| method | full, held | full, peak | LoRA, held | LoRA, peak |\n|---|---|---|---|---|")
    for method in ("online_ipo_2", "online_ipo_1", "nash_md", "egpo", "inpo", "nash_ema_pg"):
        cells = []
        for lora in (False, True):
            base = made.model(shape, device, dtype)
            handle = made.policy(made.adapted(base) if lora else base, shape, tokens)
            step = made.stepping(made.training(handle, made.prompts(batch), method, k))
            step()
            torch.cuda.synchronize()
            held = torch.cuda.memory_allocated() / 2**20
            cells += [held, held + peak(step, handle.model, device)]
            del base, handle, step
            torch.cuda.empty_cache()
        print(f"| {method} | {' | '.join(f'{cell:,.0f}' for cell in cells)} |", flush=True)


def precision(shape, device, tokens=64):
    """Log-probabilities of the sampler and of the scorer, and of lower precision against float32, by kernel of attention."""
    print(f"\n### Differences of token log-probabilities, {shape}, {tokens} new tokens, {device}\n")
    print("| compared | largest | mean | largest, whole response |\n|---|---|---|---|")
    asked, reference = made.prompts(2), None
    for dtype in (torch.float32, torch.bfloat16):
        for kernel in ("sdpa", "eager"):
            base = made.model(shape, device)
            base.set_attn_implementation(kernel)
            handle = made.policy(base.to(dtype), shape, tokens)
            if reference is None:
                drawn = handle.sample(asked, 4, PLAIN, Key.of(0, "benchmark", "precision", 0, range(2)))
            with torch.no_grad():
                whole = handle.token_logprobs(drawn)
                stepwise = by_cache(handle, drawn)
            reference = whole if reference is None else reference
            for name, gap in (("whole and by cache", whole - stepwise), ("and float32, sdpa", whole - reference)):
                row = f"{gap.abs().max():.2e} | {gap.abs().mean():.2e} | {gap.sum(-1).abs().max():.2e}"
                print(f"| {str(dtype)[6:]}, {kernel}, {name} | {row} |", flush=True)


def by_cache(handle, drawn):
    """Log-probabilities of given responses as the sampler computes them, a token at a time."""
    from prefsim.llm.generate import conditional, positions

    ids, mask = (rows.repeat_interleave(drawn.tokens.shape[1], 0) for rows in handle.encode(drawn.prompts))
    chosen, cache, found = drawn.tokens.flatten(0, 1), None, []
    for t in range(chosen.shape[1]):
        fed = ids if cache is None else chosen[:, t - 1 : t]
        place = positions(mask)[:, -fed.shape[1] :]
        out = handle.model(
            input_ids=fed, attention_mask=mask, position_ids=place, past_key_values=cache, use_cache=True, logits_to_keep=1
        )
        cache = out.past_key_values
        found.append(conditional(out.logits[:, -1], handle.decoding).gather(-1, chosen[:, t : t + 1])[:, 0])
        mask = torch.cat([mask, torch.ones_like(mask[:, :1])], dim=1)
    return torch.stack(found, dim=-1).unflatten(0, drawn.tokens.shape[:2])


def main():
    """Measure and print."""
    parts = ["tokens", "mixture", "surrogate", "memory", "precision"]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", default=parts, choices=parts)
    parser.add_argument("--model", nargs="+", default=["tiny", "smollm2"], choices=made.SHAPES)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", default="float32", choices=DTYPES)
    parser.add_argument("--lengths", nargs="+", type=int, default=[16, 32, 64, 128])
    parser.add_argument("--counts", nargs="+", type=int, default=[4, 8, 16, 32])
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--k", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    chosen = parser.parse_args()
    print(made.versions(chosen.device))
    for shape in chosen.model:
        where = shape, chosen.device, DTYPES[chosen.dtype]
        for part in chosen.parts:
            if part == "tokens":
                tokens(*where, chosen.repeats, chosen.batch, chosen.k, chosen.lengths)
            elif part == "mixture":
                mixture(*where, chosen.repeats, chosen.batch, chosen.k)
            elif part == "surrogate":
                surrogate(*where, chosen.repeats, chosen.counts)
            elif part == "memory":
                memory(*where)
            else:
                precision(*where[:2])


if __name__ == "__main__":
    main()
