"""Masks: which parts of a text are kept from translation, and that they come back byte for byte."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latxa_cli.translation.masks import mask

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "instructions_en.jsonl"


def parts(text: str) -> list[str]:
    return [part.text for part in mask(text).parts]


@pytest.mark.parametrize(
    ("text", "kind", "wanted"),
    [
        ("Run it:\n```sh\nls `pwd`\n```\nThen stop.", "fenced", ["```sh\nls `pwd`\n```"]),
        ("1. Run\n   ```sh\n   ls\n   ```\n2. Stop", "fenced", ["```sh\n   ls\n   ```"]),
        ("````\n```\na\n```\n````\nb", "fenced", ["````\n```\na\n```\n````"]),
        ("a\n```\nnever closed", "fenced", ["```\nnever closed"]),
        ("Press `Esc` or ``a ` b``.", "code", ["`Esc`", "``a ` b``"]),
        ("One ` alone.\n\nThen ` another.\n\nAnd ``two` of them.", "code", []),
        (r"So $x^2$ and \(y\), \[z\] and $$w$$.", "latex", ["$x^2$", r"\(y\)", r"\[z\]", "$$w$$"]),
        ("It costs $5 and then $10. She has $3-$4, and pays $2 more than $7$.", "latex", ["$7$"]),
        (r"A fee of $\$5$ is", "latex", [r"$\$5$"]),
        (r"Then \frac{1}{\sqrt{2}} is \textbf{bold}.", "latex", [r"\frac{1}{\sqrt{2}}", r"\textbf"]),
        ("See \\begin{align}a\n\nb\\begin{x}\\end{x}\\end{align}!", "latex",
         ["\\begin{align}a\n\nb\\begin{x}\\end{x}\\end{align}"]),
        (r"Never closed: \begin{align} x, \( y, $z", "latex", [r"\begin{align}"]),
        ("See (https://a.org/b_(c)?d=e#f), or www.a.org.", "url", ["https://a.org/b_(c)?d=e#f", "www.a.org"]),
        ("Ask ane.b+c@mail.example.org.", "mail", ["ane.b+c@mail.example.org"]),
        ("Open ~/a/b.txt, src/main.rs, /usr/bin or C:\\Users\\Ane.", "path",
         ["~/a/b.txt", "src/main.rs", "/usr/bin", "C:\\Users\\Ane"]),
        ("She and/or he ran 3 km/h on 1/2/2020, either/or.", "path", []),
        ("Dear {name}, ${total} and {{x.y}}: %s, %(n)d, 50 % off", "placeholder",
         ["{name}", "${total}", "{{x.y}}", "%s", "%(n)d"]),
        ("<b>Bold</b> and <a href='x'>y</a><br/> if a <b and c> d <!-- no --> <|eot|>", "tag",
         ["<b>", "</b>", "<a href='x'>", "</a>", "<br/>", "<!-- no -->", "<|eot|>"]),
        ("It is 2*3=<<2*3=6>>6.", "tag", ["<<2*3=6>>"]),
        ("| a | b |\n|---|:-:|\n| c | d |", "rule", ["|---|:-:|"]),
        ("As in [#1] and [#22], not [#x] or [1].", "marker", ["[#1]", "[#22]"]),
    ],
)  # fmt: skip
def test_what_is_masked(text: str, kind: str, wanted: list[str]) -> None:
    masked = mask(text)
    assert [part.text for part in masked.parts if part.kind == kind] == wanted
    assert masked.restore(masked.text) == text


def test_prose_stays_as_it_is() -> None:
    text = "Why is the sky blue? It isn't; 3 < 4 > 2, 50% of it (A & B) costs 5$. Email: none @ all; 10:30 // ok."
    assert mask(text).text == text and mask(text).parts == () and mask(text).prose is text


def test_markers_may_move_but_none_may_be_lost_doubled_or_new() -> None:
    masked = mask("Press `Esc`, then see https://a.org.")
    assert masked.text == "Press [#1], then see [#2]."
    assert masked.restore("[#2] ikusi, gero [#1] sakatu.") == "https://a.org ikusi, gero `Esc` sakatu."
    for wrong in ("[#1] sakatu.", "[#1] [#1] [#2]", "[#1] [#2] [#3]", "[#01] [#2]", "", "[#1 ] [#2]"):
        assert masked.restore(wrong) is None
    assert mask("Plain.").restore("[#1]") is None


@pytest.mark.parametrize("text", ["\\[#0]", "`\\```", "://[#1]", "a/[#2]", "$$[#3]"])
def test_what_once_did_not_come_back(text: str) -> None:
    masked = mask(text)
    assert masked.restore(masked.text) == text


def test_own_markers_in_a_text_are_text() -> None:
    text = "[#2] `a` [#1] [#[#1]1] [#99999999999999999999]"
    masked = mask(text)
    assert masked.restore(masked.text) == text
    assert masked.text == "[#1] [#2] [#3] [#[#4]1] [#5]"


def test_comments_in_code() -> None:
    text = 'So:\n```python\nx = "# no"  # the answer\n# in two\ny = 1\n```\nDone.'
    masked = mask(text, comments=True)
    assert masked.text == "So:\n[#1]the answer[#2]in two[#3]\nDone."
    assert masked.restore(masked.text) == text
    assert masked.restore("Hona:\n[#1]erantzuna[#2]bitan[#3]\nKitto.") == (
        'Hona:\n```python\nx = "# no"  # erantzuna\n# bitan\ny = 1\n```\nKitto.'
    )
    assert masked.restore("Hona:\n[#1]bi\nlerro[#2]bitan[#3]\nKitto.") is None, "a comment would become code"
    assert masked.restore("Hona:\n[#2]a[#1]b[#3]\nKitto.") is None, "code in another order"
    unknown = mask("```brainfuck\n# x\n```", comments=True)
    assert unknown.text == "[#1]"


SIGNS = "`$\\<>{}[]()%#@/|~:-=.\n \"'*a1é(w.begin{end}"
PIECES = st.sampled_from([
    "`", "``", "```", "~~~", "\n", "\n\n", "$", "$$", "\\(", "\\)", "\\[", "\\]", "\\begin{a}", "\\end{a}", "\\frac{",
    "}", "{", "{x}", "%s", "<b>", "<", "<<", ">>", "<!--", "-->", "[#1]", "[#", "]", "#", "//", "https://",
    "www.", "a.b",
    "@", "/", "~/", "C:\\", "|", "---", " ", "word", "7", "```python\n", "# ", "\"", "\ud800", "é", "\u202e",
    "🐑", "\r\n",
])  # fmt: skip


@given(st.one_of(st.text(SIGNS, max_size=80), st.text(max_size=40), st.lists(PIECES, max_size=40).map("".join)))
def test_every_text_comes_back(text: str) -> None:
    for comments in (False, True):
        masked = mask(text, comments=comments)
        assert masked.restore(masked.text) == text
        assert (
            "".join(part.text for part in masked.parts) == "" or masked.text != text or masked.parts[0].kind == "marker"
        )


@pytest.mark.parametrize(
    "piece",
    [
        "`", "$", "$a", "$$", "\\(", "\\[", "\\begin{a}", "\\a{", "<", "<b ", "<!--", "{", "{{", "%", "[#", "://", "a://",
        "@", "a@", "/", "a/", "~/", "|", "|-", "```", "```\n", "~~~\n", "- ```\n", "[", "\\", "a\\", "C:\\", "\n",
        "` ``", "<<", "$a\n\n", "\\(\n\n", "|\n", "{a", "%(", "https://(", "a.", "~~~\n\\a{\n~~~\n[x",
    ],
)  # fmt: skip
def test_time_is_linear(piece: str) -> None:
    def seconds(length: int) -> float:
        text = piece * (length // len(piece))
        best = []
        for _ in range(4):
            start = time.process_time()
            mask(text, comments=True)
            best.append(time.process_time() - start)
        return min(best)

    assert seconds(80_000) < 8 * seconds(20_000) + 0.02, "four times the text takes about four times as long"
    assert seconds(80_000) < 2


@pytest.mark.skipif(not DATA.exists(), reason="needs ../shared/data")
def test_real_instructions_come_back() -> None:
    for line in DATA.read_bytes().split(b"\n")[:-1:10]:
        for message in json.loads(line)["messages"]:
            for comments in (False, True):
                masked = mask(message["content"], comments=comments)
                assert masked.restore(masked.text) == message["content"]
