"""What a paper says of the methods: what manifests and records hold, and nothing else."""

import json
from pathlib import Path

import pytest

from latxa_cli.report.pages.methods import methods, writer_for
from latxa_cli.stream.errors import UsageError

CASES = Path(__file__).resolve().parents[2] / "cases"


def manifest(verb, **more):
    return {"verb": verb, "version": "0.1.0", "argv": ["latxa"], **more}


TRAINED = manifest(
    "train", model="org/base", dtype="bfloat16", steps=1200, tokens=3_500_000, trained_tokens=1_000_000,
    resolved={"learning_rate": 1e-5, "epochs": 4.0, "max_steps": 0, "weight_decay": 0.0, "seed": 33, "lora_rank": 0},
    outputs=[{"path": "models/exp_2_101/config.json"}], backend="deepspeed", processes=8, device="cuda:0",
    packing="packed", sources={"corpus": {"tokens": 3_000_000}, "en": {"tokens": 500_000}}, python="3.11.7",
)  # fmt: skip


def test_a_training_run():
    training, software = methods([TRAINED], [], [])
    assert training == (
        "exp_2_101 was trained from org/base with 4 epochs, 1,200 optimiser steps, a peak learning rate of 1e-5, "
        "seed 33 and number type bfloat16. Its data hold 3,500,000 tokens, 1,000,000 of which count in the loss. "
        "Tokens by source: corpus (3,000,000) and en (500,000). Several texts shared a sequence, and did not attend to "
        "each other. It ran on deepspeed, in 8 processes (cuda:0)."
    )
    assert software == "Software: latxa 0.1.0 and Python 3.11.7."


def test_rows_that_were_taken_apart():
    (training, _) = methods([TRAINED | {"packing": "unpacked"}], [], [])
    assert "Each text was computed by itself. It ran on" in training


def test_data():
    corpus = json.loads((CASES / "corpus/all_steps/expected/corpus.jsonl.manifest.json").read_text())
    mix = json.loads((CASES / "mix/weights/expected/mix.jsonl.manifest.json").read_text())
    drawn = manifest(
        "sample", counts={"in": 0, "out": 1000, "rejected": {}}, settings={"seed": 7},
        engine={"model": "org/instruct", "revision": "abc123", "engine": "vllm", "engine_version": "0.32.0"},
        decoding={"temperature": 1.0, "top_p": 0.99},
    )  # fmt: skip
    of_corpus, of_sample, of_mix, _ = methods([mix, corpus, drawn], [], [])
    assert of_corpus.startswith("The corpus (eu) holds 5 of 20 documents. Documents were left out for these reasons: ")
    assert "wrong language (3), contaminated (2)" in of_corpus and "other reasons (7)" in of_corpus
    assert "Near duplicates have a Jaccard similarity of 0.7 or more." in of_corpus
    assert "Documents that hold items of exam.jsonl were left out." in of_corpus
    assert of_sample == (
        "org/instruct drew 1,000 conversations (revision abc123, vllm 0.32.0, temperature 1, top-p 0.99, seed 7)."
    )
    assert of_mix == (
        "The training mix of 25 records holds corpus (18 records, 81.3% of the bytes, weight 2.5), eu (5 records, "
        "15.4% of the bytes) and en (2 records, 3.3% of the bytes, weight 0.25)."
    )


def test_evaluation():
    result = {"task": "eus_trivia", "metric": "acc", "value": 0.5, "n": 1715, "num_fewshot": 5, "format": "mcqa"}
    results = [
        result | {"model": "a", "path": "org/a", "weights": "0123456789abcdef", "chat": True},
        result | {"model": "a", "metric": "acc_norm", "chat": True},
        result | {"model": "b", "task": "bl2mp", "num_fewshot": 0, "chat": False, "format": None, "n": None},
    ]
    both = {"model": "b", "baseline": "a", "metric": "acc", "value": 0.6, "baseline_value": 0.5, "difference": 0.1}
    tested = {"test": "mcnemar", "p_holm": 0.01, "confidence": 0.95, "interval": "sandwich"}
    of_results, of_comparisons, _ = methods(
        [manifest("eval", libraries={"lm_eval": "0.4.13"}, settings={"take": 200, "seed": 3})],
        results,
        [both | tested | {"task": "t", "n": 900}, both | tested | {"task": "u", "n": 1715}, both | {"tasks": 2}],
    )
    assert of_results == (
        "Evaluation used lm-evaluation-harness 0.4.13. Of each task, 200 items were drawn (seed 3). These models were "
        "evaluated: a (org/a, weights 0123456789ab) and b. Asked with 5 examples, through the chat template and with "
        "lettered choices: eus_trivia (1,715 items). Asked without examples and without a chat template: bl2mp."
    )
    assert of_comparisons == (
        "Models were compared with a item by item, on 900 to 1,715 items a task. Differences were tested by the exact "
        "test of McNemar, with Holm's correction over the tasks of a model. Intervals are 95 % intervals from "
        "clustered standard errors (CR2)."
    )


