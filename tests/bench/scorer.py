"""What `latxa eval` computes log-likelihoods with, against lm-evaluation-harness's own hf backend, in one run.

    python tests/bench/scorer.py [--model DIR] [--items N] [--case NAME] [--chat | --plain]

The models are random Llamas of 1.4 and 5 million parameters with a tokenizer of 8,192 pieces made from the data, or
the model in DIR. The data are real multiple-choice questions from `../shared/data/mcq`. Both get the same requests from
the harness, by turns, and only their `loglikelihood` is measured: tokens through the network (padding included), CPU
seconds, and how far apart the log-likelihoods are.

Goals: log-likelihoods within 1e-4 and the same choice for every item; with 5 shots and long choices 3.2 x fewer tokens,
with fixed shots 4.5 x; CPU time at 1.4 and 5 million parameters 4 x less with long choices, 2.5 x with fixed shots, and
1.3 x with letters; 2.5 x less with long choices and fixed shots at 135 million.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from timing import table, verdict

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "mcq"
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<|{{ message.role }}|>\n{{ message.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
QUESTION = "Galdera: {{question}}\\n"
OPTIONS = "".join(f"{letter}: {{{{choices[{place}]}}}}\\n" for place, letter in enumerate("ABCD"))
LETTERS = ("ABCD", f"{QUESTION}{OPTIONS}Erantzuna:", '["A", "B", "C", "D"]')
LONG = ("long", f"{QUESTION}Erantzuna:", '"{{choices}}"')
WITHIN = 1e-4


class Case(NamedTuple):
    """A way of asking: letters or long choices, so many shots, drawn for each item or the same for all; its goals."""

    name: str
    kind: tuple[str, str, str]
    shots: int
    fixed: bool
    fewer_tokens: float = 0
    less_time: float = 0
    less_time_large: float = 0


CASES = (
    Case("letters, 0 shots", LETTERS, 0, False),
    Case("letters, 5 shots", LETTERS, 5, False, 0, 1.3),
    Case("letters, 4 fixed shots", LETTERS, 4, True, 4.5, 2.5, 2.5),
    Case("long choices, 0 shots", LONG, 0, False),
    Case("long choices, 5 shots", LONG, 5, False, 3.2, 4, 2.5),
)
TASK = """\
task: exams
dataset_path: json
dataset_kwargs: {{data_files: {{test: items.jsonl, train: shots.jsonl}}}}
test_split: test
fewshot_split: train
fewshot_config: {{sampler: {sampler}}}
output_type: multiple_choice
doc_to_text: "{text}"
doc_to_choice: {choices}
doc_to_target: "{{{{answer}}}}"
num_fewshot: {shots}
"""


def questions() -> list[dict[str, Any]]:
    """Return the questions that have four different choices."""
    lines = (DATA / "eusexams_eu.jsonl").read_text(encoding="utf-8").split("\n")
    read = [json.loads(line) for line in lines if line]
    return [item for item in read if len(item["choices"]) == len(set(item["choices"])) == 4]


def build(folder: Path, hidden: int, layers: int) -> Path:
    """Write a random Llama of that size, whose tokenizer begins texts with BOS, and return its directory."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    directory = folder / f"{hidden}x{layers}"
    specials = ["<|begin|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=8192, special_tokens=specials, initial_alphabet=alphabet)
    texts = (path.read_text(encoding="utf-8") for path in sorted(DATA.glob("*_eu.jsonl")))
    tokenizer.train_from_iterator((line for text in texts for line in text.split("\n")), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="<|begin|> $A", special_tokens=[("<|begin|>", 0)])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<|begin|>", eos_token="<|end|>", pad_token="<|end|>"
    )
    fast.chat_template = TEMPLATE
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=8192, hidden_size=hidden, intermediate_size=hidden * 2, num_hidden_layers=layers,
        num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=8192, tie_word_embeddings=True,
        bos_token_id=0, eos_token_id=1, pad_token_id=1, initializer_range=0.1,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(directory)
    fast.save_pretrained(directory)
    return directory


def requests(folder: Path, case: Case, items: int, model: Any, chat: bool) -> list[Any]:
    """Return the harness's requests for the first so many items."""
    from latxa_cli.evaluation.libraries import Console, quiet_libraries
    from latxa_cli.evaluation.tasks.loading import find, load

    read = questions()
    for name, part in (("shots", read[:50]), ("items", read[50 : 50 + items])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(item) + "\n" for item in part), encoding="utf-8")
    _, text, choices = case.kind
    sampler = "first_n" if case.fixed else "default"
    path = folder / "exams.yaml"
    path.write_text(TASK.format(sampler=sampler, text=text, choices=choices, shots=case.shots), encoding="utf-8")
    loaded = load(find([str(path)], None, Console())[str(path)], few_shot=None, seed=1234, console=Console())
    (task,) = loaded.tasks.values()
    with quiet_libraries(Console()):
        task.build_all_requests(
            apply_chat_template=chat, fewshot_as_multiturn=chat, tokenizer_name="",
            chat_template=model.apply_chat_template if chat else None,
        )  # fmt: skip
    return list(task.instances)


