"""Every verb: its groups in the help, what goes with what, how long its function is."""

from __future__ import annotations

import ast
import inspect
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cistransfer.cli.command import run_app
from cistransfer.cli.main import app
from cistransfer.cli.plan import Asked, Plan
from cistransfer.options import options_of, title_of

MAX_LINES = 60


def commands(root: Any = None, words: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every verb of the application: its words and its command."""
    root = app if root is None else root
    for name, command in root.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*words, name))
        else:
            yield " ".join((*words, name)), command


VERBS = dict(commands())
PLANS: dict[str, Plan] = {
    words: command.callback.plan
    for words, command in VERBS.items()
    if hasattr(command.callback, "plan")
}


def word(asked: Asked) -> str:
    """Some value that an option takes: its default where it has one."""
    described = asked.described
    if described.choices:
        return described.choices[0]
    if described.read is not None:
        return {"--negatives": "others=1", "--percent": "100", "--pair": "A,B"}[asked.flag]
    if isinstance(asked.default, int | float) and not isinstance(asked.default, bool):
        return str(asked.default)
    return {int: "7", float: "7.0"}.get(asked.kind, "x")


def words(asked: Asked) -> list[str]:
    """The option on the command line."""
    if asked.described.positional:
        return [word(asked)]
    return [asked.flag] if asked.kind is bool else [asked.flag, word(asked)]


def request(plan: Plan, chosen: tuple[Any, ...]) -> list[str]:
    """Words with everything that must be given when these alternatives are meant."""
    needed: dict[str, Asked] = {}
    for slot in plan.slots:
        for group in slot.groups:
            if slot.has_meaning(group, set(chosen)):
                for asked in plan.options.values():
                    mine = [place for place in asked.places if place.group is group]
                    if mine and mine[0].field.default.__class__.__name__ == "_MISSING_TYPE":
                        needed[asked.name] = asked
    needed |= {plan.keys[each].name: plan.keys[each] for each in chosen if each is not None}
    return list(itertools.chain.from_iterable(words(asked) for asked in needed.values()))


def choices(plan: Plan) -> list[tuple[Any, ...]]:
    """Every way to choose among the alternatives of a verb."""
    slots = [slot for slot in plan.slots if slot.alternatives]
    return list(itertools.product(*([*slot.groups, *([None] * slot.optional)] for slot in slots)))


CASES = [
    pytest.param(verb, chosen, id=f"{verb} {'+'.join(getattr(c, '__name__', '-') for c in chosen)}")
    for verb, plan in PLANS.items()
    for chosen in choices(plan)
    if any(slot.alternatives for slot in plan.slots)
]


def test_all_verbs_but_rerun_are_made_of_groups() -> None:
    assert set(VERBS) - set(PLANS) == {"rerun"}
    assert len(PLANS) >= 20


@pytest.mark.parametrize("verb", PLANS)
def test_help_lists_every_group_and_option(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(app, [*verb.split(), "--help"]) == 0
    text = capsys.readouterr().out
    plan = PLANS[verb]
    headings = [line.rstrip(":") for line in text.splitlines() if line and line[-1] == ":"]
    for asked in plan.options.values():
        if asked.described.positional:
            continue
        assert asked.flag in text
        if asked.described.panel is None:
            titles = {title_of(place.group) for place in asked.places}
            assert any(head.startswith(title) for head in headings for title in titles), asked.flag
    assert "--config" in text
    assert "--json" in text


@pytest.mark.parametrize(("verb", "chosen"), CASES)
def test_every_option_is_read_or_refused(
    verb: str, chosen: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Each option of each verb with each source, given with its default value where it has one."""
    monkeypatch.chdir(tmp_path)
    plan = PLANS[verb]
    base = request(plan, chosen)
    for asked in plan.options.values():
        is_key = asked in plan.keys.values()
        if plan.has_meaning(asked, set(chosen)) or is_key or asked.described.positional:
            continue
        users = {user for place in asked.places for user in place.slot.users or ()}
        if any(isinstance(user, str) for user in users):
            continue  # goes with an option, which is refused itself
        if any(
            set(request(plan, (place.group,))) <= {*base, *words(asked)}
            for place in asked.places
            if place.group in plan.keys
        ):
            continue  # it makes another source of the same option: --matrix with or without --tf
        assert run_app(app, [*verb.split(), *base, *words(asked)]) == 2, asked.flag
        line = capsys.readouterr().err
        assert f"cistransfer: {asked.flag} has no meaning with" in line, (asked.flag, line)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", PLANS)
def test_the_function_of_a_verb_is_short(verb: str) -> None:
    function = VERBS[verb].callback.verb
    assert len(inspect.getsource(function).splitlines()) <= MAX_LINES


@pytest.mark.parametrize("verb", PLANS)
def test_every_group_is_read_by_the_function(verb: str) -> None:
    """A field that the function neither names nor hands on with its whole group is not read."""
    function = VERBS[verb].callback.verb
    module = inspect.getsource(inspect.getmodule(function))
    tree = ast.parse(module)
    named = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    whole = {
        argument.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for argument in (*node.args, *(keyword.value for keyword in node.keywords))
        if isinstance(argument, ast.Name)
    }
    for slot in PLANS[verb].slots:
        if slot.name not in whole:
            for group in slot.groups:
                methods = "".join(map(inspect.getsource, group.__mro__[:-1]))
                for field, _ in options_of(group):
                    assert field.name in named or f"self.{field.name}" in methods, field.name


def test_one_word_has_one_shape() -> None:
    """The same option takes the same kind of value in every verb."""
    kinds: dict[str, set[Any]] = {}
    for plan in PLANS.values():
        for asked in plan.options.values():
            if not asked.described.positional:
                kinds.setdefault(asked.flag, set()).add(asked.kind)
    assert {flag: found for flag, found in kinds.items() if len(found) > 1} == {}


def test_bounds_of_numbers_say_min_and_max() -> None:
    flags = {asked.flag for plan in PLANS.values() for asked in plan.options.values()}
    assert not [flag for flag in flags if "most" in flag.split("-") or "least" in flag.split("-")]


SET = {
    "finetune": ["--trunk", "scratch", "--examples", "e", "--out", "o"],
    "pretrain": ["--examples", "e", "--out", "o"],
}


@pytest.mark.parametrize(
    ("verb", "option"),
    [
        ("finetune", ["--split", "random"]),
        ("finetune", ["--split", "chromosome"]),
        ("finetune", ["--valid-chroms", "chr1"]),
        ("finetune", ["--test-chroms", "chr1"]),
        ("finetune", ["--ratio", "7"]),
        ("finetune", ["--gc-bins", "3"]),
        ("finetune", ["--motif-tf", "XX"]),
        ("pretrain", ["--split", "chromosome"]),
        ("pretrain", ["--region-set", "resolved"]),
    ],
)
def test_a_set_that_was_made_before_is_taken_as_it_is(
    verb: str, option: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """These were ignored, and then recorded as if they had been used."""
    assert run_app(app, [verb, *SET[verb], *option]) == 2
    user = "without --motifs" if option[0] == "--motif-tf" else "with --examples"
    assert capsys.readouterr().err == f"cistransfer: {option[0]} has no meaning {user}; drop it\n"
