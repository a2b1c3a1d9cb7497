"""What each kernel is tried with."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import Any

import numba
import numpy as np
import orjson
from hypothesis import strategies as st
from spellings import TEXTS, lines, records
from twins import At, Bytes, Case, Fixed, Room, written

from latxa_cli.corpus.quality import letter_classes, letter_table
from latxa_cli.mixing.insertions import insertions
from latxa_cli.native import byte_pairs, json_lines, mix_rows, similarity, vectors
from latxa_cli.native.layout import LINE, MADE, ROW, UNREAD
from latxa_cli.native.normal_form import BLANK, CONTINUATION, LEAD_2, LEAD_3, LEAD_4, LINE_END
from latxa_cli.native.plain import byte_pairs as plain_byte_pairs
from latxa_cli.native.plain import hashing as plain_hashing
from latxa_cli.native.plain import mix_lines as plain_mix_lines
from latxa_cli.native.plain import ngrams as plain_ngrams
from latxa_cli.native.repetition import NGRAMS
from latxa_cli.native.tokens import LONGEST
from latxa_cli.text.normalise import _kinds as kinds_of_code_points
from latxa_cli.text.words import segment, table

U64 = st.integers(0, 2**64 - 1)
FEW = st.integers(0, 3)


def array(kind: Any, values: st.SearchStrategy[int], **sizes: int) -> st.SearchStrategy[np.ndarray]:
    return st.lists(values, **sizes).map(lambda found: np.array(found, kind))


# Some words, by hashes: n-grams of small numbers would have hashes in common.
A_WORD = st.sampled_from([plain_hashing.fmix64(number) for number in range(1, 5)])
HASHES = st.one_of(array(np.uint64, U64, max_size=30), array(np.uint64, FEW, max_size=60))
SETS = HASHES.map(np.unique)


# --- bytes and lines


BINARY = st.binary(max_size=90)


@st.composite
def bytes_and_places(draw: st.DrawFn, data: st.SearchStrategy[bytes] = BINARY) -> tuple[Bytes, At]:
    """Some bytes, and an address in them."""
    found = Bytes(draw(data))
    return found, At(found, draw(st.integers(0, max(0, len(found.data) - 1))))


def ends(data: Bytes) -> tuple[At, At]:
    return At(data), At(data, len(data.data))


SIGNS = [bytes([sign]) for sign in b'{}[]"\\,: \t\r0-\x00\xc3'] + [b".5", b"1e5", b"null", b"true", b"\\u000b"]
FIELDS = [b'"id"', b'"text"', b'"metadata":{"epoch":1}', b'"split":"x"', b'"url":"u"', b'"licence":""']
LIMITS = [
    b"[" * 61,
    b'{"a":' * 60,
    b"".join(b'"%d":0,' % number for number in range(130)),
    b"\xed\xa0\x80",
    b"\xf4\x8f",
]
TOKENS = st.sampled_from(SIGNS + FIELDS + LIMITS)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A line with something else in some places."""
    line = draw(lines())
    for _ in range(draw(st.integers(0, 3))):
        place, size = draw(st.integers(0, len(line))), draw(st.integers(0, 3))
        line = line[:place] + draw(TOKENS) + line[place + size :]
    return line.replace(b"\n", b" ")


ONE_LINE = st.one_of(lines(), damaged())
TOKEN_LINES = st.one_of(
    st.lists(TOKENS, max_size=4).map(b"".join),
    TEXTS.map(orjson.dumps),
    TEXTS.map(lambda text: orjson.dumps(text)[1:]),
    st.one_of(st.integers(-(2**63), 2**63), st.floats(allow_nan=False)).map(lambda number: str(number).encode()),
    st.sampled_from([b"01", b"01e5", b"-00", b"1.e5", b"0.0", b"1.50"]),
).map(lambda data: data.replace(b"\n", b" "))
BLOCKS = st.tuples(
    st.lists(st.one_of(ONE_LINE, ONE_LINE, st.sampled_from([b"", b" \r", b"x"])), max_size=5), st.booleans()
).map(lambda drawn: b"\n".join(drawn[0]) + b"\n" * drawn[1])


def record(line: bytes) -> tuple[Any, ...]:
    data = Bytes(line)
    first = len(line) - len(line.lstrip(b" \t"))
    return At(data, first), np.zeros(json_lines.FOUND_SIZE, np.int64), np.zeros(json_lines.NAMES_AT_MOST, np.uint64)


