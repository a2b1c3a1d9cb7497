"""Reading battles: two ways that agree, every odd vote counted by its reason, and one vote of three answers."""

import itertools
import json

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from latxa_cli.arena import battles as module
from latxa_cli.arena.battles import Tally
from latxa_cli.arena.votes import A_WON, B_WON, BOTH_BAD, NONE, TIE, VERDICTS, collapsed
from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.inputs import CHUNK, Input
from latxa_cli.stream.json_text import is_json_text
from latxa_cli.stream.reader import Block, read_blocks

CRITERIA = ("winner", "winner_content", "winner_language")


def battle(model_a="a", model_b="b", winner="model_a", **more):
    return {"model_a": model_a, "model_b": model_b, "winner": winner, **more}


def written(votes):
    """Return votes as rows of names, so that those of two tallies can be compared."""
    rows = []
    for place in range(len(votes)):
        said = tuple(int(verdict[place]) for verdict in votes.verdicts.values())
        columns = votes.columns.items()
        fields = {name: column.names[code] for name, column in columns if (code := column.codes[place]) >= 0}
        rows.append((votes.models[votes.a[place]], votes.models[votes.b[place]], said, fields))
    return votes.models, rows


def taken(path, criteria=CRITERIA, fields=("user", "prompt_id"), **method):
    """Return what a tally makes of a file: votes, rejects by reason, malformed lines, and how many records came."""
    malformed = []
    tally = Tally(criteria, fields, **method)
    blocks = list(
        read_blocks(Input(str(path)), "battle", lambda where, what, raw: malformed.append((where, what, raw)))
    )
    rejects = list(tally.take(blocks))
    votes, again = tally.votes()
    told = [(reject.reason, reject.detail, reject.record) for reject in rejects + again]
    return written(votes), told, malformed, sum(block.count for block in blocks)


# --- two ways of reading ---------------------------------------------------------------------------------------------

MODELS = st.sampled_from(["a", "b", "latxa", "größe", 'quo"te', "back\\slash", "😀", "tab\t", "", "\x7f\u2028"])
ANSWERS = st.sampled_from([*VERDICTS, None])
TEXTS = st.one_of(st.text(max_size=5), st.sampled_from(["u1", "u1", "7", "\u2028", "x" * 300]))
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-5, 2**70), st.floats(allow_nan=False), TEXTS)
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=2), st.dictionaries(TEXTS, SCALARS, max_size=2))
SOUND = st.fixed_dictionaries(
    {"model_a": MODELS, "model_b": MODELS, "winner": st.sampled_from(VERDICTS)},
    optional={
        "winner_content": ANSWERS, "winner_language": ANSWERS, "user": st.one_of(TEXTS, st.none()),
        "prompt_id": TEXTS, "id": st.one_of(TEXTS, st.none()), "more": VALUES, "metadata": st.just({"n": 1}),
        "timestamp": st.sampled_from([1.5, 7, "2024"]), "conversation_a": st.lists(VALUES, max_size=2), "judge": TEXTS,
    },
)  # fmt: skip
ODD = st.fixed_dictionaries(
    {"model_a": MODELS},
    optional={
        "model_b": st.one_of(MODELS, SCALARS), "winner": st.one_of(ANSWERS, VALUES), "user": VALUES, "id": VALUES,
        "winner_content": st.one_of(ANSWERS, VALUES), "winner_language": ANSWERS, "metadata": VALUES, "source": VALUES,
        "timestamp": VALUES, "judge": VALUES, "preference": VALUES, "conversation_a": VALUES, "language": VALUES,
    },
)  # fmt: skip


@st.composite
def spelled(draw, records):
    """A record as JSON in one of the many ways to write it."""
    record = draw(records)
    names = draw(st.permutations(list(record)))
    text = json.dumps(
        {name: record[name] for name in names},
        ensure_ascii=draw(st.booleans()),
        separators=draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\t", " : ")])),
    )
    if draw(st.booleans()):
        text = text.replace("model_a", "mod\\u0065l_a").replace("/", "\\/")
    return text.encode("utf-8", "surrogatepass")


