"""Votes of web forms: columns, labels, dates, marks, responses apart, and users without their names."""

import json

import pytest

from latxa_cli.arena.forms import Responses, VoteForm, date_reader
from latxa_cli.arena.pseudonyms import pseudonym
from latxa_cli.stream.errors import LatxaError, UsageError

HEADER = "Timestamp,Email Address,Left model,Right model,Vote,prompt_id,Comment\n"
ROWS = [
    "25/03/2025 14:05:33,ane@x.eus,latxa,gpt,Left,q0,\"long, and\nof two lines\"\n",
    "26/03/2025 9:01,ane@x.eus,gpt,latxa,Both good,q1,\n",
    "3/04/2025 9:01,jon@x.eus,gpt,latxa,Right,q1,\n",
    "3/04/2025 9:02,jon@x.eus,gpt,latxa,Neither,q0,\n",
]  # fmt: skip


def read(tmp_path, content, name="votes.csv", form=None):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return [entry for entry in (form or VoteForm()).source(str(path)).entries() if entry[1]]


def test_a_form_gives_battles(tmp_path):
    rows = read(tmp_path, HEADER + "".join(ROWS))
    assert [number for number, _ in rows] == [2, 4, 5, 6]  # lines: one is of two
    assert rows[0][1] == {
        "timestamp": "2025-03-25T14:05:33", "user": "ane@x.eus", "model_a": "latxa", "model_b": "gpt",
        "winner": "model_a", "prompt_id": "q0", "Comment": "long, and\nof two lines",
    }  # fmt: skip
    assert [row["winner"] for _, row in rows] == ["model_a", "tie", "model_b", "tie (bothbad)"]
    assert rows[2][1]["timestamp"] == "2025-04-03T09:01:00"
    assert "Comment" not in rows[1][1]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_separators_and_marks_change_nothing(tmp_path, separator, encoding):
    text = "model_a\tmodel_b\twinner\tuser\nlatxa\tgpt\tleft\tAñe\n".replace("\t", separator)
    name = "votes.TSV" if separator == "\t" else "votes.CSV"
    [(_, row)] = read(tmp_path, text.encode(encoding), name)
    assert row == {"model_a": "latxa", "model_b": "gpt", "winner": "model_a", "user": "Añe"}


def test_columns_and_labels_of_other_names(tmp_path):
    form = VoteForm.of(["model_a=Ezkerra", "model_b=Eskuina", "user=Nor"], ["model_a=Lehena", "tie=Biak ondo"])
    text = "Ezkerra,Eskuina,Vote,Nor\nx,y,lehena,u\nx,y,Biak  ondo,u\nx,y,y,v\nx,y,B,v\n"
    rows = [row for _, row in read(tmp_path, text, form=form)]
    assert [row["winner"] for row in rows] == ["model_a", "tie", "model_b", "model_b"]
    assert rows[0] == {"model_a": "x", "model_b": "y", "winner": "model_a", "user": "u"}


def test_json_lines_have_names_of_their_own_too(tmp_path):
    form = VoteForm.of(["model_a=left", "model_b=right"], ["model_a=L", "model_b=R"])
    lines = [{"left": "x", "right": "y", "winner": "L", "n": 1}, {"left": "x", "right": "y", "winner": "tie"}]
    content = "".join(json.dumps(one) + "\n" for one in lines) + "{broken\n"
    rows = read(tmp_path, content, "votes.jsonl", form)
    assert rows[0] == (1, {"model_a": "x", "model_b": "y", "winner": "model_a", "n": 1})
    assert rows[1][1]["winner"] == "tie"
    assert rows[2] == (3, b"{broken")  # told of as any line that is no JSON


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a1,b1,vote\nx,y,left\n", "no column is `model_a`"),
        ('model_a,model_b,winner\nx,y,"left\n', "unexpected end of data"),
        ('\nmodel_a,model_b,winner\nx,y,left\nx,y,"left\n\n\n', "votes.csv:4: unexpected end of data"),
        ("model_a,model_b,winner, winner\nx,y,left,right\n", "two columns are called `winner`"),
        (b"model_a,model_b,winner\nx,y,left\n" + b"x,\xe9,left\n", "votes.csv:3: this is not UTF-8"),
    ],
)
def test_what_is_no_form_is_told(tmp_path, text, message):
    with pytest.raises(LatxaError, match=message):
        read(tmp_path, text)


