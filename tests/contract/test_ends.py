"""How runs end: exit codes, manifests, help."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import xxhash
from contract_table import CASES, POINTS, Case, cases
from workspace import Workspace, is_one_error

from latxa_cli.cli import VERBS


def test_every_verb_stands_in_the_table() -> None:
    assert {case.verb for case in CASES.values()} == set(VERBS)
    assert set().union(*POINTS.values()) == set(CASES)


@pytest.mark.parametrize("name", cases("manifest"))
def test_the_manifest_says_what_was_made_from_what(name: str, case: Case, space: Workspace) -> None:
    manifest = space.finished(name).manifest
    assert manifest["verb"] == case.verb
    assert manifest["argv"][1:3] == case.command.split()[:1] + space.words(name)[1:2]
    assert manifest["version"] and manifest["started"] and manifest["seconds"] > 0
    counts = manifest["counts"]
    if case.verb in (
        "corpus",
        "sample",
        "respond",
        "reverse",
        "translate",
        "mix",
        "eval",
    ):  # one outcome for each record
        assert counts["in"] == counts["out"] + sum(counts["rejected"].values())
    if not case.directory and case.verb != "profile":  # which writes TOML
        assert counts["out"] == len(space.finished(name).data.splitlines())
    if case.make:
        assert counts["in"] == case.count
        read = {entry["path"]: entry for entry in manifest["inputs"]}[space.input(name).name]
        data = space.input(name).read_bytes()
        assert read["bytes"] == len(data)
        assert read["xxh3_128"] == xxhash.xxh3_128(data).hexdigest()
    else:
        assert counts["in"] > 0 and manifest["inputs"]


def test_a_manifest_of_stdout_is_written_where_the_user_says(light: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    done = light.run(*light.words("mix"), "--manifest", path)
    assert done.returncode == 0
    assert json.loads(path.read_bytes())["counts"]["out"] == len(done.stdout.splitlines())


def test_a_failed_run_has_no_manifest(light: Workspace, tmp_path: Path) -> None:
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text('{"id": "a", "text": "good"}\nbroken\n')
    assert light.run("mix", f"docs={source}", "-o", output).returncode == 1
    assert not output.exists()
    assert not list(tmp_path.glob("*manifest*"))


def test_passwords_in_urls_stay_out_of_the_manifest(light: Workspace, tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    weird = tmp_path / "http:" / "me:secret@host"
    weird.mkdir(parents=True)
    (weird / "in.jsonl").write_bytes(light.input("report").read_bytes())
    done = light.run("report", f"{tmp_path}/http://me:secret@host/in.jsonl", "-o", output)
    assert done.returncode == 0, done.stderr.decode()
    assert not any("secret" in word for word in json.loads(Path(f"{output}.manifest.json").read_bytes())["argv"])


@pytest.mark.parametrize("name", cases("unkept", model=False))
def test_nothing_kept_of_some_input_is_a_failure(name: str, case: Case, space: Workspace, tmp_path: Path) -> None:
    source, rejects = space.input(name), tmp_path / "rejects.jsonl"
    if name == "judge":  # no reference anywhere
        records = [json.loads(line) for line in source.read_bytes().split(b"\n")[:-1]]
        source, theirs = tmp_path / "ours.jsonl", tmp_path / "theirs.jsonl"
        for path, model in ((source, "a"), (theirs, "b")):
            path.write_text("".join(json.dumps(r | {"reference": None, "model": model}) + "\n" for r in records))
        words = ["judge", str(source), str(theirs)]
    else:
        words = [*case.words(source), *case.unkept.split()]
    done = space.run(*words, "--rejects", rejects)
    assert (done.returncode, done.stdout) == (1, b"")
    assert "latxa: nothing was kept" in done.stderr.decode().splitlines()
    assert len(rejects.read_bytes().splitlines()) == case.count
    assert "hint: `--rejects FILE` shows why" in space.run(*words).stderr.decode().splitlines()


@pytest.mark.parametrize("name", cases("unkept", model=True))
def test_a_model_that_gives_nothing_is_a_failure(name: str, case: Case, space: Workspace) -> None:
    done = space.run(*space.words(name), *case.unkept.split())
    assert (done.returncode, done.stdout) == (1, b"")
    assert "latxa: nothing was kept" in done.stderr.decode().splitlines()


@pytest.mark.parametrize("verb", VERBS)
def test_help_fits_the_verb(verb: str, light: Workspace) -> None:
    done = light.run(verb, "--help")
    text = done.stdout.decode()
    assert (done.returncode, done.stderr) == (0, b"")
    assert text == light.run(verb, "-h").stdout.decode()
    assert f"Usage: latxa {verb} " in text
    for part in (VERBS[verb], "in:", "out:", "examples:", f"latxa {verb} "):
        assert part in text, part


USAGE = {
    "no such verb": (["corpsu"], "there is no verb `corpsu`", "did you mean `corpus`?"),
    "no such flag": (["mix", "a=b", "--sed", "1"], "no such option: --sed", "`latxa mix --help`"),
    "a missing flag": (["corpus", "in.jsonl"], "missing option '--language'", "`latxa corpus --help`"),
    "a wrong value": (["mix", "a=b", "--seed", "x"], "invalid value for '--seed'", "`latxa mix --help`"),
    "a wrong shard": (["judge", "a", "b", "--shard", "2/2"], "invalid value for '--shard'", "`latxa judge --help`"),
    "resume without output": (["report", "--resume"], "`--resume` needs `-o`", "cannot be continued"),
    "output is a folder": (["report", "-o", "."], "`-o .` is a directory", "name a file"),
    "not NAME=FILE": (["mix", "a.jsonl"], "`a.jsonl` is not `NAME=FILE`", "give every input a name"),
}


@pytest.mark.parametrize("what", USAGE)
def test_wrong_usage_is_two_lines_and_exit_code_two(what: str, light: Workspace) -> None:
    words, message, hint = USAGE[what]
    done = light.run(*words)
    assert (done.returncode, done.stdout) == (2, b"")
    first, second = done.stderr.decode().splitlines()
    assert first.startswith(f"latxa: {message}"), first
    assert second.startswith("hint: ") and hint in second, second
    assert is_one_error(done.stderr.decode(), hint=True)


def test_an_output_in_no_folder_is_wrong_usage(light: Workspace, tmp_path: Path) -> None:
    output = tmp_path / "no" / "such" / "folder" / "out.jsonl"
    done = light.run(*light.words("mix"), "-o", output)
    assert done.returncode == 2
    assert done.stderr.decode() == f"latxa: `-o {output}`: there is no folder `{output.parent}`\n"
