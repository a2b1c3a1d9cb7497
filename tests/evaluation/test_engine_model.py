"""Engines behind the harness: what they are asked, what is kept, what it costs, and that prompts begin once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from openai_server import MODEL, OpenAIServer, answer
from quiz import item_of, letter, said, saying, write_quiz
from tiny import Latxa

from latxa_cli.generation.engine import Completion

PLAIN = ("--task", "quiz", "--task-folder", "tasks")
WRITTEN = (*PLAIN, "--format", "generate", "--chat")


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_quiz(tmp_path / "tasks", 24)
    return tmp_path


def run(latxa: Latxa, folder: Path, *words: str, code: int = 0, model: str = MODEL) -> Any:
    done = latxa("eval", model, *words, cwd=folder)
    assert done.returncode == code, done.stderr.decode()
    return done


# --- letters by log-probabilities


def likelihoods(n: int) -> dict[str, float]:
    """What a server tells of its likeliest tokens: the letter, with a space and without, another one, and no letter."""
    return {letter(n): -0.5, f" {letter(n)}": -0.7, "ABCD"[(n + 2) % 4]: -1.5, "The": -2.0}


def weighing(tell: Any) -> Any:
    async def trouble(request: web.Request, body: Any) -> web.StreamResponse | None:
        if body is None:
            return None
        told = tell(item_of(body))
        tops = [{"token": token, "logprob": p} for token, p in told.items()]
        chat, plain = {"content": [{"token": "x", "logprob": -9, "top_logprobs": tops}]}, {"top_logprobs": [told]}
        return web.json_response(answer(body, logprobs=chat if "messages" in body else plain, finish_reason="length"))

    return trouble


@pytest.mark.parametrize("chat", ["--chat", "--no-chat"])
def test_a_server_compares_letters_in_one_request_an_item(latxa: Latxa, folder: Path, chat: str) -> None:
    with OpenAIServer(weighing(lambda n: likelihoods(n) if n < 20 else {"The": -1.0})) as server:
        done = run(latxa, folder, *PLAIN, chat, "--base-url", server.url, "--answers", "a.jsonl")
        assert len(server.bodies) == 24 and all(body["max_tokens"] == 1 for body in server.bodies)
        assert set(server.paths) == {"/v1/chat/completions" if chat == "--chat" else "/v1/completions"}
    (result,) = map(json.loads, done.stdout.splitlines())
    right = sum(letter(n) == "ABCD"[n % 4] for n in range(20)) / 20
    assert (result["metric"], result["value"], result["n"]) == ("acc", pytest.approx(right), 20)
    assert result["asked"] == 24 and result["outcomes"] == {"answered": 20, "no letter found": 4}
    for n, one in enumerate(lines(folder / "a.jsonl")):
        assert one["answer"] == ("ABCD".index(letter(n)) if n < 20 else None)
        expected = {letter(n): -0.5 if chat == "--chat" else -0.7, "ABCD"[(n + 2) % 4]: -1.5} if n < 20 else {}
        assert one["loglikelihoods"] == [expected.get(name) for name in "ABCD"]


def test_a_server_without_log_probabilities_ends_with_the_way_out(latxa: Latxa, folder: Path) -> None:
    with OpenAIServer() as server:
        done = run(latxa, folder, *PLAIN, "--chat", "--base-url", server.url, code=1)
    assert b"gives no log-probabilities" in done.stderr and b"`--format generate`" in done.stderr


def test_longer_choices_are_not_compared_by_a_server(latxa: Latxa, task_folder: Path) -> None:
    with OpenAIServer() as server:
        done = run(latxa, task_folder, "--task", "towns.yaml", "--base-url", server.url, code=1)
        assert server.bodies == []
    assert b"the engine `openai` compares single letters alone, and `towns` asks for more" in done.stderr


# --- what is kept, and what it costs


def test_a_limit_of_cost_ends_the_run_and_resume_goes_on(latxa: Latxa, folder: Path) -> None:
    price = ("--engine-option", "price=1000/0", "--batch-size", "1", "--max-tokens", "8")  # 0.01 a request
    flags = (*WRITTEN, *price, "-o", "out.jsonl", "--answers", "a.jsonl", "--resume")
    with OpenAIServer(saying(lambda n: said(letter(n)))) as server:
        done = run(latxa, folder, *flags, "--base-url", server.url, "--max-cost", "0.85", code=1)
        first = len(server.bodies)
        assert 0 < first < 24 and b"`--max-cost 0.85` does not cover another request" in done.stderr
        run(latxa, folder, *flags, "--base-url", server.url)
        assert len(server.bodies) == 24 and set(server.sent.values()) == {1}, "none was asked twice"
    (result,) = lines(folder / "out.jsonl")
    assert result["outcomes"] == {"answered": 24} and not list(folder.glob("*.work"))


def test_a_failed_request_is_asked_again_and_others_are_not(latxa: Latxa, folder: Path) -> None:
    """A run that a kill ended has kept what was answered; what failed is no answer."""
    failing = {n for n in range(24) if n % 8 == 0}

    async def trouble(request: web.Request, body: Any) -> web.StreamResponse | None:
        if body is None or item_of(body) in failing:
            return None if body is None else web.Response(status=500)
        if item_of(body) == 23 and failing:
            return web.Response(status=401)  # ends the run
        return web.json_response(answer(body, **said(letter(item_of(body)))))

    flags = (*WRITTEN, "-o", "out.jsonl", "--resume", "--batch-size", "1", "--engine-option", "retries=0")
    with OpenAIServer(trouble) as server:
        run(latxa, folder, *flags, "--base-url", server.url, code=1)
        before = len(server.bodies)
        failing.clear()
        run(latxa, folder, *flags, "--base-url", server.url)
        again = sorted(item_of(body) for body in server.bodies[before:])
    assert before == 24 and again == [0, 8, 16, 23]
    assert lines(folder / "out.jsonl")[0]["outcomes"] == {"answered": 24}


def test_a_server_that_fails_every_request_ends_the_run(latxa: Latxa, folder: Path) -> None:
    write_quiz(folder / "tasks", 40)

    async def trouble(request: web.Request, body: Any) -> web.StreamResponse | None:
        return web.json_response({"error": "no"}, status=422) if body else None

    with OpenAIServer(trouble) as server:
        done = run(latxa, folder, *WRITTEN, "--base-url", server.url, code=1)
    assert b"32 requests in a row failed, at last: " in done.stderr


def test_a_dry_run_asks_a_few_and_tells_the_cost_of_all(latxa: Latxa, folder: Path) -> None:
    with OpenAIServer(saying(lambda n: said(letter(n)))) as server:
        price = ("--engine-option", "price=1000/2000")
        done = run(latxa, folder, *WRITTEN, "--base-url", server.url, "--dry-run", *price)
        assert len(server.bodies) == 4 and done.stdout == b""
        told = done.stderr.decode()
        spent = sum(len(answer(body)["choices"][0]["message"]["content"].split()) for body in server.bodies)
        assert "4 requests took" in told and f"40 prompt and {spent} completion tokens; nothing was written" in told
        words = told.rpartition("all 24 would take some ")[2]
        prompt, completion = int(words.split()[0]), int(words.split()[3])
        assert abs(prompt - 240) <= 4 and completion == round(spent / 4 * 24)
        assert f"they cost some {(prompt * 1000 + completion * 2000) / 1e6:.4g}" in words
        told = run(latxa, folder, *WRITTEN, "--base-url", server.url, "--dry-run").stderr.decode()
        assert "`--engine-option price=PROMPT/COMPLETION` tells what they cost" in told


# --- other ways to ask


def test_draws_of_shots_and_parts_are_accounted_for_too(latxa: Latxa, folder: Path) -> None:
    with OpenAIServer(saying(lambda n: said(letter(n) if n % 2 else "Who knows?"))) as server:
        flags = ("--few-shot", "2", "--shot-seeds", "3", "--take", "10", "--answers", "a.jsonl")
        done = run(latxa, folder, *WRITTEN, *flags, "--base-url", server.url)
        assert len(server.bodies) == 30 and len(server.bodies[0]["messages"]) == 6
    (result,) = map(json.loads, done.stdout.splitlines())
    answers = lines(folder / "a.jsonl")
    odd = [one for one in answers if int(one["id"].partition("-")[0][1:]) % 2]
    assert len(answers) == 30 and {one["outcome"] for one in odd} == {"answered"}
    assert result["outcomes"] == {"answered": len(odd), "no letter found": 30 - len(odd)}
    assert (result["n"], result["asked"]) == (len(odd) / 3, 10)
    assert result["value"] == pytest.approx(sum(one["correct"] for one in odd) / len(odd))


def test_the_papers_recipe_counts_what_is_no_letter_as_wrong(latxa: Latxa, tmp_path: Path) -> None:
    """One token is asked for, and there is no room for thoughts."""
    from latxa_cli.evaluation.answering.outcomes import Accounts

    class Recipe:
        task_name, OUTPUT_TYPE, form, recipe = "quiz", "generate_until", "generate", True
        config = type("Config", (), {"repeats": 1})
        instances = (type("Instance", (), {"doc_id": 0, "filtered_resps": {"strict_match": ""}}),)

        def process_results(self, doc: Any, results: Any) -> Any:
            return {"exact_match": float(results[0] == "A")}

    class Model:
        journal: Any = None
        manner = type("Manner", (), {"facts": dict})()

    model, task = Model(), Recipe()
    accounts = Accounts(model)
    model.journal["quiz", 0] = [Completion("The", "length", 9, 1)]
    with accounts.of({"quiz": task}):
        assert task.process_results({}, ["The"]) == {"exact_match": 0.0}
    assert accounts.outcomes(["quiz"]) == {"cut off": 1}


def test_transformers_writes_with_a_budget_what_it_writes_without(latxa: Latxa, model: Path, folder: Path) -> None:
    """A budget of tokens brings the account of answers; the texts are those of the harness's own loop."""
    quiz = (folder / "tasks" / "quiz.yaml").read_text()
    start, end = quiz.split("output_type: multiple_choice")
    end = end.replace("acc\n", "exact_match\n").replace("doc_to_choice: [A, B, C, D]\n", "")
    written = f'{start}output_type: generate_until\ngeneration_kwargs: {{until: ["Q"], max_gen_toks: 12}}{end}'
    (folder / "tasks" / "quiz.yaml").write_text(written)
    found = {}
    for name, more in {"plain": (), "account": ("--max-tokens", "12")}.items():
        done = run(latxa, folder, *PLAIN, *more, "--no-chat", "--answers", f"{name}.jsonl", model=str(model))
        found[name] = json.loads(done.stdout), lines(folder / f"{name}.jsonl")
    (plain, ours), (account, theirs) = found["plain"], found["account"]
    assert [one["answer"] for one in ours] == [one["answer"] for one in theirs]
    assert account["value"] == plain["value"] and account["n"] == plain["n"] == account["asked"] == 24
    assert sum(account["outcomes"].values()) == 24 and "outcomes" not in plain and account["max_tokens"] == 12