@st.composite
def documents(draw: st.DrawFn) -> tuple[Any, ...]:
    data = Bytes(draw(BLOCKS))
    most = data.data.count(b"\n") + 1
    bands = np.zeros((most if draw(st.booleans()) else 0, 25), np.uint64)
    scratch = np.zeros(len(data.data) + 2, np.uint64)
    return *ends(data), Fixed(table()), scratch, np.zeros(most, LINE), bands


@st.composite
def rows_of_lines(draw: st.DrawFn) -> tuple[Any, ...]:
    data = Bytes(draw(BLOCKS))
    rows = np.zeros(data.data.count(b"\n") + 1, ROW)
    split = np.frombuffer(bytearray(draw(st.sampled_from([b"train", b"valid", b""]))), np.uint8)
    return *ends(data), draw(array(np.uint64, U64, min_size=2, max_size=2)), split, draw(st.integers(0, 1)), rows


@st.composite
def emitted(draw: st.DrawFn) -> tuple[Any, ...]:
    """Lines that the kernel took, to be written with other sources and epochs."""
    plain_lines = [orjson.dumps(record) for record in draw(st.lists(records(), max_size=3))]
    data = Bytes(b"\n".join(plain_lines + draw(st.lists(ONE_LINE, min_size=1, max_size=3))))
    rows = np.zeros(data.data.count(b"\n") + 1, ROW)
    size = len(data.data)
    count = mix_rows.scan(data.at, data.at + size, np.zeros(2, np.uint64), np.zeros(0, np.uint8), 0, rows)
    rows = rows[:count][rows["flags"][:count] & UNREAD == 0]
    rows["offset"] += np.uint64(data.at)
    names = draw(st.lists(st.text("ab é/:", max_size=40), min_size=1, max_size=3))
    for row in rows:
        row["input"] = draw(st.integers(0, len(names) - 1))
        row["flags"] |= MADE * draw(st.booleans())
    picked = draw(
        array(
            np.int64, st.integers(0, max(0, len(rows) - 1)), min_size=min(1, len(rows)), max_size=6 if len(rows) else 0
        )
    )
    epochs = np.array([draw(st.integers(1, 3)) for _ in picked], np.int64)
    inserted = insertions(names, [draw(st.integers(1, 9)) for _ in names], 3)
    texts = Bytes(inserted.texts)
    room = Room(int(rows["length"][picked].sum()) + len(picked) * (inserted.longest + 1))
    out, given = np.zeros(len(picked), np.int64), (texts.at, inserted.starts, len(names))
    room = Room(plain_mix_lines.emit(rows, picked, epochs, *given, room.at, out))
    return Kept(rows, data), picked, epochs, At(texts), inserted.starts, len(names), At(room), out


class Kept(np.ndarray):
    """Rows whose offsets are addresses in bytes that live as long."""

    def __new__(cls, rows: np.ndarray, data: Bytes) -> Kept:
        kept = rows.view(cls)
        kept.data_kept = data
        return kept


def masks(of: Any) -> Any:
    """Return an instruction as a function that can be called."""
    return numba.njit(of)


# --- texts

CLEAN = st.text("aaabBé1 2.,-_'’·/:=@#…\n\n(•|*!?漢字中~\u2003\u200b", max_size=100)
WORDS = st.text(
    "aZñßıⅧ1²٣ _-.,'’·\n\u0301\u200d\u2028क्षिخو漢〇カไทย한\U0001e900\U0001f600\U00020000\U000e0100", max_size=60
)
SPELLED = st.one_of(TEXTS, WORDS).map(lambda text: orjson.dumps(text)[1:-1])


def codepoints(text: str) -> np.ndarray:
    return np.frombuffer(bytearray(text.encode("utf-32-le", "surrogatepass")), np.uint32)


def words_of(text: str) -> tuple[np.ndarray, ...]:
    found = segment(text)
    return codepoints(text), found.starts, found.ends, found.hashes


def tokenised(text: str) -> tuple[Any, ...]:
    size = 2 * len(text) + 1
    return *words_of(text), Fixed(letter_classes()), np.zeros(size, np.int32), np.zeros(size, np.uint64)


def ranks(values: np.ndarray) -> list[int]:
    """Return for each value which one it is in the order of their first places: who is equal to whom."""
    known: dict[int, int] = {}
    return [known.setdefault(value, len(known)) for value in values.tolist()]


