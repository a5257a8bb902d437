"""Judges that are models: verdict tokens against a plain reading, trained heads, features and criteria."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny import gpt2, llama

from prefsim.llm import Judge, judges
from prefsim.llm.embedding import EmbeddingHead, ScoreHead, log_odds, train_head
from prefsim.llm.tiny import ByteTokenizer, readable, tiny

TOKENIZER = ByteTokenizer()
TEMPLATE = "{prompt}? 1: {first} 2: {second} Better:"


@pytest.fixture(scope="module")
def model():
    return llama(vocabulary=ByteTokenizer.size).eval()


@pytest.mark.parametrize("verdicts", [("1", "2"), ("1", "2", "=")])
def test_verdicts_are_read_one_question_at_a_time(verdicts):
    """Batches of padded questions against single ones, written with probabilities; absolute positions mind the padding."""
    model = gpt2(vocabulary=ByteTokenizer.size).eval()
    oracle = judges.pairwise_llm(model, TOKENIZER, TEMPLATE, verdicts, batch=4)
    a, b = ["red", "a longer answer", "x"], ["blue {and} green", "y"]
    found = oracle.win_matrix([{"role": "user", "content": "which"}], a, b)
    with torch.no_grad():
        for i, j in np.ndindex(3, 2):
            ids = TOKENIZER(f"which? 1: {a[i]} 2: {b[j]} Better:")["input_ids"]
            said = torch.softmax(model(torch.tensor([ids])).logits[0, -1].double(), dim=-1)
            first, second, tie = said[ord("1")], said[ord("2")], said[ord("=")] if len(verdicts) == 3 else torch.tensor(0.0)
            assert found[i, j].item() == pytest.approx(((first + tie / 2) / (first + second + tie)).item(), abs=1e-5)
    judge = Judge(oracle)
    wins = judge.win_matrix("which", a, a)
    np.testing.assert_allclose(wins + wins.T, 1, atol=1e-12)
    assert judge.inconsistency > 1e-3 and wins.std() > 0


def test_verdicts_that_cannot_be_read(model):
    with pytest.raises(ValueError, match="the verdict ' A' is 2 tokens"):
        judges.pairwise_llm(model, TOKENIZER)
    with pytest.raises(ValueError, match="template must hold"):
        judges.pairwise_llm(model, TOKENIZER, "{prompt} {first}", ("1", "2"))
    with pytest.raises(ValueError, match="two different texts"):
        judges.pairwise_llm(model, TOKENIZER, TEMPLATE, ("1", "1"))
    with pytest.raises(ValueError, match="neither text nor a chat"):
        judges.pairwise_llm(model, TOKENIZER, TEMPLATE, ("1", "2")).win_matrix([3, 4], ["a"], ["b"])


def test_features_are_means_over_tokens(model):
    found = judges.pooled(model, TOKENIZER, batch=2)(["abc", "a longer text", "z"])
    with torch.no_grad():
        for text, features in zip(["abc", "a longer text", "z"], found, strict=True):
            ids = torch.tensor([TOKENIZER(text)["input_ids"]])
            expected = model(ids, output_hidden_states=True).hidden_states[-1][0].mean(0)
            np.testing.assert_allclose(features, expected, atol=1e-4)


def test_a_trained_head_judges_as_it_was_trained(model, tmp_path):
    """Three answers in a circle, which no score explains; and back from the file."""
    texts = ["rock", "paper", "scissors"]
    features = judges.of_answers(judges.pooled(model, TOKENIZER))
    known = features("play", texts)
    winners, losers = [1, 2, 0], [0, 1, 2]
    head = EmbeddingHead(known.shape[1], 1)
    train_head(head, known[winners], known[losers], torch.ones(3), steps=300, batch=16, ridge=0.01)
    torch.save(head.state_dict(), tmp_path / "head.pt")
    read = judges.load_head(tmp_path / "head.pt")
    wins = Judge(judges.head_oracle(read, features)).win_matrix("play", texts, texts)
    assert (wins[winners, losers] > 0.6).all()
    expected = torch.sigmoid(log_odds(head(known)[:, None], head(known)[None]).double()).detach()
    np.testing.assert_allclose(wins, expected, atol=1e-5)


def test_a_score_head_is_transitive(model, tmp_path):
    features = judges.of_answers(judges.pooled(model, TOKENIZER))
    head = ScoreHead(32, seed=3)
    torch.save(head.state_dict(), tmp_path / "head.pt")
    oracle = judges.head_oracle(judges.load_head(tmp_path / "head.pt"), features)
    assert oracle.transitive
    scores = head(features("q", ["a", "bb"]))[:, 0].detach().double()
    wins = oracle.win_matrix("q", ["a", "bb"], ["a", "bb"])
    assert wins[0, 1].item() == pytest.approx(torch.sigmoid(scores[0] - scores[1]).item(), abs=1e-6)
    (tmp_path / "no.pt").write_text("nothing")
    with pytest.raises(ValueError, match="cannot read a head"):
        judges.load_head(tmp_path / "no.pt")


def test_criteria(model):
    assert judges.brevity("", ["ab", ""]) == [-2, 0] and judges.length("", ["ab", ""]) == [2, 0]
    assert judges.diversity("", ["a b A c", "", "x"]) == [0.75, 0, 1]
    score = judges.relevance(judges.pooled(model, TOKENIZER))("red car", ["red car", "zzzz"])
    assert score[0].item() == pytest.approx(1, abs=1e-5) and score[1] < score[0]


def test_the_tokenizer_of_bytes():
    ids = TOKENIZER("née")["input_ids"]
    assert ids[0] == TOKENIZER.bos_token_id and len(ids) == 5
    assert TOKENIZER.decode([*ids, TOKENIZER.eos_token_id]) == "née"
    model, _ = tiny(3)
    again, _ = tiny(3)
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), again.parameters(), strict=True))
    assert readable().sum() == 28 and model.config.vocab_size == len(readable())
