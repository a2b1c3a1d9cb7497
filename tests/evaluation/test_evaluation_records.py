"""What a report of the harness becomes: each figure with its own error, filter, shots and language; each item once."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from latxa_cli.evaluation.records import (
    answers,
    check_finite,
    fingerprint,
    group_fingerprint,
    leaked,
    leaves,
    results,
)
from latxa_cli.stream.errors import LatxaError

# A group of a group and two tasks, as the harness reports it.
REPORT: dict[str, Any] = {
    "results": {
        "exams": {
            "alias": "exams",
            "sample_len": 30,
            "sample_count": {"acc,none": 29},
            "acc,none": 0.5,
            "acc_stderr,none": 0.1,
            "exact_match,strict-match": 0.25,
            "exact_match_stderr,strict-match": 0.2,
            "exact_match,flexible-extract": 0.75,
            "exact_match_stderr,flexible-extract": 0.3,
        },
        "law": {"sample_len": 20, "acc,none": 1, "acc_stderr,none": "N/A"},
        "drive": {"sample_len": 10, "acc,none": 0.2, "acc_stderr,none": math.nan, "f1,none": 0.3, "name,none": "x"},
    },
    "n-shot": {"law": 5, "drive": 3, "exams": 4},
    "configs": {"law": {"metadata": {"language": "eu"}}, "drive": {"metadata": {"language": "eu"}}},
    "group_subtasks": {"exams": ["inner", "drive"], "inner": ["law"]},
}
FINGERPRINTS = {"exams": "e", "law": "l", "drive": "d"}


def test_each_figure_has_the_error_number_filter_and_shots_of_its_own() -> None:
    found = [
        (r["task"], r["metric"], r["filter"], r["value"], r["stderr"], r["n"], r["num_fewshot"], r["fingerprint"])
        for r in results({"model": "m"}, REPORT, FINGERPRINTS, {})
    ]
    assert found == [
        ("exams", "acc", "none", 0.5, 0.1, 29, 4, "e"),
        ("exams", "exact_match", "strict-match", 0.25, 0.2, 30, 4, "e"),
        ("exams", "exact_match", "flexible-extract", 0.75, 0.3, 30, 4, "e"),
        ("law", "acc", "none", 1.0, None, 20, 5, "l"),
        ("drive", "acc", "none", 0.2, None, 10, 3, "d"),
        ("drive", "f1", "none", 0.3, None, 10, 3, "d"),
    ]
    assert {result["model"] for result in results({"model": "m"}, REPORT, FINGERPRINTS, {})} == {"m"}


def test_a_group_consists_of_the_tasks_of_all_its_members() -> None:
    assert list(leaves("exams", REPORT)) == ["law", "drive"]
    assert list(leaves("law", REPORT)) == ["law"]


@pytest.mark.parametrize(
    ("law", "drive", "expected"),
    [
        ({"metadata": {"language": "eu"}}, {"metadata": {"language": "eu"}}, "eu"),
        ({"metadata": {"language": "eu"}}, {"metadata": {"language": "es"}}, None),
        ({"metadata": {"language": "eu"}}, {}, None),
        ({"metadata": {"version": 1}}, {"metadata": None}, None),
    ],
)
def test_a_group_has_a_language_where_all_its_tasks_have_that_one(
    law: dict[str, Any], drive: dict[str, Any], expected: str | None
) -> None:
    report = REPORT | {"configs": {"law": law, "drive": drive}}
    languages = {result["task"]: result.get("language") for result in results({"model": "m"}, report, FINGERPRINTS, {})}
    assert languages["exams"] == expected
    assert languages["law"] == law["metadata"].get("language")
    assert all(result.get("language", "") is not None for result in results({"model": "m"}, report, FINGERPRINTS, {}))


def test_a_figure_that_is_no_number_ends_the_run() -> None:
    report = REPORT | {"results": {"law": {"sample_len": 2, "mcc,none": math.nan}}}
    with pytest.raises(LatxaError, match="`law`, `m`: the metric `mcc` is not a number"):
        list(results({"model": "m"}, report, FINGERPRINTS, {}))


# --- answers


def task(kind: str = "multiple_choice", **more: Any) -> Any:
    return SimpleNamespace(
        task_name="law",
        OUTPUT_TYPE=kind,
        multiple_input=False,
        config=SimpleNamespace(process_results=None),
        doc_to_choice=lambda doc: doc.get("choices", ["x", "y"]),
        **more,
    )


def sample(likelihoods: tuple[float, ...] = (-1.0, -2.0), filter: str = "none", **more: Any) -> dict[str, Any]:
    return {
        "doc": {"id": "q1"}, "doc_hash": "f" * 64, "filter": filter, "metrics": ["acc"], "acc": 1.0, "target": 0,
        "arguments": [("Q?", " x"), ("Q?", " y")], "resps": [[(value, False)] for value in likelihoods],
        "filtered_resps": [(value, False) for value in likelihoods],
    } | more  # fmt: skip


@pytest.mark.parametrize(
    ("doc", "expected"),
    [
        ({"id": "q1"}, "q1"), ({"id": 0}, "0"), ({"id": 7}, "7"), ({"id": ""}, "f" * 16), ({"id": None}, "f" * 16),
        ({}, "f" * 16), ("text", "f" * 16),
    ],
)  # fmt: skip
def test_an_answer_has_the_id_of_its_item_or_the_hash_of_its_content(doc: Any, expected: str) -> None:
    given = task("generate_until")
    [answer] = answers("m", given, [sample(doc=doc, metrics=["exact_match"], exact_match=1, filtered_resps=["a"])])
    assert answer["id"] == expected


def test_an_item_has_the_same_id_under_each_filter_and_a_number_where_it_comes_again() -> None:
    samples = [sample(filter=name) for name in ("strict", "flexible", "strict", "flexible", "strict")]
    assert [(answer["id"], answer["filter"]) for answer in answers("m", task(), samples)] == [
        ("q1", "strict"), ("q1", "flexible"), ("q1-2", "strict"), ("q1-2", "flexible"), ("q1-3", "strict"),
    ]  # fmt: skip


@pytest.mark.parametrize("place", range(3))
def test_the_answer_is_the_likeliest_choice_and_requests_beyond_the_choices_are_none(place: int) -> None:
    likelihoods = tuple(-1.0 if number == place else -5.0 for number in range(3))
    beyond = (*likelihoods, -0.1, -0.1, -0.1)  # those of the mutual-information metric, without the question
    [answer] = answers("m", task(), [sample(beyond, doc={"id": "q", "choices": ["x", "y", "z"]}, target=1)])
    assert answer["answer"] == place and answer["target"] == 1
    assert answer["loglikelihoods"] == list(likelihoods) and answer["choices"] == ["x", "y", "z"]
    assert answer["prompt"] == "Q?" and (answer["task"], answer["model"]) == ("law", "m")


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        ({"acc": 1.0}, {"correct": True}),
        ({"acc": 0.0}, {"correct": False}),
        ({"exact_match": 1, "f1": 0.5}, {"correct": True}),
        ({"em": 0}, {"correct": False}),
        ({"acc": 0.5, "f1": 0.25}, {"value": 0.5}),
        ({"acc": 0.0, "exact_match": 1.0}, {"correct": False}),
        ({"f1": 0.25, "acc": 1.0}, {"correct": True}),
    ],
)
def test_an_item_is_right_or_wrong_by_the_first_metric_that_says_so(
    metrics: dict[str, float], expected: dict[str, Any]
) -> None:
    [answer] = answers("m", task(), [sample(metrics=list(metrics), **metrics)])
    assert {name: answer[name] for name in ("correct", "value") if name in answer} == expected
    assert answer["metrics"] == metrics


def test_an_item_without_a_plain_metric_has_the_first_of_its_figures() -> None:
    text = task("loglikelihood_rolling")
    [answer] = answers("m", text, [sample(metrics=["ppl"], ppl=(-12.5, 40), filtered_resps=["a"])])
    assert answer["value"] == -12.5 and "metrics" not in answer
    [answer] = answers("m", text, [sample(metrics=[], filtered_resps=[(-1.5, True)])])
    assert answer["value"] is None and answer["answer"] == [-1.5, True]


# --- checks


@pytest.mark.parametrize(("item", "choice", "draw"), [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (2, 1, 1)])
def test_a_likelihood_that_is_no_number_is_found_wherever_it_stands(item: int, choice: int, draw: int) -> None:
    samples = [{"resps": [[(-1.0, False), (-1.0, False)] for _ in range(2)]} for _ in range(3)]
    check_finite("m", samples)
    samples[item]["resps"][choice][draw] = (math.nan, False)
    with pytest.raises(LatxaError, match="`m` gives log-likelihoods that are not numbers"):
        check_finite("m", samples)


def test_infinite_likelihoods_and_texts_are_passed() -> None:
    check_finite("m", [{"resps": [[(-math.inf, False)], ["text"]]}])


def shown(prompt: str, question: str = "Where?", shots: int = 2, **more: Any) -> int:
    """Return how often an item `Where? here` is found among its own shots in `prompt`."""
    style = SimpleNamespace(
        doc_to_text=None, doc_to_target=None, doc_to_choice=None, gen_prefix=None, target_delimiter=" ",
        fewshot_delimiter="\n\n",
    )  # fmt: skip

    def turns(*, q: str, a: str, tgt_delim: str, few_delim: str, **_: Any) -> list[Any]:
        return [SimpleNamespace(to_text=lambda text=text: text) for text in (q, tgt_delim + a, few_delim)]

    given = task(
        get_config={"num_fewshot": shots}.get,
        build_qa_turn=turns,
        fewshot_cfg=style,
        resolve_field=lambda doc, field: field,
        doc_to_text=lambda doc, template: question,
        doc_to_target=lambda doc, template: "here",
    )
    vars(given).update(more)
    return leaked(given, [sample(arguments=[("Who? me\n\nWhere?", "")]), sample(arguments=[(prompt, "")])])


def test_an_item_among_its_own_shots_is_found() -> None:
    assert shown("Where? here\n\nWhere?") == 1
    assert shown("Where? here\n\nWho?") == 1, "as the harness writes a shot"
    assert shown("<u>Where?<a>here<u>Where?<a>") == 1, "as a chat template does: the question stands there twice"
    assert shown("Who? me\n\nWhere?") == 0
    assert shown("Where? there\n\nWho?") == 0
    assert shown("Who? me\n\n", question=" ") == 0, "a task may ask nothing"


def test_leaks_are_looked_for_where_there_are_shots() -> None:
    leak = "Where? here\n\nWhere?"
    assert shown(leak, shots=1) == 1
    assert shown(leak, shots=0) == 0
    assert shown(leak, multiple_input=True) == 0


# --- fingerprints


def configured(**more: Any) -> Any:
    configuration = {"task": "law", "doc_to_text": "{{q}}", "dataset_kwargs": {"data_files": "a"}, "metadata": {"v": 1}}
    return SimpleNamespace(dump_config=lambda: configuration | more)


ITEMS = [{"doc_hash": name, "prompt_hash": f"{name}?", "target_hash": f"{name}!"} for name in "ab"]
NOW = {"seed": 1, "versions": {"torch": "2"}, "chat template": None}


def one_way() -> Callable[[Any], str]:
    def process(doc: Any) -> str:
        return str(doc["q"])

    return process


def another_way() -> Callable[[Any], str]:
    def process(doc: Any) -> str:
        return str(doc["q"]) + "?"

    return process


def test_a_fingerprint_depends_on_all_that_makes_figures_unlike_and_on_nothing_else() -> None:
    plain = fingerprint(configured(), ITEMS, NOW)
    assert len(plain) == 16 and set(plain) <= set("0123456789abcdef")
    assert plain == fingerprint(configured(dataset_kwargs={"data_files": "b"}, metadata={"v": 2}), ITEMS, NOW)
    others = [
        fingerprint(configured(doc_to_text="{{q}}?"), ITEMS, NOW),
        fingerprint(configured(num_fewshot=5), ITEMS, NOW),
        fingerprint(configured(), ITEMS[:1], NOW),
        fingerprint(configured(), ITEMS[::-1], NOW),
        fingerprint(configured(), [*ITEMS, ITEMS[0] | {"doc_hash": "c"}], NOW),
        fingerprint(configured(), [ITEMS[0], ITEMS[1] | {"prompt_hash": "with other shots"}], NOW),
        fingerprint(configured(), [ITEMS[0], ITEMS[1] | {"target_hash": "another answer"}], NOW),
        fingerprint(configured(), ITEMS, NOW | {"seed": 2}),
        fingerprint(configured(), ITEMS, NOW | {"versions": {"torch": "3"}}),
        fingerprint(configured(), ITEMS, NOW | {"chat template": "x"}),
    ]
    assert len({plain, *others}) == 1 + len(others)


def test_a_function_in_a_task_stands_for_itself_by_its_text() -> None:
    assert fingerprint(configured(f=one_way()), ITEMS, NOW) == fingerprint(configured(f=one_way()), ITEMS, NOW)
    assert fingerprint(configured(f=one_way()), ITEMS, NOW) != fingerprint(configured(f=another_way()), ITEMS, NOW)
    assert fingerprint(configured(f=min), ITEMS, NOW) != fingerprint(configured(f=len), ITEMS, NOW)


def test_a_groups_fingerprint_is_that_of_its_members_in_order_and_of_its_mean() -> None:
    macro, micro = [{"metric": "acc", "weight_by_size": False}], [{"metric": "acc", "weight_by_size": True}]
    parts = (["a", "b"], ["a", "c"], ["b", "a"], ["a"], ["b"])
    found = {group_fingerprint(members, how) for members in parts for how in ([], macro, micro)}
    assert len(found) == 15
