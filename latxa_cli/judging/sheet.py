"""What a judge is given to read: a template whose placeholders are filled in one pass.

Texts that models wrote stand between tags of the template. They are never read as a template themselves, and cannot end
their own tags or write those of the answer: a tag of the template that a text spells gets a space after its first sign,
and so does a special token of the judge. Servers keep their tokenizers to themselves, so that what looks like a special
token of today's chat templates is taken for one in any case.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from latxa_cli.stream.errors import nearest

PLACEHOLDER = re.compile(r"\{([A-Za-z_]+)\}")
TAG = re.compile(r"</?([A-Za-z][\w-]*)>", re.ASCII)
BETWEEN_TAGS = re.compile(r"<([A-Za-z][\w-]*)>\s*\{([A-Za-z_]+)\}\s*</\1>", re.ASCII)
LIKE_SPECIAL = re.compile(
    r"<[|｜][^<>\n]{1,60}[|｜]>|</?s>|<(?:bos|eos)>|<(?:start|end)_of_(?:turn|image)>|\[/?(?:INST|SYSTEM_PROMPT)\]"
)
OURS = ("language", "form")  # placeholders whose texts no model wrote


@dataclass(frozen=True)
class Sheet:
    """A system prompt (perhaps empty), what the user says, the `form` of the answer, which `{form}` stands for, and a
    `reminder` for a judge that answers in another form."""

    system: str
    user: str
    form: str
    reminder: str = ""

    @property
    def placeholders(self) -> set[str]:
        return set(PLACEHOLDER.findall(self.system + self.user))

    def check(self, *, needed: Collection[str], known: Collection[str]) -> None:
        """Raise ValueError for a placeholder that is missing, unknown, or stands outside of tags."""
        known = (*needed, *known)
        found = self.placeholders
        if strange := next(iter(sorted(found.difference(known))), ""):
            raise ValueError(f"there is no placeholder `{{{strange}}}` ({nearest(strange, list(known))})")
        if missing := next((name for name in needed if name not in found), ""):
            raise ValueError(f"`user` lacks the placeholder `{{{missing}}}`")
        for part in (self.system, self.user):
            safe = [name for _, name in BETWEEN_TAGS.findall(part)]
            for name in PLACEHOLDER.findall(part):
                if name not in OURS and safe.count(name) < PLACEHOLDER.findall(part).count(name):
                    raise ValueError(
                        f"`{{{name}}}` does not stand between tags of its own, as `<text>{{{name}}}</text>`"
                    )
        of_texts = {tag.casefold() for tag, _ in BETWEEN_TAGS.findall(self.system + self.user)}
        if shared := next((tag for tag in TAG.findall(self.form) if tag.casefold() in of_texts), ""):
            raise ValueError(f"`<{shared}>` stands round a text, and is to hold a number of the answer too")

    def messages(self, texts: Mapping[str, str], markers: Iterable[str] = ()) -> tuple[dict[str, str], ...]:
        """Return the turns that a judge is asked with. `markers`: special tokens of the judge."""
        given = {name: self.defused(text, markers) for name, text in texts.items()} | {"form": self.form}

        def fill(template: str) -> str:
            return PLACEHOLDER.sub(lambda found: given[found[1]], template)

        system = ({"role": "system", "content": fill(self.system)},) if self.system else ()
        return (*system, {"role": "user", "content": fill(self.user)})

    def again(
        self, messages: Iterable[dict[str, str]], answer: str, markers: Iterable[str] = ()
    ) -> tuple[dict[str, str], ...]:
        """Return the turns that a judge is asked with once more, behind its `answer` in another form."""
        said = {"role": "assistant", "content": _without_markers(answer.strip(), markers)}
        return (*messages, said, {"role": "user", "content": self.reminder})

    def defused(self, text: str, markers: Iterable[str] = ()) -> str:
        """Return a text in which no tag of the template and no special token is spelt."""
        return _without_markers(self._own_tags.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text), markers)

    @cached_property
    def _own_tags(self) -> re.Pattern[str]:
        names = sorted(set(TAG.findall(self.system + self.user + self.form)))
        return re.compile(rf"</?(?:{'|'.join(map(re.escape, names))})>", re.IGNORECASE)


def _without_markers(text: str, markers: Iterable[str]) -> str:
    """Return a text in which no special token is spelt."""
    for marker in markers:
        if len(marker) > 1 and not marker.isspace():
            text = text.replace(marker, f"{marker[0]} {marker[1:]}")
    return LIKE_SPECIAL.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)
