"""`latxa arena-score`, the installed command: what it says of hard sets of votes, its flags, the published arena."""

import csv
import io
import json
import random
import re
from typing import get_args

import pytest

from latxa_cli.stream.display import Format

FORMATS = get_args(Format)
MODELS = ("m1", "m2", "m3", "m4")
STRENGTH = {"m1": 0.9, "m2": 0.3, "m3": -0.3, "m4": -0.9}


def battle(model_a, model_b, winner="model_a", **more):
    return {"model_a": model_a, "model_b": model_b, "winner": winner, **more}


def lines(records):
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def arena(number=600, seed=0):
    """Votes with three criteria, users of three levels, and conversations; the longer answer wins a little more."""
    draw = random.Random(seed)
    battles = []
    for vote in range(number):
        a, b = draw.sample(MODELS, 2)
        user = draw.randrange(40)
        words = draw.randint(1, 9), draw.randint(1, 9)

        def verdict(sharper, a=a, b=b, words=words):
            if draw.random() < 0.2:
                return draw.choice(["tie", "tie (bothbad)"])
            lead = sharper * (STRENGTH[a] - STRENGTH[b]) + 0.1 * (words[0] - words[1])
            return "model_a" if draw.random() < 1 / (1 + 2.718**-lead) else "model_b"

        turn = {"role": "user", "content": f"question {vote % 50}"}
        battles.append(
            battle(
                a, b, verdict(1), winner_content=verdict(0.5), winner_language=verdict(2), id=f"v{vote}",
                user=f"u{user}", user_language=["C1-C2", "B1-B2", "A1-A2"][user // 18], prompt_id=f"p{vote % 50}",
                conversation_a=[turn, {"role": "assistant", "content": "hitz " * words[0] + a}],
                conversation_b=[turn, {"role": "assistant", "content": "hitz " * words[1] + b}],
            )
        )  # fmt: skip
    return battles


@pytest.fixture(scope="module")
def votes(tmp_path_factory):
    path = tmp_path_factory.mktemp("arena") / "battles.jsonl"
    path.write_bytes(lines(arena()))
    return path


@pytest.fixture
def scored(latxa):
    """`scored(*args, stdin=…)`: what the command writes, sorted by kind: ratings, differences, findings by name."""

    def run(*args, stdin=b"", code=0):
        done = latxa("arena-score", *args, stdin=stdin)
        assert done.returncode == code, done.stderr.decode()
        assert b"Traceback" not in done.stderr
        assert b"Warning" not in done.stderr
        records = [json.loads(line) for line in done.stdout.splitlines()]
        run.said = done.stderr.decode()
        ratings = [record for record in records if "rating" in record]
        differences = [record for record in records if "difference" in record]
        return ratings, differences, {record["finding"]: record for record in records if "finding" in record}

    return run


def by_model(ratings):
    return {record["model"]: record["rating"] for record in ratings}


# --- sets of votes that carry little ---------------------------------------------------------------------------------

RING = [battle("a", "b"), battle("b", "c"), battle("c", "a")] * 5
DEGENERATE = {
    "only a winner": ([*RING, battle("w", "a"), battle("w", "b")], "infinite ratings", 1, "w never lost to the others"),
    "only a loser": ([*RING, battle("a", "l"), battle("b", "l")], "infinite ratings", 1, "l never won"),
    "two islands": ([*RING, *[battle("x", "y"), battle("y", "x")] * 2], "islands", 2, "x, y"),
    "one pair": ([battle("a", "b")] * 2 + [battle("b", "a")], "rounds without finite ratings", None, "of the rounds"),
    "one vote": ([battle("a", "b")], "infinite ratings", 2, "a never lost to the others; b never won"),
    "one tie": ([battle("a", "b", "tie")], None, 0, ""),
    "all ties": ([battle(*pair, "tie") for pair in (("a", "b"), ("b", "c"), ("c", "a"))] * 9, "ties", 1, "ties"),
    "all both bad": ([battle("a", "b", "tie (bothbad)")] * 9, "both bad", 1, "both responses were bad"),
    "a strict order": ([battle(*pair) for pair in ("ab", "bc", "ac")] * 9, "infinite ratings", 3, "cannot be placed"),
}  # fmt: skip


@pytest.mark.parametrize("name", DEGENERATE)
def test_hard_sets_are_rated_as_far_as_they_can_be_and_said_to_be_hard(scored, name):
    battles, finding, value, text = DEGENERATE[name]
    ratings, _, findings = scored("--rounds", "200", stdin=lines(battles))
    models = {record[side] for record in battles for side in ("model_a", "model_b")}
    assert {record["model"] for record in ratings} == models
    for record in ratings:
        low, rating, high = record["lower"], record["rating"], record["upper"]
        assert rating is None or 0 < rating < 2000
        assert None in (low, rating) or low <= rating
        assert None in (high, rating) or rating <= high
        assert 1 <= record["rank_lower"] <= record["rank"] <= record["rank_upper"] <= len(models)
        assert (rating is None) >= ("infinite" in record)
    if finding:
        assert findings[finding]["matters"]
        assert text in findings[finding]["text"]
        assert findings[finding]["text"] in scored.said  # also where people look
        assert value in (None, findings[finding]["value"])


def test_infinite_ratings_stand_above_and_below_the_others(scored):
    battles = [*RING, battle("w", "a"), battle("b", "l")]
    ratings, _, _ = scored(stdin=lines(battles))
    infinite = [(record["model"], record["rating"], record.get("infinite")) for record in ratings]
    assert infinite[0] == ("w", None, "above")
    assert infinite[-1] == ("l", None, "below")
    assert [rating for _, rating, _ in infinite[1:-1]] == pytest.approx([1000] * 3)
    assert [record["rank"] for record in ratings] == [1, 2, 2, 2, 5]
    finite, _, _ = scored("--prior", "1", stdin=lines(battles))
    assert [record["model"] for record in finite][::4] == ["w", "l"]
    assert all(None not in (record["lower"], record["rating"], record["upper"]) for record in finite)


def test_islands_have_scales_and_ranks_of_their_own(scored):
    battles = [*RING, battle("x", "y"), battle("y", "x"), battle("x", "y")]
    ratings, _, _ = scored(stdin=lines(battles))
    assert [(record["model"], record["island"], record["rank"]) for record in ratings] == [
        ("a", 1, 1), ("b", 1, 1), ("c", 1, 1), ("x", 2, 1), ("y", 2, 2)
    ]  # fmt: skip
    assert sum(record["rating"] for record in ratings[3:]) == pytest.approx(2000)


@pytest.mark.parametrize("content", [b"\n\n"])
@pytest.mark.parametrize("form", FORMATS)
def test_no_votes_are_no_ratings_and_no_error(latxa, content, form):
    done = latxa("arena-score", "--format", form, stdin=content)
    assert done.returncode == 0, done.stderr.decode()
    assert b"Traceback" not in done.stderr
    if form == "jsonl":
        assert not [line for line in done.stdout.splitlines() if json.loads(line).get("matters", True)]


@pytest.mark.parametrize(
    ("battles", "code"), [(RING, 0), ([*RING, battle("w", "a")], 1), ([*RING, battle("x", "y", "tie")], 1)]
)
def test_strict_fails_where_there_is_no_one_ranking(scored, battles, code):
    ratings, _, _ = scored("--strict", "--rounds", "10", stdin=lines(battles), code=code)
    assert ratings  # what there is is written all the same
    assert ("latxa: the votes do not carry one ranking\n" in scored.said) == bool(code)


def test_only_odd_votes_keep_nothing(scored):
    scored(stdin=lines([battle("a", "a"), battle("a", "a")]), code=1)
    assert "nothing was kept" in scored.said
    assert "2 self battle" in scored.said


# --- what is set aside -----------------------------------------------------------------------------------------------


def test_everything_set_aside_is_counted_and_written(latxa, tmp_path):
    odd = [
        battle("a", "a"),
        battle("a", "b", None, winner_content="tie"),
        battle("a", "b", id=1),
        battle("a", "b", id=1),
    ]
    malformed = [b"{", b"[]", b'{"model_a": "a"}', lines([battle("a", "b", "draw")]).strip()]
    (tmp_path / "battles.jsonl").write_bytes(lines(RING) + lines(odd) + b"\n".join(malformed))
    done = latxa("arena-score", "battles.jsonl", "--rejects", "odd.jsonl", "-o", "ratings.jsonl", cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    rejects = [json.loads(line) for line in (tmp_path / "odd.jsonl").read_text().splitlines()]
    reasons = [record["reason"] for record in rejects]
    assert sorted(reasons) == ["malformed"] * 4 + ["no verdict", "same id", "self battle"]
    assert {record["where"] for record in rejects if "where" in record} == {
        f"battles.jsonl:{n}" for n in (20, 21, 22, 23)
    }
    manifest = json.loads((tmp_path / "ratings.jsonl.manifest.json").read_text())
    counts = manifest["counts"]
    assert counts["in"] == 23
    assert counts["rejected"] == {"malformed": 4, "no verdict": 1, "same id": 1, "self battle": 1}
    for reason, number in counts["rejected"].items():
        assert f"{number} {reason}" in done.stderr.decode()
    ratings = [json.loads(line) for line in (tmp_path / "ratings.jsonl").read_text().splitlines()]
    assert sum(record["battles"] for record in ratings if "rating" in record) == 2 * 16


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b'{"model_a": "a", "winner": "tie"}',
        b'{"model_a": 1, "model_b": "b", "winner": "tie"}',
        b'{"model_a": "a", "model_b": "b", "winner": "left"}',
        b'{"model_a": "a", "model_b": "b"}',
    ],
)
@pytest.mark.parametrize("before", [4000])
def test_a_malformed_line_ends_the_run_with_its_number(latxa, tmp_path, line, before):
    (tmp_path / "b.jsonl").write_bytes(lines(RING[:1]) * before + b"\n" + line + b"\n" + lines(RING))
    done = latxa("arena-score", "b.jsonl", cwd=tmp_path)
    first, *hints = done.stderr.decode().splitlines()
    assert (done.returncode, done.stdout) == (1, b"")
    assert first.startswith(f"latxa: b.jsonl:{before + 2}: ")
    assert all(hint.startswith("hint: ") for hint in hints)


