"""`latxa judge` with models: a server that judges by a rule of its own, a reward model, and what cannot judge."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import openai_server
import papers
import pytest
import tiny
from aiohttp import web
from openai_server import OpenAIServer, answer
from tiny import Latxa, write_jsonl

from latxa_cli.judging.rubric import FOLDER
from latxa_cli.judging.verdict import KINDS
from latxa_cli.stream.tables import names_in

QUESTIONS = 40


def _between(text: str, name: str) -> str:
    [found] = re.findall(rf"<{name}>\n(.*?)\n</{name}>", text, re.DOTALL)
    return str(found)


async def judges(request: web.Request, body: Any) -> web.StreamResponse | None:
    """Prefer the longer response, and say nothing that can be read where one says nothing."""
    if body is None:
        return None
    text = next(turn["content"] for turn in body["messages"] if turn["role"] == "user")
    if "<harmlessness>" in text:
        names = ("accuracy", "fluency", "informativeness", "coherence", "harmlessness")
        said = " ".join(f"<{name}>{1 + ('lamp' in _between(text, 'response'))}</{name}>" for name in names)
    elif "<level>" in text:
        said = "<level>3</level>" if "lamp" in _between(text, "answer") else "<level>1</level>"
    else:
        first, second = (_between(text, f"response_{side}" if "<response_a>" in text else side) for side in "ab")
        highest = 5 if "polite" in text else 10
        numbers = [min(highest, len(one.split())) for one in (first, second)]
        said = "\n".join(
            f"<{name}_a>{numbers[0]}</{name}_a> <{name}_b>{numbers[1]}</{name}_b>"
            for name in ("content", "language", "overall", "fluency", "politeness")
        )
        said = "well" if "hush" in (first, second) else said
    return web.json_response(answer(body, message={"role": "assistant", "content": said}))


def responses(model: str) -> list[dict[str, Any]]:
    """Responses in the form of AlpacaEval, without ids."""
    words = {"gull": 2, "lamp": 3}[model]
    return [
        {
            "instruction": f"Question {n}?",
            "output": "hush" if n % 10 == 9 else " ".join([model] * (words + n % 3 * (model == "gull"))),
            "generator": model,
        }
        for n in range(QUESTIONS)
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for model in ("gull", "lamp"):
        write_jsonl(tmp_path / f"{model}.jsonl", responses(model))
    return tmp_path


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]


PAIRWISE = ("judge", "gull.jsonl", "lamp.jsonl", "--rubric", "pairwise", "--judge", openai_server.MODEL)


def test_a_judge_on_a_server_gives_battles_that_are_rated(latxa: Latxa, folder: Path) -> None:
    with OpenAIServer(judges) as server:
        done = latxa(
            *PAIRWISE, "--base-url", server.url, "--answer-in", "Basque", "--rejects", "no.jsonl", "-o", "out.jsonl",
            cwd=folder,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(server.bodies) == 2 * QUESTIONS + 8, "four pairs are asked about once more in both orders"
    assert "speaker of Basque would" in server.bodies[0]["messages"][1]["content"]
    battles, rejects = lines(folder / "out.jsonl"), lines(folder / "no.jsonl")
    assert {(one["model_a"], one["model_b"], one["judge"]) for one in battles} == {("gull", "lamp", "model")}
    assert [one["winner"] for one in battles[:3]] == ["model_b", "tie", "model_a"]
    assert {reject["reason"] for reject in rejects} == {"judge: unreadable"}
    manifest = json.loads((folder / "out.jsonl.manifest.json").read_bytes())
    assert len(battles) == 36 and manifest["votes"]["judges"]["model"]["invalid"] == {"unreadable": 4}
    assert manifest["judge"] == "model" and manifest["engine"]["engine"] == "openai"
    assert b"model: 36 votes; both orders agree in 100%" in done.stderr
    rated = latxa("arena-score", "out.jsonl", "--rounds", "20", cwd=folder)
    assert rated.returncode == 0 and {json.loads(line)["battles"] for line in rated.stdout.splitlines()[:2]} == {36}


def test_a_killed_run_goes_on_and_shards_joined_are_one_run(latxa: Latxa, folder: Path) -> None:
    with OpenAIServer(judges) as server:
        call = (*PAIRWISE, "--base-url", server.url, "--batch-size", "2")
        assert latxa(*call, "--rejects", "no.jsonl", "-o", "whole.jsonl", cwd=folder).returncode == 0
        for shard in "01":
            assert latxa(*call, "--shard", f"{shard}/2", "-o", f"{shard}.jsonl", cwd=folder).returncode == 0
        server.limit = len(server.bodies) + 50
        run = subprocess.Popen([tiny.BINARY, *call, "--rejects", "no2.jsonl", "-o", "again.jsonl"], cwd=folder)
        while len(server.bodies) <= server.limit:
            assert run.poll() is None
            time.sleep(0.02)
        time.sleep(0.3)
        run.send_signal(signal.SIGKILL)
        run.wait()
        server.limit = None
        before = len(server.bodies)
        resumed = (*call, "--rejects", "no2.jsonl", "-o", "again.jsonl", "--resume")
        done = latxa(*resumed, cwd=folder)
        assert done.returncode == 0, done.stderr
        assert len(server.bodies) - before < 2 * QUESTIONS, "what was judged is not judged again"
        assert latxa(*resumed, cwd=folder).returncode == 0
    for one, other in (("whole", "again"), ("no", "no2")):
        assert (folder / f"{one}.jsonl").read_bytes() == (folder / f"{other}.jsonl").read_bytes()
    votes = [json.loads((folder / f"{name}.jsonl.manifest.json").read_bytes())["votes"] for name in ("whole", "again")]
    assert votes[0] == votes[1], "counts are those of both runs together"
    in_turn = [lines(folder / f"{shard}.jsonl") for shard in "01"]
    assert sorted(map(str, in_turn[0] + in_turn[1])) == sorted(map(str, lines(folder / "whole.jsonl")))


async def mumbles(request: web.Request, body: Any) -> web.StreamResponse | None:
    """Copy the form at first; when asked again, prefer the first response, in the schema that came along."""
    if body is None:
        return None
    said = "<content_a>0 to 10</content_a> <content_b>0 to 10</content_b>"
    if "response_format" in body:
        keys = body["response_format"]["json_schema"]["schema"]["required"]
        said = json.dumps({key: 7 if key.endswith("_a") else 3 for key in keys})
    return web.json_response(answer(body, message={"role": "assistant", "content": said}))


def test_a_judge_that_copies_the_form_is_asked_again(latxa: Latxa, folder: Path) -> None:
    with OpenAIServer(mumbles) as server:
        done = latxa(*PAIRWISE, "--base-url", server.url, "-o", "out.jsonl", cwd=folder)
    assert done.returncode == 0 and len(lines(folder / "out.jsonl")) == QUESTIONS
    assert b"; 40 of them only when asked again; all of them give the same numbers" in done.stderr
    assert latxa("arena-score", "out.jsonl", "--exclude", "asked_again=true", cwd=folder).returncode == 1
    assert {body["messages"][-2]["role"] for body in server.bodies if "response_format" in body} == {"assistant"}
    rated = latxa("arena-score", "out.jsonl", "--rounds", "20", cwd=folder)
    assert rated.returncode == 0 and {json.loads(line)["battles"] for line in rated.stdout.splitlines()[:2]} == {40}


def test_whatever_a_judge_says_is_kept_as_text(latxa: Latxa, folder: Path) -> None:
    strange = "\x00\x1b[31m\u202e"
    said = strange + "".join(
        f"<{name}_{side}>5</{name}_{side}>" for name in ("content", "language", "overall") for side in "ab"
    )

    async def odd(request: web.Request, body: Any) -> web.StreamResponse | None:
        if body is None:
            return None
        return web.json_response(answer(body, message={"role": "assistant", "content": said}))

    with OpenAIServer(odd) as server:
        done = latxa(*PAIRWISE, "--base-url", server.url, "--rejects", "no.jsonl", "-o", "out.jsonl", cwd=folder)
    kept = lines(folder / "out.jsonl")
    assert done.returncode == 0 and len(kept) == QUESTIONS and b"\x1b" not in done.stderr
    assert {order["answer"][:3] for one in kept for order in one["metadata"]["orders"]} == {"\x00\x1b["}


def test_a_model_in_this_process_is_kept_to_the_form(latxa: Latxa, folder: Path, tiny_models: Path) -> None:
    """Of this judge, which has learnt to speak of harbours, no answer can be read at first."""
    for name in ("gull", "lamp"):
        write_jsonl(folder / f"{name}.jsonl", responses(name)[:4])
    call = ("judge", "gull.jsonl", "lamp.jsonl", "-j", tiny_models / "trained", "--engine", "transformers")
    (folder / "mine.toml").write_text(
        'compares = "pair"\nuser = "<p>{prompt}</p> <a>{response_a}</a> <b>{response_b}</b> {form}"\n'
        'criteria = [{ name = "fluency", tag = "f", lowest = 1, highest = 3 }]\nverdict = "fluency"\n'
    )
    done = latxa(*call, "--device", "cpu", "--rubric", "mine.toml", "--max-tokens", "9", cwd=folder)
    assert done.returncode == 0, done.stderr
    battles = [json.loads(line) for line in done.stdout.splitlines()]
    orders = [order for battle in battles for order in battle["metadata"]["orders"]]
    assert len(orders) == 8 and all(battle["asked_again"] for battle in battles)
    assert all(of["fluency"] in (1, 2, 3) for order in orders for of in order["scores"].values())


def test_a_dry_run_shows_a_few_votes_and_their_tokens(latxa: Latxa, folder: Path) -> None:
    with OpenAIServer(judges) as server:
        done = latxa(*PAIRWISE, "--base-url", server.url, "--dry-run", "-o", "out.jsonl", cwd=folder)
    assert done.returncode == 0 and len(server.bodies) == 8 and not list(folder.glob("out*"))
    assert b"took 80 tokens to read and" in done.stderr


def test_levels_are_what_mix_keeps_by(latxa: Latxa, folder: Path) -> None:
    with OpenAIServer(judges) as server:
        call = ("judge", "gull.jsonl", "lamp.jsonl", "--rubric", "curate", "-j", openai_server.MODEL)
        assert latxa(*call, "--base-url", server.url, "-o", "scores.jsonl", cwd=folder).returncode == 0
    scores = lines(folder / "scores.jsonl")
    assert len(scores) == 2 * QUESTIONS and {one["model"] for one in scores} == {"gull", "lamp"}
    assert {(one["rubric"], one["judge"]) for one in scores} == {("curate", "model")}
    done = latxa("mix", "l=lamp.jsonl", "--minimum", "l=3", "--scores", "scores.jsonl", "-o", "mix.jsonl", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert len(lines(folder / "mix.jsonl")) == 36


# --- reward models


@pytest.fixture(scope="module")
def reward(tiny_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reward model: the tiny model's network with a head of one number, drawn at random."""
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification

    folder = tmp_path_factory.mktemp("reward") / "reward"
    shutil.copytree(tiny_models / "trained", folder)
    config = AutoConfig.from_pretrained(folder)
    config.num_labels, config.pad_token_id = 1, 0
    torch.manual_seed(3)
    AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
    return folder


