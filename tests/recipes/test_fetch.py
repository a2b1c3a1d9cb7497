"""`recipes/fetch.sh`: what a size names comes from a hub, also in pieces, and what is missing is said first."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import fake_hub
import pytest
import tiny
from fake_hub import Hub

RECIPES = Path(__file__).parents[2] / "recipes"
SIZE = """
target=eu
own=(data/mine.jsonl)
backbones() {
    fetch hub models/exp_0_000 us/base
    fetch hub models/exp_2_000 us/instruct
    fetch hub data/corpus us/corpus dataset
    fetch template data/template.jinja models/exp_2_000
    fetch benchmarks data/benchmarks.txt models/exp_2_000 "${tasks[@]}"
}
variants() { printf '%s\\t%s\\t%s\\n' exp_2_000 instructed -; }
bases=
sampling=() answering=() tables=()
tasks=(--task towns --task-folder tasks)
prompts=data/mine.jsonl
facts=(bytes:model=1e6)
finish() { :; }
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
metadata: {version: 1}
"""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    for name in ("us/base", "us/instruct", "us/corpus"):
        folder = tmp_path / "hub" / name
        (folder / "original").mkdir(parents=True)
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_bytes(os.urandom(24_000_000))
        (folder / "original" / "weights.pth").write_bytes(b"a copy")
    settings = tmp_path / "hub" / "us" / "instruct" / "tokenizer_config.json"
    settings.write_text('{"chat_template": "{{ messages }}"}')
    with fake_hub.serving(tmp_path / "hub") as hub:
        yield hub


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A folder for a study of the size `tiny`, beside recipes that have it."""
    shutil.copytree(RECIPES, tmp_path / "recipes")
    (tmp_path / "recipes" / "sizes" / "tiny.sh").write_text(SIZE)
    (tmp_path / "study" / "tasks").mkdir(parents=True)
    (tmp_path / "study" / "tasks" / "towns.yaml").write_text(TASK)
    towns = [{"question": f"Town {n}?", "choices": ["here", "there"], "answer": n % 2} for n in range(4)]
    tiny.write_jsonl(tmp_path / "study" / "tasks" / "towns.jsonl", towns)
    return tmp_path / "study"


def fetch(study: Path, hub: Hub, *words: str) -> tuple[int, list[str]]:
    """Return the exit code and the lines that `study:` says, without how long jobs took."""
    environment = os.environ | {
        "HF_ENDPOINT": hub.address, "HF_HOME": str(study / "hub"), "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }  # fmt: skip
    environment.pop("HF_HUB_OFFLINE", None)
    done = subprocess.run(
        [study.parent / "recipes" / "fetch.sh", "--size", "tiny", *words, study], env=environment, capture_output=True,
        text=True, timeout=120, check=False,
    )  # fmt: skip
    return done.returncode, [line.removeprefix("study: ") for line in done.stderr.splitlines()]


def test_what_is_missing_has_a_line_each(study: Path, hub: Hub) -> None:
    hub.gated.add("us/instruct")
    shutil.rmtree(hub.folder / "us" / "corpus")
    code, said = fetch(study, hub, "--check")
    assert code == 1 and said == [
        "models/exp_0_000: not here; us/base takes 0.0 GB",
        f"models/exp_2_000: us/instruct is gated: accept its terms at {hub.address}/us/instruct, then `hf auth login`",
        "data/corpus: the hub has no dataset us/corpus, or not for you: `hf auth whoami` tells who you are",
        "data/template.jinja: not here",
        "data/benchmarks.txt: not here",
        "data/mine.jsonl: is yours to write (recipes/cluster.md)",
    ]
    assert hub.sent == [] and not (study / "models").exists()


def test_it_is_fetched_what_broke_off_continues_and_nothing_is_fetched_twice(study: Path, hub: Hub) -> None:
    hub.broken.add("model.safetensors")
    code, said = fetch(study, hub)
    assert code == 1 and said[-1] == "data/mine.jsonl: is yours to write (recipes/cluster.md)"
    for made, name in (("models/exp_0_000", "us/base"), ("data/corpus", "us/corpus")):
        assert (study / made / "model.safetensors").read_bytes() == (
            hub.folder / name / "model.safetensors"
        ).read_bytes()
    assert not (study / "models" / "exp_0_000" / "original").exists(), "a second copy of the weights"
    again = [start for name, start in hub.sent if name == "us/base/model.safetensors"]
    assert len(again) == 2 and again[1] > 0
    assert (study / "data" / "template.jinja").read_text() == "{{ messages }}"
    assert "`towns`: 4 items" in (study / "data" / "benchmarks.txt").read_text()
    sent = len(hub.sent)
    (study / "data" / "mine.jsonl").touch()
    assert fetch(study, hub, "--check") == (0, [])
    (study / "tasks" / "towns.jsonl").unlink()
    code, said = fetch(study, hub)
    assert code == 1 and len(said) == 2 and said[1].startswith("data/benchmarks.txt: ") and "towns" in said[1]
    assert len(hub.sent) == sent


def test_the_hub_may_be_out_of_reach_and_the_disk_too_small(study: Path, hub: Hub) -> None:
    size = study.parent / "recipes" / "sizes" / "tiny.sh"
    size.write_text(SIZE.replace("bytes:model=1e6", "bytes:training=1e18"))
    hub.address = "http://127.0.0.1:9"
    code, said = fetch(study, hub, "--check")
    assert code == 1 and len(said) == 7
    assert said[0].startswith("models/exp_0_000: http://127.0.0.1:9 does not give us/base: ")
    assert said[6].startswith("disk: ") and said[6].endswith("and the study takes 1,000,000,000 GB")
