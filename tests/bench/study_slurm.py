"""A whole study of tiny models on a Slurm cluster of two nodes, all on this machine: undisturbed, and disturbed.

    python tests/bench/study_slurm.py [FOLDER] [--disturbances 12]     FOLDER: new, is kept

Every stage runs: sampling and translation in two shards each, mix, packing, training by two processes on two nodes,
merging, evaluation, responses, arena, report. The second time, every some seconds a node loses its power, or a job's
time is up, or a job is cancelled, or somebody submits the study again. Then the same line is said until nothing is
missing. Texts, models, answers and tables must be those of the first time.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))

import slurm_cluster  # noqa: E402
import tiny  # noqa: E402
from slurm_cluster import NODES, Cluster  # noqa: E402
from study_kills import differences  # noqa: E402
from timing import verdict  # noqa: E402

SECONDS = (3, 20)  # between two disturbances
SIZE = """
target=eu
variants() {{ printf '%s\\t%s\\t%s\\n' exp_2_000 instructed - exp_2_011 instructed 'target english'; }}
backbones() {{
    for backbone in exp_0_000 exp_1_000 exp_2_000; do
        job data models/$backbone needs -- "cp -r {folder}/models/trained models/$backbone.part &&
            mv models/$backbone.part models/$backbone"
    done
}}
sampling=(-n 12 --max-tokens 20 --skip beginning --skip short --skip near --skip duplicate --date 2026-01-01)
shots=(--shots {folder}/shots.jsonl -k 2)
translating=(--max-tokens 40)
preparing=(--sequence-length 64)
training=(--epochs 20 --sequences-per-step 8 --batch-size 2 --learning-rate 1e-3 --checkpoint-every 2 --threads 1)
tasks=(--task towns --task-folder {folder}/tasks)
prompts={folder}/prompts.jsonl
answering=(--max-tokens 20 --date 2026-01-01)
tables=(--table {folder}/towns.toml) effects=()
finish() {{ :; }}
shards=2 apart=yes launch=(srun)
slurm=("train=train --nodes=2 --ntasks-per-node=1 --cpus-per-task=1" sample=gpu translate=gpu eval=gpu respond=gpu)
"""
TABLE = """
title = "Towns"
language = "Basque"
[tasks.towns]
category = "towns"
family = "towns"
"""
TASK = """
task: towns
dataset_path: json
dataset_kwargs: {data_files: {test: towns.jsonl}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: "{{choices}}"
doc_to_target: "{{answer}}"
metric_list: [{metric: acc}]
metadata: {version: 1, language: eu}
"""


def prepare(folder: Path) -> None:
    """Make models, texts and recipes with the size `tiny` in `folder`."""
    if not (folder / "models" / "trained" / "manifest.json").exists():
        tiny.make_models(folder / "models", latxa)
    draw = random.Random(1)
    texts = [tiny.sentence(draw, 3) for _ in range(12)]
    shots = [{"id": f"s{n}", "source": text, "target": tiny.backwards(text)} for n, text in enumerate(texts[:6])]
    tiny.write_jsonl(folder / "shots.jsonl", shots)  # type: ignore[arg-type]
    tiny.write_jsonl(folder / "prompts.jsonl", [
        {"id": f"p{n}", "messages": [{"role": "user", "content": text}], "reference": tiny.backwards(text)}
        for n, text in enumerate(texts[6:])
    ])  # fmt: skip
    (folder / "tasks").mkdir(exist_ok=True)
    (folder / "tasks" / "towns.yaml").write_text(TASK)
    (folder / "towns.toml").write_text(TABLE)
    tiny.write_jsonl(folder / "tasks" / "towns.jsonl", [
        {"question": text, "choices": [tiny.backwards(text), text], "answer": n % 2} for n, text in enumerate(texts)
    ])  # fmt: skip
    shutil.copytree(TESTS.parent / "recipes", folder / "latxa" / "recipes", dirs_exist_ok=True)
    (folder / "latxa" / "recipes" / "sizes" / "tiny.sh").write_text(SIZE.format(folder=folder))
    if not (folder / "latxa" / ".venv").exists():
        (folder / "latxa" / ".venv").symlink_to(Path(sys.executable).parents[1])


def latxa(*words: str, cwd: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([str(tiny.BINARY), *words], cwd=cwd, capture_output=True, check=False)


def submit(cluster: Cluster, folder: Path, study: Path) -> bool:
    """Submit what is missing, and return whether there was anything."""
    environment = cluster.environment | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = [str(folder / "latxa" / "recipes" / "study.sh"), "--size", "tiny", "--submit", str(study)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return " x " in done.stderr or "already" in done.stderr


def disturb(cluster: Cluster, draw: random.Random) -> str:
    """Do one thing that happens in clusters, and return what."""
    jobs = [job for job, state in cluster.jobs().items() if state == "RUNNING"]
    what = draw.choice(["node", "time", "time", "cancel", "nothing"])
    if what == "node":
        node = draw.choice(NODES)
        cluster.kill(node)
        cluster.call("scontrol", "update", f"nodename={node}", "state=down", "reason=killed")
        time.sleep(0.5)
        cluster.start_node(node)
        cluster.call("scontrol", "update", f"nodename={node}", "state=resume")
    elif jobs and what == "time":
        cluster.call("scancel", "--signal=USR1", "--batch", draw.choice(jobs))
    elif jobs and what == "cancel":
        cluster.call("scancel", draw.choice(jobs))
    return f"{what} {jobs}"


def main() -> None:
    parser = argparse.ArgumentParser(description="Disturb a study on Slurm again and again.")
    parser.add_argument("folder", nargs="?", type=Path, metavar="FOLDER")
    parser.add_argument("--disturbances", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1, help="of what disturbs, and when")
    arguments = parser.parse_args()
    folder = (arguments.folder or Path(tempfile.mkdtemp())).resolve()
    prepare(folder)
    draw, count = random.Random(arguments.seed), 0
    (folder / "cluster").mkdir()
    with slurm_cluster.running(folder / "cluster") as cluster:
        if not (folder / "undisturbed" / "tables.md").exists():
            submit(cluster, folder, folder / "undisturbed")
            cluster.wait_for_all(1800)
            assert (folder / "undisturbed" / "tables.md").exists(), "see its logs"
        until = 0.0

        def calm() -> bool:
            nonlocal count, until
            if count < arguments.disturbances and time.monotonic() > until:
                submit(cluster, folder, folder / "disturbed")
                print(disturb(cluster, draw), flush=True)
                count, until = count + 1, time.monotonic() + draw.uniform(*SECONDS)
            return not cluster.jobs() and count >= arguments.disturbances

        while submit(cluster, folder, folder / "disturbed") or count < arguments.disturbances:
            cluster.wait(calm, 1800)
    other = differences(folder / "undisturbed", folder / "disturbed")
    print(f"{count} disturbances; other contents: {other}")
    verdict("the same in the end", not other and (folder / "disturbed" / "tables.md").exists())


if __name__ == "__main__":
    main()