def test_blank_rows_are_none_and_a_row_of_too_many_cells_is_malformed(latxa, tmp_path):
    rows = [
        "",
        "model_a,model_b,winner,note",
        "",
        ",,,",
        'x,y,left,"of two\nlines",,',
        "x,y,left,no, quotes",
        "x,y,,",
        "y,x",
    ]
    text = "".join(row + "\r\n" for row in rows)
    (tmp_path / "votes.csv").write_bytes(text.encode())
    done = latxa("arena-score", tmp_path / "votes.csv", "--rejects", tmp_path / "rejects.jsonl")
    assert b"4 in" in done.stderr and b"3 malformed" in done.stderr
    told = [json.loads(line) for line in (tmp_path / "rejects.jsonl").read_text().splitlines()]
    assert [(one["where"].rpartition(":")[2], one["detail"]) for one in told] == [
        ("7", "the row has 5 cells, and the first one names 4 columns"),
        ("8", "the field `winner` is missing"),
        ("9", "the field `winner` is missing"),
    ]
    assert told[0]["line"] == "x,y,left,no, quotes"
    done = latxa("preferences", tmp_path / "votes.csv")
    assert f"{tmp_path / 'votes.csv'}:7: the row has 5 cells" in done.stderr.decode()


def test_a_label_of_two_verdicts_and_a_field_of_two_columns_are_wrong_usage():
    with pytest.raises(UsageError, match="`both` stands for `tie` already"):
        VoteForm.of(None, ["tie=Both", "tie (bothbad)=both"])
    assert VoteForm.of(None, ["tie=Both", "tie=both", "tie=Same"]).labels == {"both": "tie", "same": "tie"}
    with pytest.raises(UsageError, match="given twice for `user`"):
        VoteForm.of(["user=a", "user=b"], None)


@pytest.mark.parametrize("verb", [("arena-score",), ("arena-next", "-n", "1"), ("preferences",)])
def test_a_column_that_no_battle_has_is_told(latxa, tmp_path, verb):
    (tmp_path / "votes.jsonl").write_text('{"model_a": "x", "model_b": "y", "winner": "model_a", "q": "1"}\n')
    done = latxa(*verb, tmp_path / "votes.jsonl", "--column", "prompt_id=question", "--column", "item=q")
    assert b"`--column prompt_id=question`: no battle has `question`" in done.stderr
    assert b"item=q" not in done.stderr


def test_a_column_or_a_verdict_that_does_not_exist_is_told(tmp_path):
    with pytest.raises(LatxaError, match="no column `Nor`"):
        read(tmp_path, HEADER, form=VoteForm.of(["user=Nor"], None))
    with pytest.raises(UsageError, match="no verdict `ties`"):
        VoteForm.of(None, ["ties=Both"])
    assert read(tmp_path, "") == []


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["3/4/2025 10:00", "13/4/2025"], ["2025-04-03T10:00:00", "2025-04-13T00:00:00"]),
        (["3/4/2025 10:00", "3/14/2025 2:05:33 PM"], ["2025-03-04T10:00:00", "2025-03-14T14:05:33"]),
        (["3/4/2025 10:00"], ["3/4/2025 10:00"]),  # which is the month, nothing says
        (["2025/03/19 2:05:33 AM GMT+1"], ["2025-03-19T02:05:33"]),
        (["2025-03-19T02:05:33Z", "soon"], ["2025-03-19T02:05:33Z", "soon"]),
        (["19.3.2025"], ["2025-03-19T00:00:00"]),
        (["12/25/2025 12:00 AM"], ["2025-12-25T00:00:00"]),
        (["31/2/2025"], ["31/2/2025"]),
    ],
)
def test_dates_are_read_by_their_column(texts, expected):
    read = date_reader(texts)
    assert [read(text) for text in texts] == expected


# --- responses -------------------------------------------------------------------------------------------------------


def response(name, model, answer):
    messages = [{"role": "user", "content": f"ask {name}"}, {"role": "assistant", "content": answer}]
    return {"id": name, "model": model, "messages": messages}


