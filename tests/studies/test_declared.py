"""Studies as files, and the trials that they are expanded into."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cistransfer.errors import InputError
from cistransfer.studies.asked import values_of
from cistransfer.studies.schema import catalogue, load_study
from cistransfer.studies.trial import Trial, expand

FILES = {"matrix": "a" * 64, "genome": "b" * 64}


def plan_of(path: Path, **options: object):  # type: ignore[no-untyped-def]
    return expand(load_study(path), FILES, **options)  # type: ignore[arg-type]


def test_the_grid(tiny: Path) -> None:
    plan = plan_of(tiny)
    assert plan.notes == ["scratch is left out: no short is given"]
    points = [(row.strategy, *(value for _, value in row.point)) for row in plan.rows]
    first = [("gc", "ELF1", "30", "0"), ("kmer", "ELF1", "30", "0"), ("gc", "ELF1", "40", "0")]
    assert points[:3] == first
    assert points[-1] == ("kmer", "SPI1", "30", "1")  # draws are outermost
    assert len(points) == 2 * 2 * 3  # of size 40 there is one draw
    inputs = [name for name in plan.chain(plan.compared) if name not in plan.compared]
    assert len(inputs) == 2 * 3  # one example set for both strategies
    assert plan.kept == set(inputs)


def test_a_name_is_the_content(tiny: Path) -> None:
    plan = plan_of(tiny)
    assert plan_of(tiny).trials == plan.trials
    for name, trial in plan.trials.items():
        assert re.fullmatch(r"[0-9a-f]{16}", name)
        assert Trial.from_json(trial.to_json()).name == name
    # What a study calls its files changes no result, what they hold does.
    text = tiny.read_text().replace("{genome}", "{dna}").replace('genome = "Genome', 'dna = "G')
    tiny.write_text(text)
    renamed = expand(load_study(tiny), {"matrix": "a" * 64, "dna": "b" * 64})
    assert set(renamed.trials) == set(plan.trials)
    other = expand(load_study(tiny), {"matrix": "c" * 64, "dna": "b" * 64})
    assert not set(other.trials) & set(plan.trials)


def test_the_record_of_a_trial_is_a_contract() -> None:
    trial = Trial("finetune", '{"examples": {"$trial": "00"}, "seed": 0}', "0.1.0")
    assert trial.name == "7b6b98a73e8870ac"
    assert trial.needs() == ["00"]


def test_what_a_trial_does_not_depend_on_is_no_part_of_it(tiny: Path) -> None:
    text = tiny.read_text().replace(
        "[strategies]",
        '[inputs.all]\ndo = "examples"\nsource = "{matrix}"\ntf = "{tf}"\n'
        'genome = "{genome}"\n\n[strategies]\nwhole = { do = "baseline", name = "gc", '
        'examples = "{all}" }',
    )
    tiny.write_text(text)
    rows = [row for row in plan_of(tiny).rows if row.strategy == "whole"]
    assert [dict(row.point) for row in rows] == [{"tf": "ELF1"}, {"tf": "SPI1"}]


def test_tables_gathers_and_conditions(tiny: Path) -> None:
    tiny.write_text(
        """
