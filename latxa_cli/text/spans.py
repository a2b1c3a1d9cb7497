"""The parts of a text that are no prose, and that no translation may change, found in one pass from left to right.

    fenced      a fenced block of code, with its fences
    code        inline code between backticks (CommonMark 0.31.2, section 6.1)
    latex       formulas between dollar signs or in `\\(`, `\\[`, `\\begin`; commands with their arguments
    url, mail, path
    placeholder `{name}`, `{{name}}`, `${name}`, `%s`, `%(name)s`
    tag         HTML and XML tags, `<|token|>`, and annotations such as `<<2+3=5>>`
    rule        the line under the head of a table

- A part that never ends (a formula without its second dollar sign) is no part. A fenced block ends with the text.
- The time is linear in the length of the text: each search for an end is remembered, and expressions do not backtrack.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import NamedTuple

from latxa_cli.text.fences import code_lines, fence_start

_LONGEST = 1000  # characters of a part in one line: a tag, an argument of a command, a path


class Span(NamedTuple):
    """A part of a text: where it begins, where it ends (excluded), and its kind."""

    start: int
    end: int
    kind: str


# What may begin a part, or stand inside one that is then looked for in both directions (`@`, `/`).
_SIGN = re.compile(r"[`$\\<{%@/|~]")
_SIGN_OR_WWW = re.compile(r"[`$\\<{%@/|~]|\bwww\.")  # five times slower, and seldom needed
_SPACES = frozenset(" \t\r\n\f\v")
_BLANK_LINE = re.compile(r"\n[ \t]*+\n")
_PROSE_IN_FORMULA = re.compile(r"(?<![^\W\d_])[^\W\d_]{3,}+\s++[^\W\d_]{2,}+\s++[^\W\d_]{2,}+")
_BACKTICKS = re.compile("`+")
_BRACKET = re.compile(r"[{}\[\]]|\n[ \t]*+\n")
_ENVIRONMENT = re.compile(r"\\(begin|end)\{([A-Za-z]++\*?)\}")
_COMMAND = re.compile(r"\\(?:[nt](?=[A-Z])|[A-Za-z]++\*?|[,;!\\])")
_PROSE_COMMANDS = frozenset((
    "text", "textbf", "textit", "emph", "underline", "textsc", "texttt", "title", "author", "section", "subsection",
    "subsubsection", "paragraph", "chapter", "caption", "footnote", "item", "mbox", "textrm", "textsf",
))  # fmt: skip
_URL = re.compile(r"[^\s<>\"`\\^{}|]++")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]{1,15}\Z")
_TAG = re.compile(r"<(?:!--|/?[^\W\d_][\w:.\-]*+(?=[\s/>])|\|[A-Za-z_][\w ]*+\||<|/)")
_ATTRIBUTE = re.compile(r"[A-Za-z_:@.\-][\w:.\-]*+\s*+=|/>\Z")
_PLACEHOLDER = re.compile(r"\{\{?\s*+(?:[A-Za-z_][\w.\-]*+|[0-9]*+)(?:![rsa])?(?::[\w.<>^+%,\-]*+)?\s*+\}\}?")
_PRINTF = re.compile(
    r"%(?:\([A-Za-z_]\w*+\)|[0-9]++\$)?[#0\-+]*+[0-9]*+(?:\.[0-9]++)?(?:hh|ll|[hlLqjzt])?[sdifuxXcegGop](?!\w)"
)
_LOCAL = re.compile(r"[A-Za-z0-9._%+\-]+\Z")
_DOMAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.\-]*+)")
_PATH = re.compile(r"[^\s\"'`<>|(){}\[\],;*?]*+")
_PATH_START = re.compile(r"[^\s\"'`<>|(){}\[\],;*?=]+\Z")
_NAMED = re.compile(r"(?:~|\.{1,2}|[A-Za-z]:)?[/\\]?(?:[\w.@+\-]++[/\\])*+[\w@+\-]*\.[A-Za-z][A-Za-z0-9]{0,5}\Z")
_ROOTED = re.compile(r"(?:(?:~|\.{1,2}|[A-Za-z]:)[/\\]|/(?=[\w.\-]++/))[\w.@+\-/\\]*\Z")
_RULE = re.compile(r"[ \t>]*+[|:\-][|:\- \t]*+\Z")


def spans(text: str) -> Iterator[Span]:
    """Yield the parts of `text` from left to right; none overlaps another."""
    place = 0
    for block in _fenced(text):
        yield from _Line(text, place, block.start).spans()
        yield block
        place = block.end
    yield from _Line(text, place, len(text)).spans()


def _fenced(text: str) -> list[Span]:
    if "```" not in text and "~~~" not in text:
        return []
    lines = text.split("\n")
    found: list[Span] = []
    place, start, inside = 0, 0, False
    for line, is_code in zip(lines, code_lines(lines), strict=True):
        if is_code and not inside:
            start, inside = place + fence_start(line), True
            fence = line[fence_start(line) :]
            sign = fence[: len(fence) - len(fence.lstrip(fence[0]))]
        elif is_code and line.strip(" \t>\r").startswith(sign) and not line.strip(" \t>\r").strip(sign[0]):
            found.append(Span(start, place + len(line.rstrip("\r")), "fenced"))
            inside = False
        place += len(line) + 1
    if inside:
        found.append(Span(start, len(text), "fenced"))
    return found


class _Line:
    """The text between two fenced blocks, from `start` to `end`, and what was found out about it."""

    def __init__(self, text: str, start: int, end: int) -> None:
        self.text, self.start, self.place, self.end = text, start, start, end
        self._next: dict[str, int] = {}  # the place of each sign's next occurrence, as last searched
        self._endless = start  # the end of the last run of signs that is too long for a path
        self._runs: dict[int, list[int]] | None = None  # the places of runs of backticks, by their length
        self._pairs: dict[int, int] | None = None  # the place of the closing brace of each opening one
        self._ends: dict[int, int] | None = None  # the end of each environment, by the place of its beginning

    def spans(self) -> Iterator[Span]:
        """Yield the parts."""
        search = (_SIGN if self.text.find("www.", self.place, self.end) < 0 else _SIGN_OR_WWW).search
        while self.place < self.end:
            sign = search(self.text, self.place, self.end)
            if sign is None:
                return
            start, end, kind = _FINDERS[sign[0][0]](self, sign.start())
            if kind and start >= self.place:
                yield Span(start, end, kind)
            self.place = max(end, self.place, sign.start() + 1)

    def find(self, sign: str, start: int) -> int:
        """Return the place of `sign` from `start` on, or the end of the text; in all, it reads the text once."""
        known = self._next.get(sign, -1)
        if known < start:
            known = self.text.find(sign, start, self.end)
            known = self._next[sign] = self.end if known < 0 else known
        return known

    def paragraph_end(self, start: int) -> int:
        """Return where the paragraph that `start` is in ends."""
        known = self._next.get("\n\n", -1)
        if known < start:
            found = _BLANK_LINE.search(self.text, start, self.end)
            known = self._next["\n\n"] = found.start() if found else self.end
        return known

    # Each finder returns (start, end, kind) of the part that a sign belongs to. Where there is none, the kind is empty
    # and the search goes on at the end.

    def code(self, start: int) -> tuple[int, int, str]:
        if self._runs is None:
            self._runs = {}
            for run in _BACKTICKS.finditer(self.text, start, self.end):
                self._runs.setdefault(len(run[0]), []).append(run.start())
        size = 1
        while start + size < self.end and self.text[start + size] == "`":
            size += 1
        same = self._runs.get(size, [])  # a backslash may have taken the first of a run
        following = bisect_left(same, start + size)
        if following < len(same) and same[following] <= self.paragraph_end(start):
            return start, same[following] + size, "code"
        return start, start + size, ""

    def formula(self, start: int) -> tuple[int, int, str]:
        text = self.text
        if text.startswith("${", start) and (found := _PLACEHOLDER.match(text, start + 1, self.end)):
            return start, found.end(), "placeholder"
        if text.startswith("$$", start):
            end = self.find("$$", start + 2)
            if start + 2 < end < min(self.end, self.paragraph_end(start)):
                return start, end + 2, "latex"
            return start, start + 2, ""
        end = self.dollar(start + 1)
        inside = text[start + 1 : end] if end < self.end else ""
        if (
            not inside
            or inside[0] in _SPACES
            or inside[-1] in _SPACES
            or text[end + 1 : end + 2].isdigit()
            or end > self.paragraph_end(start)
            or ("\\" not in inside and _PROSE_IN_FORMULA.search(inside))
        ):
            return start, start + 1, ""
        return start, end + 1, "latex"

    def dollar(self, start: int) -> int:
        """Return the place of the next dollar sign without a backslash."""
        place = self.find("$", start)
        while place < self.end and self.text[place - 1] == "\\":
            place = self.find("$", place + 1)
        return place

    def backslash(self, start: int) -> tuple[int, int, str]:
        text = self.text
        following = text[start + 1 : start + 2]
        if following in ("(", "["):
            end = self.find("\\)" if following == "(" else "\\]", start + 2)
            found = end < self.end and (following == "[" or end < self.paragraph_end(start))
            return (start, end + 2, "latex") if found else (start, start + 2, "")
        if start > max(self.place, self._endless) and (text[start - 1].isalpha() or text[start - 1] in ":.~"):
            begin, end, kind = self.path(start)
            if kind:
                return begin, end, kind
        command = _COMMAND.match(text, start, self.end)
        if command is None:
            return start, min(start + 2, self.end), ""
        name, end = command[0][1:], command.end()
        if name == "begin" and (closed := self.environments.get(start)):
            return start, closed, "latex"
        if name.rstrip("*") in _PROSE_COMMANDS:
            return start, end, "latex"
        if name.isalpha():
            while text[end : end + 1] in ("{", "[") and (close := self.brackets.get(end)):
                end = close + 1
        return start, end, "latex"

    @property
    def brackets(self) -> dict[int, int]:
        """The closing bracket of each opening one, where both are in one paragraph and near."""
        if self._pairs is None:
            self._pairs, opened = {}, []
            for found in _BRACKET.finditer(self.text, self.start, self.end):
                if found[0] in "{[":
                    opened.append(found.start())
                elif found[0] not in "}]":
                    opened.clear()
                elif opened and self.text[opened[-1]] + found[0] in ("{}", "[]"):
                    place = opened.pop()
                    if found.start() - place <= _LONGEST:
                        self._pairs[place] = found.start()
        return self._pairs

    @property
    def environments(self) -> dict[int, int]:
        """The end of each environment `\\begin{name}` … `\\end{name}`, by the place of its beginning."""
        if self._ends is None:
            self._ends, opened = {}, []
            for found in _ENVIRONMENT.finditer(self.text, self.start, self.end):
                if found[1] == "begin":
                    opened.append((found[2], found.start()))
                elif opened and opened[-1][0] == found[2]:
                    self._ends[opened.pop()[1]] = found.end()
        return self._ends

    def angle(self, start: int) -> tuple[int, int, str]:
        text = self.text
        tag = _TAG.match(text, start, self.end)
        if tag is None:
            return start, start + 1, ""
        if tag[0] == "<!--":
            end = self.find("-->", start)
            return (start, end + 3, "tag") if end < self.end else (start, start + 1, "")
        close = ">>" if tag[0] == "<<" else ">"
        end = self.find(close, tag.end())
        if end >= min(self.end, start + _LONGEST, self.find("\n", start)) or self.find("<", tag.end()) < end:
            return start, start + 1, ""
        inside = text[tag.end() : end + len(close)]
        if tag[0] in ("<<", "</") or inside.strip() in (">", "/>") or _ATTRIBUTE.match(inside.lstrip()):
            return start, end + len(close), "tag"
        return start, start + 1, ""

    def brace(self, start: int) -> tuple[int, int, str]:
        found = _PLACEHOLDER.match(self.text, start, self.end)
        return (start, found.end(), "placeholder") if found else (start, start + 1, "")

    def percent(self, start: int) -> tuple[int, int, str]:
        found = _PRINTF.match(self.text, start, self.end)
        # `100%s` is no placeholder, and `50 % of` no number format.
        if found is None or (start > self.place and self.text[start - 1].isdigit()):
            return start, start + 1, ""
        return start, found.end(), "placeholder"

    def url(self, start: int) -> tuple[int, int, str]:
        text = self.text
        begin = start
        if text[start] == ":":
            scheme = _SCHEME.search(text, max(self.place, start - 16), start)
            if scheme is None:
                return start, start + 3, ""
            begin = scheme.start()
        end = self.trimmed(start, _URL.match(text, start + 3, self.end))
        return (begin, end, "url") if end > start + 3 else (start, start + 3, "")

    def trimmed(self, start: int, found: re.Match[str] | None) -> int:
        """Return the end of a match without the signs of the sentence around it."""
        if found is None:
            return start
        end = found.end()
        while end > start:
            last = self.text[end - 1]
            if last in ".,;:!?'*_\"…»”’。，、" or (last in ")]" and self._is_unopened(last, start, end)):
                end -= 1
            else:
                break
        return end

    def _is_unopened(self, last: str, start: int, end: int) -> bool:
        opening = "(" if last == ")" else "["
        most = min(end, start + _LONGEST)
        return self.text.count(opening, start, most) < self.text.count(last, start, most)

    def mail(self, start: int) -> tuple[int, int, str]:
        text = self.text
        local = _LOCAL.search(text, max(self.place, start - 64), start)
        domain = _DOMAIN.match(text, start + 1, self.end)
        if local is None or domain is None:
            return start, start + 1, ""
        end = self.trimmed(start, domain)
        return (local.start(), end, "mail") if "." in text[start:end] else (start, start + 1, "")

    def path(self, start: int) -> tuple[int, int, str]:
        text = self.text
        if text.startswith("://", start - 1) and start > self.place:
            return self.url(start - 1)
        before = _PATH_START.search(text, max(self.place, start - 64), start)
        begin = before.start() if before else start
        found = _PATH.match(text, start, self.end)
        assert found is not None  # it may be empty
        end = self.trimmed(start, found)
        if end - start > _LONGEST:
            self._endless = found.end()
            return start, found.end(), ""
        candidate = text[begin:end]
        is_path = len(candidate) > 2 and (_NAMED.match(candidate) or _ROOTED.match(candidate))
        return (begin, end, "path") if is_path else (start, max(found.end(), start + 1), "")

    def home(self, start: int) -> tuple[int, int, str]:
        return self.path(start) if self.text.startswith("~/", start) else (start, start + 1, "")

    def rule(self, start: int) -> tuple[int, int, str]:
        text = self.text
        line = text.rfind("\n", self.place, start) + 1 or self.place
        if line and text[line - 1] != "\n":
            return start, start + 1, ""
        end = self.find("\n", start)
        is_rule = _RULE.match(text, line, end) and "-" in text[line:end]
        return (line, end, "rule") if is_rule else (start, start + 1, "")


_FINDERS: dict[str, Callable[[_Line, int], tuple[int, int, str]]] = {
    "`": _Line.code, "$": _Line.formula, "\\": _Line.backslash, "<": _Line.angle, "{": _Line.brace,
    "%": _Line.percent, "w": _Line.url, "@": _Line.mail, "/": _Line.path,
    "~": _Line.home, "|": _Line.rule,
}  # fmt: skip
