"""`arena-score` as a demanding user meets it: scales, subgroups, anchors, options that contradict each other."""

import json
import random

import pytest


def votes_of(number, models, seed=0, **fields):
    """Votes in which the later of two models is the better one; `fields` are lists that are drawn from."""
    draw = random.Random(seed)
    votes = []
    for _ in range(number):
        a, b = draw.sample(models, 2)
        better = "model_a" if a > b else "model_b"
        winner = draw.choice([better, better, "model_a", "model_b", "tie"])
        given = {name: draw.choice(values) for name, values in fields.items()}
        votes.append({"model_a": a, "model_b": b, "winner": winner, "user": f"u{draw.randrange(30)}", **given})
    return votes


@pytest.fixture
def scored(latxa, tmp_path):
    def score(votes, *flags, returncode=0):
        path = tmp_path / "battles.jsonl"
        path.write_text("".join(json.dumps(vote) + "\n" for vote in votes))
        done = latxa("arena-score", path, *flags)
        assert done.returncode == returncode, done.stderr
        return done.stdout.decode(), done.stderr.decode()

    return score


def records_of(text, kind):
    return [record for record in map(json.loads, text.splitlines()) if kind in record]


def test_a_subgroup_of_some_models_differs_on_the_scale_of_what_both_rate(scored):
    """Mean 1000 of the three best is another scale than mean 1000 of all six."""
    votes = votes_of(3000, "abcdef")
    for vote in votes:
        vote["level"] = "some" if {vote["model_a"], vote["model_b"]} <= set("def") else "other"
    out, _ = scored(votes, "--by", "level", "--rounds", "100")
    some = {record["model"]: record for record in records_of(out, "difference") if record["group"] == {"level": "some"}}
    assert sorted(some) == ["d", "e", "f"]
    assert sum(record["difference"] for record in some.values()) == pytest.approx(0, abs=1e-5)
    assert all(record["lower"] < record["difference"] < record["upper"] for record in some.values())


def test_an_anchor_holds_those_that_met_it_alone(scored):
    votes = votes_of(300, "abc") + votes_of(300, "xyz", seed=1)
    plain = {record["model"]: record for record in records_of(scored(votes, "--rounds", "50")[0], "rating")}
    out, _ = scored(votes, "--rounds", "50", "--anchor", "a=1500")
    held = {record["model"]: record for record in records_of(out, "rating")}
    assert all(held[model] == plain[model] for model in "xyz")
    assert held["a"]["rating"] == 1500
    assert held["b"]["rating"] - plain["b"]["rating"] == pytest.approx(1500 - plain["a"]["rating"])


@pytest.mark.parametrize("lone", ["subgroup", "infinite"])
def test_where_the_anchor_has_no_rating_the_mean_stays_and_this_is_said(scored, lone):
    votes = votes_of(900, "abcd", level=["x", "y"])
    if lone == "subgroup":
        votes = [vote for vote in votes if vote["level"] == "x" or "a" not in (vote["model_a"], vote["model_b"])]
        out, err = scored(votes, "--anchor", "a=1500", "--by", "level", "--rounds", "50")
        ours = [record for record in records_of(out, "rating") if record.get("group") == {"level": "y"}]
    else:
        votes.append({"model_a": "best", "model_b": "a", "winner": "model_a"})
        out, err = scored(votes, "--anchor", "best=1500", "--rounds", "50")
        ours = [record for record in records_of(out, "rating") if record["rating"] is not None]
    assert sum(record["rating"] for record in ours) / len(ours) == pytest.approx(1000)
    assert all(record["lower"] < record["rating"] < record["upper"] for record in ours)
    assert "has no finite rating" in err and "mean is 1000" in err


@pytest.mark.parametrize("field", ["user language", "metadata.x", "model_a", "id", "winner", "__class__", "ü", ""])
def test_a_ranking_for_each_value_of_any_field(scored, field):
    votes = votes_of(300, "abc")
    for number, vote in enumerate(votes):
        vote.setdefault(field, f"v{number % 2}")
    out, _ = scored(votes, "--by", field, "--rounds", "20", "--at-least", "1")
    groups = {record["group"][field] for record in records_of(out, "rating") if "group" in record}
    assert groups == {str(vote[field]) for vote in votes}