name = "lists"
title = "Look-ups"
[axes]
cell = ["A", "B"]
kind = ["near", "far"]
[tables.partners.A]
near = ["X", "Y"]
far = ["Z"]
[tables.partners.B]
near = ["V"]
far = ["W"]
[files]
m = "Matrix"
[inputs.one]
do = "examples"
source = "{m}"
tfs = "{partners.cell.kind}"
exclude = "{cell.*}"
[inputs.all]
do = "classes"
sets = { each = "cell", take = "{one}" }
[strategies]
each = { do = "baseline", name = "gc", examples = "{one}", only = { kind = "near" } }
all = { do = "baseline", name = "gc", examples = "{all}" }
"""
    )
    plan = expand(load_study(tiny), {"m": "a" * 64}, {"cell": ["A"]})
    each = [row for row in plan.rows if row.strategy == "each"]
    assert [dict(row.point) for row in each] == [{"cell": "A", "kind": "near"}]
    (name,) = plan.trials[each[0].trial].needs()
    values = plan.trials[name].values
    assert (values["tfs"], values["exclude"]) == (["X", "Y"], ["A", "B"])
    both = [row for row in plan.rows if row.strategy == "all"]
    assert [dict(row.point) for row in both] == [{"kind": "near"}, {"kind": "far"}]
    whole = expand(load_study(tiny), {"m": "a" * 64})
    (joined,) = whole.trials[next(r for r in whole.rows if r.strategy == "all").trial].needs()
    assert set(whole.trials[joined].values["sets"]) == {"A", "B"}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("title =", "titel =", "unknown entry 'titel'; nearest: title"),
        (
            "[[claims]]",
            "[[claims]]\nmetrik = 1",
            "unknown entry 'claims.0.metrik'; nearest: metric",
        ),
        ('title = "Two', 'about = "Two', "lacks the entry 'title'"),
        ('kind = "line"', 'kind = "pie"', "figures.0.kind: Input should be"),
        ('id = "N11"', 'id = "N11"\npair = ["tff"]', "claim N11: no axis 'tff'; nearest: tf"),
        ('strategy = "kmer" }', 'strategy = "kmers" }', "no strategy 'kmers'; nearest: kmer"),
        ('"{tf}"', '"{tff}"', "examples: nothing is called 'tff'; nearest: tf"),
        ('do = "examples"', 'do = "example"', "no step 'example' (do); nearest: examples"),
        ("positives =", "positive_n =", "examples has no 'positive_n'; nearest: positive"),
        ('name = "gc", ', "", "baseline needs 'name'"),
        ('"{short}"', '"finetun"', "scratch: no strategy 'finetun'; nearest: finetune"),
        ('"{short}"', '"a.toml"', "a strategy of your own is a file of the study"),
        ('tf = ["ELF1", "SPI1"]', 'tf = ["A", "A"]', "a value is named twice"),
        ("[axes]\n", "[axes]\nmatrix = [1]\n", "two things are called 'matrix'"),
        ("[axes]\n", "[axes]\npart = [1]\n", "no axis may be called 'part'"),
        ('source = "{matrix}"', 'source = "{examples}"', "input 'examples' reads itself"),
        ('do = "examples"', 'do = "examples"\nonly = { size = 30 }', "'only' goes with what is"),
        ("once = { size", "once = { siz", "no axis 'siz'; nearest: size"),
        ('do = "examples"', 'do = "examples"\nasked = true', "'asked' goes with what is"),
        (
            'name = "kmer", ',
            'name = "kmer", without = "matrx", ',
            "kmer: no file 'matrx' (without); nearest: matrix",
        ),
        ("values = 2,", 'listed = "matrx", values = 2,', "no file 'matrx'; nearest: matrix"),
    ],
)
def test_what_is_wrong_is_named(tiny: Path, old: str, new: str, message: str) -> None:
    assert old in tiny.read_text()
    tiny.write_text(tiny.read_text().replace(old, new))
    with pytest.raises(InputError, match=re.escape(message)):
        expand(load_study(tiny), {**FILES, "short": "c" * 64})


def test_wrong_questions(tiny: Path) -> None:
    with pytest.raises(InputError, match="no study 'few-peeks'; nearest: few-peaks"):
        load_study("few-peeks")
    with pytest.raises(InputError, match="tiny: no axis 'cell'; there are: draw, size, tf"):
        plan_of(tiny, axes={"cell": ["A"]})
    with pytest.raises(InputError, match="tiny: no strategy 'kmers'; nearest: kmer"):
        plan_of(tiny, strategies=["kmers"])


@pytest.mark.parametrize("name", sorted(catalogue()))
def test_every_study_of_the_package_expands(name: str) -> None:
    study = load_study(name)
    assert study.name == name
    without = {step.get("without") for step in study.strategies.values()}
    files = {file: f"{at:064x}" for at, file in enumerate(study.files) if file not in without}
    plan = expand(study, files, strategies=list(study.strategies))
    assert {row.strategy for row in plan.rows} == set(study.strategies)
    one = {name: axis.values[:1] for name, axis in study.axes.items()}
    usual = {name for name, step in study.strategies.items() if not step.get("asked")}
    assert {row.strategy for row in expand(study, files, one).rows} <= usual


def test_alternatives_and_what_is_left_out(tiny: Path) -> None:
    """The first alternative that is given; ``without`` a file, ``asked`` by name."""
    tiny.write_text(
        """
name = "either"
title = "A trunk that is given or made"
[files]
sets = "Sets"
trunk = { help = "Trunk", optional = true }
[inputs.made]
do = "pretrain"
source = "{sets}"
architecture = "danq"
[strategies]
tune = { do = "finetune", examples = "{sets}", trunk = "{trunk|made}" }
bare = { do = "finetune", examples = "{sets}", trunk = "{trunk|default}" }
like = { do = "finetune", examples = "{sets}", architecture = "{trunk|default}", asked = true }
made = { do = "score", examples = "{sets}", model = "{made}", without = "trunk" }
"""
    )
    study, sets, trunk = load_study(tiny), {"sets": "a" * 64}, {"trunk": "b" * 64}

    def found(files: dict[str, str], *strategies: str) -> dict[str, dict[str, object]]:
        plan = expand(study, files, strategies=strategies)
        return {row.strategy: plan.trials[row.trial].values for row in plan.rows}

    alone, given = found(sets), found(sets | trunk)
    assert set(alone) == {"tune", "bare", "made"}
    assert set(given) == {"tune", "bare"}
    file = {"$file": "b" * 64, "name": "trunk"}
    assert "$trial" in str(alone["tune"]["trunk"])
    assert "trunk" not in alone["bare"]
    assert (given["tune"]["trunk"], given["bare"]["trunk"]) == (file, file)
    assert found(sets | trunk, "like")["like"]["architecture"] == file
    notes = expand(study, sets | trunk).notes
    assert notes == ["made is left out: trunk is given"]


def test_values_by_one_word_and_more_draws(tiny: Path) -> None:
    text = tiny.read_text().replace(
        'tf = ["ELF1", "SPI1"]', 'tf = { values = ["ELF1"], named = { other = ["SPI1", "MAX"] } }'
    )
    tiny.write_text(text.replace("draw = { values = 2,", "draw = { values = [1, 2],"))
    study = load_study(tiny)
    assert values_of(study, "tf", ["other"]) == ["SPI1", "MAX"]
    assert values_of(study, "tf", ["other", "GATA1"]) == ["other", "GATA1"]
    assert values_of(study, "draw", 3) == [1, 2, 3]
    assert values_of(study, "size", 1) == [30]
