"""What ends `latxa train`, with `--dry-run` and without it: the same line, and the dry run writes nothing."""

from __future__ import annotations

import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
import tiny_mix
from test_train_hostile import latxa, place

from latxa_cli.training.checkpoints import checkpoint
from latxa_cli.training.tracking import LIBRARIES

__all__ = ["latxa", "place"]
TRAIN = "train prepared --model base --max-steps 2 --checkpoint-every 1 -o out"
PREPARE = "prepare mix.jsonl --model base --sequence-length"
CONFIG = TRAIN + " --config how.toml"


@pytest.fixture
def ready(place, latxa):
    """A folder with the model `base`, the data `prepared` and, in `how.toml`, settings."""
    assert latxa(f"{PREPARE} 64 -o prepared")[0] == 0
    (place / "how.toml").write_text("sequences_per_step = 4\n")
    return place


def files(folder):
    """Return {file: its bytes} of a folder, links followed."""
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in sorted(folder.rglob("*"))}


def errors(said):
    return [line for line in said.splitlines() if line.startswith("latxa: ")]


# --- faults: what is done to the folder, before the command that is refused ------------------------------------------


def nothing(folder, run):
    pass


def an_empty_file(folder, run):
    (folder / "empty.jsonl").write_text("")


def a_malformed_file(folder, run):
    (folder / "broken.jsonl").write_text('{"text": "etxe"}\n{"text"\n')


def longer_rows(folder, run):
    assert run(f"{PREPARE} 128 -o longer")[0] == 0


def rows_by_another_template(folder, run):
    (folder / "template").write_text("{% for m in messages %}{{ m.content }}{{ eos_token }}{% endfor %}")
    assert run(f"{PREPARE} 64 --chat-template template -o templated")[0] == 0


def rows_by_another_tokenizer(folder, run):
    (folder / "tiny.json").write_text(json.dumps(tiny_mix.CONFIG))
    assert run("init tiny.json mix.jsonl --vocabulary-size 280 -o other")[0] == 0
    assert run("prepare mix.jsonl --model other --sequence-length 64 -o of_other")[0] == 0


def a_run(folder, run, more=" --keep 1"):
    assert run(TRAIN + more)[0] == 0


def a_complete_run(folder, run):
    a_run(folder, run, "")


def a_run_that_was_cut_off(folder, run):
    a_run(folder, run)
    (folder / "out/manifest.json").unlink()
    (folder / "out.part.state").write_text("{}")


def an_altered_model(folder, run):
    a_run_that_was_cut_off(folder, run)
    (folder / "base").unlink()
    shutil.copytree(folder / "out", folder / "base")


def other_data(folder, run):
    a_run_that_was_cut_off(folder, run)
    shutil.rmtree(folder / "prepared")
    text = (folder / "mix.jsonl").read_text()
    (folder / "mix.jsonl").write_text(text[: text.index("\n") + 1] + text)
    assert run(f"{PREPARE} 64 -o prepared")[0] == 0


def a_run_of_another_version(folder, run):
    a_run_that_was_cut_off(folder, run)
    (folder / "out/checkpoints/run.json").write_text('{"format": 0}')


def a_run_in_use(folder, run):
    a_run_that_was_cut_off(folder, run)
    held = checkpoint.occupied(folder / "out")
    held.__enter__()
    return held


def foreign_output(folder, run):
    (folder / "out").mkdir()
    (folder / "out/note").write_text("")


def a_file(folder, run):
    (folder / "file").write_text("")


def spoilt(name):
    def spoil(folder, run):
        shutil.copytree(folder / "base", folder / "own")
        (folder / "base").unlink()
        (folder / "own").rename(folder / "base")
        (folder / "base" / name).write_text("{")

    return spoil


def configured(text):
    return lambda folder, run: (folder / "how.toml").write_text(text)


