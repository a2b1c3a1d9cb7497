"""The model card of an exported model: its starting model, data, losses and settings, as the run recorded them.

The hub reads it from `README.md`. Names of sources come from data, and are escaped so that nothing in them acts as
Markdown or YAML.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from latxa_cli import hub
from latxa_cli.model import CONFIG, read_settings, short_name
from latxa_cli.stream.display import escaped, render
from latxa_cli.stream.records import JsonObject, Record
from latxa_cli.training.checkpoints.saved_run import SavedCheckpoint
from latxa_cli.training.config import TrainConfig

USE = """\
## How to load it

`MODEL` is this directory, or its name on the hub.

```python
from transformers import {class}, AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained("MODEL")
model = {class}.from_pretrained("MODEL", dtype="auto")
```

```python
from vllm import LLM
llm = LLM("MODEL")
print({call}[0].outputs[0].text)
```
"""
CHAT, CONTINUE = 'llm.chat([{"role": "user", "content": "…"}])', 'llm.generate("…")'
METRICS = ("perplexity", "bits_per_byte", "tokens")


def card(saved: SavedCheckpoint, dtype: str, *, name: str, chats: bool) -> str:
    """Return the model card as Markdown.

    Args:
        saved: the exported checkpoint.
        dtype: of the exported weights.
        name: of the model.
        chats: whether the model has a chat template.
    """
    run = saved.run
    parts = [
        _front_matter(run["model"]),
        f"# {escaped(name)}\n",
        f"Trained from {escaped(short_name(run['model']))} for {saved.step:,} steps; weights in {dtype}.\n",
        *_section("Data", ("source", "records", "tokens", "share of tokens", "trained"), _sources(run["prepared"])),
        f"{_rows(run['prepared'])}\n",
        *_section("Loss", ("", "step", "loss", *METRICS), _losses(saved.metrics())),
        *_section("Settings", ("setting", "value", "default"), _settings(run["settings"])),
        *_section("Made with", ("", " "), _facts(run)),
        USE.replace("{call}", CHAT if chats else CONTINUE).replace("{class}", _class(saved)),
    ]
    return "\n".join(parts)


def _section(title: str, columns: tuple[str, ...], rows: list[Record]) -> list[str]:
    """Return a heading and a table, or nothing if there are no rows."""
    return [f"## {title}\n", render(rows, columns, "markdown")] if rows else []


def _class(saved: SavedCheckpoint) -> str:
    """Return the class of transformers that loads the model: its own where it has parts beside text."""
    name = str(*(read_settings(saved.model_files / CONFIG).get("architectures") or [""])[:1])
    return name if name.isidentifier() and name.endswith("ForConditionalGeneration") else "AutoModelForCausalLM"


def _front_matter(model: str) -> str:
    """Return the YAML for the hub, without the starting model if that is a directory, which the hub does not know."""
    base = [f"base_model: {json.dumps(model)}"] if hub.is_a_name(model) and not Path(model).is_dir() else []
    return "\n".join(
        ("---", *base, "library_name: transformers", "pipeline_tag: text-generation", "tags:", "- latxa", "---\n")
    )


def _sources(prepared: JsonObject) -> list[Record]:
    """Return a row for each source, and one for all of several."""
    sources: dict[str, dict[str, int]] = prepared["sources"]
    whole = {key: sum(share[key] for share in sources.values()) for key in ("records", "tokens", "trained")}
    rows = [*sources.items(), *([("all", whole)] if len(sources) > 1 else [])]
    return [
        {
            "source": name,
            "records": f"{share['records']:,}",
            "tokens": f"{share['tokens']:,}",
            "share of tokens": _percentage(share["tokens"], whole["tokens"]),
            "trained": _percentage(share["trained"], share["tokens"]),
        }
        for name, share in rows
    ]


def _percentage(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "-"


def _rows(prepared: JsonObject) -> str:
    return (
        f"In {prepared['rows']:,} rows of {prepared['sequence_length']:,} tokens, {prepared['fill']:.1%} filled. "
        "Trained: the share of a source's tokens that the loss counts."
    )


def _losses(metrics: Iterable[Record]) -> list[Record]:
    """Return the loss of the last step, and the last loss on each validation set."""
    last: dict[str, Record] = {}
    for figures in metrics:
        validation = figures.get("validation")
        last["training" if validation is None else f"validation: {validation}"] = figures
    return [
        {"": name, "step": f"{figures['step']:,}", "loss": _number(figures.get("loss"))}
        | {key: _number(figures.get(key)) for key in METRICS if name != "training"}
        for name, figures in sorted(last.items())
    ]


def _number(value: float | None) -> str | None:
    if isinstance(value, float):
        return f"{value:.4f}"
    return None if value is None else f"{value:,}"


def _settings(settings: JsonObject) -> list[Record]:
    """Return a row for each setting; those that differ from the default come first."""
    default = asdict(TrainConfig())
    rows = [{"setting": name, "value": value, "default": default.get(name)} for name, value in settings.items()]
    rows.sort(key=lambda row: row["value"] == row["default"])
    return [{key: _shown(value) for key, value in row.items()} for row in rows]


def _shown(value: object) -> str | None:
    return value if isinstance(value, str) or value is None else json.dumps(value, ensure_ascii=False)


def _facts(run: JsonObject) -> list[Record]:
    """Return a row for each version, and rows for processes, parameters and digests."""
    facts = {
        **run["versions"],
        "processes": run["processes"],
        **({"texts of a row": run["packing"]} if "packing" in run else {}),
        "parameters trained": f"{sum(math.prod(shape) for shape in run['parameters'].values()):,}",
        "digest of the data": run["data"],
        "digest of the starting model": run["starting_model"],
    }
    return [{"": name, " ": str(value)} for name, value in facts.items()]
