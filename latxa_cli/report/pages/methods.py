"""A paragraph for the methods section of a paper, out of manifests, results and comparisons.

`latxa report corpus.jsonl.manifest.json model/manifest.json results.jsonl comparison.jsonl --methods methods.tex`

It says what these files say, and nothing where they say nothing. The facts of a manifest may have any form, since other
versions of latxa wrote other ones: what is not as expected is not there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latxa_cli.stream.display import escaped, escaped_latex
from latxa_cli.stream.errors import UsageError
from latxa_cli.stream.records import Record
from latxa_cli.stream.terminal import printable

if TYPE_CHECKING:
    from latxa_cli.report.report import Report

MOST_REASONS = 5  # of documents left out; the others are summed up
# What each verb that writes texts with a model did, and the flags of manifests that say how it drew them.
WRITES = {
    "sample": "drew {:,} conversations", "respond": "wrote {:,} responses", "reverse": "wrote {:,} instructions",
    "translate": "translated {:,} records",
}  # fmt: skip
LIBRARIES = {"lm_eval": "lm-evaluation-harness"}
TESTS = {
    "mcnemar": "the exact test of McNemar", "permutation": "a permutation test", "t": "a t test",
    "bootstrap": "a bootstrap test",
}  # fmt: skip
_EXPONENT = re.compile(r"e-0+")
FORMATS = {
    "mcqa": "with lettered choices",
    "cloze": "with choices as continuations",
    "generate": "with a letter to write",
}


# How the paragraphs are written, by the ending of the file.
WRITTEN: Mapping[str, Callable[[str], str]] = {".txt": printable, ".md": escaped, ".tex": escaped_latex}


def writer_for(path: Path) -> Callable[[str], str]:
    """Return what writes a paragraph for a file; raises UsageError for an ending that says no format."""
    if path.suffix not in WRITTEN:
        raise UsageError(f"`{path}` is not the name of a text", hint="it ends in `.txt`, `.md` or `.tex`")
    return WRITTEN[path.suffix]


def methods_of(report: Report, path: Path) -> str:
    """Return what the records of a report tell of the methods, as the file `path` holds it.

    Raises UsageError where they tell nothing.
    """
    paragraphs = methods(report.kept["manifest"], report.own, report.kept["comparison"])
    if not paragraphs:
        hint = "give manifests, such as `FILE.manifest.json`, or results"
        raise UsageError(f"these records tell nothing for `{path}`", hint=hint)
    return "\n".join(f"{writer_for(path)(paragraph)}\n" for paragraph in paragraphs)


def methods(manifests: Sequence[Record], results: Sequence[Record], comparisons: Sequence[Record]) -> list[str]:
    """Return paragraphs of plain text, one on each part of the work that the records tell of; none where none is."""
    of_verb: dict[str, list[Record]] = {}
    for manifest in manifests:
        of_verb.setdefault(manifest["verb"], []).append(manifest)
    written: list[str] = []
    for verbs, tell in _PARTS:
        sentences = [sentence for verb in verbs for manifest in of_verb.pop(verb, []) for sentence in tell(manifest)]
        if verbs == ("eval",):
            sentences += _results(results)
        written.append(" ".join(dict.fromkeys(sentences)))
    written.append(" ".join(_comparisons(comparisons)))
    written.append(" ".join(sentence for rest in of_verb.values() for one in rest for sentence in _other(one)))
    written.append(_software(manifests))
    return list(filter(None, written))


# --- data


def _corpus(manifest: Record) -> Iterator[str]:
    read, kept = _count(manifest, "in"), _count(manifest, "out")
    language = _setting(manifest, "language", str)
    name = f"The corpus ({language})" if language else "The corpus"
    if read is not None and kept is not None:
        yield f"{name} holds {kept:,} of {read:,} documents."
    rejected = _get(manifest, "counts", "rejected", type_=dict) or {}
    reasons = {reason: count for reason, count in rejected.items() if isinstance(count, int) and count}
    if reasons:
        first = sorted(reasons, key=lambda reason: (-reasons[reason], reason))[:MOST_REASONS]
        rest = sum(reasons.values()) - sum(reasons[reason] for reason in first)
        listed = [f"{reason} ({reasons[reason]:,})" for reason in first] + [f"other reasons ({rest:,})"] * bool(rest)
        yield f"Documents were left out for these reasons: {_list(listed)}."
    similarity = _setting(manifest, "similarity", float)
    if similarity is not None and "near duplicate" in reasons:
        yield f"Near duplicates have a Jaccard similarity of {similarity:g} or more."
    against = [*(_setting(manifest, "against", list) or []), *(_setting(manifest, "against_task", list) or [])]
    if against:
        yield f"Documents that hold items of {_list(Path(str(name)).name for name in against)} were left out."


def _texts(manifest: Record) -> Iterator[str]:
    count, model = _count(manifest, "out"), _get(manifest, "engine", "model", type_=str)
    if count is None or model is None:
        return
    revision = _get(manifest, "engine", "revision", type_=str)
    how = [f"revision {revision}"] if revision else []
    engine, version = (_get(manifest, "engine", name, type_=str) for name in ("engine", "engine_version"))
    how += [f"{engine} {version}" if version else engine] if engine else []
    for name, words in (("temperature", "temperature"), ("top_p", "top-p"), ("seed", "seed")):
        number = _get(manifest, "decoding", name, type_=float)
        number = _setting(manifest, name, float) if number is None else number
        how += [f"{words} {number:g}"] if number is not None else []
    yield f"{_name(model)} {WRITES[manifest['verb']].format(count)}{_brackets(how)}."


def _mix(manifest: Record) -> Iterator[str]:
    kept = _count(manifest, "out")
    shares = []
    for name, figures in (_get(manifest, "sources", type_=dict) or {}).items():
        records, share = _get(figures, "records", type_=int), _get(figures, "share", "bytes", type_=float)
        weight = _get(figures, "weight", type_=float)
        facts = [f"{records:,} records"] if records is not None else []
        facts += [f"{share:.1%} of the bytes"] if share is not None else []
        facts += [f"weight {weight:g}"] if weight is not None else []
        shares.append(f"{name}{_brackets(facts)}")
    if kept is not None and shares:
        yield f"The training mix of {kept:,} records holds {_list(shares)}."


# --- training

# Settings of training, the words for each, and the value that is not worth a word.
SETTINGS = (
    ("epochs", "{:g} epochs", None), ("steps", "{:,} optimiser steps", None),
    ("learning_rate", "a peak learning rate of {:g}", None),
    ("minimum_learning_rate_ratio", "a cosine schedule that ends at {:g} of it", None),
    ("warmup_ratio", "warm-up over {:g} of the steps", 0), ("weight_decay", "weight decay of {:g}", 0),
    ("beta1", "beta 1 of {:g}", None), ("beta2", "beta 2 of {:g}", None), ("clip", "gradients clipped at {:g}", None),
    ("sequences_per_step", "{:,} sequences a step", None), ("sequence_length", "sequences of {:,} tokens", None),
    ("neftune_alpha", "NEFTune noise of alpha {:g}", 0), ("lora_rank", "low-rank adapters of rank {:,}", 0),
    ("seed", "seed {:,}", None),
)  # fmt: skip

ROWS = {
    "packed": "Several texts shared a sequence, and did not attend to each other.",
    "unpacked": "Each text was computed by itself.",
}


def _train(manifest: Record) -> Iterator[str]:
    model, name = _get(manifest, "model", type_=str), _made(manifest)
    resolved = _get(manifest, "resolved", type_=dict) or {}
    given = {name: value for name, value in (_get(manifest, "settings", type_=dict) or {}).items() if value is not None}
    settings = given | resolved | {"steps": manifest.get("steps")}
    if resolved.get("max_steps"):
        settings.pop("epochs", None)
    how = [
        _EXPONENT.sub("e-", words.format(settings[key]))
        for key, words, unsaid in SETTINGS
        if type(settings.get(key)) in (int, float) and settings[key] != unsaid
    ]
    dtype = _get(manifest, "dtype", type_=str)
    how += [f"number type {dtype}"] if dtype else []
    if model:
        yield f"{name or 'A model'} was trained from {_name(model)}" + (f" with {_list(how)}." if how else ".")
    tokens, trained = (_get(manifest, key, type_=int) for key in ("tokens", "trained_tokens"))
    if tokens is not None:
        counted = f", {trained:,} of which count in the loss" if trained is not None else ""
        yield f"Its data hold {tokens:,} tokens{counted}."
    sources = (_get(manifest, "sources", type_=dict) or {}).items()
    shares = [f"{source} ({figures['tokens']:,})" for source, figures in sources if _get(figures, "tokens", type_=int)]
    if len(shares) > 1:
        yield f"Tokens by source: {_list(shares)}."
    if (packing := _get(manifest, "packing", type_=str)) in ROWS:
        yield ROWS[packing]
    backend, processes = _get(manifest, "backend", type_=str), _get(manifest, "processes", type_=int)
    if backend and processes:
        device = _get(manifest, "device", type_=str)
        plural = "es" if processes > 1 else ""
        yield f"It ran on {backend}, in {processes:,} process{plural}" + (f" ({device})." if device else ".")


# --- evaluation


def _eval(manifest: Record) -> Iterator[str]:
    harness = _get(manifest, "libraries", "lm_eval", type_=str)
    if harness:
        yield f"Evaluation used lm-evaluation-harness {harness}."
    take, seed = _setting(manifest, "take", int), _setting(manifest, "seed", int)
    if take is not None:
        yield f"Of each task, {take:,} items were drawn" + (f" (seed {seed})." if seed is not None else ".")
    if _setting(manifest, "paper", bool):
        yield "Prompts were those of lm-evaluation-harness 0.4.8."


def _results(results: Sequence[Record]) -> Iterator[str]:
    """Yield sentences on the models, with what identifies their weights, and on the tasks by how they were asked."""
    models: dict[str, list[str]] = {}
    for result in results:
        name, weights = result["model"], result.get("weights")
        path = result.get("path") if result.get("path") != name else None
        facts = ([f"{path}"] if path else []) + ([f"weights {weights:.12}"] if weights else [])
        models.setdefault(name, facts)
    if models:
        yield f"These models were evaluated: {_list(f'{name}{_brackets(facts)}' for name, facts in models.items())}."
    ways: dict[tuple[str, ...], dict[str, int | None]] = {}
    for result in results:
        ways.setdefault(tuple(_way(result)), {}).setdefault(result["task"], result.get("n"))
    for way, tasks in ways.items():
        listed = (f"{task} ({n:,} items)" if isinstance(n, int) else task for task, n in tasks.items())
        yield f"Asked{' ' + _list(way) if way else ''}: {_list(listed)}."


def _way(result: Record) -> Iterator[str]:
    shots, chat = result.get("num_fewshot"), result.get("chat")
    if isinstance(shots, int):
        yield f"with {shots} examples" if shots else "without examples"
    if chat is not None:
        yield "through the chat template" if chat else "without a chat template"
    if result.get("format"):
        yield FORMATS.get(result["format"]) or f"in the format {result['format']}"
    if result.get("shot_seeds"):
        yield f"with {len(result['shot_seeds'])} draws of examples"


def _comparisons(comparisons: Sequence[Record]) -> Iterator[str]:
    if not comparisons:
        return
    baselines = _list(dict.fromkeys(record["baseline"] for record in comparisons))
    counts = {record["n"] for record in comparisons if isinstance(record.get("n"), int)}
    ends = [f"{end:,}" for end in sorted({min(counts), max(counts)})] if counts else []
    on = f", on {' to '.join(ends)} items a task" if ends else ""
    yield f"Models were compared with {baselines} item by item{on}."
    tests = dict.fromkeys(record["test"] for record in comparisons if record.get("test"))
    if tests:
        holm = any(record.get("p_holm") is not None for record in comparisons)
        corrected = ", with Holm's correction over the tasks of a model" if holm else ""
        yield f"Differences were tested by {_list(TESTS.get(test, test) for test in tests)}{corrected}."
    intervals = dict.fromkeys(
        (record["confidence"], record["interval"])
        for record in comparisons
        if record.get("confidence") and record.get("interval")
    )
    names = {"sandwich": "clustered standard errors (CR2)", "bootstrap": "a bootstrap of clusters"}
    for confidence, interval in intervals:
        yield f"Intervals are {100 * confidence:g} % intervals from {names.get(interval, interval)}."


def _ratings(manifest: Record) -> Iterator[str]:
    read = _count(manifest, "in")
    if read is None:
        return
    rejected = _get(manifest, "counts", "rejected", type_=dict) or {}
    yield f"Ratings come from {read - sum(count for count in rejected.values() if type(count) is int):,} battles."
    confidence, rounds = _setting(manifest, "confidence", float), _setting(manifest, "rounds", int)
    if confidence is not None and _setting(manifest, "interval", str) == "bootstrap" and rounds:
        unit = _get(manifest, "resampled", type_=str)
        of = f", which draw each {unit} with its battles" if unit and unit != "battle" else ""
        yield f"Their intervals are {100 * confidence:g} % intervals over {rounds:,} bootstrap rounds{of}."
    if _setting(manifest, "ties", str) == "half":
        yield "A tie counts as half a win."


def _judge(manifest: Record) -> Iterator[str]:
    judge, rubric = _get(manifest, "judge", type_=str), _setting(manifest, "rubric", str)
    if judge:
        yield f"Responses were judged by {judge}" + (f" (rubric {rubric})." if rubric else ".")


# --- the rest


def _other(manifest: Record) -> Iterator[str]:
    read, made = _count(manifest, "in"), _count(manifest, "out")
    if read and made and manifest["verb"] != "report":
        yield f"latxa {manifest['verb']} made {made:,} records of {read:,}."


def _software(manifests: Sequence[Record]) -> str:
    used: dict[str, dict[str, None]] = {}
    for manifest in manifests:
        used.setdefault("latxa", {})[manifest["version"]] = None
        libraries = _get(manifest, "libraries", type_=dict) or {}
        for name, version in (*libraries.items(), ("Python", manifest.get("python"))):
            if isinstance(version, str):
                used.setdefault(LIBRARIES.get(name, name), {})[version] = None
    listed = [f"{name} {' and '.join(versions)}" for name, versions in used.items()]
    return f"Software: {_list(listed)}." if listed else ""


_PARTS: tuple[tuple[tuple[str, ...], Callable[[Record], Iterable[str]]], ...] = (
    (("corpus",), _corpus),
    (("sample", "reverse", "translate"), _texts),
    (("mix",), _mix),
    (("train",), _train),
    (("eval",), _eval),
    (("respond",), _texts),
    (("judge",), _judge),
    (("arena-score",), _ratings),
)


def _get(value: object, *names: str, type_: type) -> Any:
    """Return the value under `names` if it has the type; whole numbers are numbers, and booleans are none."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    if type_ is float and type(value) is int:
        return float(value)
    return value if type(value) is type_ else None


def _setting(manifest: Record, name: str, type_: type) -> Any:
    return _get(manifest, "settings", name, type_=type_)


def _count(manifest: Record, name: str) -> int | None:
    count: int | None = _get(manifest, "counts", name, type_=int)
    return count


def _made(manifest: Record) -> str:
    """Return the name of the folder that a run made, from the path of a file in it."""
    for entry in _get(manifest, "outputs", type_=list) or []:
        path = _get(entry, "path", type_=str)
        if path and "/" in path:
            return path.rsplit("/", 2)[-2]
    return ""


def _name(path: object) -> str:
    """Return the end of a path of this machine, or a name on the hub as it is."""
    text = str(path).rstrip("/")
    return text.rsplit("/", 1)[-1] if text.startswith((".", "/")) or text.count("/") != 1 else text


def _brackets(facts: Sequence[str]) -> str:
    return f" ({', '.join(facts)})" if facts else ""


def _list(items: Iterable[str]) -> str:
    """Return items as English lists them."""
    *first, last = [*items] or [""]
    return f"{', '.join(first)} and {last}" if first else last