def test_a_name_in_each_battle_is_one_line(latxa, tmp_path):
    (tmp_path / "b.jsonl").write_bytes(lines(battle(f"m{n}", f"n{n}") for n in range(3000)))
    done = latxa("arena-score", "b.jsonl", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.decode().splitlines() == [
        "latxa: the battles name more than 2000 models", "hint: is `model_a` a name of a model everywhere?"
    ]  # fmt: skip


# --- flags -----------------------------------------------------------------------------------------------------------


def test_all_formats_show_the_same_ratings(latxa, scored, votes):
    ratings, _, _ = scored(votes, "--rounds", "50")
    best = ratings[0]
    for form in set(FORMATS) - {"jsonl"}:
        done = latxa("arena-score", votes, "--rounds", "50", "--format", form)
        assert done.returncode == 0, done.stderr.decode()
        text = done.stdout.decode()
        assert text.index("m1") < text.index("m2") < text.index("m3") < text.index("m4")
        assert (f"{best['rating']}" if form == "csv" else f"{best['rating']:.1f}") in text
    done = latxa("arena-score", votes, "--rounds", "50", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(done.stdout.decode())))
    assert [float(row["rating"]) for row in rows] == [record["rating"] for record in ratings]


def test_the_seed_decides_and_the_order_of_battles_does_not(latxa, votes, tmp_path):
    shuffled = votes.read_bytes().splitlines(keepends=True)
    random.Random(1).shuffle(shuffled)
    (tmp_path / "shuffled.jsonl").write_bytes(b"".join(shuffled))
    flags = ("--resample", "vote", "--rounds", "50")
    one, two, other = (
        latxa("arena-score", file, *flags, "--seed", seed).stdout
        for file, seed in ((votes, "1"), (tmp_path / "shuffled.jsonl", "1"), (votes, "2"))
    )
    ratings = [[line for line in out.splitlines() if b'"rating"' in line] for out in (one, two, other)]
    assert ratings[0] == ratings[1]
    assert ratings[0] != ratings[2]


