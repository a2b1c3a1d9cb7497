"""How fast texts are judged by the profile `fineweb2-eu`, against datatrove's filters as FineWeb-2 sets them, and how
often both decide the same.

    python tests/bench/quality.py --peers PYTHON [MEGABYTES]

PYTHON is one that has `datatrove[processing]` and `spacy`. The texts are those of `../shared/data/corpus_*.jsonl` and
MEGABYTES (default: 6) of the corpus of `mess.py`, in clean form. Each contestant judges them in a process of its
own, from the string to the decision; loading is not counted. Then every rule that both have is applied by itself, with
the profile's limits (texts without words left
aside, which fail our profiles whatever their rules). Goals: at least 20 x datatrove's speed by CPU time, and the same
decision on 99 % of the texts.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from timing import Cost, by_turns, table, verdict

SPEED, AGREEMENT = 20, 0.99
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"

# Our key, the filter that has the same rule, and the names of its options for the limit.
RULES: dict[str, tuple[str, tuple[str, ...]]] = {
    "maximum_repeated_lines": ("repetition", ("dup_line_frac",)),
    "maximum_top_ngrams": ("repetition", ("top_n_grams",)),
    "maximum_repeated_ngrams": ("repetition", ("dup_n_grams",)),
    "minimum_sentence_ends": ("fineweb", ("line_punct_thr",)),
    "maximum_repeated_line_characters": ("fineweb", ("char_duplicates_ratio",)),
    "maximum_line_breaks": ("fineweb", ("new_line_ratio",)),
    "minimum_words": ("gopher", ("min_doc_words",)),
    "maximum_words": ("gopher", ("max_doc_words",)),
    "minimum_mean_word_length": ("gopher", ("min_avg_word_length",)),
    "maximum_mean_word_length": ("gopher", ("max_avg_word_length",)),
    "maximum_hash_signs": ("gopher", ("max_symbol_word_ratio",)),
    "maximum_bullet_lines": ("gopher", ("max_bullet_lines_ratio",)),
    "maximum_ellipsis_lines": ("gopher", ("max_ellipsis_lines_ratio",)),
    "minimum_alphabetic_tokens": ("gopher", ("max_non_alpha_words_ratio",)),
    "minimum_stop_words": ("gopher", ("min_stop_words", "stop_words")),
}
WITH = {"maximum_hash_signs": ("maximum_ellipses",), "minimum_stop_words": ("stop_words",)}  # keys that go together

Judge = Callable[[str], Any]  # false where the text passes


def options(spec: dict[str, Any], key: str) -> dict[str, Any]:
    """Return the options of datatrove's filter for one of our keys."""
    value = spec[key]
    if key in ("maximum_top_ngrams", "maximum_repeated_ngrams"):
        value = list(enumerate(value, 2 if key == "maximum_top_ngrams" else 5))
    names = RULES[key][1]
    return {names[0]: value} | ({"stop_words": spec["stop_words"]} if len(names) > 1 else {})


# --- the contestants, each in a process of its own


def latxa(spec: dict[str, Any]) -> tuple[Judge, dict[str, Judge]]:
    from latxa_cli.corpus.profile import Profile
    from latxa_cli.corpus.rules import QualityRules
    from latxa_cli.text.words import segment

    def judge(profile: Profile) -> Judge:
        rules = QualityRules(profile)
        return lambda text: rules.judge(text, segment(text))

    limits = {key: tuple(value) if isinstance(value, list) else value for key, value in spec.items()}
    alone = {key: {each: limits[each] for each in (key, *WITH.get(key, ()))} for key in RULES}
    return judge(Profile(**limits)), {key: judge(Profile(**each)) for key, each in alone.items()}


def datatrove(spec: dict[str, Any]) -> tuple[Judge, dict[str, Judge]]:
    from datatrove.data import Document
    from datatrove.pipeline.filters import FineWebQualityFilter, GopherQualityFilter, GopherRepetitionFilter

    kinds = {"repetition": GopherRepetitionFilter, "fineweb": FineWebQualityFilter, "gopher": GopherQualityFilter}
    off: dict[str, dict[str, Any]] = {
        "repetition": dict.fromkeys(("dup_line_frac", "dup_para_frac", "dup_line_char_frac", "dup_para_char_frac"), 0)
        | {"top_n_grams": (), "dup_n_grams": ()},
        "fineweb": {"line_punct_thr": 0, "short_line_thr": 999, "char_duplicates_ratio": 999, "new_line_ratio": 999},
        "gopher": dict.fromkeys(names[0] for kind, names in RULES.values() if kind == "gopher"),
    }

    def judge(*filters: Any) -> Judge:
        def judged(text: str) -> bool:
            document = Document(text=text, id="")
            return any(each.filter(document) is not True for each in filters)

        return judged

    def made(kind: str, keys: list[str]) -> Any:
        set_here = {name: value for key in keys for name, value in options(spec, key).items()}
        return kinds[kind](**off[kind] | set_here, language="eus_Latn")

    together = [made(kind, [key for key in RULES if RULES[key][0] == kind]) for kind in kinds]
    return judge(*together), {key: judge(made(kind, [key])) for key, (kind, _) in RULES.items()}


