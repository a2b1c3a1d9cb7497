"""`latxa judge`: which files and flags reach the judge, and what is said of responses that were not judged."""

import json

import pytest

from latxa_cli.text.chrf import ChrF


def response(name, model, answer, **more):
    turns = [{"role": "user", "content": f"Zer da {name}?"}, {"role": "assistant", "content": answer}]
    return {"id": name, "messages": turns, "model": model, **more}


RESPONSES = {
    "a": [response("1", "a", "bat", reference="bat"), response("2", "a", "bi", reference="bi")],
    "b": [response("1", "b", "batu"), response("2", "b", "hiru"), response("9", "b", "x")],
    "c": [response("8", "c", "x"), response("2", "c", "bi"), response("9", "c", "x")],
}


@pytest.fixture
def folder(tmp_path):
    """A folder with the responses of three models, and references that prefer other answers."""
    prompts = [{"id": "1", "prompt": "Zer da 1?", "reference": "batu"}, {"id": "2", "prompt": "Zer da 2?"}]
    for name, records in (RESPONSES | {"prompts": prompts}).items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return tmp_path


@pytest.fixture
def judged(latxa, folder):
    """`judged(*arguments)` returns the battles, what was said, and the manifest."""

    def judge(*arguments):
        done = latxa("judge", *arguments, "--manifest", "m.json", "--rejects", "no.jsonl", cwd=folder)
        assert done.returncode == 0, done.stderr
        manifest = json.loads((folder / "m.json").read_text())
        return [json.loads(line) for line in done.stdout.splitlines()], done.stderr.decode(), manifest

    return judge


def test_every_file_after_the_first_is_a_contender_and_the_manifest_tells_the_metric(judged):
    battles, _, manifest = judged("a.jsonl", "b.jsonl", "c.jsonl")
    assert [(b["prompt_id"], b["model_a"], b["model_b"], b["winner"]) for b in battles] == [
        ("1", "a", "b", "model_a"),
        ("2", "a", "b", "model_a"),
        ("2", "a", "c", "tie"),
        ("2", "b", "c", "model_b"),
    ]
    assert manifest["judge"] == ChrF().signature
    assert manifest["counts"]["rejected"] == {"no partner": 1}


def test_references_and_margin_reach_the_judge(judged):
    battles, _, _ = judged("a.jsonl", "b.jsonl", "--references", "prompts.jsonl")
    assert [battle["winner"] for battle in battles] == ["model_b", "model_a"]
    battles, _, _ = judged("a.jsonl", "b.jsonl", "--margin", "100")
    assert [battle["winner"] for battle in battles] == ["tie", "tie"]


def test_responses_to_prompts_that_the_first_file_lacks_are_counted_file_by_file(judged):
    _, said, manifest = judged("a.jsonl", "b.jsonl", "c.jsonl")
    assert "1 of b.jsonl not judged: a.jsonl lacks their prompts" in said
    assert "2 of c.jsonl not judged: a.jsonl lacks their prompts" in said
    assert manifest["not judged of b.jsonl"] == 1
    assert manifest["not judged of c.jsonl"] == 2
    _, said, manifest = judged("b.jsonl", "a.jsonl")
    assert "not judged" not in said and not [name for name in manifest if name.startswith("not judged")]


def test_a_run_that_does_not_see_all_of_the_first_file_does_not_count_them(judged, latxa, folder):
    _, said, manifest = judged("a.jsonl", "b.jsonl", "--shard", "0/2")
    assert "not judged" not in said and "not judged of b.jsonl" not in manifest
    (folder / "broken.jsonl").write_text((folder / "a.jsonl").read_text() + "broken\n")
    stopped = latxa("judge", "broken.jsonl", "b.jsonl", "-o", "out.jsonl", cwd=folder)
    assert stopped.returncode == 1 and (folder / "out.jsonl.part").exists()
    (folder / "broken.jsonl").write_text((folder / "a.jsonl").read_text())
    done = latxa("judge", "broken.jsonl", "b.jsonl", "-o", "out.jsonl", "--resume", cwd=folder)
    assert done.returncode == 0 and b"not judged" not in done.stderr
    assert len((folder / "out.jsonl").read_text().splitlines()) == 2


