"""Perplexity and bits per byte: those of a computation of our own and of the harness, and what the command writes."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import Latxa, write_jsonl

from latxa_cli.chat.loss_mask import encode_chat
from latxa_cli.evaluation import perplexity
from latxa_cli.evaluation.model import load
from latxa_cli.evaluation.perplexity import TextScore, TextSet
from latxa_cli.model import load_model
from latxa_cli.tokenizer import load_tokenizer

TEXTS = ("Where does Ulmo begin?", "the red gate, the grün gate — ñandú", "the white gate " * 6, "a")


def documents(*texts: str) -> tuple[dict[str, Any], ...]:
    return tuple({"id": f"d{number}", "text": text} for number, text in enumerate(texts))


def nats(model: Path, text: str) -> float:
    """Return the negative log-likelihood of a text after EOS, in one pass over all of it."""
    tokenizer, network = load_tokenizer(str(model)), load_model(str(model), device="cpu")
    tokens = [tokenizer.eos_token_id, *tokenizer(text, add_special_tokens=False)["input_ids"]]
    with torch.inference_mode():
        logits = network(input_ids=torch.tensor([tokens[:-1]])).logits[0].double()
    return -float(logits.log_softmax(-1)[range(len(tokens) - 1), tokens[1:]].sum())


def test_every_token_of_a_text_is_predicted_and_every_byte_counted(model: Path) -> None:
    scores = perplexity.score(TextSet("en", documents(*TEXTS)), load(str(model), device="cpu", batch_size=None))
    expected = [nats(model, text) for text in TEXTS]
    tokenizer = load_tokenizer(str(model))
    assert [one.nats for one in scores] == pytest.approx(expected, rel=1e-5)
    assert [one.size for one in scores] == [len(text.encode()) for text in TEXTS]
    assert [one.tokens for one in scores] == [len(tokenizer(text)["input_ids"]) for text in TEXTS]
    bits, each = perplexity.figures(scores)
    size, tokens = sum(one.size for one in scores), sum(one.tokens for one in scores)
    assert bits["metric"] == "bits_per_byte" and each["metric"] == "perplexity"
    assert bits["value"] == pytest.approx(sum(expected) / math.log(2) / size, rel=1e-5)
    assert each["value"] == pytest.approx(math.exp(sum(expected) / tokens), rel=1e-5)


def answer_nats(model: Path, messages: list[dict[str, str]]) -> float:
    """Return the negative log-likelihood of the answers' tokens in one pass over the whole conversation."""
    tokenizer, network = load_tokenizer(str(model)), load_model(str(model), device="cpu")
    chat = encode_chat(tokenizer, messages)
    with torch.inference_mode():
        logits = network(input_ids=torch.tensor([chat.ids])).logits[0].double().log_softmax(-1)
    return -sum(float(logits[n - 1, token]) for n, token in enumerate(chat.ids) if chat.trained[n])


def talk(*contents: str) -> dict[str, Any]:
    roles = ("user", "assistant")
    messages = [{"role": roles[n % 2], "content": content} for n, content in enumerate(contents)]
    return {"id": "-".join(contents), "messages": messages}


def test_of_conversations_the_answers_are_predicted_and_the_tokens_that_end_them(model: Path) -> None:
    talks = (talk("Where?", "by the red gate", "And then?", "ñandú"), talk("the gate", "the gate"))
    mixed = TextSet("en", (*documents("a text"), *talks))
    loaded = load(str(model), device="cpu", batch_size=None)
    text, *scores = perplexity.score(mixed, loaded)
    assert text == perplexity.score(TextSet("en", documents("a text")), loaded)[0]
    assert [one and one.nats for one in scores] == pytest.approx(
        [answer_nats(model, one["messages"]) for one in talks], rel=1e-4
    )
    assert [one.size for one in scores if one] == [len("by the red gateñandú".encode()), len("the gate")]
    own = perplexity.fingerprint("bits_per_byte", mixed, [TextScore(1.0, 5, 8, 0)], loaded, {})
    loaded.tokenizer.chat_template += " "
    assert own != perplexity.fingerprint("bits_per_byte", mixed, [TextScore(1.0, 5, 8, 0)], loaded, {})