def test_rewards_are_scores_and_their_difference_a_battle(latxa: Latxa, folder: Path, reward: Path) -> None:
    def run(*words: str) -> list[dict[str, Any]]:
        done = latxa("judge", *words, "--judge", reward, "--device", "cpu", cwd=folder)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    scores = run("gull.jsonl", "lamp.jsonl", "--rubric", "reward")
    assert len(scores) == 2 * QUESTIONS and {one["judge"] for one in scores} == {"reward"}
    gull, lamp = ([one["scores"]["reward"] for one in scores if one["model"] == model] for model in ("gull", "lamp"))
    battles = run("gull.jsonl", "lamp.jsonl", "--rubric", "reward-pairs")
    assert [battle["metadata"]["scores"] for battle in battles] == [
        {"model_a": one, "model_b": other} for one, other in zip(gull, lamp, strict=True)
    ]
    assert all((one["winner"] == "model_a") == (one["preference"] > 0.5) for one in battles)
    assert len(set(gull)) > 1, "different responses have different rewards"


def test_a_language_model_is_no_reward_model(latxa: Latxa, folder: Path, tiny_models: Path) -> None:
    done = latxa("judge", "gull.jsonl", "--rubric", "reward", "-j", tiny_models / "trained", cwd=folder)
    assert (done.returncode, done.stdout) == (2, b"") and b"is no reward model" in done.stderr


