"""The page of an audit, from plain values."""

from __future__ import annotations

from latxa_cli.report.pages.audit import AuditPage, ShownFault


def test_parts_of_a_page() -> None:
    fault = ShownFault(
        "a<b", "message 2", "37 → 73", [("It costs ", False), ("37", True)], [("73", True), (" balio du\n", False)]
    )
    page = AuditPage(
        "Audit of <eu>", ["3 records."], 3, {"other numbers": 1, "too long": 2},
        runs=[["first id", "last id"], ["a", "b"]], scores=[["metric", "score"], ["chrF++", "41.2"]],
        examples={"other numbers": [fault]},
    ).html()  # fmt: skip
    assert "<title><bdi>Audit of &lt;eu&gt;</bdi></title>" in page
    assert page.index("too long") < page.index("other numbers"), "the most frequent reason comes first"
    assert "<code><bdi>a&lt;b</bdi></code> · <bdi>message 2</bdi>" in page
    assert '<div class="text" dir="auto">It costs <mark>37</mark></div>' in page
    assert '<a href="#reason-2">' in page and '<h2 id="reason-2">' in page and "33.3%" in page
    assert "Runs of faults" in page and "chrF++" in page and "default-src 'none'" in page


def test_a_page_without_faults() -> None:
    page = AuditPage("Audit of eu", ["0 records."], 0, {}).html()
    assert "<h2>" not in page and page.endswith("</html>\n")


def test_characters_that_would_turn_a_page_round() -> None:
    fault = ShownFault("a", "", "\u202eabc", [("\u202eabc\x00\x1b[0m\t\n", False)], [])
    page = AuditPage("a", [], 1, {"x": 1}, examples={"x": [fault]}).html()
    assert not {"\u202e", "\x00", "\x1b"} & set(page) and "\ufffdabc\ufffd\ufffd[0m\t\n" in page