def test_a_conversation_without_an_answer_is_not_predicted() -> None:
    """A template that trims would leave nothing of white space: there would be no bytes to divide by."""
    talks = [talk("Who?", " \n"), talk("Why?", ""), talk("Where?", "here")]
    sets = perplexity.text_sets(["c=FILE"], lambda path, kinds: talks)
    assert [one["id"] for one in sets["c"].records] == ["Where?-here"]


def test_a_model_of_the_harness_alone_predicts_conversations_alike(model: Path) -> None:
    from lm_eval.models.huggingface import HFLM

    talks = TextSet("en", (talk("Where?", "by the red gate", "And then?", "away"), talk("the gate", "the gate")))
    plain = HFLM(pretrained=load_model(str(model), device="cpu"), tokenizer=load_tokenizer(str(model)))
    own, theirs = (
        perplexity.score(talks, load(str(model), device="cpu", batch_size=None)),
        perplexity.score(talks, plain),
    )
    assert [one.nats for one in theirs if one] == pytest.approx([one.nats for one in own if one], rel=1e-4)


def test_what_the_template_refuses_is_left_out_and_said(latxa: Latxa, model: Path, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "chats.jsonl", [
        talk("Where?", "by the gate"), talk("Who?", ""), {"id": "u", "messages": [{"role": "user", "content": "Why?"}]},
        talk("How?", "so <|end|>"),
    ])  # fmt: skip
    done = latxa("eval", model, "--perplexity", "en=chats.jsonl", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert b"1 conversations are left out" in done.stderr
    assert [json.loads(line)["n"] for line in done.stdout.splitlines()] == [1, 1]


def test_a_text_longer_than_the_context_counts_as_with_the_harness(model: Path) -> None:
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    text = "Question: where does the red gate begin? " * 120
    own = load(str(model), device="cpu", batch_size=None)
    (score,) = perplexity.score(TextSet("en", documents(text)), own)
    assert score.tokens > own.max_length
    plain = HFLM(pretrained=load_model(str(model), device="cpu"), tokenizer=load_tokenizer(str(model)))
    (theirs,) = plain.loglikelihood_rolling([Instance("loglikelihood_rolling", {}, (text,), 0)])
    assert -score.nats == pytest.approx(theirs, rel=1e-5)


def test_standard_errors_are_those_of_a_ratio_of_sums_over_texts() -> None:
    scores = [TextScore(10.0, 5, 8, 0), TextScore(30.0, 10, 20, 0), TextScore(4.0, 4, 6, 0)]
    bits, each = perplexity.figures(scores)
    # by hand: 44 nats over 19 tokens; what is left of each text is -1.5789, 6.8421 and -5.2632
    ratio = 44 / 19
    left = [10 - ratio * 5, 30 - ratio * 10, 4 - ratio * 4]
    error = math.sqrt(sum(one**2 for one in left) * 3 / 2) / 19
    assert each["stderr"] == pytest.approx(math.exp(ratio) * error)
    assert bits["stderr"] == pytest.approx(
        math.sqrt(sum((one.nats - 44 / 34 * one.size) ** 2 for one in scores) * 3 / 2) / 34 / math.log(2)
    )
    assert [figure["stderr"] for figure in perplexity.figures(scores[:1])] == [None, None]


def test_only_figures_that_compare_have_one_fingerprint(model: Path) -> None:
    one, longer = TextSet("eu", documents(*TEXTS)), TextSet("eu", documents(*TEXTS, "gate"))
    loaded = load(str(model), device="cpu", batch_size=None)
    scores = [TextScore(1.0, 5, 8, 0)]
    own = perplexity.fingerprint("bits_per_byte", one, scores, loaded, {})
    assert own == perplexity.fingerprint("bits_per_byte", TextSet("x", one.records), scores, loaded, {})
    assert own != perplexity.fingerprint("bits_per_byte", longer, scores, loaded, {})
    assert own != perplexity.fingerprint("bits_per_byte", one, scores, loaded, {"torch": "1"})
    assert own != perplexity.fingerprint("bits_per_byte", one, [TextScore(1.0, 5000, 8, 0)], loaded, {})
    token = perplexity.fingerprint("perplexity", one, scores, loaded, {})
    loaded.tokenizer.add_tokens(["gategate"])
    assert own == perplexity.fingerprint("bits_per_byte", one, scores, loaded, {})
    assert token != perplexity.fingerprint("perplexity", one, scores, loaded, {})


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_command_writes_two_results_a_set_and_an_answer_a_text(latxa: Latxa, model: Path, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "en.jsonl", documents(*TEXTS))
    write_jsonl(tmp_path / "eu.jsonl", documents("Kaixo mundua", "", "Agur"))
    flags = [
        "--perplexity",
        "en=en.jsonl",
        "--perplexity",
        "eu=eu.jsonl",
        "--answers",
        "answers.jsonl",
        "-o",
        "out.jsonl",
    ]
    done = latxa("eval", model, *flags, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    results = lines(tmp_path / "out.jsonl")
    assert [(one["task"], one["metric"], one["n"]) for one in results] == [
        ("en", "bits_per_byte", 4), ("en", "perplexity", 4), ("eu", "bits_per_byte", 2), ("eu", "perplexity", 2),
    ]  # fmt: skip
    assert results[0]["bytes"] == sum(len(text.encode()) for text in TEXTS) and len(results[0]["fingerprint"]) == 16
    answers = lines(tmp_path / "answers.jsonl")
    assert [(one["task"], one["id"]) for one in answers] == [
        *(("en", f"d{n}") for n in range(4)),
        ("eu", "d0"),
        ("eu", "d2"),
    ]
    bits = sum(one["value"] * one["bytes"] for one in answers[:4]) / results[0]["bytes"]
    assert bits == pytest.approx(results[0]["value"])
    table = latxa("report", "out.jsonl", "--format", "csv", cwd=tmp_path)
    assert table.returncode == 0 and b"bits_per_byte" in table.stdout


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--perplexity", "en.jsonl"], "`--perplexity en.jsonl` is not `NAME=FILE`"),
        (["--perplexity", "en=nowhere.jsonl"], "nowhere.jsonl"),
        (["--perplexity", "en=empty.jsonl"], "empty.jsonl: holds no text"),
        (["--perplexity", "en=broken.jsonl"], "broken.jsonl:1: "),
        (["--perplexity", "en=en.jsonl", "--perplexity", "en=en.jsonl"], "is given twice"),
        (["--perplexity", "towns=en.jsonl", "--task", "towns", "--task-folder", "."], "has the name of a task"),
        (["--perplexity", "towns=en.jsonl", "--task", "towns.yaml"], "has the name of a task"),
        (["--perplexity", "en=en.jsonl", "-o", "en.jsonl"], "en.jsonl"),
    ],
)  # fmt: skip
def test_what_is_no_set_is_one_line(latxa: Latxa, model: Path, tmp_path: Path, flags: list[str], message: str) -> None:
    write_jsonl(tmp_path / "en.jsonl", documents(*TEXTS))
    write_jsonl(tmp_path / "empty.jsonl", documents("", ""))
    (tmp_path / "towns.yaml").write_text("task: towns\ndataset_path: json\n")
    (tmp_path / "broken.jsonl").write_text('{"id": "a", "text": 3}\n')
    done = latxa("eval", model, *flags, cwd=tmp_path)
    error = done.stderr.decode()
    assert done.returncode in (1, 2) and message in error and "Traceback" not in error
    assert (tmp_path / "en.jsonl").read_text().count("\n") == 4


def test_characters_that_the_tokenizer_does_not_know_are_told(latxa: Latxa, model: Path, tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({"<unk>": 0, "the": 1, "gate": 2, "<|end|>": 3}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    directory = tmp_path / "words"
    load_model(str(model), device="cpu").save_pretrained(directory)
    PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>", eos_token="<|end|>").save_pretrained(directory)
    write_jsonl(tmp_path / "en.jsonl", documents("the gate", "the red gate", "a gate"))
    done = latxa("eval", directory, "--perplexity", "en=en.jsonl", cwd=tmp_path)
    assert done.returncode == 0 and b"2 of 7 tokens stand for what the tokenizer does not know" in done.stderr
