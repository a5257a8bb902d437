"""Language models with random weights for the benchmarks, and how they are timed: shapes count, weights do not."""

import os
import platform
import time

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import numpy as np
import tokenizers
import torch
import transformers

import prefsim as ps
from prefsim.llm.hf import TransformersPolicy
from prefsim.llm.methods import setup
from prefsim.llm.oracles import Judge
from prefsim.llm.train import Training

BETA, STEP, PROMPT = 0.1, 0.5, 32
"""Temperature and step of the rules, and tokens of a prompt."""

SHAPES = {
    "tiny": ("Llama", {
        "vocab_size": 512, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2,
    }),
    "smollm2": ("Llama", {
        "vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30,
        "num_attention_heads": 9, "num_key_value_heads": 3, "tie_word_embeddings": True,
    }),
    "qwen2": ("Qwen2", {
        "vocab_size": 151936, "hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24,
        "num_attention_heads": 14, "num_key_value_heads": 2, "tie_word_embeddings": True,
    }),
}  # fmt: skip
"""The shapes of SmolLM2-135M and of Qwen2-0.5B, and a small one that shows what Python costs."""


def model(shape, device="cpu", dtype=torch.float32, seed=0):
    """A causal language model of a shape, with random weights."""
    kind, sizes = SHAPES[shape]
    config = getattr(transformers, f"{kind}Config")(**sizes, max_position_embeddings=2048, bos_token_id=None, eos_token_id=None)
    torch.manual_seed(seed)
    with torch.device(device):
        made = getattr(transformers, f"{kind}ForCausalLM")(config)
    return made.to(dtype).eval()


def adapted(base, rank=16):
    """LoRA on every linear layer."""
    import peft

    config = peft.LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", lora_dropout=0.0, task_type="CAUSAL_LM")
    return peft.get_peft_model(base, config)


def tokenizer(shape):
    """Words ``w0 w1 ...``, one a token, and an end token the model has no logit for: every response has full length."""
    size = SHAPES[shape][1]["vocab_size"]
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({f"w{i}": i for i in range(size)} | {"</s>": size}, "w0"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    return transformers.PreTrainedTokenizerFast(tokenizer_object=words, eos_token="</s>", pad_token="w0", unk_token="w0")


def prompts(count, length=PROMPT, seed=0):
    """Texts of `length` random words."""
    rows = np.random.default_rng(seed).integers(1, 500, (count, length))
    return [" ".join(f"w{i}" for i in row) for row in rows]


def policy(made, shape, tokens):
    """Our handle on a model, with the settings of the trainer it is held against."""
    return TransformersPolicy(
        made,
        tokenizer(shape),
        max_new_tokens=tokens,
        optimizer=lambda parameters: torch.optim.AdamW(parameters, lr=1e-6, weight_decay=0.0, fused=True),
        clip=1.0,
    )


def training(handle, asked, method, k, m=None, **switches):
    """A training run by iterations, with a judge that costs nothing."""
    oracle = ps.llm.from_callable(lambda prompt, a, b: torch.full((len(a), len(b)), 0.5))
    run = Training(handle, list(asked), Judge(oracle), setup((method, {"step": STEP}), BETA, switches), BETA)
    run.configure(k, m or k, None, "sampled", 0, "benchmark")
    return run


def stepping(run):
    """An iteration of a run at every call."""
    counter = iter(range(10**9))
    return lambda: run.iterate(next(counter))


def versions(device):
    """What numbers must be read with; a CPU gets one thread."""
    if torch.device(device).type == "cpu":
        torch.set_num_threads(1)
        where = f"{platform.machine()}, one thread, CPU time, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    else:
        where = torch.cuda.get_device_name()
    return f"{where}; torch {torch.__version__}, transformers {transformers.__version__}"


def wait(device):
    """Until the device is done."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()


def clock(device):
    """Time on a device; on a CPU that of the process, which other work on the machine does not lengthen much."""
    wait(device)
    return time.process_time() if torch.device(device).type == "cpu" else time.perf_counter()


def seconds(job, device):
    """Time of one call."""
    begun = clock(device)
    job()
    return clock(device) - begun


def best(jobs, device, repeats, warm=1):
    """Shortest times of several jobs, one after the other in turns."""
    found = [[seconds(job, device) for job in jobs] for _ in range(warm + repeats)]
    return np.min(found[warm:], axis=0)