# --- what cannot be judged, said before a model is loaded


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["gull.jsonl", "lamp.jsonl", "--rubric", "pairwise"], "the rubric `pairwise` needs a judge"),
        (["gull.jsonl", "lamp.jsonl", "-j", "m"], "`--judge` has no effect with the rubric `reference`"),
        (["gull.jsonl", "--rubric", "pairwise", "-j", "m"], "needs two files of responses"),
        (["gull.jsonl", "--rubric", "reward"], "the rubric `reward` needs one `--judge`"),
        (["gull.jsonl", "--rubric", "reward", "-j", "m", "-j", "n"], "the rubric `reward` needs one `--judge`"),
        (["gull.jsonl", "--rubric", "curate", "-j", "m", "--margin", "1"], "`--margin` has no effect"),
        (["gull.jsonl", "lamp.jsonl", "--max-tokens", "5"], "`--max-tokens` has no effect"),
        (["gull.jsonl", "lamp.jsonl", "--rubric", "pairwise", "-j", "x/m", "-j", "y/m"], "two judges are called `m`"),
        (["gull.jsonl", "lamp.jsonl", "--rubric", "pairwise", "-j", "base"], "the judge `base` has no chat template"),
        (["gull.jsonl", "gull.jsonl", "--rubric", "pairwise", "-j", "m"], "two files hold responses of `gull`"),
        (["gull.jsonl", "lamp.jsonl", "--rubric", "mine.toml", "-j", "m"], "mine.toml: there is no setting `colour`"),
    ],
)
def test_wrong_calls_are_one_line(latxa: Latxa, folder: Path, words: list[str], said: str) -> None:
    (folder / "base").mkdir()
    for name in ("config.json", "tokenizer_config.json", "tokenizer.json"):
        (folder / "base" / name).write_text("{}")
    (folder / "mine.toml").write_text("compares = 'pair'\ncolour = 'red'\n")
    done = latxa("judge", *words, "--engine", "transformers", cwd=folder)
    assert (done.returncode, done.stdout) in ((1, b""), (2, b"")), done.stderr
    first, *rest = done.stderr.decode().splitlines()
    assert first.startswith("latxa: ") and said in first and len(rest) <= 1


