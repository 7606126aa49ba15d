"""What a verb asks for: groups of options by parameter, and which of them have a meaning together.

The parameters of a verb are groups of options (`cistransfer.options`). Of a union exactly one
alternative is meant (with ``| None`` at most one), told by its first option. A group that
`goes_with` some alternatives has no meaning, and is None, with the others. An option that would be
ignored is refused.
"""

from __future__ import annotations

import dataclasses
import inspect
import keyword
import sys
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from cistransfer.cli.record import plain, read_config
from cistransfer.errors import InputError, nearest
from cistransfer.options import Option, flag_of, meaningless, options_of, wrong_choice

__all__ = ["Asked", "Given", "Plan", "Settled", "Slot", "goes_with"]


User = type | str | None


class goes_with:  # noqa: N801 (reads as words in an annotation)
    """Says with what a group of options has a meaning.

    Alternatives, names of options, None for no alternative.
    """

    def __init__(self, *users: User) -> None:
        self.users = users


@dataclass(frozen=True)
class Slot:
    """A parameter of a verb.

    Attributes
    ----------
    groups : tuple of type
        One group, or alternatives.
    alternatives, optional : bool
        Whether one of the groups is meant; whether it may be none.
    noun : str
        What the alternatives are, for messages.
    users : tuple, optional
        What the group goes with; by default it always has a meaning.
    """

    name: str
    groups: tuple[type, ...]
    alternatives: bool = False
    optional: bool = False
    noun: str = ""
    users: tuple[User, ...] | None = None

    def has_meaning(self, group: type, chosen: set[User]) -> bool:
        """Whether a group of the slot is read when these alternatives are meant."""
        if self.alternatives:
            return group in chosen
        return self.users is None or bool(chosen & set(self.users))


@dataclass(frozen=True)
class Place:
    """Where an option is declared."""

    slot: Slot
    group: type
    field: dataclasses.Field[Any]
    described: Option


@dataclass(frozen=True)
class Asked:
    """An option of the command line: a field of one group, or the same field of several.

    Attributes
    ----------
    name : str
        In records: the flag, with underscores.
    flag : str
        In messages.
    kind : type
        Of one item on the command line.
    several : bool
        Whether it is a tuple.
    """

    name: str
    flag: str
    kind: Any
    several: bool
    places: tuple[Place, ...]

    @property
    def described(self) -> Option:
        """What the first group says about it."""
        return self.places[0].described

    @property
    def default(self) -> Any:
        """Its default in the first group."""
        return self.places[0].field.default

    @property
    def as_list(self) -> bool:
        """Whether it is given word by word, not as one comma list."""
        return self.several and (self.described.repeat or self.described.positional)

    def value(self, raw: Any) -> Any:
        """What Python gets for what the command line gave."""
        read = self.described.read
        if read is not None:
            return read(raw) if isinstance(raw, str) else tuple(map(read, raw))
        if not self.several:
            return raw
        items = raw if self.as_list else [item.strip() for item in raw.split(",") if item.strip()]
        try:
            return tuple(self.kind(item) for item in items)
        except ValueError as error:
            raise InputError(
                f"{self.flag}: expected a comma list of {self.kind.__name__}, found {raw!r}"
            ) from error

    def as_paths(self, recorded: Any) -> Any:
        """A recorded value with its texts as paths, where it is one."""
        if self.kind is not Path:
            return recorded
        return [Path(item) for item in recorded] if isinstance(recorded, list) else Path(recorded)

    def raw(self, recorded: Any) -> Any:
        """What the command line would have given for a recorded value."""
        if isinstance(recorded, list):
            words = [str(item) for item in recorded]
            return words if self.as_list else ",".join(words)
        return recorded


@dataclass(frozen=True)
class Given:
    """Options that were given.

    Attributes
    ----------
    values : mapping
        As the command line has them.
    typed : set of str
        Those of the command line; the others are a config's.
    lenient : bool
        Whether those of the config that have no meaning are left out.
    """

    values: Mapping[str, Any]
    typed: frozenset[str]
    lenient: bool = False


@dataclass(frozen=True)
class Settled:
    """A verb's parameters, and every argument that has a meaning in this run, for the record."""

    groups: dict[str, Any]
    arguments: dict[str, Any]


