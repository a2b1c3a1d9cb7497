"""What all pages have in common: a head that forbids to load or run anything else, and texts that are only texts."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from html import escape


def document(title: str, body: str, *, style: str, script: str = "", images: bool = False) -> str:
    """Return a whole page; `body` is HTML, and `script` the only program that the browser may run in it.

    images: whether the page may show images that it holds itself.
    """
    runs = f"; script-src 'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" if script else ""
    shows = "; img-src data:" if images else ""
    policy = f"default-src 'none'; style-src 'unsafe-inline'{shows}{runs}"
    program = f"<script>{script}</script>\n" if script else ""
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)}</title>\n<style>{style}</style>\n{body}\n{program}</html>\n"
    )


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return a table; the first row has the heads of its columns."""
    head, *body = rows
    lines = ["".join(f'<th scope="col">{text(cell)}' for cell in head)]
    lines += ["".join(f"<td>{text(cell)}" for cell in row) for row in body]
    return "<table>" + "".join(f"<tr>{line}" for line in lines) + "</table>"


def text(words: str) -> str:
    """Return a text on one line for HTML, in its own direction of writing."""
    return f"<bdi>{escape(printable(' '.join(words.split())))}</bdi>"


def printable(words: str) -> str:
    """Return a text in which characters that cannot be seen, such as those that reverse it, are replaced."""
    return "".join(sign if sign.isprintable() or sign in "\n\t" else "\ufffd" for sign in words)