def child(name: str, texts: Path, spec: Path, decisions: str) -> None:
    """Judge the texts and print wall and CPU seconds on stderr; or write to a file which rules each text fails."""
    judge, alone = {"latxa": latxa, "datatrove": datatrove}[name](json.loads(spec.read_text()))
    judge("Kaixo, mundua!")  # load what is loaded at the first text
    found = json.loads(texts.read_text(encoding="utf-8"))
    if decisions:
        failed = [[key for key, rule in alone.items() if rule(text)] + ["all"] * bool(judge(text)) for text in found]
        Path(decisions).write_text(json.dumps(failed))
        return
    wall, cpu = time.perf_counter(), time.process_time()
    for text in found:
        judge(text)
    sys.stderr.write(f"{time.perf_counter() - wall} {time.process_time() - cpu}\n")


# --- the comparison


def texts(folder: Path, megabytes: int) -> list[str]:
    """Return what is judged: real documents in three languages, and messy ones."""
    import orjson
    from mess import build

    from latxa_cli.stream.inputs import Input
    from latxa_cli.text.normalise import normalise

    files = [*sorted(DATA.glob("corpus_*.jsonl")), *build(folder / "mess", megabytes, 0).files.values()]
    lines = (line for path in files for _, line in Input(str(path)).entries())
    return [text for line in lines if (text := normalise(orjson.loads(line)["text"]))]  # type: ignore[arg-type]


def limits() -> dict[str, Any]:
    """Return the limits of our profile `fineweb2-eu` that both have."""
    from latxa_cli.corpus.profile import load_profile

    profile = load_profile("fineweb2-eu")
    keys = {key for rule in RULES for key in (rule, *WITH.get(rule, ()))}
    return {key: getattr(profile, key) for key in sorted(keys)}


def main(peers: str, megabytes: int) -> None:
    check = [peers, "-c", "import datatrove, spacy"]
    if shutil.which(peers) is None or subprocess.run(check, capture_output=True, check=False).returncode:
        raise SystemExit(f"{peers} has no datatrove: pip install 'datatrove[processing]' spacy")
    pythons = {"latxa": sys.executable, "datatrove": peers}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = texts(folder, megabytes)
        (folder / "texts.json").write_text(json.dumps(found), encoding="utf-8")
        (folder / "spec.json").write_text(json.dumps(limits()))

        def run(contestant: str, decisions: str = "") -> str:
            given = [str(folder / "texts.json"), str(folder / "spec.json"), decisions]
            command = [pythons[contestant], __file__, "--child", contestant, *given]
            return subprocess.run(command, stderr=subprocess.PIPE, text=True, check=True).stderr

        def timed(contestant: str) -> Callable[[], Cost]:
            return lambda: Cost(*map(float, run(contestant).split("\n")[-2].split()))

        costs = by_turns({contestant: timed(contestant) for contestant in pythons}, 1)
        failed = {}
        for contestant in pythons:
            run(contestant, str(folder / contestant))
            failed[contestant] = json.loads((folder / contestant).read_text())
    report(sum(len(text.encode()) for text in found) / 1e6, costs, failed)


def report(megabytes: float, costs: dict[str, Cost], failed: dict[str, list[list[str]]]) -> None:
    """Print both tables, and whether the goals are reached."""
    rates = {name: megabytes / cost.cpu for name, cost in costs.items()}
    ratio = rates["latxa"] / rates["datatrove"]
    table([("", "MB/CPU-s"), *((name, f"{rate:.2f}") for name, rate in rates.items()), ("ratio", f"{ratio:.0f} x")])
    pairs = [(set(ours), set(theirs)) for ours, theirs in zip(failed["latxa"], failed["datatrove"], strict=True)]
    wordy = [(ours, theirs) for ours, theirs in pairs if not ours >= set(RULES)]
    rows, shares = [("rule", "both reject", "latxa alone", "datatrove alone", "the same")], {}
    for key in (*RULES, "all"):
        found = Counter((key in ours, key in theirs) for ours, theirs in (pairs if key == "all" else wordy))
        both, ours, theirs = found[True, True], found[True, False], found[False, True]
        shares[key] = 1 - (ours + theirs) / found.total()
        rows.append((key, str(both), str(ours), str(theirs), f"{shares[key]:.2%}"))
    sys.stdout.write(f"\n{len(pairs)} texts, {megabytes:.1f} MB\n")
    table(rows)
    reached = ratio >= SPEED and min(shares.values()) >= AGREEMENT
    verdict(f"{ratio:.0f} x datatrove's speed (goal {SPEED}), the same in {shares['all']:.2%} (goal 99 %)", reached)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]), sys.argv[5])
    else:
        parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
        parser.add_argument("--peers", required=True, metavar="PYTHON")
        parser.add_argument("megabytes", nargs="?", type=int, default=6)
        given = parser.parse_args()
        main(given.peers, given.megabytes)