def test_one_file_is_no_comparison(latxa, folder):
    for files in ([], ["a.jsonl"]):
        done = latxa("judge", *files, cwd=folder)
        assert done.returncode == 2 and b"needs two files of responses" in done.stderr


def test_shards_and_a_resumed_run_know_the_ids_of_the_whole_first_file(latxa, folder):
    """`x` asks what `1` does, and `y` what `3` does, whose response has another id: only `y` may meet by its turns."""
    turns = [response("1", "a", "bat", reference="bat")["messages"], response("3", "a", "hiru")["messages"]]
    ours = [
        {"id": name, "messages": messages, "model": "a", "reference": "bat"}
        for name, messages in (
            ("x", turns[0]),
            ("1", turns[0]),
            ("y", turns[1]),
            ("2", response("2", "a", "")["messages"]),
        )
    ]
    theirs = [response("1", "b", "batu"), {**response("3", "b", "hiru"), "id": "z"}, response("2", "b", "bi")]
    for name, records in (("ours", ours), ("theirs", theirs)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))

    def battles(*words):
        done = latxa("judge", "ours.jsonl", "theirs.jsonl", *words, cwd=folder)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    whole = battles()
    assert [json.loads(line)["conversation_b"][-1]["content"] for line in whole] == ["batu", "hiru", "bi"]
    shards = [line for shard in "01" for line in battles("--shard", f"{shard}/2")]
    assert sorted(shards) == sorted(whole)
    (folder / "ours.jsonl").write_text("".join(json.dumps(record) + "\n" for record in ours[:2]) + "broken\n")
    assert latxa("judge", "ours.jsonl", "theirs.jsonl", "-o", "out.jsonl", cwd=folder).returncode == 1
    (folder / "ours.jsonl").write_text("".join(json.dumps(record) + "\n" for record in ours))
    battles("-o", "out.jsonl", "--resume")
    assert (folder / "out.jsonl").read_bytes().splitlines() == whole


def test_other_prompts_under_the_same_ids_are_named(judged, folder):
    records = [response("1", "d", "bat"), {**response("7", "d", "x"), "id": "2"}]
    (folder / "d.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    battles, said, _ = judged("a.jsonl", "d.jsonl")
    assert len(battles) == 1
    assert (
        "a.jsonl and d.jsonl ask different things under one id, `2` first: "
        "user turn 1 is 'Zer da 2?', and 'Zer da 7?' there" in said
    )


def test_a_metric_is_set_beside_people_too_also_after_an_interruption(latxa, folder):
    votes = [{"prompt_id": name, "model_a": "b", "model_b": "a", "winner": "model_b"} for name in "12"]
    (folder / "votes.jsonl").write_text("".join(json.dumps(vote) + "\n" for vote in votes))
    words = ("b.jsonl", "--against", "votes.jsonl", "--findings", "found.jsonl", "-o", "out.jsonl")
    whole = (folder / "a.jsonl").read_text()
    (folder / "a.jsonl").write_text(whole + "broken\n")
    assert latxa("judge", "a.jsonl", *words, cwd=folder).returncode == 1
    assert not (folder / "found.jsonl").exists()
    (folder / "a.jsonl").write_text(whole)
    done = latxa("judge", "a.jsonl", *words, "--resume", cwd=folder)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in (folder / "found.jsonl").read_text().splitlines()]
    [accuracy] = [one for one in found if one["finding"] == "judge accuracy"]
    assert (accuracy["value"], accuracy["n"], accuracy["judge"]) == (1.0, 2, "chrF")
    assert found == json.loads((folder / "out.jsonl.manifest.json").read_text())["against"]
    for words, said in [
        (("--findings", "x.jsonl"), "`--findings` needs `--against`"),
        (("--rubric", "code-switch", "--against", "votes.jsonl"), "`--against` has no effect"),
    ]:
        done = latxa("judge", "a.jsonl", "b.jsonl", *words, cwd=folder)
        assert done.returncode == 2 and said in done.stderr.decode()