class Plan:
    """What a verb asks for, from its signature."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.slots = list(_slots(function))
        self.options: dict[str, Asked] = {}
        for slot in self.slots:
            for group in slot.groups:
                for field, described in options_of(group):
                    self._add(Place(slot, group, field, described))
        self.keys = {
            group: self.options[_name(next(options_of(group))[0])]
            for slot in self.slots
            if slot.alternatives
            for group in slot.groups
        }
        """The option that tells an alternative."""

    def _add(self, place: Place) -> None:
        kind, several = _shape(place)
        flag = flag_of(place.field)
        if place.described.positional:
            flag = place.field.name.upper()
        name = _name(place.field)
        known = self.options.get(name)
        if known is not None and (known.kind, known.several) != (kind, several):
            raise TypeError(f"{flag} is of two types in {known.places[0].group} and {place.group}")
        places = (*(known.places if known else ()), place)
        self.options[name] = Asked(name, flag.partition("/")[0], kind, several, places)

    def has_meaning(self, asked: Asked, chosen: set[User]) -> bool:
        """Whether an option is read when these alternatives are meant."""
        return any(place.slot.has_meaning(place.group, chosen) for place in asked.places)

    def called(self, user: User) -> str:
        """The flag of an alternative, or of an option."""
        if not isinstance(user, type):
            return self.options[str(user)].flag
        key = self.keys[user]
        twins = [group for group, other in self.keys.items() if other is key and group is not user]
        own = _needed(user).difference(*map(_needed, twins)) if twins else ()
        return " and ".join([key.flag, *(self.options[name].flag for name in sorted(own))])

    def settle(self, given: Given) -> Settled:
        """Fill the groups that are meant; refuse what is missing or would be ignored.

        Raises
        ------
        InputError
            None or several of the alternatives; an option without a meaning, typed or in a
            config that the command line does not change in this; a word that is no choice.
        """
        chosen, changed = self._chosen(given)
        values = {name: self.options[name].value(raw) for name, raw in given.values.items()}
        for name in given.values:
            if not self.has_meaning(self.options[name], chosen):
                if name in given.typed or not changed:
                    raise InputError(self._meaningless(self.options[name], chosen))
                del values[name]
        groups: dict[str, Any] = {slot.name: None for slot in self.slots}
        arguments: dict[str, Any] = {}
        for slot in self.slots:
            for group in slot.groups:
                if slot.has_meaning(group, chosen):
                    user = next((each for each in chosen & set(slot.users or ()) if each), group)
                    fields = self._fields(user, group, values, given)
                    groups[slot.name] = group(**fields)
                    arguments |= self._recorded(group, fields, given)
        return Settled(groups, dict(sorted(arguments.items())))

    def _chosen(self, given: Given) -> tuple[set[User], bool]:
        """The alternatives that are meant, and whether the command line changed the config's."""
        chosen: set[User] = set()
        changed = given.lenient
        for slot in self.slots:
            if not slot.alternatives:
                continue
            keys = {group: self.keys[group] for group in slot.groups}
            typed = [group for group, key in keys.items() if key.name in given.typed]
            found = typed or [group for group, key in keys.items() if key.name in given.values]
            if len({keys[group].name for group in found}) == 1:
                found = [max(found, key=lambda group: self._fit(group, given))]
            if len(found) > 1 or not (found or slot.optional):
                words = ", ".join(dict.fromkeys(keys[each].flag for each in found)) or "none"
                raise InputError(f"name one {slot.noun}: {self._ways(slot)} (found {words})")
            changed = changed or bool(typed)
            chosen |= set(found) or {None}
        for name, raw in given.values.items():
            if raw and self.has_meaning(self.options[name], chosen):
                chosen.add(name)
        return chosen, changed

    def _fit(self, group: type, given: Given) -> tuple[int, int]:
        """How well what was given fits one of several alternatives that are told by one option."""
        needed = _needed(group)
        return len(needed & set(given.values)), -len(needed - set(given.values))

    def _ways(self, slot: Slot) -> str:
        """Word the alternatives, each with what it needs."""
        ways = []
        for group in slot.groups:
            key = self.keys[group].flag
            needed = [flag_of(each) for each, _ in options_of(group) if each.default is MISSING]
            rest = [flag for flag in needed if flag != key]
            ways.append(" ".join([key, *(["with"] if rest else []), " and ".join(rest)]).strip())
        return ", or ".join(ways)

    def _meaningless(self, asked: Asked, chosen: set[User]) -> str:
        """Word why an option would be ignored."""
        users = [u for place in asked.places for u in place.slot.users or (place.group,)]
        for name in filter(lambda user: isinstance(user, str), users):
            other = self.options[str(name)]
            if not self.has_meaning(other, chosen):  # what it goes with has no meaning itself
                return self._meaningless(other, chosen).replace(other.flag, asked.flag, 1)
        slots = [slot for slot in self.slots if slot.alternatives and set(users) & set(slot.groups)]
        named = [self.called(g) for slot in slots for g in slot.groups if g in chosen]
        if named:
            return f"{asked.flag} has no meaning with {' and '.join(named)}; drop it"
        lacking = dict.fromkeys(self.called(user) for user in users if user is not None)
        return f"{asked.flag} has no meaning without {' or '.join(lacking)}; drop it"

    def _fields(
        self, user: User, group: type, values: Mapping[str, Any], given: Given
    ) -> dict[str, Any]:
        """Values of a group's fields, after refusing what it does not allow.

        ``user`` is the alternative for which the group is read, to be named where a value lacks.
        """
        described = dict(options_of(group))
        flags = {field.name: self.options[_name(field)].flag for field in described}
        fields: dict[str, Any] = {}
        for field in described:
            value = values.get(_name(field), ())
            if value != () or (_name(field) in values and field.default is not MISSING):
                fields[field.name] = value
                wrong_choice(described[field], fields[field.name], flags[field.name])
            elif field.default is MISSING:
                key = self.called(user).partition(" ")[0]
                raise InputError(f"{key} needs {flags[field.name]}: {described[field].help}")
            else:
                fields[field.name] = field.default
        for field, option in described.items():
            why = meaningless(option, fields, flags)
            if why and _name(field) in values:
                conditions = {each.partition("=")[0] for each in (*option.needs, *option.against)}
                beside = {_name(other) for other in described if other.name in conditions}
                changed = given.lenient or bool(beside & given.typed)
                if _name(field) in given.typed or not changed:
                    raise InputError(f"{flags[field.name]} has no meaning {why}; drop it")
                fields[field.name] = field.default
        return fields

    def _recorded(self, group: type, fields: Mapping[str, Any], given: Given) -> dict[str, Any]:
        """Arguments of a group that have a meaning, as JSON."""
        recorded = {}
        for field, option in options_of(group):
            value = fields[field.name]
            if option.read is not None:
                value = given.values.get(_name(field))
            if (
                value is not None
                and value != ()
                and value != ""
                and not meaningless(option, fields)
            ):
                recorded[_name(field)] = plain(value, path=option.path)
        return recorded

    def of_record(self, path: Path, words: list[str]) -> tuple[dict[str, Any], bool]:
        """Values of a record, as the command line would have given them; whether it is lenient.

        Records of format 1 named every option, also those that had no meaning in the run.
        """
        config = read_config(path, words)
        values: dict[str, Any] = {}
        for name, value in config.arguments.items():
            asked = self.options.get(name)
            if asked is None:
                raise InputError(
                    f"{config.path}: no option {name!r} in 'arguments'; "
                    + nearest(name, self.options)
                )
            if asked.as_list and isinstance(value, str):
                value = [value]  # of a record from when there was one
            if value is not None and value != [] and value != "":
                where = plain(asked.as_paths(value), asked.described.path, config.folder)
                values[name] = asked.raw(where)
        return values, config.old