def test_an_arena():
    settings = {"confidence": 0.9, "rounds": 1000, "interval": "bootstrap", "ties": "half", "rubric": "reference"}
    counts = {"in": 110, "out": 9, "rejected": {"self battle": 10}}
    judged = manifest("judge", judge="chrF2", settings=settings)
    rated = manifest("arena-score", counts=counts, resampled="user", settings=settings)
    of_judge, of_ratings, _ = methods([rated, judged], [], [])
    assert of_judge == "Responses were judged by chrF2 (rubric reference)."
    assert of_ratings == (
        "Ratings come from 100 battles. Their intervals are 90 % intervals over 1,000 bootstrap rounds, which draw "
        "each user with its battles. A tie counts as half a win."
    )


@pytest.mark.parametrize("odd", [None, 3, "x", [], {}, [3], {"a": None}, True, float("nan")])
@pytest.mark.parametrize(
    "verb", ["corpus", "sample", "mix", "train", "eval", "judge", "arena-score", "merge", "unknown"]
)
def test_what_is_not_as_expected_is_not_said(verb, odd):
    names = ("counts", "settings", "engine", "sources", "outputs", "libraries", "model", "resolved", "judge", "python")
    assert methods([manifest(verb)], [], []) == ["Software: latxa 0.1.0."]
    for name in names:
        said = methods([manifest(verb, **{name: odd})], [], [])
        assert not {"None", "nan", "True"} & set(" ".join(said).replace(".", "").split()), said


def test_the_forms_of_a_text():
    text = "a_b 50 % $x$ \\ <b> *c*\u202e"
    assert (
        writer_for(Path("m.tex"))(text)
        == "a\\_b 50 \\% \\$x\\$ \\textbackslash{} \\textless{}b\\textgreater{} {*}c{*}\ufffd"
    )
    assert writer_for(Path("m.md"))(text) == "a_b 50 % $x$ \\\\ \\<b\\> \\*c\\*\ufffd"
    assert writer_for(Path("m.txt"))(text) == "a_b 50 % $x$ \\ <b> *c*\ufffd"
    for name in ("m", "m.pdf", "m.TEX.gz"):
        with pytest.raises(UsageError, match="is not the name of a text"):
            writer_for(Path(name))


def test_report_writes_the_methods(latxa, tmp_path):
    (tmp_path / "manifest.json").write_text(json.dumps(TRAINED, indent=2))
    (tmp_path / "r.jsonl").write_text('{"model": "a_b", "task": "t", "metric": "acc", "value": 0.5}\n')
    done = latxa("report", "manifest.json", "r.jsonl", "--methods", "m.tex", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "These models were evaluated: a\\_b." in (tmp_path / "m.tex").read_text()
    assert "was trained from org/base" in (tmp_path / "m.tex").read_text()
    (tmp_path / "n.jsonl").write_text('{"finding": "x"}\n')
    done = latxa("report", "n.jsonl", "--methods", "n.txt", cwd=tmp_path)
    assert done.returncode == 2 and b"these records tell nothing for `n.txt`" in done.stderr
    done = latxa("report", "r.jsonl", "--methods", "m.docx", cwd=tmp_path)
    assert done.returncode == 2 and b"is not the name of a text" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.tex", "manifest.json", "n.jsonl", "r.jsonl"]
    done = latxa("report", "r.jsonl", "--format", "eee", "--organization", "o", "--methods", "x.txt", cwd=tmp_path)
    assert done.returncode == 2 and b"do not go together" in done.stderr
