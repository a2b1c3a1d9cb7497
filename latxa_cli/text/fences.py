"""Code in a text: the lines of fenced blocks, as Markdown writes them (CommonMark 0.31.2, section 4.5).

A fence is a line of three backticks or tildes, or more. Behind those that open a block may stand the name of the code's
language. The block ends at the next fence of the same sign that is at least as long, or with the text. Unlike in
CommonMark a fence may be indented at will, since blocks in lists are.
"""

from __future__ import annotations

import re

# Quotes and items of lists may begin with a fence. More than four tildes are a rule or underline a heading.
_FENCE = re.compile(r"[ \t>]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)?(`{3,}(?=[^`]*$)|~{3,4}(?!~))(.*)")


def code_lines(lines: list[str]) -> list[bool]:
    """Return for each line of a text whether it is in a fenced block, the fences included."""
    found, fence = [], ""
    for line in lines:
        match = _FENCE.match(line)
        found.append(bool(fence or match))
        if match is None:
            continue
        if not fence:
            fence = match[1]
        elif match[1].startswith(fence) and not match[2].strip():
            fence = ""
    return found


def fence_start(line: str) -> int:
    """Return where the fence stands in a line that opens a block; 0 in any other line."""
    match = _FENCE.match(line)
    return match.start(1) if match else 0


def prose(text: str) -> str:
    """Return `text` without its fenced blocks; as it is where nothing else has a letter."""
    if not may_have_fences(text):
        return text
    found = "\n".join(prose_lines(text))
    return found if any(map(str.isalpha, found)) else text


def prose_lines(text: str) -> list[str]:
    """Return the lines of `text` that are in no fenced block."""
    lines = text.split("\n")
    if not may_have_fences(text):
        return lines
    return [line for line, is_code in zip(lines, code_lines(lines), strict=True) if not is_code]


def may_have_fences(text: str) -> bool:
    """Whether `code_lines` need look at the text."""
    return "```" in text or "~~~" in text