NO_TRACKER = next((name for name in LIBRARIES if find_spec(name) is None), None)
FAULTS = {
    "validation is missing": (nothing, f"{TRAIN} --val eu=none.jsonl"),
    "validation is empty": (an_empty_file, f"{TRAIN} --val eu=empty.jsonl"),
    "validation is malformed": (a_malformed_file, f"{TRAIN} --val eu=broken.jsonl"),
    "validation has no good name": (nothing, f"{TRAIN} --val e/u=mix.jsonl"),
    "validation has longer rows": (longer_rows, f"{TRAIN} --val eu=longer"),
    "validation has another template": (rows_by_another_template, f"{TRAIN} --val eu=templated"),
    "validation has another tokenizer": (rows_by_another_tokenizer, f"{TRAIN} --val eu=of_other"),
    "data have another tokenizer": (rows_by_another_tokenizer, TRAIN.replace("prepared", "of_other")),
    "resumed with other settings": (a_run_that_was_cut_off, f"{TRAIN} --learning-rate 1 --resume"),
    "resumed with other data": (other_data, f"{TRAIN} --resume"),
    "resumed with another model": (an_altered_model, f"{TRAIN} --resume"),
    "resumed from another version": (a_run_of_another_version, f"{TRAIN} --resume"),
    "resumed to fewer steps": (a_run_that_was_cut_off, f"{TRAIN.replace('steps 2', 'steps 1')} --resume"),
    "resumed beside another run": (a_run_in_use, f"{TRAIN} --resume"),
    "complete, without a checkpoint": (a_complete_run, f"{TRAIN.replace('steps 2', 'steps 3')} --resume"),
    "complete, with other settings": (a_complete_run, f"{TRAIN} --seed 1 --resume"),
    "the output is there": (a_run, TRAIN),
    "the output is not ours": (foreign_output, f"{TRAIN} --resume"),
    "the output is below a file": (a_file, TRAIN.replace("-o out", "-o file/out")),
    "rejects are below a file": (a_file, f"{TRAIN} --rejects file/rejects.jsonl"),
    "the output is an input": (nothing, f"{TRAIN} --val eu=mix.jsonl --rejects mix.jsonl"),
    "no such tracker": (nothing, f"{TRAIN} --track {NO_TRACKER}"),
    "settings for generation are spoilt": (spoilt("generation_config.json"), TRAIN),
    "no such device": (nothing, f"{TRAIN} --device abacus"),
    "nothing to train": (configured('freeze = [""]'), CONFIG),
    "no layer for adapters": (configured('lora_rank = 2\nlora_targets = ["nowhere"]'), CONFIG),
    "tied adapters": (configured('lora_rank = 2\nlora_targets = ["lm_head"]'), CONFIG),
    "no experts": (configured("lora_rank = 2\nlora_experts = true"), CONFIG),
    "no such attention": (configured('attention = "flash_attention_2"'), CONFIG),
    "no such kernels": (configured('kernels = "liger"'), CONFIG),
    "steps too large": (configured("learning_rate = 1e30\nwarmup_ratio = 0.0\nclip = 1e30"), CONFIG),
    "DeepSpeed's settings are missing": (configured('backend = "deepspeed"\ndeepspeed = "none.json"'), CONFIG),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_dry_run_finds_what_ends_the_run(ready, latxa, fault):
    if fault == "no such tracker" and NO_TRACKER is None:
        pytest.skip("all trackers are installed")
    prepare, words = FAULTS[fault]
    held = prepare(ready, latxa)
    before = files(ready)
    code, said = latxa(f"{words} --dry-run")
    assert files(ready) == before, "a dry run writes nothing"
    told = errors(said)
    assert len(told) == 1 and "Traceback" not in said and code in (1, 2), said
    run_code, run_said = latxa(words)
    assert (run_code, errors(run_said)) == (code, told)
    del held


def test_a_dry_run_of_a_run_that_goes_on_tells_how_far_it_is(ready, latxa):
    a_run_that_was_cut_off(ready, latxa)
    newest = checkpoint.complete(ready / "out")[-1]
    (newest / "state.json").write_text("{")
    before = files(ready)
    code, said = latxa(f"{TRAIN.replace('steps 2', 'steps 3')} --keep 2 --resume --dry-run")
    assert code == 0, said
    assert "3 steps, of which 0 are done" in said and f"`{Path('out', *newest.parts[-2:])}` is passed over" in said
    assert "the run was to have 2 steps and is to have 3" in said
    assert files(ready) == before


def test_a_dry_run_of_a_complete_run_says_so(ready, latxa):
    a_complete_run(ready, latxa)
    code, said = latxa(f"{TRAIN} --resume --dry-run")
    assert (code, said) == (0, "latxa train: out is complete already\n")


def test_what_prepare_remarks_is_told_to_those_who_train(place, latxa):
    turns = [{"role": "user", "content": "etxe"}, {"role": "assistant", "content": "mendi", "mood": "glad"}]
    (place / "more.jsonl").write_text(json.dumps({"messages": turns}) + "\n")
    told = "`mood` of messages is not trained (in 1 conversations)"
    assert told in latxa(f"{PREPARE} 64 -o prepared".replace("mix.jsonl", "mix.jsonl more.jsonl"))[1]
    for flags in (" --dry-run", ""):
        code, said = latxa(TRAIN + flags)
        assert code == 0 and f"latxa train: {told}\n" in said
