"""Records in every spelling that somebody may have written them in, for the tests of what reads JSON lines."""

from __future__ import annotations

import json
from typing import Any

import orjson
from hypothesis import strategies as st

Record = dict[str, Any]

TEXTS = st.text(
    st.one_of(
        st.sampled_from(' \n\t\r"\\/\b\f\x00\x0b\x1c\x1fñé–\u0085\u00a0\u1680\u2003\u2028\u202f\u205f\u3000\u0640€😀'),
        st.characters(exclude_categories=["Cs"]),
        st.sampled_from("abc  "),
    ),
    max_size=80,
)
NAMES = st.text("abcdef019-/ñ", min_size=1, max_size=40)
NUMBERS = st.one_of(
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0, -0.0, 0.1, 1e-5, 0.0001, 123456.25, 1e22, 0.1234567890123456]),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=8,
)
METADATA = st.one_of(
    st.none(),
    st.fixed_dictionaries(
        {}, optional={"split": st.sampled_from(["train", "valid"]), "epoch": st.just(7), "a": VALUES}
    ),
)
MESSAGES = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", "system"]), "content": TEXTS}),
    min_size=1,
    max_size=3,
)
USUAL_CONTENTS = st.one_of(st.fixed_dictionaries({"text": TEXTS}), st.fixed_dictionaries({"messages": MESSAGES}))
CONTENTS = st.one_of(USUAL_CONTENTS, st.fixed_dictionaries({"instruction": TEXTS, "output": TEXTS}))
IDS = st.one_of(NAMES, st.integers(0, 99), st.sampled_from(["0123456789abcdef", "0123456789abcdef-2", "a"]), st.none())


USUAL = {
    "id": NAMES, "source": NAMES, "licence": TEXTS, "n": st.integers(-(10**15), 10**15),
    "more": st.lists(TEXTS, max_size=2),
    "metadata": st.fixed_dictionaries({}, optional={"split": st.sampled_from(["train", "valid"]), "a": TEXTS}),
}  # fmt: skip
ODD = {"id": IDS, "source": st.one_of(NAMES, TEXTS, st.none()), "metadata": METADATA, "licence": TEXTS, "more": VALUES}


@st.composite
def records(draw: st.DrawFn) -> Record:
    """A record that a mix takes, its fields in any order; half of them have nothing odd about them."""
    if draw(st.booleans()):
        more = {name: fields for name, fields in USUAL.items() if name != "id"}
        fields = draw(USUAL_CONTENTS) | draw(st.fixed_dictionaries({"id": NAMES}, optional=more))
    else:
        fields = draw(CONTENTS) | draw(st.fixed_dictionaries({}, optional=ODD))
    return dict(draw(st.permutations(list(fields.items()))))


@st.composite
def lines(draw: st.DrawFn) -> bytes:
    """A record's line as somebody may have written it."""
    record = draw(records())
    spelling = draw(st.integers(0, 3))
    if spelling == 0:
        return orjson.dumps(record)
    line = json.dumps(record, ensure_ascii=spelling == 1, separators=(", ", ": ") if spelling < 3 else (",", ":"))
    if draw(st.booleans()):
        line = draw(st.sampled_from(["", " ", "\t"])) + line.replace("{", "{ ", 1) + draw(st.sampled_from(["", " \r"]))
    return line.encode()
