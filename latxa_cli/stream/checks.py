"""The checks of records: that fields are there and hold their types, and the rule of the kind.

A check raises ValueError with the problem in words, to which the reader of records adds file and line.
"""

from __future__ import annotations

from latxa_cli.stream.fields import Check, Kind, lacks
from latxa_cli.stream.kinds import KINDS
from latxa_cli.stream.records import Record, spoken_type


def kind_of(record: Record, kinds: tuple[str, ...]) -> str:
    """Return the first of `kinds` whose mark the record has; raises ValueError where there is none."""
    for name in kinds:
        if KINDS[name].mark in record:
            return name
    raise ValueError("neither " + " nor ".join(f"`{KINDS[name].mark}`" for name in kinds) + " is there")


def checker(kind: str | tuple[str, ...]) -> Check:
    """Return the check for records of one kind, or of several kinds that are told apart by their marks."""
    if isinstance(kind, str):
        return CHECKS[kind]
    return lambda record: CHECKS[kind_of(record, kind)](record)


def _check_of(kind: Kind) -> Check:
    """Return the check of one kind."""
    # A check is run for every record that any verb reads, so its loop is over the fields of the record, which are fewer
    # than those of the kind, and one `is` passes most values.
    fields = {field.name: field.type for field in kind.fields}
    first_types = {name: type_.types[0] for name, type_ in fields.items()}
    required = [field.name for field in kind.required]
    rule = kind.rule

    def check_other_types(name: str, value: object) -> None:
        if type(value) not in fields[name].types and (value is not None or name in required):
            raise ValueError(f"`{name}` is {spoken_type(value)}, not {fields[name].name}")

    def check(record: Record) -> None:
        for name in record:
            if name in first_types and record[name].__class__ is not first_types[name]:
                check_other_types(name, record[name])
        for name in required:
            if name not in record:
                raise ValueError(lacks(record, name, fields[name]))
        if rule is not None:
            rule(record)

    return check


CHECKS = {name: _check_of(kind) for name, kind in KINDS.items()}
# Fields whose values are objects or lists; also that of another spelling of conversations.
CONTAINERS = {field.name for kind in KINDS.values() for field in kind.fields if {*field.type.types} <= {dict, list}}
CONTAINERS.add("conversations")