STRANGE = [
    b"", b" \t", b"[]", b"7", b"null", b'"text"', b"{", b"{}", b"\x00", b"\xff", b'{"model_a":"a"}{"model_b":"b"}',
    b'{"model_a":"a","model_b":"b","winner":"tie"}{"model_a":"a","model_b":"b","winner":"tie"}',
    b'{"model_a":"a","model_b":"b","winner":"tie"} {"model_a":"a","model_b":"b","winner":"tie"}',
    b'{"model_a":"a","model_b":"b"}',
    b'{"model_a":"a","model_b":"b","winner":"draw","winner_language":"tie"}',
    b'{"model_a":"a","model_b":"b","winner_content":"tie"}',
    b'{"model_a":"a","model_b":"b","winner":"tie"},',
    b'{"model_a":"a","model_b":"b","winner":"tie","winner":"model_b"}',
    b'{"model_a":"a","model_b":"b","winner":"tie","more":NaN}',
    b'{"model_a":"a","model_b":"b","winner":"tie","more":01}',
    b'{"model_a":"a","model_b":"b","winner":"tie","more":"\\ud800"}',
    b'{"model_a":"a","model_b":"b","winner":"tie","more":"\\x"}',
    b'{"model_a":"a","model_b":"b","winner":"tie","more":"\x01"}',
    b'{"model_a":"a","model_b":"b","winner":"tie","more":"\xff"}',
    b'{"model_a":"a","model_b":"b","winner":"tie","more":"\xed\xa0\x80"}',
    b'{"model_a":"a","model_b":"b","winner":"tie","\xff":1}',
    b'{"model_a":"a\\ud800","model_b":"b","winner":"tie"}',
    b'{"model_a":"a","model_b":"b","winner":"tie","user":"\\u0000"}',
    b'{"model_a":"a","model_b":"b","winner":"tie",}',
    b'{"model_a":"a","model_b":"b","winner":"tie","more":tru}',
    b'{"model_a":"a","model_b":"b","winner":"tie","more":-}',
    b"{'model_a':'a'}",
    b'\x0c{"model_a":"a","model_b":"b","winner":"tie"}',
    b'\xc2\xa0{"model_a":"a","model_b":"b","winner":"tie"}',
]  # fmt: skip


@st.composite
def files(draw):
    """Files of which some are wholly sound, some odd, and some longer than what is read at once."""
    lines = st.one_of(spelled(SOUND), spelled(SOUND), spelled(SOUND), spelled(ODD), st.sampled_from(STRANGE))
    chosen = draw(st.lists(draw(st.sampled_from([spelled(SOUND), lines])), max_size=8))
    if draw(st.booleans()):  # the next line lies across the end of a block
        filler = b'{"model_a":"a","model_b":"b","winner":"tie","more":"%s"}'
        chosen.insert(draw(st.integers(0, len(chosen))), filler % (b"x" * (CHUNK - draw(st.integers(0, 200)))))
    mark = draw(st.sampled_from([b"", b"", b"\xef\xbb\xbf"]))
    return mark + draw(st.sampled_from([b"\n", b"\r\n", b"\n\n"])).join(chosen) + draw(st.sampled_from([b"", b"\n"]))


@settings(max_examples=150)
@given(content=files(), criteria=st.sampled_from([CRITERIA, ("winner",), ("winner_language",)]))
@example(content=b"\n".join([b'{"model_a":"a","model_b":"b","winner":"tie"}', *STRANGE]), criteria=CRITERIA)
@example(content=b"\n", criteria=CRITERIA)
@example(content=b"\n" + b'{"model_a":"a","model_b":"b","winner":"tie"}' * 2, criteria=CRITERIA)
def test_many_lines_at_once_say_what_whole_records_say(tmp_path_factory, content, criteria):
    path = tmp_path_factory.getbasetemp() / "spelled.jsonl"
    path.write_bytes(content)
    assume(not is_json_text(content.removeprefix(b"\xef\xbb\xbf")))  # which is read as one text
    assert taken(path, criteria) == taken(path, criteria, filters=[lambda _record: None])


@pytest.mark.parametrize("line", STRANGE, ids=range(len(STRANGE)))
def test_each_strange_line_alone_is_read_alike(tmp_path, line):
    path = tmp_path / "strange.jsonl"
    path.write_bytes(b'{"model_a":"a","model_b":"b","winner":"tie"}\n' + line + b"\n")
    for criteria in (CRITERIA, ("winner_language",)):
        assert taken(path, criteria) == taken(path, criteria, filters=[lambda _record: None])