def test_responses_join_by_prompt_and_model():
    responses = Responses([response("q0", "x", "one"), response("q0", "y", "two"), response("q1", "x", "three")])
    battle = {"model_a": "y", "model_b": "x", "prompt_id": "q0"}
    responses.join(battle)
    assert [battle[f"conversation_{side}"][1]["content"] for side in "ab"] == ["two", "one"]
    by_text = {"model_a": "x", "model_b": "y", "prompt": " ask q1 "}
    responses.join(by_text)
    assert by_text["conversation_a"][1]["content"] == "three" and "conversation_b" not in by_text
    assert responses.remark == "1 of 4 responses to battles are not in `--responses`"
    own = {"model_a": "x", "model_b": "y", "prompt_id": "q0", "conversation_a": [], "conversation_b": []}
    responses.join(own)
    assert own["conversation_a"] == []  # a battle's own come first
    with pytest.raises(LatxaError, match="two responses"):
        Responses([response("q0", "x", "one"), response("q0", "x", "other")])


def test_of_several_answers_to_one_prompt_none_is_guessed():
    def asked(name, model, answer):
        return response("q0", model, answer) | {"id": name}

    responses = Responses(
        [asked("q0", "x", "one"), asked("q7", "x", "other"), asked("q0", "y", "a"), asked("q7", "y", "a")]
    )
    battle = {"model_a": "x", "model_b": "y", "prompt": "ask q0"}
    responses.join(battle)
    assert "conversation_a" not in battle and battle["conversation_b"][1]["content"] == "a"
    assert "one of several answers of a model to the same prompt (1): name the `prompt_id`" in responses.remark
    named = {"model_a": "x", "model_b": "y", "prompt": "ask q0", "prompt_id": "q7"}
    responses.join(named)
    assert named["conversation_a"][1]["content"] == "other"


def test_control_and_preferences_work_on_votes_of_a_form(latxa, tmp_path):
    models = {"x": 10, "y": 40}
    for model, length in models.items():
        lines = (json.dumps(response(f"q{n}", model, "a" * (length + n))) + "\n" for n in range(40))
        (tmp_path / f"{model}.jsonl").write_text("".join(lines))
    rows = "".join(f"{'xy'[n % 2]},{'yx'[n % 2]},{('Left', 'Right')[n % 3 % 2]},u{n % 7},q{n}\n" for n in range(40))
    (tmp_path / "form.csv").write_text("model_a,model_b,vote,user,prompt_id\n" + rows)
    given = [part for model in models for part in ("--responses", tmp_path / f"{model}.jsonl")]
    done = latxa("arena-score", tmp_path / "form.csv", *given, "--control", "length", "--prior", "1")
    assert done.returncode == 0, done.stderr.decode()
    records = [json.loads(line) for line in done.stdout.decode().splitlines()]
    [lacking] = [one for one in records if one.get("finding") == "votes without conversations"]
    assert lacking["value"] == 0
    done = latxa("preferences", tmp_path / "form.csv", *given, "--hash-users")
    pairs = [json.loads(line) for line in done.stdout.decode().splitlines()]
    assert len(pairs) == 40 and pairs[0]["metadata"]["user"] == pseudonym("u0")
    nothing = latxa("preferences", tmp_path / "form.csv", "--responses", tmp_path / "x.jsonl", "--exclude", "model=y")
    assert "excluded by model" in nothing.stderr.decode()


# --- users without their names ---------------------------------------------------------------------------------------


def test_no_user_is_named_in_ratings_manifest_or_terminal_unless_asked(latxa, tmp_path):
    """One user gives most votes, always for the first: three findings are about users."""
    rows = [f"{'xyz'[n % 3]},{'yzx'[n % 3]},left,secret-{0 if n < 60 else n % 9}\n" for n in range(100)]
    (tmp_path / "votes.csv").write_text("model_a,model_b,winner,user\n" + "".join(rows))
    for flags, named in (((), False), (("--hash-users",), False), (("--show-users",), True)):
        out = tmp_path / "ratings.jsonl"
        done = latxa("arena-score", tmp_path / "votes.csv", *flags, "-o", out)
        shown = latxa("arena-score", tmp_path / "votes.csv", *flags, "--format", "table")
        manifest = (tmp_path / "ratings.jsonl.manifest.json").read_text()
        texts = [done.stderr.decode(), shown.stdout.decode(), shown.stderr.decode(), out.read_text(), manifest]
        assert any("secret-" in text for text in texts) == named
        assert (pseudonym("secret-0") in out.read_text()) != named
        out.unlink()


def test_pseudonyms_are_the_same_in_every_run_and_differ():
    assert pseudonym("ane") == pseudonym("ane") != pseudonym("jon")
    assert pseudonym("ane").startswith("user-")
