"""A corpus of any size as messy as web dumps are, of which is known what every document is.

    python tests/bench/mess.py FOLDER [MEGABYTES [SEED]]

Sentences of `../shared/data` are recombined into Basque documents of about 2.9 kB, spread over four dumps that overlap
(`wiki.jsonl`, `crawl_a.jsonl`, `crawl_b.jsonl.zst`, `crawl_c.jsonl.gz`; together MEGABYTES when unpacked). `KINDS` says
what is mixed in and how often. `truth.jsonl` has a line for each document, in the order of writing:

    id, source, kind
    of           the original that it was made of (exact, near, mojibake, version, quoting)
    edit         what was done (near), or what it is (junk)
    similarity   the exact Jaccard index of both texts' sets of word 5-grams, words by `str.split` (near, version)
    language     of what is not Basque (foreign, mixed)
    item         id of the evaluation item in it (contaminated; of `mcq/eusexams_eu.jsonl`)

Document N depends on the seed and N alone, so a smaller corpus is the start of a larger one, and memory stays flat.
A document has about 45 of 57,000 sentences: two unrelated ones share less than one, so none are near-duplicates by
chance (`tests/corpus/test_mess.py` looks).
"""

from __future__ import annotations

import gzip
import io
import json
import random
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import orjson
import zstandard

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"

# name: (ending, share of the documents, licence)
SOURCES = {
    "wiki": (".jsonl", 0.15, "CC-BY-SA-4.0"),
    "crawl_a": (".jsonl", 0.35, "unknown"),
    "crawl_b": (".jsonl.zst", 0.30, "unknown"),
    "crawl_c": (".jsonl.gz", 0.20, "unknown"),
}
KINDS = {
    "original": 0.535,
    "exact": 0.20,  # the bytes of an original's text
    "near": 0.10,  # an original, edited: words swapped, a paragraph dropped, another header and footer, punctuation
    "foreign": 0.06,  # in another language
    "mixed": 0.015,  # half in another language
    "mojibake": 0.02,  # the text of an original, its UTF-8 read as Windows-1252 or Latin-1
    "version": 0.02,  # half of an original under the same URL
    "quoting": 0.01,  # begins with a paragraph of an original
    "contaminated": 0.01,  # holds a question of an exam and its right answer
    "short": 0.015,
    "junk": 0.015,
}
FOREIGN = ("es", "es", "en", "en", "fr", "ca", "gl", "cy", "ga")
FRAMES = {  # lines that a dump repeats, above and below its documents
    "wiki": ([], []),
    "crawl_a": (
        ["Hasiera | Albisteak | Iritzia | Kirolak | Kultura | Harremanetarako", "Joan zuzenean eduki nagusira"],
        ["Partekatu orri hau zure lagunekin sare sozialetan.", "Eskubide guztiak gordeta. Lege oharra eta cookieak."],
    ),
    "crawl_b": (
        ["Webgune honek cookieak erabiltzen ditu zuri zerbitzu hobea emateko. Onartu edo irakurri gehiago."],
        ["Artikulu honek ez du oraindik iruzkinik.", "Eman izena buletinean eta jaso berriak astero zure postan."],
    ),
    "crawl_c": (
        ["Bilatu webgune honetan", "Menu nagusia erakutsi edo ezkutatu"],
        ["Aurreko artikulua irakurri", "Hurrengo artikulua irakurri", "Igo orriaren goiko aldera"],
    ),
}


@dataclass(frozen=True)
class Built:
    """A corpus in `folder`: its files by source name in the order of priority, what each document is, the exam items
    that leaked into it, and its size unpacked."""

    folder: Path
    files: dict[str, Path]
    truth: Path
    items: Path
    documents: int
    bytes: int

    def truths(self) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self.truth.read_bytes().splitlines()]


def build(folder: Path, megabytes: float, seed: int = 0) -> Built:
    """Build the corpus in `folder`, or return the one that was built there with the same size and seed."""
    files = {name: folder / f"{name}{ending}" for name, (ending, _, _) in SOURCES.items()}
    truth, note = folder / "truth.jsonl", folder / "mess.json"
    asked = {"megabytes": megabytes, "seed": seed, "program": len(Path(__file__).read_bytes())}
    done = json.loads(note.read_text()) if note.exists() else {}
    if done.get("asked") != asked:
        folder.mkdir(parents=True, exist_ok=True)
        note.unlink(missing_ok=True)
        done = {"asked": asked} | _write(Maker(Texts(DATA), seed), files, truth, megabytes * 1e6)
        note.write_text(json.dumps(done))
    return Built(folder, files, truth, DATA / "mcq" / "eusexams_eu.jsonl", done["documents"], done["bytes"])


