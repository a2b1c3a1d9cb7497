"""A mix in plain Python, as slow and simple as can be: what `latxa_cli.mixing` must come to, byte by byte."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import orjson
from xxhash import xxh3_64_intdigest, xxh64_intdigest

Record = dict[str, Any]
BITS = 2**64
ORDER, HOLD_OUT, SUBSET, EPOCH, TAKE = range(5)


def spread(value: int) -> int:
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 % BITS
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB % BITS
    return value ^ (value >> 31)


def identities_of(name: str, own: str, given: str, seed: int) -> tuple[int, int]:
    """Return the hash of a record's content, which all that repeat it have, and that of the record itself."""
    base, count = given, 1
    if match := re.fullmatch(r"([0-9a-f]{16})-([1-9]\d*)", given):
        base, count = match[1], int(match[2])
    if count == 1:
        base = given
    content = xxh64_intdigest(base.encode(), xxh64_intdigest(own.encode(), xxh64_intdigest(name.encode(), seed)))
    if count == 1:
        return content, content
    source = xxh64_intdigest(own.encode(), xxh64_intdigest(f"{name}\0check".encode(), seed))
    return content, spread((xxh64_intdigest(base.encode(), source) + count * 0x9E3779B97F4A7C15) % BITS)


def draw(identity: int, purpose: int, epoch: int = 1) -> int:
    return spread((identity + (purpose << 32 | epoch) * 0x9E3779B97F4A7C15) % BITS) >> 1


def mix(
    inputs: dict[str, Sequence[Record]], *, seed: int = 0, weights: dict[str, float] | None = None,
    hold_out: dict[str, int] | None = None, take_from: dict[str, int] | None = None, take: int | None = None,
) -> tuple[list[Record], list[Record], list[str]]:  # fmt: skip
    """Return the records of the mix in order, those held out, and the details of duplicates."""
    copies: list[tuple[int, int, int, Record]] = []  # order, take, epoch, record
    held: list[tuple[int, Record]] = []
    duplicates: list[str] = []
    for name, records in inputs.items():
        found = distinct(name, records, seed, duplicates)
        firsts = {content: (identity, record) for content, identity, record in reversed(found)}
        chosen = sorted(firsts, key=lambda content: draw(content, HOLD_OUT))[: (hold_out or {}).get(name, 0)]
        held += [(draw(identity, ORDER), record) for identity, record in map(firsts.__getitem__, chosen)]
        kept = [(identity, record) for content, identity, record in found if content not in chosen]
        kept = sorted(kept, key=lambda item: draw(item[0], SUBSET))[: (take_from or {}).get(name)]
        weight = (weights or {}).get(name, 1.0)
        kept.sort(key=lambda item: draw(item[0], EPOCH))
        more = round(len(kept) * (weight - int(weight)))
        for place, (identity, record) in enumerate(kept):
            for epoch in range(1, int(weight) + (place < more) + 1):
                metadata = (record.get("metadata") or {}) | {"epoch": epoch}
                copy = record if epoch == 1 else record | {"metadata": metadata}
                copies.append((draw(identity, ORDER, epoch), draw(identity, TAKE, epoch), epoch, copy))
    taken = sorted(copies, key=lambda copy: copy[1])[:take]
    ordered = [record for *_, record in sorted(taken, key=lambda copy: copy[0])]
    return ordered, [record for _, record in sorted(held, key=lambda item: item[0])], duplicates


def distinct(name: str, records: Sequence[Record], seed: int, duplicates: list[str]) -> list[tuple[int, int, Record]]:
    """Give ids, name the source, leave out what comes again; return (content, identity, record)."""
    seen: set[tuple[str, str, int]] = set()
    hashes: Counter[tuple[str, str]] = Counter()
    named: list[tuple[str, str, str, Record]] = []
    for record in records:
        own = record.get("source") or ""
        source = f"{name}/{own}" if own else name
        given = record.get("id")
        if given is None:
            content = {field: value for field, value in record.items() if field not in ("id", "metadata")}
            base = sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
            hashes[source, base] += 1
            given = base if hashes[source, base] == 1 else f"{base}-{hashes[source, base]}"
            record = {"id": given} | {field: value for field, value in record.items() if field != "id"}
        elif isinstance(given, int):
            given = str(given)
            record = {"id": given} | {field: value for field, value in record.items() if field != "id"}
        named.append((own, source, given, record))
    contents: dict[tuple[str, str], set[int]] = {}
    for _, source, given, record in named:
        contents.setdefault((source, given), set()).add(text_hash(record))
    keys = {(source, given): identities_of(name, own, given, seed) for own, source, given, _ in named}
    shared = {keys[key][0] for key, hashes_of_key in contents.items() if len(hashes_of_key) > 1}
    kept = []
    for _, source, given, record in named:
        text, (content, identity) = text_hash(record), keys[source, given]
        if (source, given, text) in seen:
            duplicates.append(f"{source}: {given}")
            continue
        seen.add((source, given, text))
        if content in shared:
            content, identity = (spread(key ^ text) for key in (content, identity))
        kept.append((content, identity, record | {"source": source}))
    return kept


def text_hash(record: Record) -> int:
    content = record.get("messages") or record["text"]
    return xxh3_64_intdigest(orjson.dumps(content, option=orjson.OPT_SORT_KEYS))