def test_files_of_other_prompts_are_said_to_be(latxa: Latxa, folder: Path) -> None:
    write_jsonl(folder / "lamp.jsonl", [{"instruction": "Nor?", "output": "Ni.", "generator": "lamp"}])
    done = latxa("judge", "gull.jsonl", "lamp.jsonl", "--rubric", "pairwise", "-j", "nobody/nothing", cwd=folder)
    assert done.returncode == 1 and done.stdout == b""
    assert (
        "gull.jsonl and lamp.jsonl have no prompt in common: user turn 1 is 'Question 0?', and 'Nor?' there"
        in done.stderr.decode()
    )


def test_scores_that_need_references_say_which_lack_them(latxa: Latxa, folder: Path) -> None:
    call = ("judge", "gull.jsonl", "--rubric", "llm-eval", "-j", "nobody/nothing", "--rejects", "no.jsonl")
    done = latxa(*call, cwd=folder)
    assert done.returncode == 1 and b"40 rejected (40 no reference)" in done.stderr
    assert {reject["reason"] for reject in lines(folder / "no.jsonl")} == {"no reference"}


# --- the guide

GUIDE = papers.ROOT / "recipes" / "judging.md"


def _battles(latxa: Latxa, folder: Path) -> list[dict[str, Any]]:
    """Return battles between `ours` and `theirs`, which tell how their prompts are called."""
    with OpenAIServer(judges) as server:
        call = ("judge", "ours.jsonl", "theirs.jsonl", "--rubric", "fluency", "-j", openai_server.MODEL)
        assert latxa(*call, "--base-url", server.url, "-o", "named.jsonl", cwd=folder).returncode == 0
    return lines(folder / "named.jsonl")


