"""What `translate --candidates 5` gains over one greedy draft, on the quickstart's models: chrF against references.

    python tests/bench/candidates.py [--texts 1000] [--candidates 5] [--seed 1] [--quickstart quickstart]

The island's words make new sentences, whose translations are known (`recipes/quickstart`):

- of wordings that `base_eu` has seen in both languages, where one draft is nearly always right;
- of wordings that it has seen in each language, and never side by side, where it is not sure.

Both ways have the same checks, and no retries. A text that is rejected has a chrF of 0, since it is missing. Intervals
are of the mean difference, by a paired bootstrap (2,000 rounds, 95 %).
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import orjson
from timing import table, verdict

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.append(str(REPOSITORY / "recipes" / "quickstart"))

from facts import make_world  # noqa: E402
from pages import lie  # noqa: E402
from words import WORDS  # noqa: E402

from latxa_cli.text.chrf import ChrF  # noqa: E402

BINARY = str(Path(sys.executable).with_name("latxa"))
ROUNDS = 2000


def texts(count: int, seed: int, *, known: bool) -> list[dict[str, str]]:
    """Return English sentences and their translations, of wordings that the model knows or does not."""
    draw, world = random.Random(f"candidates {seed}"), make_world(0)

    def pair() -> tuple[str, str]:
        if known:
            return lie(draw, world)
        fact = draw.choice(world.facts)
        others = [value for value in WORDS[fact.relation.value] if value != fact.value]
        return fact.with_value(draw.choice(others)).also

    pairs = [pair() for _ in range(count)]
    return [{"id": str(place), "text": english, "reference": basque} for place, (english, basque) in enumerate(pairs)]


def translated(path: Path, folder: Path, quickstart: Path, candidates: int) -> tuple[dict[str, str], dict[str, int]]:
    """Return the translations by id, and what the run asked for."""
    output = folder / f"{candidates}.jsonl"
    command = [
        BINARY, "translate", "-q", "-m", quickstart / "models" / "base_eu", "--from", "en", "--to", "eu", "--shots",
        quickstart / "data" / "shots.jsonl", "--field", "text", "--max-tokens", "120", "--batch-size", "64",
        "--retries", "0", "--candidates", str(candidates), path, "-o", output,
    ]  # fmt: skip
    subprocess.run(list(map(str, command)), check=True)
    kept = {record["id"]: record["text"] for record in map(orjson.loads, output.read_bytes().splitlines())}
    manifest = orjson.loads(output.with_name(output.name + ".manifest.json").read_bytes())
    return kept, manifest["translation"]


def interval(differences: np.ndarray) -> tuple[float, float]:
    draw = np.random.default_rng(0)
    means = draw.choice(differences, (ROUNDS, len(differences))).mean(1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def compare(rows: list[dict[str, str]], quickstart: Path, candidates: int) -> tuple[float, float, float]:
    """Print what both ways give; return the mean difference of chrF and its interval."""
    score = ChrF().score
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        path = folder / "en.jsonl"
        path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
        ways = {count: translated(path, folder, quickstart, count) for count in (1, candidates)}
    scores = {
        count: np.array([score(kept[row["id"]], row["reference"]) if row["id"] in kept else 0.0 for row in rows])
        for count, (kept, _) in ways.items()
    }
    lines = [("", "kept", "chrF", "requests", "tokens", "of drafts that were not taken")]
    for count, (kept, work) in ways.items():
        asked = [f"{work[name]:,}" for name in ("requests", "tokens", "unused")]
        name = f"{count} drafts" if count > 1 else "greedy"
        lines.append((name, f"{len(kept)} of {len(rows)}", f"{scores[count].mean():.2f}", *asked))
    table(lines)
    differences = scores[candidates] - scores[1]
    return float(differences.mean()), *interval(differences)


def main() -> None:
    options = argparse.ArgumentParser(usage=(__doc__ or "").split("\n\n")[1].strip())
    options.add_argument("--texts", type=int, default=1000)
    options.add_argument("--candidates", type=int, default=5)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--quickstart", type=Path, default=REPOSITORY / "quickstart")
    given = options.parse_args()
    found = {}
    for name, known in (("wordings seen in both languages", True), ("other wordings", False)):
        sys.stdout.write(f"{name}:\n")
        found[name] = compare(texts(given.texts, given.seed, known=known), given.quickstart.resolve(), given.candidates)
        sys.stdout.write("difference: {:+.2f} chrF ({:+.2f} to {:+.2f})\n".format(*found[name]))
    mean, low, _ = found["other wordings"]
    verdict(f"{mean:+.2f} chrF by {given.candidates} drafts where the model is not sure", low > 0)


if __name__ == "__main__":
    main()