def test_criteria_and_subgroups_have_rankings_and_differences(scored, votes):
    ratings, differences, _ = scored(
        votes, "--rounds", "100", "--criterion", "winner", "--criterion", "winner_language", "--by", "user_language",
        "--at-least", "80",
    )  # fmt: skip
    boards = {(record["criterion"], record.get("group", {}).get("user_language")) for record in ratings}
    levels = {"C1-C2", "B1-B2"}  # A1-A2 has too few votes
    assert boards == {(c, level) for c in ("winner", "winner_language") for level in (None, *levels)}
    whole = by_model(r for r in ratings if r["criterion"] == "winner" and "group" not in r)
    language = by_model(r for r in ratings if r["criterion"] == "winner_language" and "group" not in r)
    between = {r["model"]: r for r in differences if r["criterion"] == "winner_language" and "group" not in r}
    for model in MODELS:
        assert between[model]["difference"] == pytest.approx(language[model] - whole[model], abs=1e-5)
        assert between[model]["lower"] <= between[model]["difference"] <= between[model]["upper"]
    assert between["m1"]["lower"] > 0  # made to be sharper by language
    assert len(differences) == 4 * (1 + 4)


def test_battles_without_a_verdict_by_one_of_the_criteria_are_counted(scored):
    battles = [*RING, *[vote | {"winner_content": "tie"} for vote in RING[:4]]]
    both = ("--criterion", "winner", "--criterion", "winner_content", "--criterion", "winner_language")
    ratings, _, _ = scored(*both, "--rounds", "20", stdin=lines(battles))
    assert "15 of 19 votes have no `winner_content`" in scored.said
    assert "19 of 19 votes have no `winner_language`" in scored.said
    assert {record["criterion"] for record in ratings} == {"winner", "winner_content"}