def test_the_guide(latxa: Latxa, folder: Path) -> None:
    for name, model in (("ours", "gull"), ("theirs", "lamp")):
        more = {"generator": name, "reference": "lamp"}
        write_jsonl(folder / f"{name}.jsonl", [
            one | more | {"task": ("code", "poetry")[n % 2]} for n, one in enumerate(responses(model))
        ])  # fmt: skip
    turns = [{"role": "user", "content": "Zer?"}, {"role": "assistant", "content": "lamp"}]
    write_jsonl(folder / "reverse.jsonl", [{"id": f"reverse-{n}", "messages": turns} for n in range(6)])
    sides = {"model_a": "ours", "model_b": "theirs"}
    ids = {one["prompt_id"] for one in _battles(latxa, folder)}
    write_jsonl(folder / "votes.jsonl", [{"prompt_id": name, "winner": "model_a"} | sides for name in sorted(ids)[:20]])
    stored = {name: lines(folder / f"{name}.jsonl") for name in ("ours", "theirs")}
    write_jsonl(folder / "arena.jsonl", [
        {"winner": ("model_a", "model_b")[n % 2], **sides, **{
            f"conversation_{side}": [
                {"role": "user", "content": one["instruction"]}, {"role": "assistant", "content": one["output"]},
            ]
            for side, one in zip("ab", both, strict=True)
        }}
        for n, both in enumerate(zip(*stored.values(), strict=True))
    ])  # fmt: skip
    write_jsonl(folder / "new.jsonl", [one | {"generator": "new"} for one in responses("gull")])
    [rubric] = papers.blocks(GUIDE, "toml")
    (folder / "politeness.toml").write_text(rubric)
    with OpenAIServer(judges) as server:
        server.models = ["llama-judge", "qwen-judge"]
        text = GUIDE.read_text(encoding="utf-8").replace("http://localhost:8000/v1", server.url)
        (folder / "judging.md").write_text(text, encoding="utf-8")
        papers.run(folder / "judging.md", latxa, folder)
    assert {one["judge"] for one in lines(folder / "battles.jsonl")} == {"llama-judge"}
    told = json.loads((folder / "examined.jsonl.manifest.json").read_bytes())["against"]
    assert lines(folder / "found.jsonl") == told
    assert {"judge accuracy", "judge kappa", "judge coverage", "corrected win rate"} <= {one["finding"] for one in told}
    met = [
        {(one["prompt_id"], one["model_b"]) for one in lines(folder / f"{name}.jsonl")} for name in ("first", "more")
    ]
    assert len(met[0]) == len(met[1]) == 36 and not met[0] & met[1]
    assert {one["metadata"]["rubric"] for one in lines(folder / "polite.jsonl")} == {"politeness"}
    assert len(lines(folder / "mix.jsonl")) == 6
    told = [json.loads(line) for line in latxa("report", "grades.jsonl", cwd=folder).stdout.splitlines()]
    grades = {(one["model"], one.get("category"), one["dimension"]): one["value"] for one in told}
    assert grades["theirs", "poetry", "mean"] > grades["ours", "poetry", "mean"] and len(grades) == 2 * 3 * 6


def test_the_guide_tells_every_rubric_and_every_kind() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    assert all(f"| `{name}` |" in text for name in names_in(FOLDER))
    assert all(f"`{kind}`" in text for kind in KINDS)
