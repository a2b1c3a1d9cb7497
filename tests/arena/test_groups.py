"""Groups of models by a factor: from tables, by masks, the published rows, and what is left out."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from latxa_cli.arena.fits.bradley_terry import Wins, fit, to_ratings
from latxa_cli.arena.groups import by_mask, from_table, grouped, in_groups, with_copies
from latxa_cli.arena.votes import A_WON, B_WON, NONE, TIE, Column, Votes, count
from latxa_cli.stream.errors import LatxaError, RecordError, UsageError
from latxa_cli.variants import equals, grid


def votes_of(*battles):
    """Votes of (model shown first, model shown second, verdict)."""
    models = sorted({model for a, b, _ in battles for model in (a, b)})
    place = {model: number for number, model in enumerate(models)}
    a = np.array([place[first] for first, _, _ in battles], dtype=np.int32)
    b = np.array([place[second] for _, second, _ in battles], dtype=np.int32)
    verdict = np.array([given for _, _, given in battles], dtype=np.int8)
    users = Column(np.arange(len(battles)), [f"u{number}" for number in range(len(battles))])
    length = np.stack([np.arange(len(battles)), np.zeros(len(battles))], axis=1)
    return Votes(models, a, b, {"winner": verdict}, {"user": users}, {"length": length})


def test_a_table_gives_each_model_its_group():
    lines = [b"model\tgroup\n", b"a\tlarge\n", b"b\tsmall\n", b"c c\tlarge\n"]
    assert from_table(lines, "g.tsv") == {"a": "large", "b": "small", "c c": "large"}


def test_line_ends_of_windows_a_mark_and_blank_lines_do_no_harm():
    lines = [b"\xef\xbb\xbfmodel\tgroup\r\n", b"\r\n", b"a\tlarge\r\n", "b\ttxikia é\r\n".encode(), b"\n"]
    assert from_table(lines, "g.tsv") == {"a": "large", "b": "txikia é"}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "g.tsv:1: the table does not begin with"),
        ([b"a\tlarge"], "g.tsv:1: the table does not begin with"),
        ([b"model,group"], "g.tsv:1: the table does not begin with"),
        ([b"\n", b"group\tmodel"], "g.tsv:2: the table does not begin with"),
        ([b"model\tgroup", b"a"], "g.tsv:2: the line is not a model and its group"),
        ([b"model\tgroup", b"a\t"], "g.tsv:2: the line is not a model and its group"),
        ([b"model\tgroup", b"\tlarge"], "g.tsv:2: the line is not a model and its group"),
        ([b"model\tgroup", b"a\tlarge\tsmall"], "g.tsv:2: the line is not a model and its group"),
        ([b"model\tgroup", b"", b"a\tx", b"b\tx", b"a\ty"], "g.tsv:5: the model `a` is named twice"),
        ([b"model\tgroup", b"a\tx", b"a\tx"], "g.tsv:3: the model `a` is named twice"),
        ([b"model\tgroup", b"a\t\xff"], "g.tsv:2: the line is not UTF-8"),
    ],
)
def test_what_is_no_table_is_told_with_its_line(lines, message):
    with pytest.raises(RecordError) as error:
        from_table(lines, "g.tsv")
    assert error.value.message.startswith(message)


def test_a_mask_names_groups_by_the_characters_at_its_question_marks():
    models = ["exp_2_101", "exp_0_011", "exp_1_111", "gpt-4o", "exp_2_1011", "xexp_2_101"]
    assert by_mask(models, "exp_*_?**") == {"exp_2_101": "1", "exp_0_011": "0", "exp_1_111": "1"}
    assert by_mask(models, "exp_*_1??") == {"exp_2_101": "01", "exp_1_111": "11"}
    assert by_mask(models, "exp_?_1*?") == {"exp_2_101": "21", "exp_1_111": "11"}


def test_all_but_two_characters_of_a_mask_stand_for_themselves():
    models = ["a.b", "axb", "a+b", "[a]", "a\\b", "a\nb"]
    assert by_mask(models, "?.b") == {"a.b": "a"}
    assert by_mask(models, "?+b") == {"a+b": "a"}
    assert by_mask(models, "[?]") == {"[a]": "a"}
    assert by_mask(models, "?\\b") == {"a\\b": "a"}
    assert by_mask(models, "?**") == dict.fromkeys(["a.b", "axb", "a+b", "a\\b", "a\nb"], "a") | {"[a]": "["}


def test_masks_that_cannot_be():
    with pytest.raises(UsageError, match="names no group"):
        by_mask(["ab"], "a*")
    with pytest.raises(UsageError, match="fits none of the 2 models"):
        by_mask(["ab", "ac"], "b?")
    with pytest.raises(UsageError, match="fits none of the 0 models"):
        by_mask([], "b?")


def test_votes_take_the_groups_names_and_what_is_left_out_is_counted():
    votes = votes_of(
        ("a1", "b1", A_WON),
        ("b2", "a2", B_WON),
        ("a1", "a2", A_WON),
        ("a1", "other", TIE),
        ("other", "more", TIE),
        ("b1", "a2", NONE),
    )
    between, left_out = grouped(votes, {"a1": "A", "a2": "A", "b1": "B", "b2": "B", "unheard of": "C"})
    assert left_out == {"no group": 2, "same group": 1}
    assert between.models == ["A", "B"]
    assert between.a.tolist() == [0, 1, 1]
    assert between.b.tolist() == [1, 0, 0]
    assert between.verdicts["winner"].tolist() == [A_WON, B_WON, NONE]
    assert [between.columns["user"].names[code] for code in between.columns["user"].codes] == ["u0", "u1", "u5"]
    assert between.features["length"][:, 0].tolist() == [0, 1, 5]
    counts, _ = count(between)
    assert counts.cells.tolist() == [[2, 0, 0, 0]]


def test_a_group_for_each_model_changes_nothing():
    votes = votes_of(("a", "b", A_WON), ("c", "a", B_WON), ("b", "c", TIE))
    same, left_out = grouped(votes, {model: model for model in votes.models})
    assert left_out == {}
    assert same.models == votes.models
    assert same.a.tolist() == votes.a.tolist() and same.b.tolist() == votes.b.tolist()


def test_nothing_is_left_of_one_group_of_no_group_and_of_no_votes():
    votes = votes_of(("a", "b", A_WON), ("b", "a", TIE))
    one, left_out = grouped(votes, {"a": "x", "b": "x"})
    assert (len(one), one.models, left_out) == (0, ["x"], {"same group": 2})
    none, left_out = grouped(votes, {})
    assert (len(none), none.models, left_out) == (0, [], {"no group": 2})
    empty, left_out = grouped(votes_of(), {"a": "x"})
    assert (len(empty), empty.models, left_out) == (0, [], {})


@pytest.mark.parametrize(
    ("mask", "published"),
    [
        ("exp_*_?**", "by_pretraining_mask(all 18 8B variants, X_?XX)"),
        ("exp_*_1??", "by_instruction_mask(only _1xx variants, ?? = I_EU,I_EN)"),
    ],
)
def test_the_grouped_rows_of_the_published_arena(shared_reference, mask, published):
    folder = shared_reference / "arena"
    verdicts = {"model_a": A_WON, "model_b": B_WON, "tie": TIE}
    records = map(json.loads, (folder / "ebaluatoia_battles.jsonl").open())
    votes = votes_of(*((record["model_a"], record["model_b"], verdicts[record["winner"]]) for record in records))
    between, left_out = grouped(votes, by_mask(votes.models, mask))
    assert len(between) + sum(left_out.values()) == len(votes) == 12890
    counts, _ = count(between)
    ratings = dict(zip(between.models, to_ratings(fit(counts, Wins.of(counts.cells[None]))[0]), strict=True))
    rows = json.loads((folder / "ebaluatoia_reference.json").read_text())["grouped_published"][published]
    assert ratings.keys() == rows.keys()
    for group, row in rows.items():
        assert abs(ratings[group] - row["elo"]) < 1
        assert ratings[group] == pytest.approx(row["point"], abs=0.006)


def test_copies_follow_their_original_and_change_no_other_record():
    ratings = [
        {"model": "exp_2_111", "rating": 1050.0, "rank": 1, "battles": 9},
        {"model": "exp_2_000", "rating": 722.0, "rank": 2, "battles": 7},
        {"model": "exp_0_010", "rating": None, "infinite": "below", "rank": 3, "battles": 1},
        {"difference": 3.0, "model": "exp_2_000"},
        {"finding": "ties", "value": 0.2},
    ]
    given = [dict(record) for record in ratings]
    found = list(with_copies(ratings, equals()))
    assert [record for record in found if "copy_of" not in record] == given == ratings
    assert [record.get("model") for record in found[:5]] == [
        "exp_2_111",
        "exp_2_000",
        "exp_0_001",
        "exp_2_001",
        "exp_0_010",
    ]
    assert found[2] == {**given[1], "model": "exp_0_001", "copy_of": "exp_2_000"}
    assert len(found) == 7


def test_copies_on_every_board_but_none_of_a_model_that_is_rated_itself():
    boards = [
        {"model": "exp_1_000", "rating": 990.0, "group": {"language": group}, "rank": 1} for group in ("C1", "B2")
    ]
    found = list(with_copies([*boards, {"model": "exp_1_100", "rating": 980.0, "rank": 2}], equals()))
    copies = [record for record in found if "copy_of" in record]
    assert [(record["model"], record["group"]["language"]) for record in copies] == [
        ("exp_0_100", "C1"),
        ("exp_0_100", "B2"),
    ]
    assert list(with_copies([], equals())) == []


def test_the_grid_is_whole_with_copies_but_for_the_bare_backbones():
    kept = [{"model": variant.code, "rating": 1.0} for variant in grid().values() if variant.kept]
    names = {record["model"] for record in with_copies(kept, equals())}
    assert {variant.code for variant in grid().values()} - names == {
        "exp_0_000",
        "exp_1_000",
        "exp_0_100",
        "exp_1_100",
    }


def test_a_mask_groups_those_that_the_table_leaves_out(tmp_path):
    votes = votes_of(("x1", "x2", A_WON), ("x1", "base", A_WON), ("x2", "base", TIE), ("other", "x1", TIE))
    (tmp_path / "g.tsv").write_text("model\tgroup\nbase\tB\nx2\tB\n")
    said, noted, read = [], {}, []
    run = SimpleNamespace(say=said.append, note=lambda **facts: noted.update(facts), reads=read.extend)
    between = in_groups(run, votes, tmp_path / "g.tsv", "x?")
    assert between.models == ["1", "B"]
    assert noted == {"left_out": {"no group": 1, "same group": 1}}
    assert said == ["left out: 1 battles of no group, 1 battles of same group"]
    assert len(read) == 1 and len(between) == 2
    assert in_groups(run, votes, None, None) is votes
    with pytest.raises(LatxaError, match="two groups"):
        in_groups(run, votes, tmp_path / "g.tsv", None)