def _write(maker: Maker, files: dict[str, Path], truth: Path, size: float) -> dict[str, int]:
    number = written = 0
    with ExitStack() as stack:
        outs = {name: stack.enter_context(_opened(path)) for name, path in files.items()}
        truths = stack.enter_context(truth.open("wb"))
        while written < size:
            source, record, fact = maker.document(number)
            line = orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)
            outs[source].write(line)
            truths.write(orjson.dumps({"id": record["id"], "source": source} | fact, option=orjson.OPT_APPEND_NEWLINE))
            written += len(line)
            number += 1
    return {"documents": number, "bytes": written}


def _opened(path: Path) -> BinaryIO:
    if path.suffix == ".gz":
        return io.BufferedWriter(gzip.open(path, "wb", compresslevel=1), 1 << 20)  # type: ignore[arg-type]
    if path.suffix == ".zst":
        return zstandard.open(path, "wb", cctx=zstandard.ZstdCompressor(level=3))  # type: ignore[return-value]
    return path.open("wb")


# --- what the documents are made of


class Texts:
    """The sentences of the shared data: `basque`, `foreign` {language: sentences}, and exam `items` that are long
    enough for 13-grams."""

    def __init__(self, data: Path) -> None:
        def field(name: str, key: str = "text") -> list[str]:
            lines = (data / name).read_bytes().splitlines()
            return [record[key] for record in map(orjson.loads, lines) if record.get("lang", "eu") == "eu"]

        paragraphs = {line for text in field("corpus_eu.jsonl") for line in text.split("\n") if 40 <= len(line) <= 300}
        self.basque = field("sentences_eu.jsonl") + field("parallel.jsonl", "eu") + sorted(paragraphs)
        self.foreign = {language: field(f"sentences_{language}.jsonl") for language in sorted(set(FOREIGN))}
        exams = [orjson.loads(line) for line in (data / "mcq" / "eusexams_eu.jsonl").read_bytes().splitlines()]
        self.items = [item for item in exams if len(item["question"].split()) >= 16]