REPEATING = st.tuples(st.lists(FEW, max_size=80), st.randoms(use_true_random=False)).map(
    lambda drawn: (
        np.array([drawn[1].randint(1, 9) for _ in drawn[0]], np.int32),
        np.array(drawn[0], np.uint64) * np.uint64(0x9E3779B97F4A7C15),
    )
)

KINDS = st.sampled_from([0, BLANK, LINE_END, LEAD_2, LEAD_3, LEAD_4, CONTINUATION, CONTINUATION, LEAD_3 | CONTINUATION])


@st.composite
def sought(draw: st.DrawFn) -> tuple[Any, ...]:
    """n-grams of some lengths, and a text that holds some of them."""
    lengths = sorted(draw(st.sets(st.integers(1, 6), min_size=1, max_size=3)))
    items = [draw(array(np.uint64, A_WORD, min_size=lengths[-1], max_size=12)) for _ in range(draw(st.integers(1, 3)))]
    grams = [plain_ngrams.ngrams(item, length) for item in items for length in lengths]
    shortest = [plain_ngrams.ngrams(item, lengths[0]) for item in items]
    text = draw(array(np.uint64, A_WORD, max_size=40))
    known = np.unique(np.concatenate(grams))
    found = np.full(draw(st.integers(0, 50)), -1, np.int64)
    return text, np.array(lengths, np.int64), plain_ngrams.bloom_filter(np.concatenate(shortest)), known, found


@st.composite
def ngrams_of(draw: st.DrawFn) -> tuple[Any, ...]:
    hashes = draw(HASHES)
    return hashes, draw(st.integers(0, len(hashes)))


@st.composite
def automata(draw: st.DrawFn) -> tuple[Any, ...]:
    """A text, and an automaton with weights of no meaning."""
    random_ = np.random.default_rng(draw(st.integers(0, 2**32)))
    rows, states, features, classes = (draw(st.integers(1, most)) for most in (4, 9, 6, 5))
    weights = random_.integers(-8000, 1, (features + 1, classes)).astype(np.int16)
    weights[-1] = 0
    return (
        np.frombuffer(bytearray(draw(st.binary(max_size=60))), np.uint8),
        random_.integers(0, states, (rows, 256)).astype(np.uint32),
        np.stack([random_.integers(0, rows, states), random_.integers(0, features + 1, states)], 1).astype(np.uint32),
        weights,
        random_.normal(-3, 1, classes).astype(np.float32),
        random_.integers(0, classes, classes),
        np.zeros(features + 1, np.int32),
    )


@st.composite
def chains(draw: st.DrawFn) -> tuple[Any, ...]:
    """Words of a text, some of which follow each other, and an automaton with weights of no meaning."""
    text, moves, states, weights, *_ = draw(automata())
    places = sorted(draw(st.sets(st.integers(0, len(text)))))
    bounds = list(pairwise(places))[::2]
    starts, ends = (np.array([bound[side] for bound in bounds], np.int64) for side in (0, 1))
    chained = np.array([place > 0 and draw(st.booleans()) for place in range(len(bounds))], bool)
    return text, starts, ends, chained, moves, states, weights


