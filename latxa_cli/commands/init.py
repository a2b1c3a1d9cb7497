"""`latxa init`: a new tokenizer and a new model."""

from pathlib import Path
from typing import Annotated

from latxa_cli.options import Files, Run, Seed, argument, flag, verb

Config = Annotated[Path, argument("A transformers model configuration.", "CONFIG.json")]
VocabularySize = Annotated[int, flag("Tokens, the special ones and 256 bytes included.", metavar="N", min=1)]


@verb(makes="directory")
def init(
    run: Run, config: Config, files: Files = None, *, vocabulary_size: VocabularySize, seed: Seed = 0
) -> None:  # fmt: skip
    """Make a new tokenizer and a new model from scratch.

    in:  CONFIG.json, as {"model_type": "llama", "hidden_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4,
         "intermediate_size": 320}; the vocabulary's size and the special tokens are filled in. Then documents and
         conversations, whose text tokens are learnt from
    out: a directory with a model of random weights, a byte-level BPE tokenizer and a chat template

    memory: the distinct words, not the text (some 600 bytes for each), and then the model: 4 bytes a parameter

    examples:
      latxa init tiny.json documents.jsonl --vocabulary-size 1024 -o tiny
      zcat eu.jsonl.gz | latxa init tiny.json --vocabulary-size 4096 --seed 1 -o tiny
    """
    from latxa_cli.models.scratch import initialise

    run.depends_on(config)
    records = run.read(files, ("document", "conversation"))
    made = initialise(config, records, run.directory, vocabulary_size=vocabulary_size, seed=seed)
    run.note(**made)
    run.say(f"{made['parameters']:,} parameters, a vocabulary of {made['vocabulary']:,} tokens")
    if made["vocabulary"] < vocabulary_size:
        run.say(f"the text gives no more than {made['vocabulary']:,} tokens, {vocabulary_size:,} were asked for")
