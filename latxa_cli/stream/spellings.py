"""Other names for the fields of battles, as other arenas and annotation tools write them."""

from __future__ import annotations

from latxa_cli.stream.records import Record

JUDGE = "judge"  # a widely used arena writes the voter's name there; a judge of ours is alone there
ALIASES = {
    "user": ("username", "user_id", "voter", "worker", "worker_id", "annotator", "annotator_id"),
    "prompt_id": ("question_id",),
    "timestamp": ("tstamp",),
}


def spelled(battle: Record, field: str) -> tuple[str, object]:
    """Return the name under which a battle has a field, and its value; (field, None) where it has none."""
    for name in (field, *ALIASES.get(field, ())):
        value = battle.get(name)
        if value is not None:
            return name, value
    return field, None


def field_text(value: object) -> str | None:
    """Return a value as text, as JSON writes it: `true` and not `True`."""
    if value is None or isinstance(value, str):
        return value
    return str(value).lower() if isinstance(value, bool) else str(value)
