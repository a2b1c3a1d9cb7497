"""The card of a published data set (`README.md`), with the head that hubs of data sets read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date

from latxa_cli import __version__
from latxa_cli.stream.display import escaped, render
from latxa_cli.stream.kinds import KINDS
from latxa_cli.voting.publishing.forms import READ_BY
from latxa_cli.voting.publishing.release import Published

METHOD = """\
Voters saw a message and the answers of two models, side by side, without names of models. The order was drawn at
random: `model_a` stood first. They said whose content is better and whose language is, and who is better on the whole
where these contradict each other. `winner` is what both say; else the third answer; else the one of the two that is no
tie. Every vote is here once. Votes that look careless are here too: see `metadata.suspicion`.
"""
PERSONAL = """\
No addresses were stored. `{user}` is a keyed hash of a random cookie. A vote whose texts hold what looks like an e-mail
address, or a phone, account, card or identity number, is here only if a person decided so; what was covered reads `█`.
Names of people are not found by this. Votes that voters withdrew are not here.{delay}
"""
LICENCE = """\
The votes are under `{licence}`. What models wrote is under the terms of their makers.
"""


def card(published: Published, *, title: str, licence: str, names: str, file: str, today: date, delay: int) -> str:
    """Return the card as Markdown. file: the name of the file of the data set. names: a key of `forms.FORMS`."""
    user = {"ebaluatoia": "username", "lmarena": "evaluation_session_id", "comparia": "visitor_id"}.get(names, "user")
    young = f"\nVotes are published {delay} days after they were cast, so that they can be withdrawn." if delay else ""
    parts = [
        _head(published, licence, file),
        f"# {escaped(title)}\n",
        f"{published.votes:,} votes of {len(published.users):,} people on the answers of {len(published.models):,} "
        f"language models to {len(published.prompts):,} prompts{_days(published)}.\n",
        _table("Counts", ("what", "number"), _counts(published)),
        _table("Models", ("model", "votes"), sorted(published.models.items())),
        _table("Not published", ("reason", "votes"), sorted(published.left_out.items())),
        f"## Method\n\n{METHOD}",
        f"## Fields\n\n{_fields(published)}",
        f"Fields are named as in `{names}` where it has them.\n" if names != "latxa" else "",
        f"## Personal data\n\n{PERSONAL.format(user=user, delay=young)}",
        f"## Licence\n\n{LICENCE.format(licence=licence)}",
        f"## Use\n\n```sh\nlatxa arena-score {file}{READ_BY[names]}\n```\n",
        f"Made with latxa {__version__} on {today.isoformat()}.\n",
    ]
    return "\n".join(part for part in parts if part)


def _head(published: Published, licence: str, file: str) -> str:
    languages = ["language:", *(f"- {json.dumps(one)}" for one in sorted(published.languages))]
    return "\n".join((
        "---", f"license: {json.dumps(licence.lower())}", *(languages if published.languages else []), "tags:",
        "- human-preference", "- arena", "- latxa", "configs:", "- config_name: default",
        f"  data_files: {json.dumps(file)}", "---\n",
    ))  # fmt: skip


def _days(published: Published) -> str:
    return f", cast from {published.first} to {published.last}" if published.first else ""


def _counts(published: Published) -> list[tuple[str, int]]:
    return [
        *((f"winner: {name}", count) for name, count in sorted(published.winners.items())),
        *((f"votes with {name}", published.fields[name]) for name in _special(published)),
        *((f"language: {name}", count) for name, count in sorted(published.languages.items())),
        *((f"careless, perhaps: {name}", count) for name, count in sorted(published.suspicion.items())),
    ]


def _special(published: Published) -> list[str]:
    """Return the fields that not all votes have, and that say something of the voter or the answers."""
    return sorted(name for name in published.fields if name in ("errors", "correction") or name.startswith("user_"))


def _fields(published: Published) -> str:
    """Return a list of the fields that votes have, as latxa names them."""
    battle = KINDS["battle"]
    known = {field.name: field.says for field in (*battle.required, *battle.optional)}
    return "".join(f"- `{name}`: {known[name]}\n" for name in known if published.fields[name])


def _table(title: str, columns: tuple[str, str], rows: Sequence[tuple[str, object]]) -> str:
    """Return a heading and a table; nothing where there are no rows."""
    shown = [{columns[0]: name, columns[1]: f"{value:,}" if isinstance(value, int) else value} for name, value in rows]
    return f"## {title}\n\n{render(shown, columns, 'markdown')}" if rows else ""