@pytest.mark.parametrize(
    "flags", [("--mask", "*?"), ("--anchor", "a=1"), ("--resample", "user"), ("--control", "style"),
              ("--collapse",), ("--paper",), ("--by", "user"), ("--interval", "sandwich"), ("--ties", "davidson")],
    ids=" ".join,
)  # fmt: skip
def test_an_empty_input_is_no_error_whatever_is_asked(latxa, flags):
    done = latxa("arena-score", *flags, stdin=b"")
    assert (done.returncode, done.stdout) == (0, b""), done.stderr.decode()


def test_an_anchor_moves_all_ratings_alike(scored, votes):
    plain, _, _ = scored(votes, "--rounds", "50")
    anchored, _, _ = scored(votes, "--rounds", "50", "--anchor", "m3=1200")
    shift = 1200 - by_model(plain)["m3"]
    assert by_model(anchored) == pytest.approx(
        {model: value + shift for model, value in by_model(plain).items()}, abs=1e-5
    )
    held = next(record for record in anchored if record["model"] == "m3")
    assert held["lower"] == held["rating"] == held["upper"] == 1200


def test_groups_by_table_and_by_mask_agree(scored, votes, tmp_path):
    (tmp_path / "groups.tsv").write_text("model\tgroup\nm1\t1\nm2\t1\nm3\t3\nm4\t4\n")
    ratings, _, _ = scored(votes, "--rounds", "20", "--groups", tmp_path / "groups.tsv")
    assert {record["model"] for record in ratings} == {"1", "3", "4"}
    inside = sum({r["model_a"], r["model_b"]} == {"m1", "m2"} for r in map(json.loads, votes.read_text().splitlines()))
    assert f"left out: {inside} battles of same group" in scored.said
    assert sum(record["battles"] for record in ratings) == 2 * (600 - inside)
    one_each, _, _ = scored(votes, "--rounds", "20", "--mask", "*?")
    plain, _, _ = scored(votes, "--rounds", "20")
    assert {f"m{model}": value for model, value in by_model(one_each).items()} == by_model(plain)