@pytest.mark.parametrize("flags", [(), ("--paper",), ("--ties", "drop")])
@pytest.mark.parametrize("number", [3, 40])
def test_report_reads_all_that_is_written_of_few_votes(scored, latxa, tmp_path, flags, number):
    """Of some models so few votes do not even say on which side of the others they are."""
    votes = [
        {"model_a": "a", "model_b": "b", "winner": "model_a"}, {"model_a": "b", "model_b": "c", "winner": "model_a"},
        {"model_a": "d", "model_b": "c", "winner": "model_a"},
    ] if number == 3 else votes_of(number, "abcdefgh", seed=1)  # fmt: skip
    out, _ = scored(votes, *flags)
    for format, missing in (("table", "-"), ("csv", "")):
        done = latxa("report", "--format", format, "--plot", tmp_path / "ratings.svg", stdin=out.encode(), cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        rows = [row.split("," if format == "csv" else None) for row in done.stdout.decode().splitlines()]
        if number == 3:
            assert ["a", missing] in [row[:2] for row in rows]


def test_what_contradicts_the_papers_procedure_or_half_wins_is_refused(scored):
    votes = votes_of(60, "abc")
    for flags in (
        ("--paper", "--interval", "sandwich"), ("--paper", "--anchor", "a=1000"), ("--paper", "--rounds", "500"),
        ("--paper", "--resample", "user"), ("--control", "position", "--ties", "davidson"),
    ):  # fmt: skip
        out, err = scored(votes, *flags, returncode=2)
        assert not out and err.startswith("latxa: ") and "do not go together" in err, flags


def test_few_votes_of_a_subgroup_are_said_and_fields_may_come_twice(scored):
    votes = votes_of(300, "abc", level=["many"]) + votes_of(20, "abc", seed=1, level=["few"])
    out, err = scored(votes, "--by", "level", "--by", "level", "--at-least", "50", "--rounds", "20")
    assert "`level` with fewer than 50 votes, without a ranking: 1 (few)" in err
    groups = [record["model"] for record in records_of(out, "rating") if "group" in record]
    assert sorted(groups) == ["a", "b", "c"]
    table, _ = scored(votes, "--by", "level", "--at-least", "50", "--rounds", "20", "--format", "csv")
    assert ",level=many" in table and "{" not in table


def test_markdown_below_the_table_is_escaped(scored):
    out, _ = scored([{"model_a": "<b>a</b>", "model_b": "b", "winner": "model_a"}], "--format", "markdown")
    assert r"- \<b\>a\</b\> never lost" in out


def test_a_model_without_conversations_has_no_controlled_rating(scored):
    votes = votes_of(400, "abcd")
    for vote in votes:
        for side in "ab":
            words = 1 + len(vote["user"]) * (side == "a") + len(vote["winner"]) + (vote["winner"] == f"model_{side}")
            if vote[f"model_{side}"] != "d":
                turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "hitz " * words}]
                vote[f"conversation_{side}"] = turns
    out, err = scored(votes, "--control", "length", "--rounds", "50")
    ratings = records_of(out, "rating")
    assert sorted(record["model"] for record in ratings) == ["a", "b", "c"]
    left_out = sum("d" in (vote["model_a"], vote["model_b"]) for vote in votes)
    assert f"{left_out} votes without two conversations left out" in err
    assert sum(record["battles"] for record in ratings) == 2 * (400 - left_out)


def test_models_that_cannot_be_placed_are_not_sound(scored):
    """Ties alone, dropped: no model has a rating, and none is infinite; a prior rates them all."""
    votes = [{"model_a": "a", "model_b": "b", "winner": "tie"}] * 20
    scored(votes, "--ties", "drop", "--strict", returncode=1)
    out, _ = scored(votes, "--ties", "drop", "--strict", "--prior", "1")
    assert [record["rating"] for record in records_of(out, "rating")] == [1000, 1000]


def test_a_tie_of_two_models_of_ties_does_not_matter(scored):
    """Of two models both models of ties say the same."""
    out, _ = scored(votes_of(100, "ab"), "--ties", "davidson", "--rounds", "20")
    assert [r["matters"] for r in records_of(out, "finding") if r["finding"] == "model of ties"] == [False]


def test_too_few_rounds_for_the_confidence_are_said(scored):
    assert "too narrow" in scored(votes_of(60, "abc"), "--rounds", "18")[1]
    assert "too narrow" not in scored(votes_of(60, "abc"), "--rounds", "19")[1]


def test_groups_without_a_battle_between_them_are_an_error(scored, tmp_path):
    (tmp_path / "groups.tsv").write_text("model\tgroup\na\tall\nb\tall\nc\tall\n")
    out, err = scored(votes_of(60, "abc"), "--groups", str(tmp_path / "groups.tsv"), returncode=1)
    assert not out and "no battle is between models of two groups" in err


def test_what_a_format_leaves_out_is_said(scored):
    votes = votes_of(300, "abc", level=["x", "y"])
    assert "`--format jsonl` has them" in scored(votes, "--by", "level", "--rounds", "20", "--format", "csv")[1]
    assert "`--format jsonl` has them" not in scored(votes, "--rounds", "20", "--format", "csv")[1]
