"""The page of a poll in one language: its HTML, its style and its program, as they are sent."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from html import escape
from pathlib import Path

import orjson

from latxa_cli.stream.errors import UsageError
from latxa_cli.stream.tables import find_files, load_toml, read_table
from latxa_cli.voting.profile import Questions

LANGUAGES = Path(__file__).with_name("languages")
BROWSER = Path(__file__).with_name("browser")
KINDS = {".css": "text/css", ".js": "text/javascript"}
# The words that the program shows, and the HTML does not.
OF_PROGRAM = (
    "count",
    "marked",
    "unsaid",
    "sure",
    "withdraw",
    "withdrawn",
    "nothing",
    "failed",
    "you",
    "model",
    "kept",
    "full",
    "wait",
    "waiting",
    "silent",
    "refused",
    "unreachable",
    "unanswered",
    "over",
    "cut",
    "cookies",
)
_PLACE = re.compile(r"\{\{(\w+)\}\}")


@dataclass(frozen=True)
class Page:
    """html: the page. files: by name, the contents and the type of what it loads."""

    html: bytes
    files: dict[str, tuple[bytes, str]]


@dataclass(frozen=True)
class Offer:
    """What voters find on the page beside the votes.

    consent: a text that they accept before. modes: what else they may do: `errors`, `corrections`. questions: about
    themselves. table: after how many votes they may see what they preferred; None for never.
    """

    consent: str = ""
    modes: Iterable[str] = ()
    questions: Questions = field(default_factory=dict)
    table: int | None = None


def page_of(words: dict[str, str], poll: str, offer: Offer) -> Page:
    """Return the page with the words of a language."""
    program = orjson.dumps({name: words[name] for name in OF_PROGRAM}).decode()
    filled = words | {"words": program, "poll": poll, "consent": offer.consent, "agreed": agreement_of(offer.consent)}
    filled |= {"modes": " ".join(offer.modes), "table_from": str(offer.table or "")}
    filled["questions"] = orjson.dumps({name: asdict(one) for name, one in offer.questions.items()}).decode()
    template = (BROWSER / "index.html").read_text(encoding="utf-8")
    html = _PLACE.sub(lambda place: escape(filled[place[1]]), template)
    files = {path.name: (path.read_bytes(), KINDS[path.suffix]) for path in BROWSER.iterdir() if path.suffix in KINDS}
    return Page(html.encode(), files)


def words_of(language: str) -> dict[str, str]:
    """Return the words of a language, by key: one in `languages`, or a `.toml` file.

    Those of English say which keys there are. Raises UsageError or LatxaError for a file that does not do.
    """
    (path,) = find_files("--language", [language], LANGUAGES)[:1]
    english = load_toml(LANGUAGES / "en.toml")

    def checked(_name: str, table: dict[str, object]) -> dict[str, str]:
        if lacking := [key for key in english if key not in table]:
            raise ValueError(f"`{lacking[0]}` is missing")
        if wrong := [key for key, value in table.items() if not isinstance(value, str) or not value.strip()]:
            raise ValueError(f"`{wrong[0]}` is no text")
        if table["direction"] not in ("ltr", "rtl"):
            raise ValueError("`direction` is neither `ltr` nor `rtl`")
        return {key: str(value) for key, value in table.items()}

    return read_table(path, english, checked)


def consent_text(path: Path | None) -> str:
    """Return the text of a file that voters accept; raises UsageError."""
    if path is None:
        return ""
    try:
        text = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise UsageError(f"`--consent {path}` cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise UsageError(f"`--consent {path}` is not UTF-8") from None
    if not text:
        raise UsageError(f"`--consent {path}` is empty")
    return text


def agreement_of(text: str) -> str:
    """Return the name of a text that voters accept, which stands in their votes; empty for no text."""
    return sha256(text.encode()).hexdigest()[:16] if text else ""