def test_exclusions_and_caps_are_counted(scored, votes):
    _, _, _ = scored(votes, "--rounds", "10", "--exclude", "user=u7", "--exclude", "model=m4", "--most-per-user", "5")
    battles = [json.loads(line) for line in votes.read_text().splitlines()]
    of_user = sum(vote["user"] == "u7" for vote in battles)
    of_model = sum("m4" in (vote["model_a"], vote["model_b"]) and vote["user"] != "u7" for vote in battles)
    assert f"{of_user} excluded by user" in scored.said
    assert f"{of_model} excluded by model" in scored.said
    assert "beyond 5 of the user" in scored.said


def test_collapsing_makes_winner_of_three_answers(scored):
    answers = [("model_a", "model_a", None), ("tie", "model_b", None), ("model_a", "model_b", "model_b")]
    battles = [battle("a", "b", w, winner_content=c, winner_language=la) for c, la, w in answers * 4]
    [first, second], _, _ = scored("--collapse", stdin=lines(battles))
    assert (first["model"], first["wins"], second["wins"]) == ("b", 8, 4)


@pytest.mark.parametrize("control", ["length", "style", "position"])
def test_control_rates_as_if_responses_were_alike(scored, votes, control):
    ratings, _, findings = scored(votes, "--rounds", "50", "--control", control)
    assert [record["model"] for record in ratings] == list(MODELS)
    assert all(record["lower"] < record["rating"] < record["upper"] for record in ratings)
    effects = [finding for name, finding in findings.items() if "effect" in name or control in name]
    assert effects


def test_intervals_by_user_are_said_to_be_so(latxa, votes, tmp_path):
    for flags, unit in (((), "both"), *((("--resample", unit), unit) for unit in ("prompt", "user", "vote"))):
        out = tmp_path / f"{unit}.jsonl"
        assert latxa("arena-score", votes, "--rounds", "20", *flags, "-o", out).returncode == 0
        assert json.loads((tmp_path / f"{unit}.jsonl.manifest.json").read_text())["resampled"] == unit


@pytest.mark.parametrize(("unit", "apart"), [("vote", 0.1), ("user", 0.15), ("both", 0.35)])
def test_sandwich_and_bootstrap_agree(scored, votes, unit, apart):
    flags = ("--resample", unit)
    widths = [
        {record["model"]: record["upper"] - record["lower"] for record in scored(votes, "--interval", kind, *flags)[0]}
        for kind in ("bootstrap", "sandwich")
    ]
    assert widths[0] == pytest.approx(widths[1], rel=apart)


def test_copies_are_listed_with_their_original(scored):
    battles = [battle("exp_2_000", "exp_2_111"), battle("exp_2_111", "exp_2_000"), battle("exp_2_111", "exp_2_000")]
    ratings, _, _ = scored("--copies", "--rounds", "20", stdin=lines(battles))
    copies = {record["model"]: record["copy_of"] for record in ratings if "copy_of" in record}
    assert copies == {"exp_0_001": "exp_2_000", "exp_2_001": "exp_2_000"}
    assert {record["rating"] for record in ratings if record.get("copy_of", record["model"]) == "exp_2_000"} == {
        by_model(ratings)["exp_2_000"]
    }


