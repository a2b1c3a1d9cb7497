"""Preparing: records to packed rows on the disk, as `latxa prepare` does it."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from latxa_cli.chat.folding import folded
from latxa_cli.chat.rendering import REFUSED
from latxa_cli.stream.errors import LatxaError, RecordError, UsageError
from latxa_cli.training.data import prepare as room
from latxa_cli.training.data import rows as on_disk
from latxa_cli.training.data.lost import check_sources
from latxa_cli.training.data.rows import IGNORED, PreparedRows
from latxa_cli.training.data.show import marked
from latxa_cli.training.data.tokenised import TokenisingSettings


def pieces(rows):
    """The pieces of all rows: (ids, labels), padding included."""
    for ids, positions, labels in zip(*rows.batch(range(len(rows))), strict=True):
        cuts = [*np.flatnonzero(positions == 0).tolist(), len(ids)]
        for start, end in itertools.pairwise(cuts):
            assert positions[start:end].tolist() == list(range(end - start))
            yield ids[start:end].tolist(), labels[start:end].tolist()


def without_padding(rows, tokenizer):
    return sorted(ids for ids, _ in pieces(rows) if set(ids) != {tokenizer.pad_token_id})


def expected_pieces(records, tokenizer, length=64):
    for record in records:
        if "text" in record:
            ids = [0, *tokenizer(record["text"], add_special_tokens=False)["input_ids"], 1]
        else:
            text = tokenizer.apply_chat_template(record["messages"], tokenize=False)
            ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        yield from (ids[start : start + length] for start in range(0, len(ids), length))


def test_every_token_of_every_record_is_in_a_row(prepared, records, tokenizer):
    rows = prepared(records).rows
    expected = sorted(expected_pieces(records, tokenizer))
    assert without_padding(rows, tokenizer) == expected
    assert rows.tokens == sum(map(len, expected)) and len(rows) * 64 * rows.fill == pytest.approx(rows.tokens)
    assert rows.fill > 0.9


@pytest.mark.parametrize("window", [3, 7, 1000])
def test_small_windows_and_shards_hold_the_same_pieces(prepared, records, tokenizer, monkeypatch, window):
    monkeypatch.setattr(room, "WINDOW", window)
    monkeypatch.setattr(room, "WINDOW_TOKENS", 64 * window)
    monkeypatch.setattr(on_disk, "SHARD_TOKENS", 64 * 5)
    rows = prepared(records).rows
    assert without_padding(rows, tokenizer) == sorted(expected_pieces(records, tokenizer))
    assert len(rows._shards) == -(-len(rows) // 5)
    order = np.random.default_rng(0).permutation(len(rows))
    every = rows.batch(range(len(rows)))
    for array, shuffled in zip(every, rows.batch(order), strict=True):
        assert (array[order] == shuffled).all()


def test_labels_are_the_ids_and_the_first_of_a_piece_is_none(rows, tokenizer):
    trained, ended, padding = 0, 0, 0
    for ids, labels in pieces(rows):
        assert labels[0] == IGNORED
        assert all(label in (IGNORED, token) for token, label in zip(ids, labels, strict=True))
        trained += sum(label != IGNORED for label in labels)
        if ids[-1] == 1:  # a document's end
            assert labels[1:] == ids[1:]
            ended += 1
        if set(ids) == {tokenizer.pad_token_id}:
            assert set(labels) == {IGNORED}
            padding += 1
    assert trained == rows.trained and ended and padding


def test_shares_and_losses_of_the_sources(prepared, records):
    others = [record | {"source": "others"} for record in records if "messages" in record]
    mixed = [*records, *others]
    assistant, everything = prepared(mixed).rows.shares, prepared(mixed, chat_loss="all").rows.shares
    assert (assistant["web"]["records"], assistant["chats"]["records"]) == (60, 40)
    assert assistant["web"] == everything["web"]
    assert 0 < assistant["chats"]["trained"] < everything["chats"]["trained"] == everything["chats"]["tokens"] - 2 * 40
    one = prepared(mixed, source_loss={"others": "all"}).rows.shares
    assert one == assistant | {"others": everything["others"]}


def test_a_long_document_is_cut_without_losing_a_token(prepared, tokenizer):
    record = {"id": "1", "text": "mendi handi eta ibai txiki " * 40}
    rows = prepared([record], sequence_length=50).rows
    assert without_padding(rows, tokenizer) == sorted(expected_pieces([record], tokenizer, 50))


def turns(*contents):
    return [{"role": "user" if place % 2 == 0 else "assistant", "content": c} for place, c in enumerate(contents)]


def test_a_long_conversation_ends_with_the_last_answer_that_fits(prepared, tokenizer):
    record = {"id": "c", "messages": turns("etxe", "mendi", "ibai", "katu", "txori " * 60, "gorri")}
    made = prepared([record])
    assert made.shortened == 1 and "1 conversations longer than a row" in " ".join(made.lines())
    short = record | {"messages": record["messages"][:4]}
    assert without_padding(made.rows, tokenizer) == sorted(expected_pieces([short], tokenizer))


def test_what_cannot_be_used_is_rejected_with_a_reason(prepared, records):
    long = {"id": "l", "messages": turns("etxe " * 99, "a"), "source": "chats"}
    wrong = {"id": "w", "messages": turns("<|end|>", "a"), "source": "chats"}
    made = prepared([long, *records, {"messages": 3}, wrong], set_aside=True)
    assert made.rejected == {"longer than the sequence": 1, "special token in the text": 1, "malformed": 1}
    assert made.read == len(records) + 3
    entries = [json.loads(line) for lines in made.rejects() for line in bytes(lines.data).splitlines()]
    assert {entry["reason"] for entry in entries} == set(made.rejected)
    assert sum(lines.count for lines in made.rejects()) == 3


def test_a_malformed_line_stops_where_none_are_set_aside(prepared, records):
    with pytest.raises(RecordError, match=r"mix\.jsonl:2: `messages` is a number, not a list"):
        prepared([records[0], {"messages": 3}])


def test_a_source_of_which_nothing_is_trained_stops(prepared, records):
    question = {"id": "q", "messages": [{"role": "user", "content": "Zer?"}], "source": "questions"}
    with pytest.raises(LatxaError, match="no conversation of `questions` is left, of 1: nothing of it is trained"):
        prepared([*records, question])
    assert prepared([*records, question], source_loss={"questions": "all"}).rows.shares["questions"]["trained"]


GEMMA = (
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + '<|end_of_turn|>' }}{% endfor %}"
)


def with_system(record):
    return record | {"messages": [{"role": "system", "content": "Izan labur."}, *record["messages"]]}


def test_a_source_of_whose_conversations_none_is_left_stops(prepared, records):
    """The run would train on documents alone, of the same source too."""
    ours = [with_system(record) | {"source": "web"} if "messages" in record else record for record in records]
    with pytest.raises(LatxaError) as stopped:
        prepared(ours, chat_template=GEMMA)
    assert stopped.value.message.startswith(
        "no conversation of `web` is left, of 40: refused by the chat template (the first: the chat template"
    )
    assert stopped.value.message.endswith("refuses the conversation: System role not supported)")
    assert stopped.value.hint == "`--fold-system` makes system turns part of the user's"
    some = [ours[0], *records[1:]]
    assert prepared([*some, with_system(records[3])], chat_template=GEMMA).rejected == {REFUSED: 1}


def test_a_source_of_too_long_conversations_stops_and_names_its_reason(prepared, records):
    talk = [{"role": "user", "content": "etxe " * 99}, {"role": "assistant", "content": "da"}]
    long = [{"messages": talk, "source": "long"}] * 2
    with pytest.raises(
        LatxaError, match=r"no conversation of `long` is left, of 2: longer than the sequence \(the first: 107"
    ) as stopped:
        prepared([*records, *long])
    assert stopped.value.hint == "a longer `--sequence-length`, or shorter conversations"


def test_the_lost_conversations_of_all_parts_are_counted_together():
    lost = {"a": {"records": 2, "reason": "r", "detail": "d", "hint": "h"}}
    more = {"a": {"records": 3, "reason": "s", "detail": "e", "hint": "i"}}
    with pytest.raises(LatxaError, match=r"`a` is left, of 5: r \(the first: d\)") as stopped:
        check_sources([{"a": 0}, {}], [lost, more], set_aside=False)
    assert stopped.value.hint == "h"
    check_sources([{"a": 0}, {}, {"a": 1}], [lost, more, {}], set_aside=False)


def test_what_is_done_already_is_not_suggested(prepared, records):
    """System turns that are folded, and the file of rejects."""
    two = [{"id": "t", "messages": with_system({"messages": turns("a", "b")})["messages"], "source": "x"}]
    refusing = "{{ raise_exception('never') }}"
    hints = []
    for fold in (False, True):
        for set_aside in (False, True):
            with pytest.raises(LatxaError) as stopped:
                prepared([*records[:3], *two], chat_template=refusing, fold_system=fold, set_aside=set_aside)
            hints.append(stopped.value.hint)
    assert hints[:2] == ["`--fold-system` makes system turns part of the user's"] * 2
    assert hints[2:] == [
        "mend them, or leave them out; `--rejects FILE` holds each with its reason", "mend them, or leave them out"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        ("s1 u1 a1", "u:s1+u1 a1"), ("s1 s2 u1 a1 s3 u2 a2", "u:s1+s2+u1 a1 u:s3+u2 a2"), ("u1 s1 a1", "u:u1+s1 a1"),
        ("s1 a1", "u:s1 a1"), ("u1 a1 s1 a2", "u1 a1 u:s1 a2"), ("u1 a1 s1", "u1 a1"), ("u1 a1", "u1 a1"), ("s1", ""),
    ],
)  # fmt: skip
def test_system_turns_in_the_turns_of_the_user(turns, expected):
    roles = {"s": "system", "u": "user", "a": "assistant"}
    given = [{"role": roles[turn[0]], "content": turn} for turn in turns.split()]
    before = json.dumps(given)
    wanted = [
        {"role": roles[turn[0]], "content": turn.partition(":")[2].replace("+", "\n\n") or turn}
        for turn in expected.split()
    ]
    assert folded(given) == wanted and json.dumps(given) == before


def test_folded_conversations_are_trained_on(prepared, records, tokenizer):
    """Also those that must be shortened to fit a row."""
    ours = [with_system(record) if "messages" in record else record for record in records]
    ours[3]["messages"] += [{"role": "user", "content": "etxe " * 60}, {"role": "assistant", "content": "da"}]
    made = prepared(ours, chat_template=GEMMA, fold_system=True)
    assert made.rejected == {} and made.shortened == 1 and made.rows.facts["fold_system"] is True
    texts = [tokenizer.decode(ids) for ids, _ in pieces(made.rows)]
    first = records[3]["messages"][0]["content"]
    assert any(f"<|user|>Izan labur.\n\n{first}<|end_of_turn|><|assistant|>" in text for text in texts)


def test_a_template_that_is_no_jinja(prepared, records, tmp_path):
    for text, fault in (("{% for m in messages %}", "Unexpected end of template"), ("{{ x | nosuch }}", "nosuch")):
        (tmp_path / "template").write_text(text)
        with pytest.raises(LatxaError, match=f"template` is no chat template: line 1: .*{fault}"):
            room.template_of(tmp_path / "template")
        with pytest.raises(LatxaError, match="is no chat template: line 1: ") as stopped:
            prepared(records, chat_template=text)
        assert stopped.value.hint == "templates are written in Jinja"


def test_an_empty_mix(prepared):
    with pytest.raises(LatxaError, match=r"mix\.jsonl: no records are there"):
        prepared([])
    with pytest.raises(LatxaError, match="no conversation without a `source` is left, of 1"):
        prepared([{"id": "l", "messages": turns("etxe " * 99, "a")}])


def test_other_splits_are_left_out_and_counted(prepared, records):
    splits = [None, {}, {"split": None}, {"split": "train"}, {"split": "valid"}, {"split": "test"}]
    mixed = [record | {"metadata": splits[place % 6]} for place, record in enumerate(records)]
    wanted = [record for place, record in enumerate(mixed) if place % 6 < 4]
    made = prepared(mixed)
    assert made.other_split == len(mixed) - len(wanted) > 0
    assert made.rows.digest == prepared(wanted).rows.digest
    others = [record for record in mixed if record not in wanted]
    with pytest.raises(LatxaError, match=f"all {len(others)} records are of other splits than `train`"):
        prepared(others)


def test_texts_that_spell_special_tokens_do_not_become_them(prepared, tokenizer):
    end = tokenizer.eos_token
    page = {"id": "page", "text": f"etxe {end} mendi"}
    chat = {"id": "chat", "messages": turns(f"etxe {end}", "mendi")}
    made = prepared([page, chat, {"id": "other", "messages": turns("etxe", "mendi")}], set_aside=True)
    ids = made.rows.batch([0]).input_ids[0].tolist()
    assert ids.count(tokenizer.eos_token_id) == 1  # the one that we put there
    (lines,) = made.rejects()
    assert f"special token `{end}`" in json.loads(bytes(lines.data))["detail"]


def test_another_chat_template(prepared, tokenizer, tmp_path):
    path = tmp_path / "template.jinja"
    path.write_text("{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token }}{% endfor %}")
    rows = prepared([{"id": "c", "messages": turns("etxe", "mendi")}], chat_template=path.read_text()).rows
    (piece,) = without_padding(rows, tokenizer)
    assert tokenizer.decode(piece) == "user: etxe<|end|>assistant: mendi<|end|>"
    assert rows.facts["chat_template"] == path.read_text()


def test_shards_joined_hold_what_one_run_does(prepared, records, tokenizer):
    shards = [prepared(records, shard=(index, 3)).rows for index in range(3)]
    joined = sorted(piece for rows in shards for piece in without_padding(rows, tokenizer))
    assert joined == sorted(expected_pieces(records, tokenizer))
    assert sum(len(rows) for rows in shards) * 64 >= prepared(records).rows.tokens


def folder_of(rows):
    from pathlib import Path

    return Path(rows._shards[0][0].filename).parent


def test_several_folders_are_one(prepared, records, tokenizer):
    parts = [prepared(some).rows for some in (records[:50], records[50:])]
    both = PreparedRows([folder_of(rows) for rows in parts])
    assert len(both) == sum(map(len, parts)) and both.tokens == sum(rows.tokens for rows in parts)
    assert both.batch([len(parts[0])]).input_ids.tolist() == parts[1].batch([0]).input_ids.tolist()
    assert both.shares["web"]["records"] == 60
    with pytest.raises(UsageError, match="another sequence length"):
        PreparedRows([folder_of(parts[0]), folder_of(prepared(records, sequence_length=32).rows)])


def test_a_folder_that_is_not_whole(prepared, records):
    folder = folder_of(prepared(records).rows)
    ids = folder / "ids-00000.bin"
    ids.write_bytes(ids.read_bytes()[:-64])
    with pytest.raises(LatxaError, match=r"ids-00000\.bin: is missing or not whole"):
        PreparedRows([folder])
    (folder / "prepared.json").unlink()
    with pytest.raises(LatxaError, match="is not what `latxa prepare` makes, or not whole"):
        PreparedRows([folder])


def test_the_same_records_give_the_same_bytes(prepared, records):
    assert prepared(records).rows.digest == prepared(records).rows.digest != prepared(records[1:]).rows.digest


def test_what_is_learnt_is_shown(prepared, records, tokenizer):
    made = prepared(records)
    shown = list(marked(made.rows, tokenizer, 2))
    assert len(shown) == 2
    for parts in shown:  # conversations come first
        text = "".join(text for text, _ in parts)
        assert text.startswith("<|begin|><|user|>") and text.endswith("<|end_of_turn|>")
        (answer,) = [text for text, trained in parts if trained]
        assert answer.endswith("<|end_of_turn|>") and "<|user|>" not in answer
    assert list(marked(made.rows, tokenizer, 0)) == []


def test_a_tokenizer_without_chat_template(prepared, records, model_directory, tmp_path):
    import shutil

    bare = tmp_path / "bare"
    shutil.copytree(model_directory, bare)
    (bare / "chat_template.jinja").unlink()
    with pytest.raises(LatxaError, match="`bare` has no chat template"):
        prepared(records, model=str(bare))
    documents = [record for record in records if "text" in record]  # raw text needs none
    assert len(prepared(documents, model=str(bare)).rows)


def test_tokens_that_the_model_does_not_have(prepared, records, model_directory, tmp_path):
    import shutil

    small = tmp_path / "small"
    shutil.copytree(model_directory, small)
    config = json.loads((small / "config.json").read_text())
    (small / "config.json").write_text(json.dumps(config | {"vocab_size": 270}))
    with pytest.raises(LatxaError, match="is outside of the model's vocabulary of 270"):
        prepared(records, model=str(small))


# --- which tokenizer, which padding, which length --------------------------------------------------------------------


def test_rows_longer_than_the_context_of_the_model(model_directory):
    room.settings_for(str(model_directory), TokenisingSettings(128))
    with pytest.raises(LatxaError, match="takes at most 128 tokens, the sequence length is 129"):
        room.settings_for(str(model_directory), TokenisingSettings(129))


def test_a_tokenizer_is_known_by_what_it_makes_of_text_and_not_by_its_template(model_directory):
    def digest(**changed):
        tokenizer = room.load_tokenizer(str(model_directory))
        for name, value in changed.items():
            setattr(tokenizer, name, value)
        return room.digest_of(tokenizer)

    assert digest() == digest(chat_template="{{ messages }}")
    digests = {digest(), digest(bos_token="<|pad|>"), digest(eos_token="<|pad|>")}
    larger = room.load_tokenizer(str(model_directory))
    larger.add_tokens(["etxe"])
    assert len({*digests, room.digest_of(larger)}) == 4


def changed_model(model_directory, folder, **changed):
    """A copy of a model with other entries in `tokenizer_config.json`; None takes one out."""
    import shutil

    copy = shutil.copytree(model_directory, folder)
    path = copy / "tokenizer_config.json"
    settings = {name: value for name, value in (json.loads(path.read_text()) | changed).items() if value is not None}
    path.write_text(json.dumps(settings))
    return str(copy)


@pytest.mark.parametrize(("pad", "padding"), [("<|pad|>", 2), (None, 1)])
def test_rows_are_filled_up_with_the_padding_token_or_the_end_of_text(
    prepared, model_directory, tmp_path, pad, padding
):
    model = changed_model(model_directory, tmp_path / "model", pad_token=pad)
    rows = prepared([{"id": "d", "text": "etxe"}], model=model).rows
    ids = rows.batch([0]).input_ids[0]
    assert set(ids[rows.tokens :].tolist()) == {padding}


def test_a_tokenizer_without_an_end_of_text(prepared, model_directory, tmp_path):
    model = changed_model(model_directory, tmp_path / "model", eos_token=None)
    with pytest.raises(LatxaError, match="has no end-of-text token"):
        prepared([{"id": "d", "text": "etxe"}], model=model)


@pytest.mark.parametrize(("vocabulary", "size"), [(300, 2), (70_000, 4)])
def test_tokens_take_as_many_bytes_as_the_vocabulary_of_the_model_asks_for(
    prepared, model_directory, tmp_path, vocabulary, size
):
    import shutil

    model = shutil.copytree(model_directory, tmp_path / "model")
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"vocab_size": vocabulary}))
    rows = prepared([{"id": "d", "text": "etxe"}], model=str(model)).rows
    assert (folder_of(rows) / "ids-00000.bin").stat().st_size == size * 64


def test_each_record_that_is_left_out_stands_once_among_the_rejects(prepared, records):
    wrong = [{"id": f"l{n}", "messages": turns("etxe " * 99, "a"), "source": "chats"} for n in range(3)]
    spelt = {"id": "w", "messages": turns("<|end|>", "a"), "source": "chats"}
    made = prepared([*wrong, *records, {"messages": 3}, spelt], set_aside=True)
    entries = [json.loads(line) for lines in made.rejects() for line in bytes(lines.data).splitlines()]
    assert len(entries) == 5 and sum(lines.count for lines in made.rejects()) == 5
    assert [entry["record"]["id"] for entry in entries if "record" in entry].count("l0") == 1


def test_blank_lines_are_no_records(prepared, records, monkeypatch):
    lines = room.lines_of

    def with_blanks(part):
        for row, number, line in lines(part):
            yield row, number, line
            yield row, number, b" \n"

    monkeypatch.setattr(room, "lines_of", with_blanks)
    assert prepared(records).read == len(records)


def test_what_is_written_down_of_the_rows(prepared, records, tokenizer):
    facts = prepared(records, chat_loss="all", source_loss={"web": "assistant"}).rows.facts
    assert (facts["chat_loss"], facts["source_loss"]) == ("all", {"web": "assistant"})
    assert facts["chat_template"] == tokenizer.chat_template
    assert facts["tokenizer"] == room.digest_of(tokenizer)


def test_a_source_without_records_is_told(prepared, records):
    said = list(prepared(records, source_loss={"nowhere": "all", "web": "all"}).lines())
    assert [line for line in said if "nowhere" in line] == [
        "`--chat-loss` names the source `nowhere`, which these records do not have"
    ]
    assert not any(line.startswith("`web`,") for line in said)


def test_conversations_are_shown_before_documents_and_long_pieces_are_cut(prepared, records, tokenizer, monkeypatch):
    from latxa_cli.training.data import show

    monkeypatch.setattr(show, "LONGEST", 8)
    made = prepared(records)
    shown = ["".join(text for text, _ in parts) for parts in marked(made.rows, tokenizer, 1000)]
    chats = ["<|user|>" in text for text in shown]
    assert chats == sorted(chats, reverse=True) and 0 < sum(chats) < len(chats)
    assert any(text.endswith(" …") for text in shown)
    assert all(len(tokenizer(text.removesuffix(" …")).input_ids) <= 10 for text in shown)
