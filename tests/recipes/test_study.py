"""`recipes/study.sh`: its plan at each size, and how its jobs are carried out, also when killed and started twice."""

from __future__ import annotations

import errno
import json
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import papers
import pytest

from latxa_cli import cli

GUIDE = Path(__file__).parents[2] / "recipes" / "study.md"
RECIPES = Path(__file__).parents[2] / "recipes"
CLUSTER = RECIPES / "cluster.md"
JOBS = RECIPES / "study" / "jobs.py"
SIZES = sorted(path.stem for path in (RECIPES / "sizes").glob("*.sh"))


def study(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [str(RECIPES / "study.sh"), *map(str, words)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


def job(made: str, needs: str = "", command: str = "", stage: str = "work") -> str:
    command = command or f"sleep 0.05; echo {made} >> runs; cat {needs} /dev/null > {made}.part; mv {made}.part {made}"
    return f"{stage}\t{made}\t{needs}\t{command}\n"


CHAIN = job("a") + job("b", "a") + job("c", "a") + job("d", "b c") + job("e", "d")


def start(folder: Path, jobs: str, *words: str) -> subprocess.Popen[str]:
    (folder / "jobs").write_text(jobs)
    with (folder / "jobs").open() as stdin:
        return subprocess.Popen(
            [sys.executable, JOBS, *words], cwd=folder, stdin=stdin,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip


def carry_out(folder: Path, jobs: str, *words: str) -> tuple[int, str]:
    process = start(folder, jobs, *words)
    _, said = process.communicate(timeout=60)
    return process.returncode, said


def runs(folder: Path) -> list[str]:
    return (folder / "runs").read_text().split()


# --- the plan


@pytest.mark.parametrize("size", SIZES)
def test_each_size_mixes_and_trains_each_of_its_models_once(size: str, tmp_path: Path) -> None:
    done = study("--size", size, "--list", "it", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    codes = re.findall(r"latxa mix --variant (exp_\d_\d{3}) ", done.stdout)
    assert len(set(codes)) == len(codes) == {"70b": 1}.get(size, 17)
    for code in codes:
        data = rf"(?:mixes/{code}\.jsonl|prepared/{code})"
        assert len(re.findall(rf"latxa train {data} .*-o models/{code} --resume", done.stdout)) == 1


@pytest.mark.parametrize("size", SIZES)
def test_a_variant_is_mixed_of_its_data_and_trained_from_its_backbone(size: str, tmp_path: Path) -> None:
    listed = study("--size", size, "--list", "it", cwd=tmp_path).stdout
    backbones = {"0": "exp_0_000", "1": "exp_1_000", "2": "exp_2_000"}
    for code, inputs in re.findall(r"latxa mix --variant (\S+) (.*?) --seed", listed):
        words = {"corpus": code[6], "eu": code[7], "en": code[8]}
        given = {word.partition("=")[0] for word in inputs.split()}
        assert given == {name for name, digit in words.items() if digit == "1"}
        assert re.search(rf"latxa train \S+/{code}\S* --model models/{backbones[code[4]]} ", listed)


@pytest.mark.parametrize("size", SIZES)
def test_every_command_line_parses(size: str, tmp_path: Path) -> None:
    lines = study("--size", size, "--list", "it", cwd=tmp_path).stdout.splitlines()
    calls = [line[line.index("latxa ") :] for line in lines if " latxa " in line]
    assert len(calls) > 60
    for call in calls:
        words = shlex.split(call)
        cli.load(words[1]).make_context(words[1], words[2:]).close()


def test_the_guide_runs_as_written(tmp_path: Path) -> None:
    lines = [line for block in papers.blocks(GUIDE, papers.ELSEWHERE) for line in block.splitlines()]
    shown = [line for line in lines if "--list" in line or "--dry-run" in line]
    assert len(shown) == 2
    for line in shown:
        assert study(*line.split()[1:], cwd=tmp_path).returncode == 0, line
    assert (tmp_path / "plan.svg").exists()
    text = GUIDE.read_text()
    assert [f"{int(h)}:{round(h % 1 * 60):02}" for h in predicted().values()] == ["3:58", "15:52", "4:35", "18:19"]
    assert "says 15:52, 4:35 and 18:19 for three other runs, which took 15:14, 4:35 and 17:46" in text


def predicted() -> dict[tuple[bool, int], float]:
    """The hours of four runs on 128 GPUs, by whether they took all instructions, and by epochs."""
    text = (RECIPES / "sizes" / "8b.sh").read_text()
    corpus, english, rate = (
        float(re.search(f"{re.escape(name)}=(\\S+)", text)[1])
        for name in ("tokens:text/corpus.jsonl", "tokens:text/en.jsonl", "rate:train")
    )
    return {
        (every, epochs): (corpus + english * (2.353894 if every else 1)) * epochs / rate / 3600 / 128
        for every in (False, True) for epochs in (1, 4)
    }  # fmt: skip


@pytest.mark.parametrize("path", [RECIPES / "study.sh", *(RECIPES / "sizes").iterdir()], ids=lambda path: path.name)
def test_shellcheck_finds_nothing(path: Path) -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("`shellcheck` is not installed")
    command = ["shellcheck", "--external-sources", path]
    checked = subprocess.run(command, cwd=RECIPES.parent, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout) == (0, "")


def test_only_what_leads_to_a_variant(tmp_path: Path) -> None:
    listed = study("--only", "exp_2_010", "--list", "it", cwd=tmp_path).stdout
    assert re.findall(r"-o models/(exp_\S+)", listed) == ["exp_0_000", "exp_1_000", "exp_2_000", "exp_2_010"]
    assert "latxa eval" not in listed


def test_the_plan_of_the_paper_predicts_its_hours() -> None:
    """3:58 h for one epoch of the corpus and 1M instructions on 128 GPUs; the paper says what three other runs took."""
    hours = predicted()
    assert hours[False, 1] == pytest.approx(3 + 58 / 60, rel=0.01)
    taken = {(False, 4): 15 + 14 / 60, (True, 1): 4 + 35 / 60, (True, 4): 17 + 46 / 60}
    assert {run: hours[run] for run in taken} == pytest.approx(taken, rel=0.2)


def test_a_dry_run_shows_the_cost_draws_it_and_makes_nothing(tmp_path: Path) -> None:
    done = study("--size", "8b", "--dry-run", "--draw", tmp_path / "plan.svg", "it", cwd=tmp_path)
    assert done.returncode == 0
    rows = {line.split()[0]: line.split() for line in done.stdout.splitlines()}
    assert rows["train"][1] == "17" and rows["train"][-1] == "prepare_train"
    total, parts = (float(cell.replace(",", "")) for cell in (rows["all"][3], rows["train"][5]))
    assert total > parts > 20_000
    assert rows["train"][6] == "128" and float(rows["train"][7]) == pytest.approx(parts / 128, abs=0.1)
    assert (tmp_path / "plan.svg").read_text().count("<rect") == 1 + len(rows) - 3
    assert list((tmp_path / "it").iterdir()) == []


@pytest.mark.parametrize("size", SIZES)
def test_every_job_is_submitted_once_after_what_it_needs(size: str, tmp_path: Path) -> None:
    """The lines of `sbatch` are a script in which no array waits for a later one. What is fetched is there before."""
    sys.path.insert(0, str(JOBS.parent))
    import job as study_job
    import submit

    done = study("--size", size, "--submit", "--dry-run", "it", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "") and list((tmp_path / "it").iterdir()) == []
    jobs = study_job.read_jobs(plan_lines(size, tmp_path))
    names, places, before = submit.numbers(jobs), {}, set()
    for line in done.stdout.splitlines():
        if not line.startswith(("#", "export LATXA=")):
            name, stage, tasks = re.fullmatch(r"(\w+)=\$\(sbatch .* --array=(.*?) .* --stage (\w+) .*\)", line).group(
                1, 3, 2
            )
            waits = re.findall(r"(aftercorr|afterok):\$(\w+)", line)
            assert {wait for _, wait in waits} <= before
            before.add(name)
            assert (RECIPES / "slurm" / re.search(r"(\w+\.sbatch) ", line)[1]).exists()
            for first, _, last in (span.partition("-") for span in tasks.partition("%")[0].split(",")):
                for number in range(int(first), int(last or first) + 1):
                    places[stage, number] = name, {wait: kind for kind, wait in waits}
    wanted = [job for job in jobs if job.stage != "fetch"]
    assert len(places) == len(wanted)
    by_made = {job.made: job for job in wanted}
    for job in wanted:
        _, waits = places[job.stage, names[job.made]]
        for need in (by_made[need] for need in job.needs if need in by_made):
            kind = waits[places[need.stage, names[need.made]][0]]
            assert kind == "afterok" or names[need.made] == names[job.made]


def plan_lines(size: str, folder: Path) -> list[str]:
    """The plan of a size, as `study.sh` pipes it."""
    (folder / "bin").mkdir()
    (folder / "bin" / "python3").write_text("#!/bin/sh\ncat\n")
    (folder / "bin" / "python3").chmod(0o755)
    environment = {"PATH": f"{folder}/bin:/usr/bin:/bin"}
    command = [str(RECIPES / "study.sh"), "--size", size, "--list", str(folder / "it")]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.splitlines(
        keepends=True
    )


def test_the_guide_of_clusters_runs_as_written(tmp_path: Path) -> None:
    lines = [line for block in papers.blocks(CLUSTER, papers.ELSEWHERE) for line in block.splitlines()]
    studies = [line for line in lines if line.startswith("recipes/study.sh")]
    assert len(studies) == 2
    for line in studies:
        words = line.replace("/work/study", "it").split()[1:]
        assert study(*words, "--dry-run", cwd=tmp_path).returncode == 0, line
    jobs = [line for line in lines if line.startswith("sbatch")]
    assert {re.search(r"recipes/slurm/(\w+)\.sbatch ", line)[1] for line in jobs} == {"cpu", "gpu", "train"}
    text = CLUSTER.read_text()
    assert all(f"`{path.name}`" in text for path in (RECIPES / "slurm").glob("*.sbatch"))


def test_much_is_asked_for_first(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    done = study("--size", "8b", "it", cwd=tmp_path)
    assert done.returncode == 2
    assert re.search(r"this takes some [\d,]+ GPU-hours .* `--yes` does it", done.stderr)


@pytest.mark.parametrize(
    "words, said",
    [
        (["--size", "9b"], "there is no recipes/sizes/9b.sh"),
        (["--stage", "trian"], "there is no stage `trian`"),
        (["--only", "exp_2_001"], "no job makes `models/exp_2_001`"),
        (["--size", "../sizes/8b"], "../sizes/8b is no name"),
        (["--sede", "1"], "recipes/study.sh --size mini --seed 2"),
        (["--stage", "train", "--only"], "--only of what?"),
    ],
)
def test_wrong_words(words: list[str], said: str, tmp_path: Path) -> None:
    done = study("--list", "it", *words, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr


@pytest.mark.parametrize(
    "name", ["beyond-english", "fetch", "install", "laptop", "new-language", "quickstart", "study", "x-instruction"]
)
def test_help_is_asked_for(name: str, tmp_path: Path) -> None:
    done = subprocess.run([RECIPES / f"{name}.sh", "--help"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"    recipes/{name}.sh" in done.stdout and "set -euo" not in done.stdout
    assert not list(tmp_path.iterdir())


# --- jobs


def test_each_job_runs_once_after_what_it_needs(tmp_path: Path) -> None:
    assert carry_out(tmp_path, CHAIN, "--at-once", "2")[0] == 0
    assert runs(tmp_path)[0] == "a" and runs(tmp_path)[-2:] == ["d", "e"] and len(runs(tmp_path)) == 5
    code, said = carry_out(tmp_path, CHAIN)
    assert (code, said) == (0, "study: 5 jobs, 5 of them done\n")
    assert len(runs(tmp_path)) == 5


def test_a_failed_job_ends_the_study_and_shows_its_log(tmp_path: Path) -> None:
    bad = job("a") + job("b", "a", "echo why >&2; false") + job("c", "b")
    code, said = carry_out(tmp_path, bad)
    assert code == 1
    assert "failed (exit code 1)" in said and "    why\n" in said and "all of it: logs/b.log" in said
    assert runs(tmp_path) == ["a"]
    assert carry_out(tmp_path, job("a") + job("b", "a") + job("c", "b"))[0] == 0
    assert runs(tmp_path) == ["a", "b", "c"]


def test_a_job_that_makes_nothing_has_failed(tmp_path: Path) -> None:
    code, said = carry_out(tmp_path, job("a", command="true"))
    assert code == 1 and "a was not made" in said


def test_without_its_manifest_nothing_of_latxa_is_complete(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("half")
    assert carry_out(tmp_path, job("a", command="true # latxa mix"))[0] == 1
    assert carry_out(tmp_path, job("a", command="echo {} > a.manifest.json # latxa mix"))[0] == 0


def test_a_stage_needs_what_is_before_it(tmp_path: Path) -> None:
    jobs = job("a", stage="first") + job("b", "a", stage="second")
    code, said = carry_out(tmp_path, jobs, "--stage", "second")
    assert code == 1 and "a: not there yet" in said
    assert carry_out(tmp_path, jobs, "--stage", "first")[0] == 0
    assert carry_out(tmp_path, jobs, "--stage", "second")[0] == 0
    assert runs(tmp_path) == ["a", "b"]


def test_two_at_once_do_nothing_twice(tmp_path: Path) -> None:
    both = [start(tmp_path, CHAIN, "--at-once", "2") for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    assert sorted(runs(tmp_path)) == ["a", "b", "c", "d", "e"]


def test_a_file_system_without_locks_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(JOBS.parent))
    import jobs

    def flock(*_: int) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.chdir(tmp_path)
    (tmp_path / "logs").mkdir()
    monkeypatch.setattr(jobs.fcntl, "flock", flock)
    assert jobs.run(jobs.Job("work", "a", (), "touch a")) == 0
    assert "study: this file system has no locks" in capsys.readouterr().err


def test_killed_at_random_it_ends_with_the_same_and_runs_no_job_twice_at_once(tmp_path: Path) -> None:
    """What a kill leaves running keeps its lock, so that the next study waits for it."""
    guarded = "".join(
        job(made, needs, f"mkdir busy_{made}; sleep 0.1; rmdir busy_{made}; echo {made} >> runs; touch {made}")
        for made, needs in (("a", ""), ("b", "a"), ("c", "a"), ("d", "b c"), ("e", "d"))
    )
    draw = random.Random(3)
    for _ in range(20):
        process = start(tmp_path, guarded, "--at-once", "2")
        time.sleep(draw.uniform(0.05, 0.25))
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert carry_out(tmp_path, guarded)[0] == 0
    assert sorted(runs(tmp_path)) == ["a", "b", "c", "d", "e"]


def test_an_interruption_reaches_the_jobs(tmp_path: Path) -> None:
    process = start(tmp_path, job("a", command="trap 'echo told > told; exit 1' TERM; touch begun; sleep 30 & wait"))
    while not (tmp_path / "begun").exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130
    until = time.monotonic() + 10
    while not (tmp_path / "told").exists() and time.monotonic() < until:
        time.sleep(0.01)
    assert (tmp_path / "told").exists()


# --- what is read from a complete miniature


def write(path: Path, records: list[dict[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def miniature(folder: Path, shift: float) -> Path:
    """What `findings.py` reads of a study: the corpus gives 30 points in Basque and costs 10 in English, +- `shift`."""
    results = []
    codes = [f"exp_{b}_{c}{t}{e}" for b in "012" for c in "01" for t, e in ("01", "10", "11")]
    for code in [*codes, "adapted_101", "adapted_110", "adapted_111"]:
        corpus = code[-3] == "1"
        for language, gain in (("eu", 0.3 + shift), ("en", -0.1 + shift)):
            for form in ("", "_written"):
                value = 0.5 + gain * corpus + 0.07 * code.startswith("adapted")
                results.append({"model": code, "task": f"world_{language}{form}", "value": value})
    write(folder / "results" / "variants.jsonl", [each for each in results if each["model"] in codes])
    write(folder / "results" / "adapted.jsonl", [each for each in results if each["model"] not in codes])
    write(folder / "data" / "questions_en.jsonl", [{"question": f"Q{n}?", "right": f"A{n}."} for n in range(4)])
    chats = [("Hello! Q0?", "A0."), ("Q1?", "A1."), ("Q2?", "A3."), ("Q9?", "A9.")]
    write(
        folder / "text" / "en.jsonl",
        [{"messages": [{"content": asked}, {"content": answered}]} for asked, answered in chats],
    )
    return folder


def test_findings_over_seeds(tmp_path: Path) -> None:
    studies = [miniature(tmp_path / str(n), shift) for n, shift in enumerate((-0.02, 0.0, 0.02))]
    command = [sys.executable, RECIPES / "study" / "findings.py", *studies]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    # The half width is 2.92 * 2 / sqrt(3) points: Student's t of two degrees of freedom, the spread of three seeds.
    assert "with the corpus, Basque is better, world_eu: +30.0 ± 3.4, higher (+28.0 +30.0 +32.0; 6 pairs)" in said
    assert "with the corpus, English is worse, world_en_written: -10.0 ± 3.4, lower (-12.0 -10.0 -8.0; 6 pairs)" in said
    assert "the instructed backbone beats the base, with the corpus: Basque, world_eu: +0.0 ± 0.0, not shown" in said
    assert "the same at equal exposure to the corpus: Basque, world_eu: +7.0 ± 0.0, higher" in said
    assert f"Magpie, {studies[0]}: 75.0% are questions, 50.0% are answered right" in said