@pytest.mark.parametrize("more", [b"1e999", b"[" * 300 + b"]" * 300])
def test_what_nobody_asks_for_may_be_what_no_record_can_hold(tmp_path, more):
    """The one difference between the two ways: a vote need not be written again."""
    path = tmp_path / "battles.jsonl"
    path.write_bytes(b'{"model_a":"a","model_b":"b","winner":"tie","more":' + more + b"}\n")
    assert taken(path)[0] == (["a", "b"], [("a", "b", (TIE, NONE, NONE), {})])
    assert [where for where, _, _ in taken(path, filters=[lambda _record: None])[2]] == [f"{path}:1"]


def test_sound_lines_are_read_without_making_records(tmp_path, monkeypatch):
    """Else the comparison above compares one way with itself."""
    path = tmp_path / "sound.jsonl"
    path.write_text('{"model_a": "a", "model_b": "é", "winner": "tie", "user": "u"}\n' * 5000)
    monkeypatch.setattr(Block, "records", lambda *_: pytest.fail("records were made"))
    votes, told, malformed, count = taken(path)
    assert votes == (["a", "é"], [("a", "é", (TIE, NONE, NONE), {"user": "u"})] * 5000)
    assert (told, malformed, count) == ([], [], 5000)


def test_a_table_is_read_like_lines(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [battle(user="u1", id="1"), battle(winner="tie", user=None, id="1"), battle("c", "c", user="u2", id="2")]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "battles.parquet")
    (tmp_path / "battles.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    table, lines = taken(tmp_path / "battles.parquet"), taken(tmp_path / "battles.jsonl")
    assert table[0] == lines[0] == (["a", "b"], [("a", "b", (A_WON, NONE, NONE), {"user": "u1"})])
    assert [reason for reason, _, _ in table[1]] == [reason for reason, _, _ in lines[1]] == ["self battle", "same id"]


# --- odd votes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize(
    ("change", "reason", "detail"),
    [
        ({"model_b": "a"}, "self battle", ""),
        ({"winner_language": None}, "no verdict", ""),
        ({"winner_language": "left"}, "unknown verdict", "`winner_language` is 'left'"),
        ({"winner_language": "left", "winner_content": "right"}, "unknown verdict", "`winner_language` is 'left'"),
        ({"team": {"name": "t"}}, "odd field", "`team` is neither a name nor a number"),
    ],
)
def test_odd_votes_are_rejected_as_they_came_with_their_reason(tmp_path, change, reason, detail, whole):
    sound = battle(winner_language="model_b", more=[1])
    path = tmp_path / "battles.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in (sound | change, sound, sound | change)))
    filters = [lambda _record: None] if whole else []
    (_, rows), told, malformed, _ = taken(path, ("winner_language",), ("user", "team"), filters=filters)
    assert told == [(reason, detail, sound | change)] * 2
    assert rows == [("a", "b", (B_WON,), {})]
    assert malformed == []


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"winner_language": ["model_a"]}, "`winner_language` is an array, not a verdict"),
        ({"winner_language": 1}, "`winner_language` is a number, not a verdict"),
        ({"user": {"name": "u"}}, "`user` is an object, not a name or a number"),
        ({"judge": 7}, "`judge` is a number, not a string"),
        ({"timestamp": [2024]}, "`timestamp` is an array, not a string or a number"),
        ({"conversation_a": "hello"}, "`conversation_a` is a string, not an array"),
        ({"preference": "0.7"}, "`preference` is a string, not a number"),
        ({"preference": True}, "`preference` is a boolean, not a number"),
    ],
)
def test_a_declared_field_that_holds_something_else_is_malformed_in_both_ways(tmp_path, change, what, whole):
    """Whether it is asked for or not, and whatever stands in the lines beside it."""
    path = tmp_path / "battles.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in (battle(), battle(**change), battle())))
    filters = [lambda _record: None] if whole else []
    (_, rows), told, malformed, _ = taken(path, ("winner",), (), filters=filters)
    assert (len(rows), told) == (2, [])
    assert [(where, said) for where, said, _ in malformed] == [(f"{path}:2", what)]


def test_a_number_names_a_user_as_its_digits_do(tmp_path):
    path = tmp_path / "battles.jsonl"
    path.write_text("".join(json.dumps(battle(user=user)) + "\n" for user in (7, "7", 7.5, True, None)))
    (_, rows), *_ = taken(path, ("winner",), ("user",))
    assert [fields for *_, fields in rows] == [{"user": "7"}, {"user": "7"}, {"user": "7.5"}, {"user": "true"}, {}]


