"""Which documents are duplicates, and of which kept one: against the rule followed naively, and in hostile cases."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from examined import Document, cut, leave, work_on
from hypothesis import given, settings
from hypothesis import strategies as st

from latxa_cli.corpus import duplicates as module
from latxa_cli.corpus.documents import Documents
from latxa_cli.corpus.duplicates import disk_need, duplicates, load_decisions, reason_of
from latxa_cli.corpus.greedy import DocumentChunk, KeptDocuments, _compare, _kept
from latxa_cli.corpus.groups import FIRST_BAND, group, split
from latxa_cli.native.similarity import KEPT, LISTED, EarlierMatches, GroupState, GroupTable, NearRules, ShingleSets
from latxa_cli.native.similarity import decide as decide_chunk
from latxa_cli.stages import Work
from latxa_cli.stream.errors import LatxaError
from latxa_cli.text.shingles import bands, jaccard, shingles
from latxa_cli.text.words import segment

ALL = ["exact", "url", "near"]
LARGE = 1 << 30
VOCABULARY = [f"hitza{number}" for number in range(3000)]


class Fate(NamedTuple):
    """Why a document is dropped, for which one, by its number, and how similar they are."""

    reason: str
    keeper: int
    similarity: float


Fates = dict[int, Fate]  # of the dropped documents, by their numbers


def decide(folder: Path, parts: list[list[Document]], kinds: list[str] = ALL, memory: int = LARGE) -> Fates:
    with work_on(folder) as work, work.executor:
        duplicates(work, leave(work, parts), kinds=kinds, similarity=0.7, memory=memory)
        return fates_in(work.folder, parts)


def fates_in(work: Path, parts: list[list[Document]]) -> Fates:
    starts = np.cumsum([0, *map(len, parts)]).tolist()
    fates: Fates = {}
    kept_for: dict[int, int] = {}
    for part, start in enumerate(starts[:-1]):
        decisions = load_decisions(work, part)
        assert (np.diff(decisions.dropped["index"].astype(int)) > 0).all()
        for index, code, similarity, keeper in decisions.dropped.tolist():
            number = starts[keeper >> 32] + (keeper & 0xFFFFFFFF)
            fates[start + index] = Fate(reason_of(code)[1], number, round(similarity, 4))
        kept_for |= {start + index: count for index, count in decisions.kept_for.tolist()}
    assert kept_for == Counter(fate.keeper for fate in fates.values())
    assert not fates.keys() & kept_for.keys()
    return fates


def by_the_rule(documents: list[Document], kinds: list[str]) -> Fates:
    """The rule, as the docstring of `duplicates` has it."""
    sets = [shingles(segment(document["text"])) for document in documents]
    keys = [set(enumerate(bands(one).tolist())) if len(one) else set() for one in sets]
    fates: Fates = {}
    kept: list[int] = []
    for number, document in enumerate(documents):
        same_text = [other for other in range(number) if documents[other]["text"] == document["text"]]
        twins = [other for other in same_text if other in kept]
        near = [fates[other] for other in same_text if other in fates and fates[other].reason == "near duplicate"]
        urls = [other for other in kept if "url" in document and documents[other].get("url") == document["url"]]
        candidates = [other for other in kept if keys[other] & keys[number]]
        best = min(((-jaccard(sets[other], sets[number]), other) for other in candidates), default=(0.0, -1))
        if "exact" in kinds and twins:
            fates[number] = Fate("exact duplicate", twins[0], 1.0)
        elif near:
            fates[number] = near[0]
        elif "url" in kinds and urls:
            fates[number] = Fate("duplicate URL", urls[0], round(jaccard(sets[urls[0]], sets[number]), 4))
        elif "near" in kinds and -best[0] >= 0.7:
            fates[number] = Fate("near duplicate", best[1], round(-best[0], 4))
        else:
            kept.append(number)
    return fates


def a_text(draw: random.Random, words: int) -> str:
    return " ".join(draw.choices(VOCABULARY, k=words))


def edited(draw: random.Random, text: str, changes: int) -> str:
    words = text.split(" ")
    for _ in range(changes):
        words[draw.randrange(len(words))] = draw.choice(VOCABULARY)
    return " ".join(words)


def a_corpus(seed: int, size: int) -> list[Document]:
    """Documents among which are copies, versions under one URL, near duplicates of all degrees, and no words at all."""
    draw = random.Random(seed)
    documents: list[Document] = []
    for _ in range(size):
        text = a_text(draw, draw.choice((3, 40, 60)))
        if documents and draw.random() < 0.8:
            text = draw.choice(documents)["text"]
            if draw.random() < 0.6:
                text = edited(draw, text, draw.choice((1, 1, 2, 3)))
        documents.append({"text": text if draw.random() < 0.95 else "..."})
        if draw.random() < 0.5:
            documents[-1]["url"] = f"https://adibidea.eus/{draw.randrange(size // 2 + 1)}"
    return documents


# --- the rule


@settings(max_examples=15)
@given(
    seed=st.integers(0, 10**6),
    size=st.integers(0, 40),
    parts=st.lists(st.integers(0, 15), max_size=4),
    kinds=st.lists(st.sampled_from(ALL), unique=True, min_size=1),
    memory=st.sampled_from((3_000, 10_000, 30_000, LARGE)),
)
def test_decisions_are_those_of_the_rule(
    tmp_path_factory: pytest.TempPathFactory, seed: int, size: int, parts: list[int], kinds: list[str], memory: int
) -> None:
    documents = a_corpus(seed, size)
    assert decide(tmp_path_factory.mktemp("work"), cut(documents, parts), kinds, memory) == by_the_rule(
        documents, kinds
    )


def test_two_workers_decide_the_same(tmp_path: Path) -> None:
    documents = a_corpus(1, 90)
    parts = cut(documents, (30, 0, 30))
    with work_on(tmp_path, workers=2) as work, work.executor:
        duplicates(work, leave(work, parts), kinds=ALL, similarity=0.7, memory=60_000)
        assert fates_in(work.folder, parts) == by_the_rule(documents, ALL)


def test_nothing_is_dropped_through_a_chain(tmp_path: Path) -> None:
    words = a_text(random.Random(0), 90).split()
    chain = [" ".join(words[start : start + 60]) for start in (0, 6, 12, 18)]  # neighbours have 50 of 62 shingles
    fates = decide(tmp_path, [[{"text": text} for text in chain]])
    assert fates == {1: Fate("near duplicate", 0, 0.8065), 3: Fate("near duplicate", 2, 0.8065)}


def test_one_url_is_reason_enough_whatever_the_texts(tmp_path: Path) -> None:
    draw = random.Random(0)
    long = a_text(draw, 40)
    texts = [long, a_text(draw, 40), edited(draw, long, 3), "...", "…"]
    fates = decide(tmp_path, [[{"text": text, "url": "https://adibidea.eus"} for text in texts]])
    assert {fate[:2] for fate in fates.values()} == {("duplicate URL", 0)}
    assert fates[1].similarity == 0.0 and 0.2 < fates[2].similarity < 0.7 and fates[3].similarity == 0.0


def test_the_text_comes_before_the_url(tmp_path: Path) -> None:
    texts = [a_text(random.Random(seed), 30) for seed in range(2)]
    documents = [
        {"text": texts[0], "url": "a"},
        {"text": texts[1], "url": "b"},
        {"text": texts[1], "url": "a"},
        {"text": texts[0]},
    ]
    assert decide(tmp_path, [documents]) == {2: Fate("exact duplicate", 1, 1.0), 3: Fate("exact duplicate", 0, 1.0)}


def test_a_text_dropped_for_its_url_may_stay_under_another(tmp_path: Path) -> None:
    kept, other = (a_text(random.Random(seed), 30) for seed in range(2))
    documents = [{"text": kept, "url": "a"}, {"text": other, "url": "a"}, {"text": other, "url": "b"}, {"text": other}]
    fates = decide(tmp_path, [documents])
    assert fates == {1: Fate("duplicate URL", 0, 0.0), 3: Fate("exact duplicate", 2, 1.0)}


def changed(*places: int) -> Document:
    """A text of 100 words with others in n places: where these are apart, it shares 96 - 5 n of 96 + 5 n shingles."""
    words = a_text(random.Random(0), 100).split()
    return {"text": " ".join(f"aldatua{place}" if place in places else word for place, word in enumerate(words))}


CHUNKS = {"one chunk": LARGE, "two documents a chunk": 8 * 2500, "one document a chunk": 8 * 900}


@pytest.mark.parametrize("memory", CHUNKS.values(), ids=CHUNKS)
def test_of_several_the_most_similar_is_named_and_of_equals_the_first(tmp_path: Path, memory: int) -> None:
    far, near, also_far, also_near = changed(5, 15, 25), changed(35, 45), changed(55, 65, 75), changed(85, 95)
    for order, keeper in (
        ((far, near, also_far, changed()), 1),
        ((far, also_far, near, changed()), 2),
        ((far, near, also_near, changed()), 1),
        ((near, also_near, changed()), 0),
    ):
        documents = list(order)
        fates = decide(tmp_path / str(len(list(tmp_path.iterdir()))), [documents], memory=memory)
        assert fates == {len(order) - 1: Fate("near duplicate", keeper, round(86 / 106, 4))}


@pytest.mark.parametrize("memory", CHUNKS.values(), ids=CHUNKS)
@pytest.mark.parametrize("kinds", (ALL, ["near"], ["url", "near"]))
def test_copies_of_a_near_duplicate_are_near_duplicates_of_the_same(
    tmp_path: Path, kinds: list[str], memory: int
) -> None:
    near, nearer = changed(20, 40, 60), changed(20, 40, 60, 80)  # the second is nearer to the first than to the text
    fates = decide(tmp_path, [[changed(), near, nearer, near]], kinds, memory)
    assert fates == dict.fromkeys((1, 3), Fate("near duplicate", 0, round(81 / 111, 4)))


def test_texts_without_words_are_never_near(tmp_path: Path) -> None:
    assert decide(tmp_path, [[{"text": "..."}, {"text": "!!!"}, {"text": "..."}]]) == {
        2: Fate("exact duplicate", 0, 1.0)
    }


# --- scale


@pytest.mark.parametrize("memory", (LARGE, 4_000_000), ids=("one chunk", "many chunks"))
def test_a_component_of_thousands(tmp_path: Path, memory: int) -> None:
    """Pages of one template: each is a candidate for many others, none is similar enough but the injected ones."""
    draw = random.Random(0)
    template = a_text(draw, 90)
    documents = [{"text": f"{template} {a_text(draw, 35)}"} for _ in range(5000)]
    for number in range(0, 5000, 500):
        documents[number + 7] = {"text": documents[number]["text"] + " gehigarria"}
    fates = decide(tmp_path, cut(documents, (2000, 2000)), ["near"], memory)
    assert {number: fate.keeper for number, fate in fates.items()} == {n + 7: n for n in range(0, 5000, 500)}


@pytest.mark.parametrize("chunks", (1, 3))
def test_of_those_who_share_a_band_the_first_so_many_are_compared(chunks: int) -> None:
    """Documents 0 … LISTED are unlike each other and share one band; two more are copies of the last two of them."""
    sets = [np.arange(20, dtype=np.uint64) + np.uint64(100 * number) for number in range(LISTED + 1)]
    sets += [sets[LISTED - 1], sets[LISTED]]
    group_of_all = np.array([FIRST_BAND << 32], np.uint64)
    rules = NearRules(True, 0.7, 0, 0)
    spilled: list[KeptDocuments] = []
    dropped: list[int] = []
    for numbers in np.array_split(np.arange(len(sets)), chunks):
        bounds = np.arange(len(numbers) + 1)
        keys = GroupTable(bounds, np.zeros(len(numbers), np.int64))
        chunk = DocumentChunk(
            numbers, ShingleSets(np.concatenate([sets[n] for n in numbers]), bounds * 20), keys, group_of_all
        )
        state, found = GroupState.of(1), EarlierMatches.of(len(numbers))
        for kept in spilled:
            _compare(kept, chunk, state, found, rules)
        reasons, keepers, _, listed = decide_chunk(numbers, chunk.texts, chunk.keys, state, found, rules)
        spilled.append(_kept(chunk, reasons == KEPT, listed, state, rules))
        dropped += [int(keeper) for keeper, reason in zip(keepers, reasons, strict=True) if reason != KEPT]
    assert dropped == [LISTED - 1]


def test_exact_duplicates_alone_need_no_text(tmp_path: Path) -> None:
    documents = a_corpus(2, 200)
    with work_on(tmp_path) as work:
        infos = leave(work, cut(documents, (90,)))
        for info in infos:
            Path(info["data"]).unlink()
        duplicates(work, infos, kinds=["exact"], similarity=0.7, memory=LARGE)
        assert fates_in(work.folder, cut(documents, (90,))) == by_the_rule(documents, ["exact"])


@pytest.mark.parametrize("parts", ([], [[]], [[], []], [[{"text": "bat"}]]))
@pytest.mark.parametrize("kinds", (["exact"], ALL))
def test_few_documents_or_none(tmp_path: Path, parts: list[list[Document]], kinds: list[str]) -> None:
    assert decide(tmp_path, parts, kinds) == {}


def test_where_nothing_was_looked_for_nothing_was_decided(tmp_path: Path) -> None:
    assert decide(tmp_path, [a_corpus(0, 10)], []) == {}
    assert not (tmp_path / "decisions").exists()


def test_too_many_documents_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LatxaError, match="4,294,967,297 documents"):
        Documents.save(tmp_path, [{"documents": (1 << 32) + 1, "data": ""}])


# --- intermediate files


def test_disk_need_is_enough_and_files_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = a_text(random.Random(0), 100)
    documents = [{"text": f"{text} {number}", "url": str(number // 2)} for number in range(1000)]
    with monkeypatch.context() as patch:
        patch.setattr(module, "_remove", lambda *_: None)
        decide(tmp_path / "all", [documents])
    files = [path for path in (tmp_path / "all").rglob("*.npy") if path.parent.name != "examine"]
    assert 0.2 < sum(path.stat().st_size - 128 for path in files) / disk_need(len(documents)) < 1  # 128: the header
    decide(tmp_path / "left", [documents])
    left = {path.parent.name for path in (tmp_path / "left").rglob("*.npy")}
    assert left == {"examine", "decisions"}


@pytest.mark.parametrize("stage", ("same", "copies", "similar", "components", "shares", "resolve", "decisions"))
def test_an_interrupted_run_goes_on(tmp_path: Path, stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    documents = a_corpus(4, 60)
    parts = cut(documents, (20, 20))

    def interrupted(self: Work, name: str, function: Any, tasks: Any, **options: Any) -> Any:
        if name != stage:
            return whole(self, name, function, tasks, **options)
        whole(self, name, function, tasks[: len(tasks) // 2], **options)
        raise KeyboardInterrupt

    whole = Work.stage
    with work_on(tmp_path) as work, monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Work, "stage", interrupted)
        duplicates(work, leave(work, parts), kinds=ALL, similarity=0.7, memory=60_000)
    for _ in range(2):  # the second finds that all is done
        with work_on(tmp_path, resume=True) as work:
            infos = [{"data": str(tmp_path / f"examine/{n:05}.kept"), "documents": len(p)} for n, p in enumerate(parts)]
            duplicates(work, infos, kinds=ALL, similarity=0.7, memory=60_000)
            assert fates_in(work.folder, parts) == by_the_rule(documents, ALL)


# --- pieces


@given(
    shared=st.integers(1, 300),
    one=st.integers(0, 300),
    other=st.integers(0, 300),
    least=st.sampled_from((0.1, 0.5, 0.7, 0.75, 0.9, 1.0)),
    barely=st.booleans(),
)
def test_candidates_are_told_apart_as_if_compared_in_full(
    shared: int, one: int, other: int, least: float, barely: bool
) -> None:
    if barely:  # or barely not
        other = other % 3
        one = min(300, max(0, round(shared * (1 / least - 1)) - 1))
    hashes = np.random.default_rng(shared).integers(0, 1 << 63, 1000, dtype=np.uint64)
    left, right = np.sort(hashes[: shared + one]), np.sort(np.concatenate([hashes[:shared], hashes[1000 - other :]]))
    texts = ShingleSets(np.concatenate([left, right]), np.cumsum([0, len(left), len(right)]))
    keys = GroupTable(np.array([0, 1, 2]), np.array([0, 0]))
    decided = decide_chunk(
        np.arange(2), texts, keys, GroupState.of(1), EarlierMatches.of(2), NearRules(False, least, 0, 0)
    )
    expected = jaccard(left, right)
    assert decided[2].tolist() == ([0.0, expected] if expected >= least else [0.0, 0.0])


@pytest.mark.parametrize("percent", (5, 10, 30, 50, 60, 65, 70, 75, 80, 85, 90, 95, 100))
def test_who_is_exactly_as_similar_as_is_asked_is_a_near_duplicate(percent: int) -> None:
    """Sets of which so many per cent are shared, and one shingle less: at every threshold and size."""
    for union in range(20, 401, 20):
        shared = percent * union // 100
        for common in (shared, shared - 1):
            alone = np.arange(common, union, dtype=np.uint64)
            left, right = (np.concatenate([np.arange(common, dtype=np.uint64), alone[half::2]]) for half in (0, 1))
            texts = ShingleSets(np.concatenate([left, right]), np.cumsum([0, len(left), len(right)]))
            keys = GroupTable(np.array([0, 1, 2]), np.array([0, 0]))
            rules = NearRules(False, percent / 100, 0, 0)
            reasons, *_ = decide_chunk(np.arange(2), texts, keys, GroupState.of(1), EarlierMatches.of(2), rules)
            assert (reasons[1] != KEPT) == (common == shared), (union, common)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=40))
def test_groups_are_those_who_share_all_of_a_key(keys: list[tuple[int, int]]) -> None:
    numbers = np.arange(100, 100 + len(keys), dtype=np.uint32)
    found = group(np.array(keys, np.uint64).reshape(-1, 2).T, numbers)
    expected = [(100 + n, 100 + keys.index(key)) for n, key in enumerate(keys) if keys.count(key) > 1]
    assert list(zip(*(column.tolist() for column in split(found)), strict=True)) == expected
