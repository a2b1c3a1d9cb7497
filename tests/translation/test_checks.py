"""What the checks find in translations, each by its reason, and what they leave alone."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.text.scripts import script_of, scripts_of
from latxa_cli.translation.calibration import LengthRatio, learn
from latxa_cli.translation.checks.checks import REASONS, Checks
from latxa_cli.translation.checks.limits import load_limits

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases" / "right-copies" / "in.jsonl"
CHECKS = Checks("eu", source="en")

# source, translation, role
FAULTS: dict[str, list[tuple[str, ...]]] = {
    "empty translation": [("Why is the sky blue?", " \n")],
    "null translation": [("Why is the sky blue?", "null"), ("Say nothing.", "`None`"), ("Say it.", "...")],
    "leaked role": [
        ("Why is the sky blue?", "Zergatik da urdina zerua?\nAssistant: Argiagatik."),
        ("Why is the sky blue?", "Zergatik da urdina zerua?<|im_end|>"),
        ("Why is the sky blue?", "[INST] Zergatik da urdina zerua?"),
    ],
    "leaked examples": [
        ("Why is the sky blue?", "Zergatik da urdina zerua?\n\nTranslation: Kutxa lorategian dago."),
        ("Why is the sky blue?", "Zergatik da urdina zerua?</basque>"),
    ],
    "broken characters": [
        ("The boat left early.", "Itsasontzia \x1b[31mgoiz\x1b[0m irten zen."),
        ("The boat left early.", "Itsasontzia\x00 goiz irten zen."),
        ("The boat left early.", "Itsasontzia goiz irten ze\ufffd."),
        ("The boat left early.", "Itsasontzia \u202egoiz irten zen."),
        ("The boat left early.", "Itsasontzia goiz irten zen\ud83d."),
        ("He said it's late.", "&quot;Berandu da&#39; esan zuen."),
        ("The pier is old.", "Moilaren etxeÃ±oa zaharra da."),
        ("It's an old pier.", "Moila zaharra da, ez da â€œberriaâ€\x9d."),
    ],
    "wrapper": [
        ("Why is the sky blue?", '"Zergatik da urdina zerua?"'),
        ("Why is the sky blue?", "«Zergatik da urdina zerua?»"),
        ("Why is the sky blue?", '{"translation": "Zergatik da urdina zerua?"}'),
        ("Why is the sky blue?", "{'translation': 'Zergatik da urdina zerua?'"+"}"),
        ("Why is the sky blue?", "```\nZergatik da urdina zerua?\n```"),
        ("Why is the sky blue?", "[Zergatik da urdina zerua?]"),
    ],
    "copied source": [
        ("Why is the sky blue?", "  Why is  the sky BLUE?"),
        ("ทำไมท้องฟ้าถึงเป็นสีฟ้า", "ทำไมท้องฟ้าถึงเป็นสีฟ้า"),
        ("天空为什么是蓝色的？", "天空为什么是蓝色的？"),
    ],
    "does not survive translation": [
        ("How many letters are in the word strawberry?", "Zenbat letra ditu marrubi hitzak?"),
        ("Write a poem that rhymes.", "Idatzi errimatzen duen olerki bat."),
        ("Translate this sentence into English: Kaixo.", "Itzuli esaldi hau ingelesera: Kaixo."),
        ("Correct the following grammar.", "Zuzendu gramatika hau."),
    ],
    "added text": [
        ("Why is the sky blue?", "Hona hemen itzulpena: Zergatik da urdina zerua?"),
        ("Why is the sky blue?", "Sure! Here is the translation:\n\nZergatik da urdina zerua?"),
        ("Why is the sky blue?", "Zergatik da urdina zerua?\n\nNote: `zeru` is the Basque word for sky."),
        ("Why is the sky blue?", "Zergatik da urdina zerua? I hope this helps!"),
        ("The old town is very quiet in winter.", "Emaitza: Herri zaharra oso lasaia da neguan."),
        ("The old town is quiet.", "Herri zaharra lasaia da. [ingelesetik itzulia]"),
        ("He asked, 'Is it late?'", "Honela galdetu zuen: «Berandu al da?» Here it is, as you wanted it!"),
    ],
    "repetition": [
        ("Why is the sky blue?", "Zergatik da urdina" + " zerua da urdina" * 12),
        ("Much obliged to you, ma'am!", "Eskerrik asko denoi, eskerrik asko denoi."),
        ("You are kind, and I know it well.", "Bai: oso ona zara zu, oso ona zara zu."),
        ("It rained all day, and we stayed home.", "Egun osoan euria egin zuen. " + "Etxean geratu ginen denok. " * 5),
    ],
    "another script": [
        ("Why is the sky blue?", "Зергатик да урдина зеруа?"),
        ("Good morning to you.", "Egun on 早上好 guztioi."),
    ],
    "partly copied source": [
        ("I went to the market to buy some walnuts, and then I came home.",
         "Azokara joan nintzen to buy some walnuts, and then etxera."),
    ],
    "another language": [("I do not know where it is.", "No sé dónde está el libro que compré ayer por la mañana.")],
    "unfinished translation": [("I went to the market to buy walnuts.", "Intxaurrak erostera azokara joan")],
    "altered code": [
        ("Run `ls -l` now.", "Exekutatu `ls -a` orain."),
        ("Run:\n```sh\nls\n```", "Exekutatu:\n```sh\nlr\n```"),
        ("Run it, please, now.", "Exekutatu `orain`, mesedez."),
    ],
    "lost part": [
        ("See https://example.org now.", "Ikusi webgunea orain."),
        ("Let $x^2 = 4$ hold.", "Demagun $x^3 = 4$ dela."),
        ("Dear {name}, hello.", "{izena} maitea, kaixo."),
        ("Write <b>this</b> here.", "Idatzi <b>hau hemen."),
    ],
    "other choices": [
        ("The answer is B.", "Erantzuna C da."),
        ("Which?\nA) sea\nB) sky\nC) sun", "Zein?\nA) itsasoa\nC) zerua\nB) eguzkia"),
    ],
    "answered, not translated": [
        ("Why is the sky blue?", "Argia sakabanatzen delako."),
        ("Name a colour.", "Urdina kolore bat da, eta beste asko ere badaude munduan. Hala ere, gorria ere ona da,"
         " eta zuria ere bai, baita beltza ere, nahiz eta inork ez duen kolore horiek margotzeko asmorik izan."),
    ],
    "other list items": [("Buy:\n- salt\n- oil\n- bread", "Erosi:\n- gatza\n- olioa")],
    "other table": [("| a | b |\n|---|---|\n| sea | sky |", "| a | b |\n|---|---|\n| itsasoa |")],
    "other lines": [("The sea\nThe sky\nThe sun", "Itsasoa\nZerua")],
    "other numbers": [
        ("It costs 37 euros in 1998.", "73 euro balio du 1998an."),
        ("From 3 to 14, 15 or 16 of them.", "Hirutik gora."),
    ],
    "too short": [("I went to the market to buy some walnuts, bread, salt, oil and cheese, and came home.", "Joan.")],
    "too long": [
        ("I went.", "Etxera joan nintzen atzo arratsaldean, nire arreba nagusiarekin eta bi lagunekin.", "assistant"),
    ],
}  # fmt: skip

# What a good translator may write.
GOOD = [
    ("Why is the sky blue?", "Zergatik da urdina zerua?"),
    ("It costs 10,000.50 euros, as in 1998.", "10.000,50 euro balio du, 1998an bezala."),
    ("At 7:55 a.m.", "07.55ean."),
    ("Run `ls` and see https://example.org.", "Ikusi https://example.org eta exekutatu `ls`."),
    ("\"It is late,\" she said.", "«Berandu da», esan zuen."),
    ("Say \"hello\"", "Esan «kaixo»"),
    ("OK", "OK"),
    ("Ane Etxeberria, Lekeitio", "Ane Etxeberria, Lekeitio"),
    ("Null is a value.", "Null balio bat da."),
    ("null", "null"),
    ("", ""),
    ("User: hello\nAssistant: hello there", "User: kaixo\nAssistant: kaixo hor"),
    ("The answer is B.", "Erantzuna B da."),
    ("A dog ran. I saw it.", "Txakur bat korrika zebilen. Ikusi nuen."),
    ("```python\nprint(1)\n```", "```python\nprint(1)\n```"),
    ("Is it <b>true</b>?", "<b>Egia</b> al da?"),
    ("Sure! The sea is blue.", "Noski! Itsasoa urdina da."),
    ("- salt\n- oil", "* gatza\n* olioa"),
    ("Hello \ud800 world", "Kaixo \ud800 mundua"),
    ("Hello 🐑", "Kaixo 🐑"),
    ('She said, "It is late."', "Hauxe esan zuen: «Berandu da»."),
    ("I remember thinking, what is it?", "Gogoan dut: Zer ote da?"),
    ("Ane Etxeberria – it is late", "Ane Etxeberria: Berandu da"),
    ("Read it [in Basque].", "Irakurri [euskaraz]."),
    ("The town of Zarautz is quiet.", "Zarautz: Herri lasaia da."),
    ("Row, row your boat. Row, row your boat.", "Arraun egin ontzian. Arraun egin ontzian."),
    ("Well, well, well!", "Bai, bai, bai, bai, bai!"),
    ("Write `\x1b[0m` and \x07, then &amp; and it's done.", "Idatzi `\x1b[0m` eta \x07, gero &amp; eta kito."),
    ("The pier of São Tomé", "SÃO TOMÉ: moila, «SÃ» eta “IRMÔ"),
    ("One\ttab\r\nand\u0085more\u2028lines\u00a0here", "Tab\tbat\r\neta\u0085lerro\u2028gehiago\u00a0hemen"),
]  # fmt: skip


@pytest.mark.parametrize("reason", FAULTS)
def test_faults_by_their_reasons(reason: str) -> None:
    for source, translation, *role in FAULTS[reason]:
        fault = CHECKS.fault(source, translation, role=role[0] if role else "user")
        assert fault is not None and fault.reason == reason, (source, translation, fault)


def test_every_reason_is_tested() -> None:
    of_texts = {reason for name, reason in REASONS.items() if name not in ("length", "shared", "another_record")}
    assert set(FAULTS) == of_texts | {"too long", "too short"}


@pytest.mark.parametrize(("source", "translation"), GOOD)
def test_good_translations_pass(source: str, translation: str) -> None:
    assert CHECKS.fault(source, translation) is None


@pytest.mark.skipif(not CASES.exists(), reason="needs ../shared/cases")
def test_right_copies() -> None:
    for line in CASES.read_bytes().split(b"\n")[:-1]:
        record = json.loads(line)
        text = record["messages"][1]["content"]
        fault = CHECKS.fault(text, text, role="assistant")
        is_prose = record["id"] in ("prose", "thai", "chinese")
        assert (fault is not None and fault.reason == "copied source") == is_prose, (record["id"], fault)


@pytest.mark.parametrize(
    "text",
    [
        "for number in range(10):\n    print(number ** 2)",
        '[{"name": "Ane", "city": "in the old town"}]',
        "SELECT name FROM towns WHERE size > 10;",
        "int main() { return 0; }",
        r"\begin{align} x &= \text{all of them here} \end{align}",
        "ane@example.org or ~/notes/today.txt",
        "Nile, Amazon, Danube, Ebro, Rhine",
    ],
)
def test_what_is_no_prose_may_be_copied(text: str) -> None:
    assert Checks().fault(text, text) is None


def test_examples_of_the_prompt() -> None:
    shots = [
        ("The chest is in the old garden.", "Kutxa lorategi zaharrean dago orain bertan."),
        ("Hello there!", "Kaixo hor!"),
    ]
    leaked = "Zergatik da urdina zerua? Kutxa lorategi zaharrean dago orain bertan."
    fault = CHECKS.fault("Why is the sky blue?", leaked, shots=shots)
    assert fault is not None and fault.reason == "leaked examples"
    assert CHECKS.fault(shots[0][0], shots[0][1], shots=shots) is None, "an example itself is a good translation"
    fault = CHECKS.fault("Why is the sky blue?", "Zergatik da urdina zerua?\nKaixo hor!", shots=shots)
    assert fault is not None and fault.reason == "leaked examples"
    named = Checks("eu", labels=("English", "Euskara"))
    fault = named.fault("Why is the sky blue?", "Zergatik da urdina zerua?\nEnglish: Hello.")
    assert fault is not None and fault.detail == "English:"
    assert named.fault("English: yes.\nFrench: no.", "English: bai.\nFrantsesa: ez.") is None


def test_what_an_assistant_says_answers_nothing() -> None:
    for reason in ("answered, not translated", "does not survive translation"):
        source, translation = FAULTS[reason][0]
        found = CHECKS.fault(source, translation, role="assistant")
        assert found is None or found.reason != reason


def test_without_languages_no_check_needs_one() -> None:
    assert Checks().fault("Why is the sky blue?", "Pourquoi le ciel est-il bleu aujourd'hui ?") is None
    assert Checks().fault("How many letters are there?", "Zenbat letra dira?") is None


def test_a_language_that_cannot_be_identified() -> None:
    checks = Checks("xyz", source="en")
    assert (
        checks.fault("The sea is calm today, as always.", "Itsasoa bare dago gaur, beti bezala, ikusten denez.") is None
    )
    fault = checks.fault(
        "The sea is calm today, as always.", "It is very calm today, the water, as it has always been."
    )
    assert fault is not None and fault.reason == "another language"


def test_every_language_is_written_as_it_writes_its_own_name() -> None:
    """By CLDR, with its script and without; a script that is not listed is not checked."""
    from babel import Locale, localedata

    checked = set()
    for name in localedata.locale_identifiers():
        locale = Locale.parse(name)
        code = "-".join(filter(None, (locale.language, locale.script)))
        own = locale.languages.get(locale.language) or ""
        if own and code not in checked:
            checked.add(code)
            scripts = {script_of(letter) for letter in own if letter.isalpha()} - {""}
            assert scripts_of(code) in (frozenset(), scripts_of(code) | scripts), code
    assert len(checked) > 300


@pytest.mark.parametrize(
    ("code", "translation"),
    [
        ("iu", "ᓇᐅᒃ ᐃᓪᓗᖓ?"),
        ("cr-Cans", "ᑖᓂᑌ ᐚᔅᑲᐦᐃᑲᐣ?"),
        ("zgh", "ⵎⴰⵏⵉ ⵜⵍⵍⴰ ⵜⵉⴳⵎⵎⵉ?"),
        ("sat", "ᱚᱲᱟᱜ ᱚᱠᱟ ᱨᱮ ᱢᱮᱱᱟᱜᱼᱟ?"),
        ("am", "ቤቱ የት ነው ያለው፧"),
        ("bo", "ཁང་པ་ག་པར་ཡོད་རེད།"),
        ("vai", "ꕉꕜꕮ ꔔꘋ ꖸ ꔰ꘏"),
    ],
)
def test_questions_in_scripts_of_their_own(code: str, translation: str) -> None:
    assert Checks(code, source="en").fault("Where is the house?", translation, role="user") is None


def test_a_subtag_says_the_script() -> None:
    cyrillic, latin = "Кайда синиң янъы эвинъ, достум?", "Qayda seniñ yañı eviñ, dostum?"
    for code, right, wrong in (("crh-Latn", latin, cyrillic), ("crh", cyrillic, "ᓇᐅᒃ ᐃᓪᓗᖓ ᐃᓪᓗᖓ?")):
        checks = Checks(code, source="en")
        assert checks.fault("Where is your new house, my friend?", right) is None
        found = checks.fault("Where is your new house, my friend?", wrong)
        assert found is not None and found.reason == "another script"


def test_limits_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "checks.toml"
    path.write_text("[numbers]\non = false\n[copied]\nwords = 6\n", encoding="utf-8")
    limits = load_limits(list(REASONS), path)
    assert limits.off == {"numbers"} and limits.copied_words == 6
    checks = Checks("eu", limits=limits)
    assert checks.fault("It costs 37 euros.", "73 euro balio du.") is None
    assert checks.fault("It is so blue", "It is so blue") is None


def test_phrases_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "checks.toml"
    path.write_text('[copied]\nwords = 6\n[transfer]\ngames = ["Crossword … Puzzle"]\n[padding]\nbefore = ["Horra"]\n')
    limits = load_limits(list(REASONS), path)
    assert limits.copied_words == 6 and [phrase.about for phrase in limits.phrases] == ["games", "before"]
    checks = Checks("eu", source="en", limits=limits)
    fault = checks.untranslatable("Solve this CROSSWORD of a puzzle.")
    assert fault is not None and fault.detail == "games: crossword of a puzzle"
    fault = checks.fault("Why is the sky blue?", "Horra! Zergatik da urdina zerua?")
    assert fault is not None and fault.reason == "added text"
    path.write_text('[transfer]\non = false\ngames = ["crossword"]\n[padding]\nbefore = ["horra"]\non = false\n')
    checks = Checks("eu", source="en", limits=load_limits(list(REASONS), path))
    assert checks.untranslatable("Solve this crossword.") is None
    assert checks.fault("Why is the sky blue?", "Horra! Zergatik da urdina zerua?") is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[number]\nlost = 2", "no check `number`"),
        ("[numbers]\nlots = 2", "no limit `lots`"),
        ("[numbers]\nlost = 2.5", "not a whole number"),
        ("[language]\nprobability = -1", "not a number from 0"),
        ("numbers = 1", "not a table"),
        ("[numbers", "not TOML"),
        ("[numbers]\non = 0", "`numbers.on` is not true or false"),
        ("[transfer]\nrhyme = 'poem'", "`transfer.rhyme` is not a list of phrases"),
        ("[transfer]\nrhyme = [' ']", "`transfer.rhyme` is not a list of phrases"),
        ("[padding]\nbetween = ['sure']", "`padding` has no `between`"),
        ("padding = ['sure']", "`padding` is not a table"),
    ],
)
def test_odd_files_of_limits(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "checks.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(LatxaError, match=problem):
        load_limits(list(REASONS), path)
    with pytest.raises(UsageError, match="cannot be read"):
        load_limits(list(REASONS), tmp_path / "none.toml")


def test_many_examples_cost_little() -> None:
    shots = tuple((f"The chest number {n} is in the old garden.", f"{n}. kutxa lorategian dago.") for n in range(5000))
    CHECKS.fault("Why is the sky blue?", "Zergatik da urdina zerua?", shots=shots)
    started = time.process_time()
    for _ in range(200):
        CHECKS.fault("Why is the sky blue?", "Zergatik da urdina zerua?", shots=shots)
    assert time.process_time() - started < 1
    fault = CHECKS.fault("Why is the sky blue?", "Zergatik? The chest number 4321 is in the old garden.", shots=shots)
    assert fault is not None and fault.reason == "leaked examples"


def test_lengths_of_documents_vary_more_than_those_of_their_sentences() -> None:
    ratio = LengthRatio(1.1, 1.5, 500)
    for size in (100, 2_000, 50_000):
        assert abs(ratio.distance(size, 1.1 * size)) < 0.01
        assert -4 < ratio.distance(size, 0.96 * size) < 0 < ratio.distance(size, 1.26 * size) < 5
    for size in (2_000, 50_000):
        assert ratio.distance(size, 0.7 * size) < -4, "a third is missing"
        assert LengthRatio().distance(size, 0.9 * size) > -4 > LengthRatio().distance(size, 0.5 * size), "a guess"
    assert ratio.distance(100, 80) < -1.8 and ratio.distance(0, 400) > 8


def test_right_translations_of_whole_documents_have_the_right_length(shared_data: Path) -> None:
    rows = [json.loads(line) for line in (shared_data / "parallel.jsonl").read_bytes().splitlines()]
    documents: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        documents.setdefault(row["doc"], []).append(row)
    for language in ("eu", "cy", "es", "gl"):
        ratio = learn((row["en"], row[language]) for row in rows[:700])
        for given in (ratio, None):
            checks = Checks(language, source="en", ratio=given)
            for some in documents.values():
                source, translation = (" ".join(row[code] for row in some) for code in ("en", language))
                fault = checks.fault(source, translation, role="assistant")
                assert fault is None or fault.reason not in ("too long", "too short"), (some[0]["doc"], fault)