def test_a_vote_with_an_id_seen_before_is_left_out_and_shown(tmp_path):
    path = tmp_path / "battles.jsonl"
    rows = [battle(id="x"), battle(), battle(), battle("c", winner="tie", id=7, user="u"), battle(winner="tie", id="x"),
            battle("c", winner="tie", id="7", user="u")]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (_, kept), told, *_ = taken(path, ("winner",), ("user",))
    assert len(kept) == 4
    again = [battle(winner="tie"), battle("c", winner="tie", user="u")]
    assert told == [("same id", "a battle before has its id", record) for record in again]


def test_an_id_counts_from_the_first_vote_that_is_counted(tmp_path):
    path = tmp_path / "battles.jsonl"
    rows = [battle("b", id="x"), battle(winner="tie", id="x")]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (_, kept), told, *_ = taken(path, ("winner",), ())
    assert kept == [("a", "b", (TIE,), {})]
    assert [reason for reason, *_ in told] == ["self battle"]


def test_too_many_models_end_the_run_early(monkeypatch):
    monkeypatch.setattr(module, "MOST_MODELS", 10)
    endless = (battle(f"m{n}", f"m{n + 1}") for n in itertools.count())
    with pytest.raises(LatxaError, match="more than 10 models"):
        list(Tally().count(endless))
    assert list(Tally().count([battle(f"m{n}", f"m{n + 1}") for n in range(9)])) == []  # ten are not too many


@pytest.mark.parametrize("features", [(), ("length",)])
def test_nothing_read_gives_no_votes(features):
    votes, again = Tally(CRITERIA, ("user",), features=features, measure=lambda _: [[0, 0]]).votes()
    assert (len(votes), votes.models, again) == (0, [], [])
    assert {name: values.shape for name, values in votes.features.items()} == dict.fromkeys(features, (0, 2))


# --- one vote of three answers ---------------------------------------------------------------------------------------


def by_the_rule(overall, content, language):
    """What content and language agree on; else the whole, if it was asked; else the one of the two that is no tie."""
    if content == language != NONE:
        return content
    if overall != NONE:
        return overall
    if NONE in (content, language):
        return language if content == NONE else content
    winners = {content, language} & {A_WON, B_WON}
    return {0: TIE, 1: min(winners, default=TIE), 2: NONE}[len(winners)]


def test_three_answers_make_the_vote_that_the_rule_says():
    import numpy as np

    answers = (A_WON, B_WON, TIE, BOTH_BAD, NONE)
    table = list(itertools.product(answers, repeat=3))
    made = collapsed(*np.array(table, np.int8).T)
    assert made.tolist() == [by_the_rule(*row) for row in table]
    assert {NONE, A_WON, B_WON, TIE, BOTH_BAD} == set(made.tolist())


def test_a_collapsed_vote_may_lack_a_winner(tmp_path):
    path = tmp_path / "battles.jsonl"
    rows = [
        {"model_a": "a", "model_b": "b", "winner_content": "model_b", "winner_language": "tie"},
        battle(winner_content="model_b", winner_language="model_b"),
        battle(winner="model_b", winner_content="model_a", winner_language="model_b"),
        {"model_a": "a", "model_b": "b", "winner_content": "model_b", "winner_language": "model_a"},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (_, kept), told, *_ = taken(path, ("winner",), (), collapse=True)
    assert [said for _, _, said, _ in kept] == [(B_WON,), (B_WON,), (B_WON,), (NONE,)]
    assert told == []


def test_files_may_number_their_votes_alike(tmp_path, latxa):
    """Both count from 0; a vote that is in both is one, and an id that comes twice in one file is a repetition."""
    one = [battle(id=str(n), winner="model_a", user=f"u{n}") for n in range(4)]
    other = [battle(id=str(n), winner="model_b", user=f"v{n}") for n in range(3)] + [one[3], battle(id="0", user="w")]
    for name, battles in (("one", one), ("other", other)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in battles))
    for flags in ((), ("--exclude", "user=nobody")):  # many lines at once, and each for itself
        done = latxa("arena-score", tmp_path / "one.jsonl", tmp_path / "other.jsonl", *flags, "--format", "jsonl")
        assert "9 in" in done.stderr.decode() and "2 rejected (2 same id)" in done.stderr.decode()
        assert json.loads(done.stdout.splitlines()[0])["battles"] == 7