class Maker:
    """Makes the documents of one seed, each from its number."""

    def __init__(self, texts: Texts, seed: int) -> None:
        self.texts, self.seed = texts, seed
        self.makers: dict[str, Callable[[random.Random, int], tuple[str, dict[str, Any]]]] = {
            "exact": self._exact, "near": self._near, "foreign": self._foreign, "mixed": self._mixed,
            "mojibake": self._mojibake, "version": self._version, "quoting": self._quoting,
            "contaminated": self._contaminated, "short": self._short, "junk": self._junk,
        }  # fmt: skip

    def document(self, number: int) -> tuple[str, dict[str, Any], dict[str, Any]]:
        """Return the source, the record and what is true of it."""
        draw, kind, source = self._start(number)
        if kind == "original":
            text, fact = self._text(draw, source), {}
        else:
            text, fact = self.makers[kind](draw, number)
        same_url = kind == "version" or (kind == "exact" and draw.random() < 0.5)
        url = self._url(fact["of"] if same_url else number)
        if "of" in fact:
            fact["of"] = self._name(fact["of"])
        record = {"id": self._name(number), "url": url, "licence": SOURCES[source][2], "text": text}
        return source, record, {"kind": kind} | fact

    def _start(self, number: int) -> tuple[random.Random, str, str]:
        """Return the random numbers of a document, its kind and its source."""
        draw = random.Random(self.seed << 40 | number)
        kind = _pick(draw.random(), KINDS) if number else "original"
        return draw, kind, _pick(draw.random(), {name: share for name, (_, share, _) in SOURCES.items()})

    def _name(self, number: int) -> str:
        return f"{self._start(number)[2]}/{number:07}"

    def _url(self, number: int) -> str:
        return f"https://{self._start(number)[2]}.example/{number}"

    def _earlier(self, draw: random.Random, number: int) -> tuple[int, str]:
        """Return an original before `number`, and its text."""
        while True:
            other = draw.randrange(number)
            own, kind, source = self._start(other)
            if kind == "original":
                return other, self._text(own, source)

    # --- the kinds

    def _text(self, draw: random.Random, source: str) -> str:
        """Return a new Basque text as it stands in `source`, now and then with foreign lines."""
        paragraphs = self._paragraphs(draw, self.texts.basque)
        if draw.random() < 0.05:
            foreign = self.texts.foreign[draw.choice(FOREIGN)]
            paragraphs.insert(draw.randrange(len(paragraphs)), " ".join(draw.choices(foreign, k=3)))
        return _framed(draw, source, paragraphs)

    def _paragraphs(self, draw: random.Random, sentences: list[str], most: int = 13) -> list[str]:
        made = []
        if draw.random() < 0.3:
            made.append(f"# {draw.choice(sentences).rstrip('.')}")
        for _ in range(draw.randint(3, most)):
            several = draw.choices(sentences, k=draw.randint(2, 8))
            if draw.random() < 0.2:
                several[0] = f"“{several[0]}”"
            elif draw.random() < 0.1:
                several[-1] = f"{several[-1].rstrip('.')} – {draw.choice(sentences)}"
            made.append(" ".join(several))
        return made

    def _exact(self, draw: random.Random, number: int) -> tuple[str, dict[str, Any]]:
        other, text = self._earlier(draw, number)
        return text, {"of": other}

    def _near(self, draw: random.Random, number: int) -> tuple[str, dict[str, Any]]:
        other, text = self._earlier(draw, number)
        edit = draw.choice(("swaps", "swaps", "dropped", "framed", "punctuation"))
        if edit == "swaps":
            changed = _swapped(draw, text, self.texts.basque)
        elif edit == "dropped":
            paragraphs = text.split("\n\n")
            del paragraphs[draw.randrange(len(paragraphs))]
            changed = "\n\n".join(paragraphs)
        elif edit == "framed":
            top, bottom = draw.choices(self.texts.basque, k=draw.randint(1, 4)), draw.choices(self.texts.basque, k=2)
            changed = "\n\n".join((*top, text, " ".join(bottom)))
        else:
            changed = _repunctuated(draw, text)
        return changed, {"of": other, "edit": edit, "similarity": round(jaccard(text, changed), 6)}

    def _foreign(self, draw: random.Random, number: int) -> tuple[str, dict[str, Any]]:
        language = draw.choice(FOREIGN)
        return "\n\n".join(self._paragraphs(draw, self.texts.foreign[language])), {"language": language}

    def _mixed(self, draw: random.Random, number: int) -> tuple[str, dict[str, Any]]:
        language = draw.choice(FOREIGN)
        basque = self._paragraphs(draw, self.texts.basque, 8)
        foreign = self._paragraphs(draw, self.texts.foreign[language], 8)
        return "\n\n".join(p for pair in zip(basque, foreign, strict=False) for p in pair), {"language": language}

    def _mojibake(self, draw: random.Random, number: int) -> tuple[str, dict[str, Any]]:
        other, text = self._earlier(draw, number)
        while text.isascii():
            other, text = self._earlier(draw, number)
        return _misread(text, "cp1252" if draw.random() < 0.7 else "latin-1"), {"of": other}

    def _version(self, draw: random.Random, number: int) -> tuple[str, dict[str, Any]]:
        other, text = self._earlier(draw, number)
        paragraphs = text.split("\n\n")
        fresh = self._paragraphs(draw, self.texts.basque, 8)
        changed = "\n\n".join((*paragraphs[: len(paragraphs) // 2], *fresh))
        return changed, {"of": other, "similarity": round(jaccard(text, changed), 6)}

    def _quoting(self, draw: random.Random, number: int) -> tuple[str, dict[str, Any]]:
        other, text = self._earlier(draw, number)
        paragraph = max(text.split("\n\n"), key=len)
        return "\n\n".join((paragraph, *self._paragraphs(draw, self.texts.basque))), {"of": other}

    def _contaminated(self, draw: random.Random, number: int) -> tuple[str, dict[str, Any]]:
        item = draw.choice(self.texts.items)
        paragraphs = self._paragraphs(draw, self.texts.basque)
        paragraphs.insert(draw.randrange(len(paragraphs)), f"{item['question']} {item['choices'][item['answer']]}")
        return "\n\n".join(paragraphs), {"item": item["id"]}

    def _short(self, draw: random.Random, number: int) -> tuple[str, dict[str, Any]]:
        return " ".join(draw.choices(self.texts.basque, k=draw.randint(1, 3))), {}

    def _junk(self, draw: random.Random, number: int) -> tuple[str, dict[str, Any]]:
        edit = draw.choice(("symbols", "repeated", "keywords", "numbers"))
        if edit == "symbols":
            return "\n".join("".join(draw.choices("#*=-_+~|<>/\\", k=60)) for _ in range(40)), {"edit": edit}
        if edit == "repeated":
            return "\n".join([f"{draw.choice(self.texts.basque)} {number}"] * 40), {"edit": edit}
        if edit == "keywords":
            words = [word for word in draw.choice(self.texts.basque).split() if len(word) > 4] or ["hitza"]
            return " ".join(words * (400 // len(words))) + f" {number}", {"edit": edit}
        rows = ("\t".join(str(draw.randrange(10**6)) for _ in range(8)) for _ in range(50))
        return "\n".join(rows), {"edit": edit}


def _pick(place: float, shares: dict[str, float]) -> str:
    """Return the name within whose share of [0, 1) `place` lies."""
    for name, share in shares.items():
        place -= share
        if place < 0:
            return name
    return name


def _framed(draw: random.Random, source: str, paragraphs: list[str]) -> str:
    """Return the text, in a crawl mostly with some of the lines that it repeats on its pages."""
    above, below = FRAMES[source]
    if draw.random() < 0.6:
        paragraphs = [*above[: draw.randint(0, len(above))], *paragraphs, *below[: draw.randint(0, len(below))]]
    return "\n\n".join(paragraphs)


def _swapped(draw: random.Random, text: str, sentences: list[str]) -> str:
    """Return the text with up to one word in 12 replaced by one of another sentence; line ends stay."""
    pieces = text.split(" ")
    for _ in range(max(1, round(len(pieces) * draw.random() ** 1.5 * 0.08))):
        place = draw.randrange(len(pieces))
        if "\n" not in pieces[place]:
            pieces[place] = draw.choice(sentences).split()[0]
    return " ".join(pieces)


def _repunctuated(draw: random.Random, text: str) -> str:
    """Return the text with a comma set or a stop taken away in up to one word of 60."""
    pieces = text.split(" ")
    for place in draw.sample(range(len(pieces)), max(1, round(len(pieces) * draw.random() / 60))):
        word = pieces[place]
        pieces[place] = word.rstrip(".,") if word.endswith((".", ",")) else f"{word},"
    return " ".join(pieces)


def _misread(text: str, encoding: str) -> str:
    """Return what a program shows that takes the text's UTF-8 for `encoding`. Bytes that Windows-1252 leaves
    undefined become the control characters of the same number, as in browsers."""
    return "".join(
        bytes([byte]).decode(encoding if encoding == "latin-1" or byte not in _UNDEFINED else "latin-1")
        if byte > 127
        else chr(byte)
        for byte in text.encode()
    )


_UNDEFINED = frozenset((0x81, 0x8D, 0x8F, 0x90, 0x9D))


def shingles(text: str) -> set[tuple[str, ...]]:
    """Return the word 5-grams of a text, words by `str.split`; a shorter text is one of its own."""
    words = text.split()
    return set(zip(words, words[1:], words[2:], words[3:], words[4:], strict=False)) or {tuple(words)}


def jaccard(a: str, b: str) -> float:
    """Return the exact Jaccard index of two texts' word 5-grams."""
    ours, theirs = shingles(a), shingles(b)
    common = len(ours & theirs)
    return common / (len(ours) + len(theirs) - common)


def main(folder: Path, megabytes: float = 300, seed: int = 0) -> None:
    built = build(folder, megabytes, seed)
    sys.stdout.write(f"{built.documents} documents, {built.bytes / 1e6:.0f} MB unpacked, in {folder}\n")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit((__doc__ or "").split("\n\n")[1].strip())
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