def _slots(function: Callable[..., Any]) -> Iterator[Slot]:
    """The parameters of a verb, told by their annotations."""
    hints = get_type_hints(function, include_extras=True)
    for name in inspect.signature(function).parameters:
        hint, notes = hints[name], []
        if get_origin(hint) is Annotated:
            hint, *notes = get_args(hint)
        is_union = get_origin(hint) in (Union, types.UnionType)
        parts: Sequence[Any] = get_args(hint) if is_union else (hint,)
        groups = tuple(part for part in parts if part is not type(None))
        users = next((note.users for note in notes if isinstance(note, goes_with)), None)
        noun = next((note for note in notes if isinstance(note, str)), name)
        if dataclasses.is_dataclass(groups[0]):
            yield Slot(name, groups, is_union and users is None, type(None) in parts, noun, users)


def _needed(group: type) -> set[str]:
    """Names of the options that a group cannot be without."""
    return {_name(field) for field, _ in options_of(group) if field.default is MISSING}


def _name(field: dataclasses.Field[Any]) -> str:
    name = flag_of(field).partition("/")[0].lstrip("-").replace("-", "_")
    return name + "_" * keyword.iskeyword(name)


def _shape(place: Place) -> tuple[Any, bool]:
    """Type of one item on the command line, and whether there are several."""
    hint = place.described.cli or place.field.type
    if isinstance(hint, str):
        owner = next(
            each
            for each in place.group.__mro__
            if place.field.name in inspect.get_annotations(each)
        )
        hint = eval(hint, vars(sys.modules[owner.__module__]), {})
    if get_origin(hint) in (Union, types.UnionType):
        hint = next(part for part in get_args(hint) if part is not type(None))
    several = get_origin(hint) is tuple
    if several:
        hint = get_args(hint)[0]
    return (str if place.described.read is not None else hint), several
