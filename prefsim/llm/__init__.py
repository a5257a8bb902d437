"""Preference-game solvers on torch policies: the rule that converges on three actions trains a language model.

    policy = ps.llm.TransformersPolicy(model, tokenizer)
    oracle = ps.llm.committee([relevance, brevity, diversity])
    data = ps.llm.train(policy, prompts, oracle, "egpo", beta=0.1, step=0.5, k=8, horizon=500, seed=0)

The chapter "Language models" of the documentation says why the regression is exact and which solvers qualify.
"""

from importlib.util import find_spec

if find_spec("torch") is None:
    raise ImportError("prefsim.llm needs torch; install the extra: pip install 'prefsim[llm]'.")

from prefsim.llm.exploit import best_response
from prefsim.llm.hf import TransformersPolicy
from prefsim.llm.judges import head_oracle, pairwise_llm, pooled
from prefsim.llm.oracles import Judge, PreferenceOracle, committee, embedding_head, from_callable, from_scores, matrix
from prefsim.llm.policy import Policy
from prefsim.llm.pool import evaluate_policies, judge_answers
from prefsim.llm.prefix import LogitsPolicy, PrefixPolicy
from prefsim.llm.records import Decoding, Key, Responses, SamplingSpec, Switches
from prefsim.llm.train import train

__all__ = [
    "Decoding",
    "Judge",
    "Key",
    "LogitsPolicy",
    "Policy",
    "PreferenceOracle",
    "PrefixPolicy",
    "Responses",
    "SamplingSpec",
    "Switches",
    "TransformersPolicy",
    "best_response",
    "committee",
    "embedding_head",
    "evaluate_policies",
    "from_callable",
    "from_scores",
    "head_oracle",
    "judge_answers",
    "matrix",
    "pairwise_llm",
    "pooled",
    "train",
]