@st.composite
def evidence(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """How much more probable words are in other languages, and what it costs to change into those; often alike."""
    words, languages = draw(st.integers(0, 8)), draw(st.integers(1, 3))
    values = st.lists(st.integers(-3, 3), min_size=words * languages, max_size=words * languages)
    costs = st.lists(st.integers(0, 5), min_size=languages, max_size=languages)
    return np.array(draw(values), np.int32).reshape(words, languages), np.array(draw(costs), np.int64)


# --- documents that may be duplicates


@st.composite
def duplicates(draw: st.DrawFn, earlier: int = 0) -> tuple[Any, ...]:
    """Documents whose numbers begin at `earlier`, with what earlier chunks left."""
    count = draw(st.integers(0, 8))
    urls, bands = 4, 7  # groups by text, by URL, by bands
    texts, keys = chunk(draw, count, urls, bands)
    groups = bands + 4
    before = st.integers(-1, earlier - 1)
    rules = similarity.NearRules(draw(st.booleans()), draw(st.sampled_from([0.1, 0.5, 0.75, 1.0])), urls, bands)
    state, found = similarity.GroupState.of(groups), similarity.EarlierMatches.of(count)
    for group in range(groups):
        state.holders[group] = draw(before)
        state.followed[group] = draw(before) if group < urls else -1
        state.similarities[group] = 0.9 * (state.followed[group] >= 0)
        state.listed[group] = draw(st.sampled_from([0, 0, similarity.LISTED - 1, similarity.LISTED]))
    for document in range(count):
        found.url_similarities[document] = draw(st.sampled_from([0.0, 0.5]))
        found.nearest[document] = draw(before)
        found.similarities[document] = draw(st.sampled_from([0.75, 1.0])) * (found.nearest[document] >= 0)
    numbers = earlier + np.cumsum(draw(array(np.int64, st.integers(1, 3), min_size=count, max_size=count)))
    return numbers.astype(np.int64), texts, keys, state, found, rules


def chunk(draw: st.DrawFn, count: int, urls: int, bands: int) -> tuple[similarity.ShingleSets, similarity.GroupTable]:
    sets = [draw(st.one_of(SETS, st.sampled_from([np.arange(9, dtype=np.uint64), np.arange(1, 9, dtype=np.uint64)])))
            for _ in range(count)]  # fmt: skip
    groups = [
        [*draw(st.sets(st.integers(0, urls - 1), max_size=1)), *draw(st.sets(st.integers(urls, bands - 1), max_size=1)),
         *sorted(draw(st.sets(st.integers(bands, bands + 3))))]
        for _ in range(count)
    ]  # fmt: skip
    joined = np.concatenate([np.empty(0, np.uint64), *sets])
    texts = similarity.ShingleSets(joined, np.cumsum([0, *map(len, sets)]))
    every = np.array([group for some in groups for group in some], np.int64)
    return texts, similarity.GroupTable(np.cumsum([0, *map(len, groups)]), every)


@st.composite
def gathered(draw: st.DrawFn) -> tuple[Any, ...]:
    _, texts, keys, state, found, rules = draw(duplicates(earlier=50))
    count = draw(st.integers(0, 6))
    earlier, listed = chunk(draw, count, rules.urls, rules.bands)
    return np.arange(count), earlier, listed, texts, keys, state, found, rules


PAIR = st.tuples(st.integers(0, 19), st.integers(0, 19)).map(lambda pair: max(pair) << 32 | min(pair))
PAIRS = array(np.uint64, PAIR, max_size=25)


def roots(parents: np.ndarray) -> list[int]:
    found = []
    for number in range(len(parents)):
        while parents[number] != number:
            number = int(parents[number])
        found.append(number)
    return found


@st.composite
def forests(draw: st.DrawFn) -> tuple[Any, ...]:
    count = draw(st.integers(0, 20))
    parents = np.array([draw(st.integers(max(0, number - 4), number)) for number in range(count)], np.uint32)
    sizes = draw(array(np.uint32, st.sampled_from([1, 5, 2**31]), min_size=count, max_size=count))
    return parents, sizes, draw(st.integers(1, 12))


# --- pairs of symbols


@st.composite
def symbols(draw: st.DrawFn) -> dict[str, np.ndarray]:
    """The columns of some words, and a table without pairs."""
    words = draw(st.lists(st.lists(FEW, min_size=1, max_size=8), min_size=1, max_size=8))
    lengths = np.array([len(word) for word in words])
    places, starts = int(lengths.sum()), np.cumsum([0, *lengths[:-1]])
    after, before = np.arange(1, places + 1, dtype=np.int32), np.arange(-1, places - 1, dtype=np.int32)
    after[starts + lengths - 1], before[starts] = byte_pairs.NONE, byte_pairs.NONE
    return {
        "symbols": np.concatenate(words).astype(np.int32),
        "sizes": np.ones(places, np.int32),
        "after": after,
        "before": before,
        "weights": np.repeat(draw(array(np.int64, FEW, min_size=len(words), max_size=len(words))), lengths),
        "keys": np.full(64, byte_pairs.FREE),
        "counts": np.zeros(64, np.int64),
        "heads": np.full(64, byte_pairs.NONE),
        "listed": np.zeros(64, np.int32),
        "entries": np.zeros((3 * places, 2), np.int32),
        "used": np.zeros(2, np.int64),
    }


TABLE = ("keys", "counts", "heads", "listed", "entries", "used")
EVERY = ("symbols", "sizes", "after", "before", "weights", *TABLE)


def counted(columns: dict[str, np.ndarray]) -> tuple[Any, ...]:
    return 0, len(columns["symbols"]), columns["symbols"], columns["after"], columns["weights"], *of(columns, TABLE)


def of(columns: dict[str, np.ndarray], names: tuple[str, ...]) -> list[np.ndarray]:
    return [columns[name] for name in names]


@st.composite
def joins(draw: st.DrawFn) -> tuple[Any, ...]:
    columns = draw(symbols().filter(lambda columns: (columns["after"] >= 0).any()))
    plain_byte_pairs.count(*counted(columns))
    known = columns["keys"][columns["keys"] != byte_pairs.FREE].tolist()
    return np.uint64(draw(st.sampled_from(known))), 100, *of(columns, EVERY)


def joined(made: np.ndarray, _key: int, _symbol: int, *columns: np.ndarray) -> Any:
    found = dict(zip(EVERY, columns, strict=True))
    keys, counts = found["keys"], found["counts"]
    stands = found["symbols"] >= 0
    seen = {key: count for key, count in zip(keys.tolist(), counts.tolist(), strict=True) if count}
    return (
        found["symbols"], found["sizes"], found["after"][stands], found["before"][stands], str(sorted(seen.items())),
        sorted(key for key in keys[made].tolist() if key in seen),
    )  # fmt: skip


@st.composite
def tables(draw: st.DrawFn) -> np.ndarray:
    keys = np.full(16, byte_pairs.FREE)
    for key in draw(st.lists(FEW, max_size=6)):
        keys[plain_byte_pairs.slot_of(keys, key)] = key
    return keys


@st.composite
def moves(draw: st.DrawFn) -> tuple[Any, ...]:
    columns = draw(symbols())
    plain_byte_pairs.count(*counted(columns))
    return 128, *of(columns, TABLE[:4])


# --- all of them


@cache
def real_kinds() -> np.ndarray:
    return kinds_of_code_points()


CASES = {
    "byte_pairs.count": Case(symbols().map(counted)),
    "byte_pairs.join": Case(joins(), joined),
    "byte_pairs.rehash": Case(moves()),
    "byte_pairs.slot_of": Case(st.tuples(tables(), FEW.map(np.uint64))),
    "components.pack": Case(forests(), lambda batches, *_: batches),
    "components.union": Case(
        st.tuples(st.just(np.arange(20, dtype=np.uint32)), PAIRS), lambda _, parents, __: roots(parents)
    ),
    "documents.scan": Case(
        documents(), lambda counts, _s, _e, _t, _h, lines, bands: (counts, lines[: counts[0]], bands[: counts[0]])
    ),
    "figures.distinct": Case(st.tuples(HASHES, SETS)),
    "figures.foreign": Case(
        st.one_of(WORDS, CLEAN).map(lambda text: (codepoints(text), Fixed(letter_table("abcñ漢"))))
    ),
    "figures.measure": Case(CLEAN.map(lambda text: (*words_of(text), Fixed(letter_classes())))),
    "hashing.fmix64": Case(st.tuples(U64.map(np.uint64))),
    "hashing.xxh64": Case(
        st.tuples(st.binary(max_size=100), U64.map(np.uint64)).map(lambda d: (At(Bytes(d[0])), len(d[0]), d[1]))
    ),
    "json_lines.blank": Case(
        st.text(" \t\rx\n", max_size=9).map(
            lambda text: (At(Bytes(text.encode())), np.zeros(json_lines.FOUND_SIZE, np.int64))
        )
    ),
    "json_lines.count_lines": Case(st.text("ab\n", max_size=200).map(lambda text: ends(Bytes(text.encode())))),
    "json_lines.ends_line": Case(st.sampled_from([b"", b"\n", b"x", b"x\n"]).map(lambda data: ends(Bytes(data)))),
    "json_lines.line_end": Case(
        st.text("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\n", max_size=200).map(lambda text: ends(Bytes(text.encode())))
    ),
    "json_lines.record": Case(
        ONE_LINE.map(record), lambda end, at, found, _: (end, found[: json_lines.SLOTS] if end else 0)
    ),
    "json_tokens.scalar": Case(TOKEN_LINES.map(lambda data: (At(Bytes(data)),))),
    "json_tokens.string": Case(
        TOKEN_LINES.map(lambda data: (At(Bytes(data)),)), lambda token, _: token if token[0] else 0
    ),
    "minhash.band_keys": Case(st.tuples(HASHES)),
    "minhash.hash_runs": Case(st.tuples(HASHES)),
    "minhash.jaccard": Case(st.tuples(SETS, SETS, st.integers(0, 20))),
    "mix_lines.emit": Case(
        emitted(), lambda size, _r, _p, _e, _t, _s, _i, out, ends: (size, written(out)[:size], ends)
    ),
    "mix_rows.scan": Case(rows_of_lines(), lambda count, *given: (count, given[-1][:count])),
    "naive_bayes.classify": Case(automata(), lambda found, *given: (found[0], given[-1]), lambda found: found[1]),
    "ngrams.bloom_filter": Case(st.tuples(HASHES)),
    "ngrams.find": Case(sought()),
    "ngrams.ngrams": Case(ngrams_of()),
    "normal_form.defects": Case(
        st.one_of(
            st.tuples(array(np.uint32, KINDS, max_size=12), st.just(np.arange(256, dtype=np.uint8))),
            st.text().map(lambda text: (codepoints(text), Fixed(real_kinds()))),
        )
    ),
    "repetition.ngrams": Case(REPEATING.map(lambda drawn: (*drawn, int(drawn[0].sum()) + 9, np.zeros(NGRAMS)))),
    "repetition.repeated_lines": Case(REPEATING.map(lambda drawn: drawn[::-1])),
    "similarity.decide": Case(duplicates(earlier=50)),
    "similarity.match_earlier": Case(gathered()),
    "switches.label": Case(evidence()),
    "switches.weigh": Case(chains()),
    "tokens.among": Case(st.tuples(array(np.uint32, FEW, max_size=4).map(np.sort), FEW)),
    "tokens.is_space": Case(st.tuples(st.one_of(st.integers(0, 0x3100), st.sampled_from([0x200B, 0x2028, 0x3000])))),
    "tokens.most_tokens": Case(CLEAN.map(lambda text: words_of(text)[:3])),
    "tokens.tokenise": Case(
        st.one_of(CLEAN, st.just("a" * (LONGEST + 9) + " b")).map(tokenised),
        lambda found, *given: (found, given[-2][: found[0]], ranks(given[-1][: found[0]])),
    ),
    "vectors.bits": Case(st.tuples(st.integers(0, 2**62)), kernel=masks(lambda mask: vectors.bits(mask))),
    "vectors.byte_at": Case(
        bytes_and_places().map(lambda drawn: drawn[1:]), kernel=masks(lambda at: vectors.byte_at(at))
    ),
    "vectors.copy": Case(
        bytes_and_places().map(lambda drawn: (drawn[1], At(Room(vectors.WIDTH)))),
        lambda _, at, to: written(to),
        kernel=masks(lambda at, to: vectors.copy(at, to)),
    ),
    "vectors.equal": Case(
        st.tuples(bytes_and_places(), st.integers(0, 255)).map(lambda drawn: (drawn[0][1], drawn[1])),
        kernel=masks(lambda at, byte: vectors.equal(at, byte)),
    ),
    "vectors.lowest": Case(st.tuples(st.integers(0, 2**62)), kernel=masks(lambda mask: vectors.lowest(mask))),
    "vectors.put": Case(
        st.integers(0, 255).map(lambda byte: (byte, At(Room(1)))),
        lambda _, byte, to: written(to),
        kernel=masks(lambda byte, to: vectors.put(byte, to)),
    ),
    "vectors.special": Case(
        bytes_and_places(st.one_of(st.binary(max_size=90), SPELLED)).map(lambda drawn: drawn[1:]),
        kernel=masks(lambda at: vectors.special(at)),
    ),
    "vectors.word_at": Case(
        bytes_and_places().map(lambda drawn: drawn[1:]), kernel=masks(lambda at: vectors.word_at(at))
    ),
    "words.hash_words": Case(
        SPELLED.map(
            lambda spelled: (At(Bytes(spelled)), len(spelled), Fixed(table()), np.zeros(len(spelled) + 1, np.uint64))
        ),
        lambda counts, *given: (counts, given[-1][: counts[0]]),
    ),
    "words.length_of": Case(
        st.tuples(st.integers(0, 99), st.integers(0, 99), st.integers(0, 99)).map(
            lambda drawn: (sum(drawn), drawn[0], drawn[1])
        )
    ),
    "words.whole": Case(st.floats(0, 1e6).map(lambda length: (length,))),
    "words.segment": Case(WORDS.map(lambda text: (codepoints(text), Fixed(table())))),
}