# --- flags


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--engine", "vlm"), b"there is no engine `vlm`"),
        (("--engine", "openai"), b"`--engine openai` needs `--base-url`"),
        (("--base-url", "http://localhost:1/v1", "--device", "cpu"), b"`--device` has no effect with the engine `ope"),
        (("--max-cost", "1"), b"`--max-cost` has no effect with the engine `transformers`"),
        (("--base-url", "http://localhost:1/v1", "--perplexity", "eu=tasks/quiz.jsonl"), b"does not predict texts"),
    ],
)  # fmt: skip
def test_flags_that_do_not_fit(latxa: Latxa, folder: Path, words: tuple[str, ...], message: bytes) -> None:
    (folder / "tasks" / "quiz.jsonl").write_text('{"text": "a"}\n')
    assert message in run(latxa, folder, *PLAIN, *words, code=2, model="no/model").stderr


# --- exactly one beginning


class Counting:
    """A server that counts the tokens of prompts as a tokenizer would, and `more` of them."""

    def __init__(self, tokenizer: Any, more: int) -> None:
        self.tokenizer, self.more = tokenizer, more

    async def __call__(self, request: web.Request, body: Any) -> web.StreamResponse | None:
        if body is None:
            return None
        text = self.tokenizer.apply_chat_template(body["messages"], tokenize=False, add_generation_prompt=True)
        made = answer(body, **said("A"))
        made["usage"]["prompt_tokens"] = len(self.tokenizer(text, add_special_tokens=False)["input_ids"]) + self.more
        return web.json_response(made)


