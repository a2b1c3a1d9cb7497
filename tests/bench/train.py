"""Speed of the training loop against the shortest torch loop, transformers' Trainer and TRL's SFTTrainer.

    python tests/bench/train.py                             a small model on this machine, the mix of ../shared/data
    python tests/bench/train.py --only latxa                packed rows against rows taken apart, alone
    python tests/bench/train.py --device cuda --size 1b     a 1B-class Llama in bfloat16, rows of 8,192, on a GPU

All train the same weights on the same texts and may do what they do best: the shortest loop takes rows that are packed
already and does nothing but forward, backward, clip and step; the peers get the texts of the same rows, tokens and
labels, padded to the longest of a batch, and the packed rows themselves. What counts is trained tokens a second after
warm-up, in turns; on a CPU by CPU time.

TRL and Liger are taken from `--site DIR`, made by `pip install --no-deps --target DIR trl liger-kernel`.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from timing import table, verdict

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
SHARED = ROOT.parent / "shared" / "data"
SIZES = {
    "small": {
        "hidden_size": 256, "intermediate_size": 688, "num_hidden_layers": 6, "num_attention_heads": 4,
        "num_key_value_heads": 2, "vocab_size": 8192,
    },
    "1b": {  # Llama 3.2 1B
        "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32,
        "num_key_value_heads": 8, "head_dim": 64, "vocab_size": 128_256,
    },
}  # fmt: skip
GOAL, GOAL_UNPACKED = 0.97, 0.5
UNPACKED = "latxa, rows taken apart"
SEEN = 64  # steps whose rows all contestants take
Contestant = Callable[[int], Iterator[int]]  # yields the trained tokens of each step


def main() -> None:
    options = arguments()
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.prepared or prepared(Path(temporary), options)
        bench = Bench(folder, options)
        bench.run()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--sequence-length", type=int, default=0, help="[512, or 8192 on a GPU]")
    parser.add_argument("--batch-size", type=int, default=0, help="rows in one forward pass [4, or 2 on a GPU]")
    parser.add_argument("--steps", type=int, default=8, help="of one turn")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--kernels", default="auto,torch", help="for `latxa`: auto, torch, liger, compile")
    parser.add_argument("--only", default="", help="contestants, by commas")
    parser.add_argument("--site", type=Path, help="a folder with trl and liger_kernel")
    parser.add_argument("--prepared", type=Path, help="a folder with `rows` and `tokenizer`, kept by --keep")
    parser.add_argument("--keep", type=Path, help="prepare into this folder and stop")
    options = parser.parse_args()
    if options.site:
        sys.path.insert(0, str(options.site))
    cuda = options.device == "cuda"
    options.sequence_length = options.sequence_length or (8192 if cuda else 512)
    options.batch_size = options.batch_size or (2 if cuda else 4)
    options.dtype = "bfloat16" if cuda else "float32"
    return options


def prepared(folder: Path, options: argparse.Namespace) -> Path:
    """Prepare the mix of the shared data: Basque and English documents and conversations."""
    from latxa_cli.models.scratch import initialise
    from latxa_cli.stages import Work, open_executor
    from latxa_cli.stream.sources import parse_sources
    from latxa_cli.training.data import prepare
    from latxa_cli.training.data.tokenised import TokenisingSettings

    folder = options.keep or folder
    mix = [SHARED / name for name in ("corpus_eu.jsonl", "corpus_en.jsonl", "instructions_en.jsonl")]
    config = {**SIZES["small"], "model_type": "llama", "max_position_embeddings": options.sequence_length}
    config.pop("vocab_size")
    (folder / "config.json").write_text(json.dumps(config))
    texts = [json.loads(line) for path in mix for line in path.read_text(encoding="utf-8").split("\n") if line]
    initialise(folder / "config.json", texts, folder / "tokenizer", vocabulary_size=8192, seed=0)
    how = prepare.settings_for(str(folder / "tokenizer"), TokenisingSettings(options.sequence_length))
    with open_executor("local", 1) as pool, Work(folder / "work", {}, pool) as work:
        made = prepare.prepare(parse_sources([str(path) for path in mix]), how, work, folder / "rows")
        sys.stdout.write("\n".join(made.lines()) + "\n")
        work.remove()
    if options.keep:
        raise SystemExit(0)
    return folder


class Bench:
    """The contestants, their common data and weights."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        from transformers import AutoTokenizer, LlamaConfig

        from latxa_cli.training.config import TrainConfig
        from latxa_cli.training.data.rows import PreparedRows

        self.options, self.device = options, torch.device(options.device)
        self.half = options.dtype == "bfloat16"
        self.rows = PreparedRows([folder / "rows"])
        self.tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer")
        self.shape = LlamaConfig(
            **SIZES[options.size], max_position_embeddings=self.rows.sequence_length, tie_word_embeddings=True
        )
        self.config = TrainConfig(
            sequences_per_step=options.batch_size, batch_size=options.batch_size, dtype=options.dtype,
            sequence_length=self.rows.sequence_length, epochs=100.0, warmup_ratio=0.0,
        )  # fmt: skip
        if self.device.type == "cpu":
            torch.set_num_threads(1)

    def model(self, attention: str = "sdpa", dtype: torch.dtype = torch.float32) -> Any:
        from transformers import LlamaForCausalLM

        torch.manual_seed(0)
        with self.device:
            model = LlamaForCausalLM(deepcopy(self.shape))  # models keep their attention in it
        model.set_attn_implementation(attention)
        return model.to(self.device, dtype)

    # --- contestants: each yields the trained tokens of its steps

    def latxa(self, kernels: str, *, packed: bool = True) -> Iterator[int]:
        from dataclasses import replace

        from latxa_cli.training import loop, session

        name = f"latxa, {kernels}" if packed else UNPACKED
        trainer = loop.Trainer(self.model(), self.rows, replace(self.config, kernels=kernels))
        if not packed:
            trainer.network.unpack()
        self.note[name] = f"{trainer.network.attention}, {trainer.kernels}, {session.packing_of(trainer)}"
        step = 0
        while True:
            figures = trainer.step(step % min(SEEN, trainer.plan.steps_per_epoch))
            if "mfu" in figures:
                self.mfu.setdefault(name, []).append(figures["mfu"])
            yield figures["trained_tokens"]
            step += 1

    def shortest(self) -> Iterator[int]:
        """Nothing but forward, backward, clip and step, on the same packed batches (tensors made before)."""
        from latxa_cli.training.network.attention import choose, takes_boundaries
        from latxa_cli.training.network.forward import to_device
        from latxa_cli.training.plan import TrainingPlan

        model = self.model()
        how = choose(model, "sdpa" if self.device.type == "cpu" else "auto", half=self.half, text_length=1.0)
        boundaries = takes_boundaries(how)
        self.note["shortest loop"] = f"{how}, torch, packed"
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
        plan = TrainingPlan(len(self.rows), self.config)
        batches = []
        for step in range(min(SEEN, plan.steps_per_epoch)):
            batch = self.rows.batch(plan.rows_of(step))
            labels = torch.from_numpy(batch.labels).long().to(self.device)
            batches.append((to_device(batch, self.device), labels, int((labels[:, 1:] != -100).sum())))
        step = 0
        while True:
            rows, labels, trained = batches[step % len(batches)]
            ids, positions = rows.input_ids, rows.position_ids
            told = {}
            if boundaries:
                ids, positions, labels = (tensor.view(1, -1) for tensor in (ids, positions, labels))
                told = {
                    "cu_seq_lens_q": rows.boundaries, "cu_seq_lens_k": rows.boundaries,
                    "max_length_q": rows.longest, "max_length_k": rows.longest,
                }  # fmt: skip
            with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.half):
                loss = model(input_ids=ids, position_ids=positions, labels=labels, use_cache=False, **told).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            if self.device.type == "cuda":
                torch.cuda.synchronize()
            yield trained
            step += 1

    def hf_trainer(self, packed: bool) -> Iterator[int]:
        from transformers import Trainer, TrainingArguments

        self.note[self.name("HF Trainer", packed)] = f"sdpa, torch, {'packed' if packed else 'padded'}"
        settings = TrainingArguments(**self.peer_settings(packed), remove_unused_columns=False)
        data = self.packed_rows() if packed else self.texts()
        trainer = Trainer(self.peer_model(), settings, train_dataset=data, data_collator=self.collate)
        yield from self.stepwise(trainer)

    def trl(self, packed: bool) -> Iterator[int]:
        from datasets import Dataset
        from trl import SFTConfig, SFTTrainer

        self.note[self.name("TRL SFTTrainer", packed)] = f"sdpa, torch, {'packed' if packed else 'padded'}"
        settings = SFTConfig(
            **self.peer_settings(packed), max_length=None, dataset_kwargs={"skip_prepare_dataset": True},
            remove_unused_columns=False,
        )  # fmt: skip
        data = Dataset.from_list(self.packed_rows() if packed else self.texts())
        trainer = SFTTrainer(
            self.peer_model(), settings, train_dataset=data, processing_class=self.tokenizer,
            data_collator=self.collate,
        )  # fmt: skip
        yield from self.stepwise(trainer)

    def peer_model(self) -> Any:
        model = self.model()
        model.config.use_cache = False  # else position ids do not keep packed texts apart
        return model

    @staticmethod
    def name(peer: str, packed: bool) -> str:
        return peer + (", packed" if packed else ", padded")

    @staticmethod
    def collate(texts: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Pad to the longest, where texts are not of one length."""
        longest = max(len(text["input_ids"]) for text in texts)
        filler = {"input_ids": 0, "labels": -100, "attention_mask": 0}
        batch = {}
        for name in texts[0]:
            values = [list(text[name]) + [filler.get(name, 0)] * (longest - len(text[name])) for text in texts]
            batch[name] = torch.tensor(values)
        return batch

    def packed_rows(self) -> list[dict[str, Any]]:
        """Rows as ours, with position ids that begin anew with each text."""
        batch = self.rows.batch(self.numbers())
        return [
            {"input_ids": ids.tolist(), "position_ids": positions.tolist(), "labels": labels.tolist()}
            for ids, positions, labels in zip(*batch, strict=True)
        ]

    def numbers(self) -> list[int]:
        from latxa_cli.training.plan import TrainingPlan

        plan = TrainingPlan(len(self.rows), self.config)
        return [int(number) for step in range(min(SEEN, plan.steps_per_epoch)) for number in plan.rows_of(step)]

    def peer_settings(self, packed: bool) -> dict[str, Any]:
        return {
            "output_dir": tempfile.mkdtemp(), "max_steps": 100_000, "learning_rate": 1e-5, "adam_beta2": 0.95,
            "per_device_train_batch_size": self.options.batch_size if packed else self.per_batch(),
            "weight_decay": 0.1, "optim": "adamw_torch_fused", "max_grad_norm": 1.0, "bf16": self.half,
            "use_cpu": self.device.type == "cpu", "report_to": "none", "save_strategy": "no",
            "logging_strategy": "steps", "logging_steps": 50, "disable_tqdm": True, "gradient_checkpointing": False,
            "average_tokens_across_devices": False,
        }  # fmt: skip

    def per_batch(self) -> int:
        """Texts in a batch of the peers: as many tokens as a batch of packed rows has, on average."""
        texts = self.texts()
        mean = sum(len(text["input_ids"]) for text in texts) / len(texts)
        return max(1, round(self.options.batch_size * self.rows.sequence_length / mean))

    def texts(self) -> list[dict[str, Any]]:
        """The packed texts one by one, as peers take them."""
        if not hasattr(self, "_texts"):
            self._texts = []
            for number in self.numbers():
                batch = self.rows.batch([number])
                ids, positions, labels = (array[0] for array in batch)
                begins = [*(positions == 0).nonzero()[0].tolist(), len(ids)]
                for start, end in pairwise(begins):
                    if (labels[start:end] != -100).any():
                        held = {"input_ids": ids[start:end].tolist(), "labels": labels[start:end].tolist()}
                        self._texts.append({**held, "attention_mask": [1] * (end - start)})
        return self._texts

    def stepwise(self, trainer: Any) -> Iterator[int]:
        """Let a peer's own loop run in a thread of control that stops after each step."""
        from threading import Semaphore, Thread

        from transformers import TrainerCallback

        done, go = Semaphore(0), Semaphore(0)
        counted: list[int] = []
        inner = trainer.compute_loss

        def compute_loss(model: Any, inputs: Any, *rest: Any, **named: Any) -> Any:
            counted.append(int((inputs["labels"][:, 1:] != -100).sum()))
            return inner(model, inputs, *rest, **named)

        class Stop(TrainerCallback):
            def on_step_end(self, *_: Any, **__: Any) -> None:
                if torch.cuda.is_available():
                    torch.cuda.synchronize()
                done.release()
                go.acquire()

        trainer.compute_loss = compute_loss
        trainer.add_callback(Stop())

        def train() -> None:
            if self.device.type == "cpu":
                torch.set_num_threads(1)
            trainer.train()

        Thread(target=train, daemon=True).start()
        while True:
            done.acquire()
            yield counted[-1]
            go.release()

    # --- measuring

    def run(self) -> None:
        self.note: dict[str, str] = {}
        self.mfu: dict[str, list[float]] = {}
        contestants: dict[str, Callable[[], Iterator[int]]] = {"shortest loop": self.shortest}
        for kernels in self.options.kernels.split(","):
            contestants[f"latxa, {kernels}"] = partial(self.latxa, kernels)
        contestants[UNPACKED] = partial(self.latxa, "auto", packed=False)
        for packed in (True,) if self.device.type == "cuda" else (True, False):  # texts of 8,192 are not padded
            contestants[self.name("HF Trainer", packed)] = partial(self.hf_trainer, packed)
            if self.options.site:
                contestants[self.name("TRL SFTTrainer", packed)] = partial(self.trl, packed)
        wanted = [name for name in self.options.only.split(",") if name]
        contestants = {
            name: make for name, make in contestants.items() if not wanted or any(part in name for part in wanted)
        }
        speeds: dict[str, list[float]] = {}
        if self.device.type == "cuda":  # one after the other: a GPU does not hold them all
            for name, make in contestants.items():
                steps = self.warm(make)
                speeds[name] = [self.speed(steps) for _ in range(self.options.turns)]
                sys.stderr.write(f"{name}: {speeds[name]}, {max(self.mfu.get(name, [0]))}\n")
                del steps
                gc.collect()
                torch.cuda.empty_cache()
        else:
            running = {name: self.warm(make) for name, make in contestants.items()}
            for _ in range(self.options.turns):
                for name, steps in running.items():
                    speeds.setdefault(name, []).append(self.speed(steps))
        self.show(speeds)

    def warm(self, make: Callable[[], Iterator[int]]) -> Iterator[int]:
        steps = make()
        for _ in range(4):
            next(steps)
        return steps

    def speed(self, steps: Iterator[int]) -> float:
        clock = time.process_time if self.device.type == "cpu" else time.perf_counter
        started = clock()
        trained = sum(next(steps) for _ in range(self.options.steps))
        return trained / (clock() - started)

    def show(self, speeds: dict[str, list[float]]) -> None:
        medians = {name: statistics.median(found) for name, found in speeds.items()}
        base = medians.get("shortest loop") or next(iter(medians.values()))
        lines = [["", "trained tokens/s", "x shortest", "MFU", "attention, kernels, layout"]]
        for name, speed in medians.items():
            share = statistics.median(self.mfu[name]) if self.mfu.get(name) else None
            lines.append([
                name, f"{speed:,.0f}", f"{speed / base:.3f}", f"{share:.3f}" if share else "", self.note[name],
            ])  # fmt: skip
        unit = "CPU seconds" if self.device.type == "cpu" else torch.cuda.get_device_name()
        sys.stdout.write(
            f"{self.options.size}, {self.options.dtype}, rows of {self.rows.sequence_length:,}, "
            f"{self.options.batch_size} a step, {unit}, torch {torch.__version__}\n"
        )
        table(lines)
        unpacked = medians.pop(UNPACKED, None)
        ours = max(speed for name, speed in medians.items() if name.startswith("latxa"))
        if unpacked:
            verdict(
                f"rows taken apart: {unpacked / ours:.2f} x packed (goal: {GOAL_UNPACKED})",
                unpacked >= GOAL_UNPACKED * ours,
            )
        if "shortest loop" in medians:
            verdict(f"{ours / base:.3f} x the shortest loop (goal: {GOAL})", ours >= GOAL * base)
        peers = [speed for name, speed in medians.items() if name.startswith(("HF", "TRL"))]
        if peers:
            verdict(f"{ours / max(peers):.2f} x the better peer (goal: ahead)", ours > max(peers))


if __name__ == "__main__":
    main()
