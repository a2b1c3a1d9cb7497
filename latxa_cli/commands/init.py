"""`latxa init`: a new tokenizer and a new model."""

from pathlib import Path
from typing import Annotated

from latxa_cli.options import Files, Run, Seed, argument, flag, verb

Config = Annotated[Path, argument("A transformers model configuration.", "CONFIG.json")]
VocabularySize = Annotated[int, flag("Tokens, with special tokens and 256 bytes.", metavar="N", min=1)]


@verb(makes="directory")
def init(
    run: Run, config: Config, files: Files = None, *, vocabulary_size: VocabularySize, seed: Seed = 0
) -> None:  # fmt: skip
    """Make a new tokenizer and a new model from scratch.

    in:  CONFIG.json, then documents and conversations with text for the tokenizer
    out: a directory with a model of random weights, a byte-level BPE tokenizer and a chat template

    CONFIG.json is such as {"model_type": "llama", "hidden_size": 128, "num_hidden_layers": 4,
    "num_attention_heads": 4, "intermediate_size": 320}. The vocabulary's size and the special tokens are filled in.

    memory: some 600 bytes for each distinct word, and then 4 bytes a parameter

    examples:
      latxa init tiny.json documents.jsonl --vocabulary-size 1024 -o tiny
      zcat eu.jsonl.gz | latxa init tiny.json --vocabulary-size 4096 --seed 1 -o tiny
    """
    from latxa_cli.models.scratch import initialise

    run.depends_on(config)
    records = run.read(files, ("document", "conversation"))
    facts = initialise(config, records, run.directory, vocabulary_size=vocabulary_size, seed=seed)
    run.note(**facts)
    run.say(f"{facts['parameters']:,} parameters, a vocabulary of {facts['vocabulary']:,} tokens")
    if facts["vocabulary"] < vocabulary_size:
        run.say(f"the text gives no more than {facts['vocabulary']:,} tokens, {vocabulary_size:,} were asked for")
