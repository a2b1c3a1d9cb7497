"""`latxa init`: a new tokenizer and a new model."""

from pathlib import Path
from typing import Annotated

import typer

from latxa_cli.options import Files, Run, Seed, verb

ConfigFile = Annotated[
    Path, typer.Argument(metavar="CONFIG.json", help="A transformers model configuration.", show_default=False)
]
VocabularySize = Annotated[int, typer.Option(metavar="N", help="Tokens, the special ones and 256 bytes included.")]


@verb(makes="directory")
def init(run: Run, config: ConfigFile, files: Files = None, *, vocabulary_size: VocabularySize, seed: Seed = 0) -> None:
    """Make a new tokenizer and a new model, from scratch.

    in:  documents and conversations, whose text the tokenizer is learnt from, and CONFIG.json, such as
         {"model_type": "llama", "hidden_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4,
          "intermediate_size": 320}; the vocabulary's size and the special tokens are filled in
    out: a directory with random weights, a byte-level BPE tokenizer and a chat template

    memory: the distinct words of the text, not the text, and 4 bytes a parameter

    examples:
      latxa init tiny.json documents.jsonl --vocabulary-size 1024 -o tiny
      zcat eu.jsonl.gz | latxa init tiny.json --vocabulary-size 4096 --seed 1 -o tiny
    """
    from latxa_cli.training.scratch import initialise

    run.depends_on(config)
    records = run.read(files, ("document", "conversation"))
    made = initialise(config, records, run.directory, vocabulary_size=vocabulary_size, seed=seed)
    run.note(**made)
    run.say(f"{made['parameters']:,} parameters, a vocabulary of {made['vocabulary']:,} tokens")
    if made["vocabulary"] < vocabulary_size:
        run.say(f"the text gives no more than {made['vocabulary']:,} tokens, {vocabulary_size:,} were asked for")