class Measured(NamedTuple):
    """What one contestant took, and its answers."""

    tokens: int
    cpu: float
    likelihoods: list[float]


def measure(model: Any, asked: list[Any]) -> Measured:
    from latxa_cli.evaluation.libraries import Console, quiet_libraries

    tokens = 0

    def count(_module: Any, _inputs: Any, named: dict[str, Any]) -> None:
        nonlocal tokens
        tokens += named["input_ids"].numel()

    hook = model.model.get_decoder().register_forward_pre_hook(count, with_kwargs=True)
    with quiet_libraries(Console()):
        started = time.process_time()
        answers = model.loglikelihood(asked)
        cpu = time.process_time() - started
    hook.remove()
    return Measured(tokens, cpu, [answer[0] for answer in answers])


def contestants(directory: Path) -> Iterator[Any]:
    """Yield the harness's model, and ours, around the same network."""
    from latxa_cli.evaluation.libraries import Console, quiet_libraries
    from latxa_cli.model import load_model
    from latxa_cli.tokenizer import load_tokenizer

    with quiet_libraries(Console()):
        from lm_eval.models.huggingface import HFLM

        from latxa_cli.evaluation.scoring.scorer import Scorer

        network = load_model(str(directory), device="cpu")
        yield HFLM(pretrained=network, tokenizer=load_tokenizer(str(directory)), batch_size=16)
        yield Scorer(network, load_tokenizer(str(directory)))


def likeliest(likelihoods: list[float]) -> list[int]:
    fours = [likelihoods[at : at + 4] for at in range(0, len(likelihoods), 4)]
    return [max(range(4), key=four.__getitem__) for four in fours]


def compare(directory: Path, cases: list[Case], chats: list[bool], items: int) -> tuple[list[list[str]], list[str]]:
    """Return a row for each case, and the goals that were missed."""
    rows, missed = [], []
    with tempfile.TemporaryDirectory() as folder:
        stock, ours = contestants(directory)
        small = stock.model.num_parameters() < 20_000_000
        size = f"{stock.model.num_parameters() / 1e6:.1f} M"
        for chat in chats:
            for case in cases:
                asked = requests(Path(folder), case, items, stock, chat)
                theirs, own = measure(stock, asked), measure(ours, asked)
                apart = max(abs(a - b) for a, b in zip(theirs.likelihoods, own.likelihoods, strict=True))
                alike = likeliest(theirs.likelihoods) == likeliest(own.likelihoods)
                fewer, faster = theirs.tokens / own.tokens, theirs.cpu / own.cpu
                name = f"{case.name}{', chat' if chat else ''}"
                rows.append(
                    [size, name, f"{len(asked) // 4}", f"{theirs.tokens:,}", f"{own.tokens:,}", f"{fewer:.2f}",
                     f"{theirs.cpu:.1f}", f"{own.cpu:.1f}", f"{faster:.2f}", f"{apart:.1e}",
                     "all" if alike else "NOT ALL"]
                )  # fmt: skip
                goal = case.less_time if small else case.less_time_large
                if apart > WITHIN or not alike or fewer < case.fewer_tokens or faster < goal:
                    missed.append(f"{size}, {name}")
                sys.stderr.write("  ".join(rows[-1]) + "\n")
    return rows, missed


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path)
    parser.add_argument("--items", type=int, default=64)
    parser.add_argument("--case", default="")
    parser.add_argument("--chat", action="store_true")
    parser.add_argument("--plain", action="store_true")
    options = parser.parse_args()
    cases = [case for case in CASES if options.case in case.name]
    chats = [True] if options.chat else [False] if options.plain else [False, True]
    head = ["model", "case", "items", "tokens hf", "ours", "fewer", "cpu s hf", "ours", "less", "apart", "same choice"]
    rows, missed = [head], []
    with tempfile.TemporaryDirectory() as folder:
        made = [options.model] if options.model else [build(Path(folder), *size) for size in ((128, 2), (256, 4))]
        for directory in made:
            found, fault = compare(directory, cases, chats, options.items)
            rows += found
            missed += fault
    table(rows)
    verdict(f"{len(rows) - 1 - len(missed)} of {len(rows) - 1} rows reach their goals {missed or ''}", not missed)


if __name__ == "__main__":
    main()
