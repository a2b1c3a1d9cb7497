"""The page of a report, in a real browser: it loads nothing, runs nothing of others, and shows what models answered."""

import json
import re

import pytest
from chromium import BROWSER

from latxa_cli.report.pages.report_page import ReportPage

in_browser = pytest.mark.skipif(BROWSER is None, reason="needs Chromium (`apt-get install chromium`)")
READY = "document.body.dataset.ready"
HOSTILE = [
    "<script>window.hit = 1</script>", "</script><script>window.hit = 2</script>", "<!--",
    "--><img src=x onerror=hit=3>",
    "${window.hit = 4}", "\x00\x07\x1b[31m", "\u202eabc\u2066", "مرحبا", "a\u2028b\u2029c", "]]>", "&lt;b&gt;", "'\"`",
]  # fmt: skip


@pytest.fixture
def page_of(latxa, tmp_path, browser):
    """`page_of(records)` opens the page of records and returns it; nothing may be complained about or asked for."""

    def opened(records, ready=READY):
        (tmp_path / "in.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
        done = latxa("report", "in.jsonl", "--html", "page.html", "-o", "out.jsonl", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        browser.complaints.clear()
        browser.requests.clear()
        browser.open(tmp_path / "page.html", ready)
        return browser

    yield opened
    assert browser.complaints == []
    # What is drawn pixel by pixel stands in the page itself, as a `data:` address.
    assert [one for one in browser.requests if not one.endswith("/page.html") and not one.startswith("data:")] == []


def answers(models=2, items=30, task="t", **more):
    return [
        {"id": f"i{n}", "task": task, "model": f"model-{m}", "correct": n % (m + 2) == 0, "prompt": f"Question {n}?",
         "choices": ["yes", "no"], "answer": (n + m) % 2, "target": n % 2, **more}
        for m in range(models) for n in range(items)
    ]  # fmt: skip


def ids(page):
    return page.run("[...document.querySelectorAll('article h3')].map((one) => one.textContent)")


def row(page, task):
    rows = page.run(
        "[...document.querySelectorAll('#tasks tr')].map((row) => [...row.cells].map((c) => c.textContent))"
    )
    return dict(zip(rows[0], next(cells for cells in rows if cells[0] == task), strict=True))


@in_browser
def test_two_models_are_compared_item_by_item(page_of):
    page = page_of([*answers(), {"model": "model-0", "task": "t", "metric": "acc", "value": 0.5}])
    both = [n for n in range(30) if n % 2 == 0 and n % 3 == 0]
    only_a = [n for n in range(30) if n % 2 == 0 and n % 3]
    only_b = [n for n in range(30) if n % 2 and n % 3 == 0]
    counts = row(page, "t")
    assert counts == {
        "task": "t", "items": "30", "both right": str(len(both)), "only A right": str(len(only_a)),
        "only B right": str(len(only_b)), "both wrong": str(30 - len(both) - len(only_a) - len(only_b)),
    }  # fmt: skip
    assert ids(page) == [f"i{n}" for n in range(10)]
    page.choose("kind", "only A")
    assert ids(page) == [f"i{n}" for n in only_a[:10]]
    page.choose("kind", "both right")
    assert ids(page) == [f"i{n}" for n in both]
    page.choose("kind", "all")
    text = page.run("document.querySelector('article').textContent")
    assert "A: rightB: right" in text and "Question 0?" in text
    assert page.run("document.querySelector('article .choices').textContent") == "yesright answermodel Anomodel B"
    assert page.run("document.querySelectorAll('h2').length") == 3 and page.run(
        "document.querySelectorAll('svg').length"
    )


@in_browser
def test_pages_words_and_keys(page_of):
    page = page_of([*answers(), *answers(task="u", items=3)])
    page.key("n")
    assert (
        ids(page)[0] == "i10"
        and page.run("document.getElementById('where-top').textContent") == "page 2 of 3, 30 items"
    )
    page.key("n")
    page.key("n")
    assert ids(page)[0] == "i20" and page.run("document.getElementById('after-top').disabled")
    page.key("p")
    page.run("document.getElementById('before-bottom').click()")
    assert ids(page)[0] == "i0"
    page.choose("words", "QUESTION 2")
    page.wait("document.getElementById('where-top').textContent.includes('11 items')")
    assert ids(page) == ["i2", *(f"i{n}" for n in range(20, 29))]
    page.choose("words", "nowhere")
    page.wait("document.getElementById('where-top').textContent === 'no item'")
    page.choose("words", "")
    page.wait("document.getElementById('where-top').textContent.includes('30 items')")
    page.run("document.activeElement.blur()")
    page.key("/")
    assert page.run("document.activeElement.id") == "words"
    page.run("[...document.querySelectorAll('#tasks button')].at(-1).click()")
    page.wait("document.getElementById('where-top').textContent.includes('3 items')")
    assert page.run("document.getElementById('task').value") == "1"


@in_browser
def test_one_model_alone(page_of):
    page = page_of(answers(models=1))
    assert row(page, "t") == {"task": "t", "items": "30", "right": "15", "wrong": "15"}
    assert page.run("document.getElementById('model-b').selectedOptions[0].textContent") == "no other model"
    page.choose("kind", "both wrong")
    assert ids(page)[:2] == ["i1", "i3"]


@in_browser
def test_models_that_were_asked_unlike_things_are_said_not_compared(page_of):
    records = answers(items=4)
    records[-1] |= {"prompt": "Another question?"}
    records.append(answers(models=1, items=5)[-1])
    page = page_of(records)
    assert (row(page, "t")["asked in another way"], row(page, "t")["only one asked"]) == ("1", "1")
    said = page.run("document.getElementById('unlike').innerText")
    assert said.startswith("1 items were asked in another way") and "not compared" in said
    page.choose("kind", "unlike")
    text = page.run("document.querySelector('article').innerText")
    assert "Asked of A" in text and "Another question?" in text and "Question 3?" in text
    page.choose("kind", "one asked")
    assert ids(page) == ["i4"]


@in_browser
def test_what_others_wrote_is_text(page_of):
    records = [
        {"id": text, "task": text, "model": model, "correct": True, "prompt": text, "choices": [text, "b"], "answer": 0,
         "target": 0, "response": text}
        for text in HOSTILE for model in (text, "m")
    ]  # fmt: skip
    records += [{"model": text, "task": text, "metric": "acc", "value": 0.5, "language": text} for text in HOSTILE]
    page = page_of(records)
    for number, text in enumerate(HOSTILE):
        page.run(f"document.querySelectorAll('#tasks button')[{number}]?.click()")
        page.choose("task", str(number))
        page.wait("document.querySelectorAll('article').length === 1")
        harmless = re.sub("[\x00\x07\x1b\u202e\u2066\u2028\u2029]", "\ufffd", text)
        assert page.run("document.querySelector('article h3').textContent") == harmless
        assert page.run("document.querySelector('article .text').textContent") == harmless
    assert page.run("window.hit === undefined")
    assert page.run("document.querySelectorAll('article img, article b, main > script[src]').length") == 0
    assert page.run("document.querySelectorAll('script').length") == len(HOSTILE) + 2


@in_browser
def test_generated_answers_without_choices(page_of):
    long = "word " * 3000
    records = [
        {"id": "i", "task": "t", "model": m, "correct": m == "a", "prompt": long + "\n\nQ?", "answer": m * 3,
         "response": f"It is {m}", "target": "aaa"} for m in "ab"
    ]  # fmt: skip
    records.append({"id": "j", "task": "t", "model": "a", "value": 0.25, "answer": None})
    page = page_of(records)
    text = page.run("document.querySelector('article').textContent")
    assert "right answer: aaa" in text and "A: aaaa" in text and "the whole prompt, 15,004 characters" in text
    page.choose("model-b", "")
    assert "not judged" in page.run("document.querySelectorAll('article')[1].textContent")
    assert "no answer" in page.run("document.querySelectorAll('article')[1].textContent")


@in_browser
@pytest.mark.parametrize(("width", "dark"), [(390, False), (390, True), (1280, True)])
def test_a_phone_shows_it_without_scrolling_sideways_and_with_contrast(page_of, browser, width, dark):
    browser.look(width, 844, dark=dark)
    page = page_of([*answers(), {"model": "x" * 80, "task": "t" * 80, "metric": "acc", "value": 0.5}])
    assert page.run("document.documentElement.scrollWidth <= innerWidth")
    for one in ("body", ".a", ".b", ".target", "button", "select"):
        colours = page.run(
            f"(() => {{ const s = getComputedStyle(document.querySelector('{one}'));"
            " return [s.color, getComputedStyle(document.body).backgroundColor]; })()"
        )
        assert contrast(*colours) >= 4.5, (one, colours)
    browser.look()


def contrast(*colours):
    """Return the contrast of two colours (WCAG 2.2, relative luminance)."""
    levels = []
    for colour in colours:
        parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        levels.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(levels) + 0.05) / (min(levels) + 0.05)


@in_browser
def test_every_control_has_a_name_and_every_table_its_heads(page_of):
    page = page_of([*answers(), {"model": "m", "task": "t", "metric": "acc", "value": 0.5}])
    unnamed = page.run("[...document.querySelectorAll('select, input')].filter((one) => !one.labels.length).length")
    assert unnamed == 0
    assert page.run("[...document.querySelectorAll('table')].every((one) => one.querySelector('th[scope=col]'))")
    assert page.run("[...document.querySelectorAll('tbody tr')].every((one) => one.querySelector('th[scope=row]'))")
    assert page.run("[...document.querySelectorAll('svg')].every((one) => one.getAttribute('aria-label'))")


@in_browser
def test_a_page_of_nothing_but_results(page_of):
    results = [{"model": f"m{n}", "task": t, "metric": "acc", "value": n / 10} for n in range(6) for t in "tu"]
    page = page_of(results, ready="true")
    titles = page.run("[...document.querySelectorAll('figcaption')].map((one) => one.textContent)")
    assert titles == ["Results", "Rank correlations"]
    assert page.run("document.getElementById('browse')") is None
    assert page.run("document.querySelector('tbody td').textContent") == "0.0"


def test_answers_that_a_page_shows_are_kept_though_others_are_rejected(latxa, tmp_path):
    (tmp_path / "in.jsonl").write_text(2 * '{"id": "i", "task": "t", "model": "m", "correct": true}\n')
    done = latxa("report", "in.jsonl", "--html", "page.html", "-o", "out.jsonl", cwd=tmp_path)
    assert done.returncode == 0 and b"2 in, 1 out; 1 rejected (1 repeated answer)" in done.stderr
    done = latxa("report", "in.jsonl", "-o", "out.jsonl", cwd=tmp_path)
    assert done.returncode == 0 and b"answers, which `--html` shows: 2" in done.stderr


@in_browser
def test_texts_of_megabytes_neither_slow_nor_widen_a_page(page_of, browser):
    browser.look(390, 844)
    huge = {"prompt": "x\n\n" * 1_000_000, "answer": "y" * 5_000_000, "target": "z" * 3_000_000, "response": "w" * 9**7}
    records = [
        {"id": "n" * 1_000_000, "task": "u" * 100_000, "model": m * 10_000, "correct": True, **huge} for m in "ab"
    ]
    page = page_of([*records, {"id": "i", "task": "c", "model": "a", "correct": False, "choices": ["c" * 10**6] * 3}])
    assert page.run("document.documentElement.scrollWidth <= innerWidth")
    assert page.run("document.documentElement.outerHTML.length < 1e6")
    browser.look()


def test_a_page_is_the_same_again_and_its_parts_cannot_break_out():
    title = "</title><script>x</script>"
    page = ReportPage(
        title, ["<b>"], {"a<b": "<table></table>"}, {"--><i>": b"<?xml?><!-- <i> --><svg a='1'></svg>"}
    ).html()
    assert "<script>" not in page and "<i>" not in page and "<b>" not in page
    assert page.count("<svg") == 1 and "default-src 'none'" in page and "script-src" not in page
