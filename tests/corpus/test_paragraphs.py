"""What is trimmed from the ends of documents: against the rule followed naively, and that nothing is lost."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from examined import Document, cut, leave, work_on
from hypothesis import given, settings
from hypothesis import strategies as st

from latxa_cli.corpus.duplicates import duplicates, load_decisions
from latxa_cli.corpus.paragraphs import BYTES_PER_PARAGRAPH, LONG, disk_need, load_trims, paragraphs, stretch, trim

LARGE = 1 << 30
Trims = dict[int, tuple[int, int]]


def long(number: int) -> str:
    return " ".join(f"hitz{number}x{place}" for place in range(LONG))


def trims_of(folder: Path, parts: list[list[Document]], memory: int = LARGE, workers: int = 1) -> Trims:
    with work_on(folder, workers) as work, work.executor:
        infos = leave(work, parts)
        paragraphs(work, infos, memory=memory)
        assert not list((work.folder / "known").glob("*.npy"))
        starts = np.cumsum([0, *map(len, parts)]).tolist()
        return {
            start + index: (first, last)
            for part, start in enumerate(starts[:-1])
            for index, first, last in load_trims(work.folder, part).tolist()
        }


def by_the_rule(texts: list[str]) -> Trims:
    """The rule, as the docstring of `paragraphs` has it, of documents that nothing was dropped for."""
    trims: Trims = {}
    seen: set[str] = set()
    for number, text in enumerate(texts):
        lines = [line.strip() for line in text.split("\n") if line.strip()]
        first, last = 0, len(lines)
        for place in range(len(lines)):
            if all(line in seen for line in lines[: place + 1]) and len(lines[place].split()) >= LONG:
                first = place + 1
        for place in reversed(range(len(lines))):
            if all(line in seen for line in lines[place:]) and len(lines[place].split()) >= LONG:
                last = place
        if (first, last) != (0, len(lines)):
            enough = sum(len(line.split()) for line in lines[first:last]) >= LONG
            trims[number] = (first, last) if enough else (0, 0)
        seen.update(lines)
    return trims


def texts_of(seed: int, size: int) -> list[str]:
    """Texts of few different paragraphs, long ones and short ones, with blank lines and spaces around them."""
    draw = random.Random(seed)
    pool = [*(long(number) for number in range(size)), *("Sarrera", "1. atala", "Ikus, gainera:"), long(0)[:-9]]
    texts = []
    for _ in range(size):
        lines = draw.choices(pool, k=draw.randrange(7))
        texts.append(
            "\n".join(draw.choice(("", "", " ", "\n", "\t\n")) + line + draw.choice(("", " ")) for line in lines)
        )
    return texts


@settings(max_examples=30)
@given(
    seed=st.integers(0, 10**6),
    size=st.integers(0, 40),
    parts=st.lists(st.integers(0, 15), max_size=4),
    memory=st.sampled_from((700, 3_000, LARGE)),
)
def test_what_is_trimmed_follows_the_rule_and_no_long_paragraph_is_lost(
    tmp_path_factory: pytest.TempPathFactory, seed: int, size: int, parts: list[int], memory: int
) -> None:
    texts = texts_of(seed, size)
    documents = [{"text": text} for text in texts]
    trims = trims_of(tmp_path_factory.mktemp("work"), cut(documents, parts), memory)
    assert trims == by_the_rule(texts)
    left = [trim(text, *trims[number]) if number in trims else text for number, text in enumerate(texts)]
    assert long_ones(left) == long_ones(texts)


def long_ones(texts: list[str]) -> set[str]:
    return {line.strip() for text in texts for line in text.split("\n") if len(line.split()) >= LONG}


def test_two_workers_trim_the_same(tmp_path: Path) -> None:
    texts = texts_of(3, 60)
    parts = cut([{"text": text} for text in texts], (20, 0, 20))
    assert trims_of(tmp_path, parts, memory=60 * BYTES_PER_PARAGRAPH, workers=2) == by_the_rule(texts)


def test_a_heading_goes_only_with_what_is_farther_in(tmp_path: Path) -> None:
    old = "\n".join(["Hasiera", long(0), "Sarrera", long(1), "Amaiera"])
    new = "\n".join(["Hasiera", long(0), "Sarrera", long(2), "Sarrera", long(1), "Amaiera"])
    assert trims_of(tmp_path, [[{"text": old}, {"text": new}]]) == {1: (2, 5)}
    assert trim(new, 2, 5) == f"Sarrera\n{long(2)}\nSarrera"


def test_headings_in_scripts_without_spaces_are_short(tmp_path: Path) -> None:
    heading, footer = "我很好，谢谢你", "ลิขสิทธิ์ของห้องสมุดประชาชน ห้ามคัดลอกโดยไม่ได้รับอนุญาต"  # 6 and 36 letters
    bodies = ["昨天晚上下了一场大雪，村里的路全被盖住了。", "孩子们一大早就跑出来堆雪人，大人们扫雪。"]
    texts = [f"{heading}\n{body}\n{footer}" for body in bodies]
    assert trims_of(tmp_path, [[{"text": text} for text in texts]]) == {1: (0, 2)}


def test_what_stands_inside_stays(tmp_path: Path) -> None:
    texts = [long(0), "\n".join([long(1), long(0), long(2)])]
    assert trims_of(tmp_path, [[{"text": text} for text in texts]]) == {}


def test_code_in_fences_stays_with_its_fences(tmp_path: Path) -> None:
    code = f"```python\n{long(8)}\n\n{long(9)}\n```"
    texts = [f"{long(0)}\n{code}\n{long(1)}", f"{long(0)}\n{code}\n{long(2)}\n{code}", f"{code}\n{long(3)}\n{long(1)}"]
    trims = trims_of(tmp_path, [[{"text": text} for text in texts]])
    assert {number: trim(texts[number], *places) for number, places in trims.items()} == {
        1: f"{code}\n{long(2)}\n{code}",
        2: f"{code}\n{long(3)}",
    }


def test_what_a_document_repeats_itself_stays(tmp_path: Path) -> None:
    assert trims_of(tmp_path, [[{"text": f"{long(0)}\n{long(0)}"}, {"text": long(1)}]]) == {}


def test_a_document_of_known_paragraphs_is_dropped_unless_others_were_dropped_for_it(tmp_path: Path) -> None:
    documents = [{"text": text} for text in (long(0), long(1), f"{long(0)}\n{long(1)}", f"{long(1)}\n{long(0)}")]
    documents.append(documents[3])
    with work_on(tmp_path) as work:
        infos = leave(work, [documents])
        duplicates(work, infos, kinds=["exact"], similarity=0.7, memory=LARGE)
        assert load_decisions(work.folder, 0).kept_for.tolist() == [(3, 1)]
        paragraphs(work, infos, memory=LARGE)
        assert load_trims(work.folder, 0).tolist() == [(2, 0, 0)]


def test_only_what_a_kept_document_has_is_known(tmp_path: Path) -> None:
    texts = [long(0), f"{long(1)}\n{long(2)}", f"{long(1)}\n{long(2)}", f"{long(0)}\n{long(3)}\n{long(4)}"]
    urls = ["a", "a", "b", "a"]
    documents = [{"text": text, "url": url} for text, url in zip(texts, urls, strict=True)]
    documents.append({"text": f"{long(3)}\n{long(5)}"})
    with work_on(tmp_path) as work:
        infos = leave(work, [documents[:2], documents[2:]])
        duplicates(work, infos, kinds=["url"], similarity=0.7, memory=LARGE)
        paragraphs(work, infos, memory=LARGE)
        assert [load_trims(work.folder, part).tolist() for part in (0, 1)] == [[], []]


@pytest.mark.parametrize("parts", ([], [[]], [[], [{"text": "bat"}]], [[{"text": " \n"}]]))
def test_few_documents_or_none(tmp_path: Path, parts: list[list[Document]]) -> None:
    assert trims_of(tmp_path, parts) == {}


def test_where_paragraphs_were_not_looked_at_nothing_is_trimmed(tmp_path: Path) -> None:
    assert load_trims(tmp_path, 0).tolist() == []


def test_words_need_no_spaces() -> None:
    line = "猫" * 12  # as long as six words
    assert stretch(np.array([True, False]), [line, "berria " * LONG]) == (1, 2)
    assert stretch(np.array([True, False]), [line[1:], "berria " * LONG]) == (0, 2)


@pytest.mark.parametrize(
    ("first", "last", "left"),
    [
        (0, 3, " bat\n\n\tbi \nhiru"),
        (1, 3, "\tbi \nhiru"),
        (0, 2, " bat\n\n\tbi "),
        (1, 2, "\tbi "),
        (0, 0, ""),
        (3, 3, ""),
    ],
)
def test_what_stays_keeps_its_lines_as_they_were(first: int, last: int, left: str) -> None:
    assert trim("\n bat\n\n\tbi \nhiru\n \n", first, last) == left


def test_disk_need_is_enough(tmp_path: Path) -> None:
    texts = [f"{long(0)}\n{long(number % 2)}\n{long(0)}" for number in range(1000)]
    with work_on(tmp_path) as work:
        known = (work.folder / "known").glob
        sizes: list[int] = []
        work.progress = lambda stage, done, _: sizes.extend(path.stat().st_size for path in known("*.npy") if done)
        paragraphs(work, leave(work, [[{"text": text} for text in texts]]), memory=LARGE)
        sizes.append((work.folder / "trims" / "00000.trims.npy").stat().st_size)
    assert 0.5 < (max(sizes[:-1]) + sizes[-1]) / disk_need(3000, 1000) < 1.05
