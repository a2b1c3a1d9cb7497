"""Personal data in texts: numbers that are what they look like by their own digits, and those that are not."""

from __future__ import annotations

import random
import time

import pytest

from latxa_cli.text.personal import covered, findings

IS = {
    "e-mail address": ["ane.goñi+x@posta.eus", "a@b.co", "ane@zerbitzaria.ehu.eus.", "ane＠posta.eus",
        "ane@xn--e1afmkfd.xn--p1ai", "ane [at] posta [dot] eus", "ane(arroba)posta.eus"],
    "IBAN": ["ES91 2100 0418 4502 0005 1332", "GB82WEST12345698765432", "fr14 2004 1010 0505 0001 3m02 606"],
    "card number": ["4111 1111 1111 1111", "5500-0000-0000-0004", "378282246310005", "6011000990139424"],
    "identity number (fr)": ["1 55 08 14 168 025 88", "155081416802588"],
    "identity number (es)": ["12345678Z", "12.345.678-Z", "X1234567L", "z-7654321-h"],
    "identity number (is)": ["120174-3399", "1201743399"],
    "identity number (ie)": ["1234567T", "1234567FA"],
    "identity number (uk)": ["943 476 5919", "AB 12 34 56 C", "ab123456c"],
    "phone number": [
        "+34 943 12 34 56", "0034943123456", "943 12 34 56", "943123456", "656 123 456", "06 12 34 56 78",
        "020 7946 0958", "555 1234", "085 123 4567", "+354 555 1234", "(943) 12 34 56", "943/123456",
        "212-555-0123", "+1 (212) 555-0123", "٠٦١٢٣٤٥٦٧٨",
    ],
}  # fmt: skip
IS_NOT = [
    "2026-03-19", "1.234.567 biztanle", "3,14159265358979", "1939-1945", "12345678A", "4111 1111 1111 1112",
    "ISBN 978-84-9027-123-4", "a@b", "@izena", "120174-3379", "1234567A", "x" * 30,
    "2 + 2 = 4", "10:30:00", "192.168.100.200", "1000000000 euro", "v1.2.3", "(a+b)@c", "143-476-5918",
    "6 000 000 000", "700 000 000",
]  # fmt: skip


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in IS.items() for text in texts])
def test_what_is_found(kind: str, text: str) -> None:
    (found,) = findings(f"Hara: {text} da.")
    assert found.kind == kind
    assert f"Hara: {text} da."[found.start : found.end].strip(".") == text.strip(".")


@pytest.mark.parametrize(
    "text", ["Sími 8991234", "Tel.612345678", "Telefonoa: 5 12 34 56 78", "Ffôn (029) 2018-0123", "WhatsApp 8123 4567"]
)
def test_a_word_says_that_a_number_is_a_phone_s(text: str) -> None:
    (found,) = findings(f"Hara: {text}!")
    assert found.kind == "phone number" and f"Hara: {text}!"[: found.end] == f"Hara: {text}"


@pytest.mark.parametrize("text", IS_NOT)
def test_what_is_not_found(text: str) -> None:
    assert findings(f"Hara: {text} da.") == []


def test_a_wrong_digit_is_told_for_numbers_with_checks() -> None:
    """Of numbers with one digit changed, none is taken for an account or a card."""
    draw = random.Random(5)
    for number, kind in (("ES9121000418450200051332", "IBAN"), ("4111111111111111", "card number")):
        for _ in range(50):
            place = draw.choice([n for n, character in enumerate(number) if character.isdigit()])
            digit = draw.choice([other for other in "0123456789" if other != number[place]])
            changed = number[:place] + digit + number[place + 1 :]
            assert kind not in {one.kind for one in findings(changed)}


def test_what_is_covered_keeps_all_else_in_its_place() -> None:
    text = "😀 Idatzi ane@posta.eus helbidera edo deitu 943 12 34 56 zenbakira."
    made = covered(text, findings(text))
    assert made == "😀 Idatzi █████████████ helbidera edo deitu ████████████ zenbakira." and len(made) == len(text)
    assert findings(made) == []


def test_hostile_texts_take_no_time() -> None:
    for text in (
        "a" * 200_000,
        "1 " * 100_000,
        "a." * 100_000 + "@",
        "@" * 100_000,
        "+3" * 100_000,
        "AB12 " * 40_000,
        "tel 1 " * 40_000,
        "a [at] " * 40_000,
    ):
        started = time.process_time()
        findings(text)
        assert time.process_time() - started < 20  # a pattern that tries everything takes hours
