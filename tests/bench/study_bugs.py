"""Does the miniature's self-check find what would spoil a study? One planted fault at a time.

    python tests/bench/study_bugs.py STUDY          STUDY: a complete folder of recipes/study.sh --size mini

One variant, exp_2_111, is trained, evaluated and asked again by the real commands, with a fault in them.
`recipes/study/check.py` must then fail, and must not fail where nothing is planted. Prints a line for each fault: what
the check says.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

CHECK = Path(__file__).parents[2] / "recipes" / "study" / "check.py"
CODE = "exp_2_111"
# What each check says where it fails; a fault is found by one of them.
BY = {
    "nothing": "",
    "users' turns are learnt": "loss",
    "the template is another one after training": "template",
    "packed texts see each other": "loss",
    "the corpus is left out": "data",
    "the end of an answer is not learnt": "loss",
}


def packed_texts_see_each_other() -> None:
    import numpy as np

    from latxa_cli.training.network import forward, isolation

    right = forward.to_device

    def one_text(batch, device):
        places = np.broadcast_to(np.arange(batch.input_ids.shape[1], dtype=np.int32), batch.input_ids.shape)
        return right(batch._replace(position_ids=places), device)

    for module in list(sys.modules.values()):
        if getattr(module, "to_device", None) is right:
            module.to_device = one_text  # type: ignore[attr-defined]
    isolation.choose = lambda *_: isolation.Proof(0.0)  # else it takes rows apart


def the_end_of_an_answer_is_not_learnt() -> None:
    from latxa_cli.chat import loss_mask
    from latxa_cli.training.data import tokenised

    def without_ends(tokenizer, conversations, **options):
        end = tokenizer.convert_tokens_to_ids("<|end_of_turn|>")
        return [
            chat._replace(trained=[learnt and token != end for token, learnt in zip(*chat, strict=True)])
            for chat in loss_mask.encode_chats(tokenizer, conversations, **options)
        ]

    tokenised.encode_chats = without_ends


PATCHES: dict[str, Callable[[], None]] = {
    "packed texts see each other": packed_texts_see_each_other,
    "the end of an answer is not learnt": the_end_of_an_answer_is_not_learnt,
}


def latxa(study: Path, fault: str, *words: str) -> None:
    """Run the command with a fault in it."""
    command = [sys.executable, __file__, "--plant", fault, *words]
    subprocess.run(command, cwd=study, check=True, stderr=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "1"})


def again(study: Path, fault: str) -> None:
    """Make the variant again, with a fault."""
    manifest = json.loads((study / "models" / CODE / "manifest.json").read_bytes())
    train = manifest["argv"][1:]
    shutil.rmtree(study / "models" / CODE)
    if fault == "the corpus is left out":
        (study / "mixes" / f"{CODE}.jsonl").unlink()
        latxa(study, fault, "mix", "eu=text/eu.jsonl", "en=text/en.jsonl", "-o", f"mixes/{CODE}.jsonl")
    extra = ["--chat-loss", "all"] if fault == "users' turns are learnt" else []
    latxa(study, fault, *train, *extra)
    if fault == "the template is another one after training":
        template = study / "models" / CODE / "chat_template.jinja"
        template.write_text(template.read_text().replace("message['content'] +", "message['content'] + ' ' +"))
    tasks = [word for task in ("world_eu", "world_en") for form in ("", "_written") for word in ("--task", task + form)]
    (study / "responses" / f"{CODE}.jsonl").unlink()
    latxa(study, fault, "eval", f"models/{CODE}", "--chat", *tasks, "--task-folder", "data/tasks",
          "--answers", "again.jsonl", "-o", "results.jsonl")  # fmt: skip
    latxa(study, fault, "respond", "data/prompts_eu.jsonl", "--model", f"models/{CODE}", "--max-tokens", "60",
          "--batch-size", "64", "-o", f"responses/{CODE}.jsonl")  # fmt: skip
    answers = study / "results" / "variants_answers.jsonl"
    others = [line for line in answers.read_text().splitlines(True) if json.loads(line)["model"] != CODE]
    answers.unlink()
    answers.write_text("".join(others) + (study / "again.jsonl").read_text())


def found(study: Path, fault: str) -> tuple[bool, str]:
    """Return whether the check says what it should of this fault, and what it says."""
    with tempfile.TemporaryDirectory(dir=study.parent) as folder:
        copy = Path(folder) / "study"
        shutil.copytree(study, copy, copy_function=os.link)
        again(copy, fault)
        done = subprocess.run([sys.executable, CHECK, copy], capture_output=True, text=True, check=False)
    wrong = [line.split()[0] for line in done.stdout.splitlines() if line.endswith("WRONG")]
    as_due = BY[fault] in wrong and done.returncode == 1 if BY[fault] else not wrong and done.returncode == 0
    return as_due, done.stdout if not as_due else ", ".join(wrong) or "all right"


def main() -> int:
    if sys.argv[1:2] == ["--plant"]:
        fault, *words = sys.argv[2:]
        from latxa_cli import cli

        PATCHES.get(fault, lambda: None)()
        sys.argv = ["latxa", *words]
        cli.main()
        return 0
    parser = argparse.ArgumentParser(description="Plant faults in a miniature study.")
    parser.add_argument("study", type=Path, metavar="STUDY")
    parser.add_argument("--fault", action="append", choices=BY, help="only this one; repeat it")
    arguments = parser.parse_args()
    failed = 0
    for fault in arguments.fault or BY:
        as_due, said = found(arguments.study.resolve(), fault)
        print(f"{'found' if as_due and BY[fault] else 'as due' if as_due else 'MISSED':<8}{fault}: {said}", flush=True)
        failed += not as_due
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