def begun(model: Path, folder: Path) -> Any:
    """Write a tokenizer that begins texts with BOS, and whose template writes it; return it."""
    from tokenizers.processors import TemplateProcessing
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    tokenizer.add_special_tokens({"bos_token": "<s>"})
    begin = ("<s>", tokenizer.bos_token_id)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[begin])
    tokenizer.chat_template = "<s>" + tokenizer.chat_template
    for path in model.iterdir():
        if path.is_file():
            (folder / path.name).write_bytes(path.read_bytes())
    tokenizer.save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)


@pytest.mark.parametrize(
    ("more", "code", "message"),
    [
        (0, 0, b""),
        (1, 1, b"begins prompts with BOS twice"),
        (-1, 1, b"begins prompts without BOS"),
        (7, 0, b"that the server's prompts begin with BOS once is not proven: it counts "),
    ],
)
def test_a_server_begins_prompts_once(
    model: Path, latxa: Latxa, folder: Path, more: int, code: int, message: bytes
) -> None:
    (folder / "begun").mkdir()
    with OpenAIServer(Counting(begun(model, folder / "begun"), more)) as server:
        named = ("--engine-option", f"tokenizer={folder / 'begun'}")
        done = run(latxa, folder, *WRITTEN, "--base-url", server.url, *named, code=code)
        assert message in done.stderr and (b"BOS" in done.stderr) == bool(message)
        assert len(server.bodies) == (25 if code == 0 else 1), "the proof comes before the first item"
        assert server.bodies[0]["max_tokens"] == 1


def test_without_a_tokenizer_it_says_that_nothing_is_proven(latxa: Latxa, folder: Path) -> None:
    with OpenAIServer(saying(lambda n: said(letter(n)))) as server:
        done = run(latxa, folder, *WRITTEN, "--base-url", server.url)
        assert len(server.bodies) == 24
    assert b"is not proven: the server keeps its tokenizer to itself" in done.stderr
