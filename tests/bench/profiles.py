"""The share of trusted text that the shipped profiles reject, and what `latxa corpus` keeps with the default ones.

    python tests/bench/profiles.py

Trusted text is that of `../shared/data`, in up to five kinds for each language: news (NTREX-128, a document of each
article), the Declaration of Human Rights (an article each), help pages, other documents, and single sentences of Common
Voice. First, each profile judges all of it in its language, or in nine languages if it has none. The share that it
rejects is the mean over kinds, and stands in its file as `trusted_rejected`.

Then `latxa corpus` gets the trusted text of a language, a copy of every tenth document, and as much text in the other
languages, with the default profile, and without the steps that drop what is only similar. Goals: it keeps 95 % of the
documents (single sentences are told apart, since language identification knows 1000 characters better than 40), also
of the half from which no limit was taken; 3 % of the foreign ones at most; and no copy.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from statistics import mean

from latxa_cli.corpus.profile import Profile, load_profile, profile_names
from latxa_cli.corpus.rules import QualityRules
from latxa_cli.text.normalise import normalise
from latxa_cli.text.words import segment

KEPT, FOREIGN = 0.95, 0.03
LANGUAGES = ("eu", "ca", "gl", "ga", "cy", "en", "es", "fr", "is")
DEFAULT = ("eu", "ca", "gl", "ga", "cy")
SENTENCES = 2000  # of each language at most
HELP, NEWS, SENTENCE = "help", "news", "sentences"
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


@cache
def read(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]] if path.exists() else []


def trusted(data: Path, language: str) -> dict[str, list[str]]:
    """Return the trusted texts of a language in clean form by kind."""
    kinds: dict[str, list[str]] = {NEWS: [], "declaration": [], HELP: [], "other": [], SENTENCE: []}
    articles: dict[str, list[str]] = {}
    for row in read(data / "parallel.jsonl"):
        articles.setdefault(row["doc"], []).append(row[language])
    kinds[NEWS] = ["\n".join(sentences) for sentences in articles.values()]
    kinds["declaration"] = [row["text"] for row in read(data / "udhr.jsonl") if row["lang"] == language]
    for row in read(data / f"corpus_{language}.jsonl"):
        kinds[HELP if row["source"] == "desktop-help" else "other"].append(row["text"])
    kinds[SENTENCE] = [row["text"] for row in read(data / f"sentences_{language}.jsonl")[:SENTENCES]]
    return {kind: list(map(normalise, texts)) for kind, texts in kinds.items() if texts}


def rejected(profile: Profile, data: Path) -> dict[str, float]:
    """Return the share of each kind of trusted text that the rules of a profile reject."""
    shares: dict[str, list[float]] = {}
    rules = QualityRules(profile)
    for language in (profile.language,) if profile.language else LANGUAGES:
        for kind, texts in trusted(data, language).items():
            faults = sum(rules.judge(text, segment(text)) is not None for text in texts)
            shares.setdefault(kind, []).append(faults / len(texts))
    return {kind: mean(each) for kind, each in shares.items()}


def documents(language: str) -> Iterator[dict[str, str]]:
    """Yield trusted documents, copies of some, and foreign documents; their ids say which is which."""
    for kind, texts in trusted(DATA, language).items():
        for number, text in enumerate(dict.fromkeys(texts)):
            yield {"id": f"{kind}/{number % 2}/{number}", "text": text}
            if number % 10 == 0:
                yield {"id": f"copy/{kind}/{number}", "text": text}
    for other in LANGUAGES:
        if other != language:
            for kind, texts in trusted(DATA, other).items():
                for number, text in enumerate(texts[::8]):
                    yield {"id": f"foreign/{other}/{kind}/{number}", "text": text}


def kept(language: str, folder: Path) -> tuple[dict[str, list[bool]], str]:
    """Return whether each document of a group was kept by `latxa corpus`, and what it said."""
    given = list(documents(language))
    dump, out = folder / f"{language}.jsonl", folder / f"{language}.out.jsonl"
    dump.write_text("".join(json.dumps(document) + "\n" for document in given))
    skipped = [part for step in ("url", "near", "paragraphs") for part in ("--skip", step)]
    run = subprocess.run(
        ["latxa", "corpus", str(dump), "--language", language, *skipped, "-o", str(out)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    left = {json.loads(line)["id"] for line in out.read_bytes().split(b"\n")[:-1]}
    groups: dict[str, list[bool]] = {}
    for document in given:
        kind, half, *_ = document["id"].split("/")
        name = kind if kind in ("copy", "foreign") else f"{kind}, half {half}"
        groups.setdefault(name, []).append(document["id"] in left)
    return groups, run.stderr


def main() -> None:
    from timing import verdict

    for name in profile_names():
        profile = load_profile(name)
        shares = rejected(profile, DATA)
        listed = ", ".join(f"{kind} {share:.1%}" for kind, share in shares.items())
        stated = "none" if profile.trusted_rejected is None else f"{profile.trusted_rejected:.1%}"
        print(f"{name}: rejects {mean(shares.values()):.1%} (stated: {stated}): {listed}", flush=True)
    reached = True
    with tempfile.TemporaryDirectory() as folder:
        for language in DEFAULT:
            groups, _ = kept(language, Path(folder))
            shares = {name: mean(each) for name, each in groups.items()}
            print(f"{language}: kept " + ", ".join(f"{name} {share:.1%}" for name, share in shares.items()), flush=True)
            copies, foreign = shares.pop("copy"), shares.pop("foreign")
            of_documents = [share for name, share in shares.items() if not name.startswith(SENTENCE)]
            reached &= min(of_documents) >= KEPT and foreign <= FOREIGN and copies == 0
    verdict(f"{KEPT:.0%} of trusted documents kept, {FOREIGN:.0%} of foreign ones at most, and no copy", reached)


if __name__ == "__main__":
    main()