@pytest.mark.parametrize(
    "flags",
    [
        ("--anchor", "m1"), ("--anchor", "m1=x"), ("--anchor", "nobody=1000"),
        ("--anchor", "m1=inf"),
        ("--exclude", "user"), ("--mask", "exp"), ("--mask", "?"), ("--mask", "*?", "--groups", "x"),
        ("--prior", "inf"), 
        ("--paper", "--control", "length"), ("--collapse", "--criterion", "winner_content"), ("--at-least", "5"),
        ("--ties", "davidson", "--control", "style"), ("--interval", "sandwich", "--ties", "drop"),
        ("--groups", "missing.tsv"), ("--results", "missing.jsonl"), 
        ("--paper", "--seed", "1"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_wrong_usage_is_one_line(latxa, votes, flags):
    done = latxa("arena-score", votes, *flags)
    said = done.stderr.decode().splitlines()
    assert done.returncode in (1, 2)
    assert done.stdout == b""
    errors = [line for line in said if not line.startswith(("hint: ", "latxa arena-score: "))]
    assert len(errors) == 1, said
    assert errors[0].startswith("latxa: ")


@pytest.mark.parametrize("unit", ["user", "prompt"])
def test_resampling_what_votes_do_not_name_is_wrong_usage(latxa, unit):
    done = latxa("arena-score", "--resample", unit, stdin=lines(RING))
    assert done.returncode == 2
    assert f"latxa: `--resample {unit}`: no battle has a `" in done.stderr.decode()


# --- the published arena ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def published(shared_reference):
    folder = shared_reference / "arena"
    return folder / "ebaluatoia_battles.jsonl", json.loads((folder / "ebaluatoia_reference.json").read_text())


# The paper's rating is the mean of 100 rounds, whose standard error is a point: so is the published one's.
PAPER = ("--paper",)


@pytest.mark.parametrize("flags", [("--rounds", "1000"), PAPER], ids=["likelihood", "paper"])
def test_published_ratings(scored, published, flags):
    battles, known = published
    ratings, _, findings = scored(battles, *flags)
    assert len(ratings) == 21
    for record in ratings:
        expected = known["models"][record["model"]]
        assert abs(record["rating"] - expected["published"]["elo"]) <= (4 if flags == PAPER else 2)
        assert record["battles"] == expected["n_battles"]
        if flags != PAPER:
            assert [record["lower"], record["upper"]] == pytest.approx(expected["ci90_sandwich"], abs=2)
    assert not findings["infinite ratings"]["matters"]


@pytest.mark.parametrize(
    ("mask", "rows"),
    [("exp_*_?**", "by_pretraining_mask(all 18 8B variants, X_?XX)"),
     ("exp_*_1??", "by_instruction_mask(only _1xx variants, ?? = I_EU,I_EN)")],
)  # fmt: skip
@pytest.mark.parametrize("flags", [(), PAPER], ids=["likelihood", "paper"])
def test_published_groups(scored, published, mask, rows, flags):
    battles, known = published
    ratings, _, _ = scored(battles, "--mask", mask, *flags)
    expected = {group: row["elo"] for group, row in known["grouped_published"][rows].items()}
    assert by_model(ratings).keys() == expected.keys()
    for group, rating in by_model(ratings).items():
        assert abs(rating - expected[group]) <= (3 if flags == PAPER else 1)


def test_the_papers_intervals_are_written_as_it_writes_them(latxa, published):
    done = latxa("arena-score", published[0], "--paper", "--format", "markdown")
    rows = [line.split(" | ") for line in done.stdout.decode().splitlines()[2:23]]
    widths = [re.fullmatch(r"\+(\d+)/-(\d+)", row[3]).groups() for row in rows]
    assert all(8 <= int(width) <= 22 for both in widths for width in both)


def test_ratings_are_correlated_with_results(latxa, published, tmp_path):
    battles, known = published
    elo = {model: row["published"]["elo"] for model, row in known["models"].items() if model.startswith("exp")}
    results = [
        {"model": model, "task": task, "metric": "acc", "value": 0.5 + sign * value / 4000, "language": "eu"}
        for task, sign in (("up", 1), ("down", -1))
        for model, value in elo.items()
    ]
    (tmp_path / "results.jsonl").write_bytes(lines(results))
    done = latxa("arena-score", battles, "--rounds", "50", "--results", tmp_path / "results.jsonl")
    assert done.returncode == 0, done.stderr.decode()
    records = map(json.loads, done.stdout.splitlines())
    found = {record["benchmark"]: record for record in records if "correlation" in record}
    assert found["up"]["correlation"] > 0.99  # but for the noise of published ratings
    assert found["down"]["correlation"] == pytest.approx(-found["up"]["correlation"])
    assert {(record["models"], record["left_out"], record["criterion"]) for record in found.values()} == {
        (18, 3, "winner")
    }
