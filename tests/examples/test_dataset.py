"""Example sets on disk: round trip, content hash, damage."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cistransfer.errors import InputError
from cistransfer.examples.dataset import ExampleSet, counts, open_examples, save_examples
from cistransfer.genome.bed import regions_table


@pytest.fixture
def examples() -> ExampleSet:
    rng = np.random.default_rng(0)
    start = np.arange(12) * 50
    regions = regions_table(["chr1"] * 6 + ["chr2"] * 6, start, start + 20).assign(
        part=["train", "valid", "test"] * 4, source="matrix"
    )
    return ExampleSet(
        rng.integers(0, 4, (12, 20), dtype=np.uint8),
        rng.integers(-1, 2, (12, 2)).astype(np.int8),
        regions,
        ("A", "B"),
        {"genome": "toy.fa", "seed": 3, "dropped": {"with_n": 1}},
    )


def test_round_trip(examples: ExampleSet, tmp_path: Path) -> None:
    again = open_examples(save_examples(tmp_path / "set", examples))
    assert (again.codes == examples.codes).all()
    assert (again.labels == examples.labels).all()
    assert (again.codes.dtype, again.labels.dtype) == (np.uint8, np.int8)
    assert isinstance(again.codes, np.memmap)
    pd.testing.assert_frame_equal(again.regions, examples.regions)
    assert again.tasks == examples.tasks
    assert again.facts == examples.facts
    assert again.window == 20
    assert again.content_hash() == examples.content_hash()
    twice = open_examples(save_examples(tmp_path / "twice", again))
    assert twice.content_hash() == examples.content_hash()
    assert (tmp_path / "set" / "dataset.json").read_text() == (
        tmp_path / "twice" / "dataset.json"
    ).read_text()


def test_what_the_record_says(examples: ExampleSet, tmp_path: Path) -> None:
    save_examples(tmp_path / "set", examples)
    record = json.loads((tmp_path / "set" / "dataset.json").read_text())
    assert record["content"] == examples.content_hash()
    assert (record["examples"], record["window"], record["tasks"]) == (12, 20, ["A", "B"])
    for part in ("train", "valid", "test"):
        mine = examples.labels[examples.rows(part)]
        for column, task in enumerate("AB"):
            assert record["counts"][part][task] == {
                "bound": sum(mine[:, column] == 1),
                "unbound": sum(mine[:, column] == 0),
                "unresolved": sum(mine[:, column] == -1),
            }
    assert record["counts"] == counts(examples)
    bound = (examples.labels == 1).any(axis=1)
    resolved = (examples.labels >= 0).any(axis=1)
    assert sum(record["gc"]["bound"]) == bound.sum()
    assert sum(record["gc"]["unbound"]) == (resolved & ~bound).sum()


def _flip(array: np.ndarray, at: tuple[int, int], value: int) -> np.ndarray:
    changed = array.copy()
    changed[at] = value
    return changed


CHANGES: dict[str, Callable[[ExampleSet], dict[str, object]]] = {
    "a base": lambda e: {"codes": _flip(e.codes, (3, 7), (e.codes[3, 7] + 1) % 4)},
    "a label": lambda e: {"labels": _flip(e.labels, (3, 1), (e.labels[3, 1] + 2) % 3 - 1)},
    "a place": lambda e: {"regions": e.regions.assign(start=e.regions["start"] + 1)},
    "a chromosome": lambda e: {"regions": e.regions.assign(chrom="chr3")},
    "the split": lambda e: {"regions": e.regions.assign(part="train")},
    "a task's name": lambda e: {"tasks": ("A", "C")},
    "the order of rows": lambda e: {
        "codes": e.codes[::-1],
        "labels": e.labels[::-1],
        "regions": e.regions[::-1].reset_index(drop=True),
    },
}


@pytest.mark.parametrize("change", CHANGES)
def test_another_content_has_another_hash(examples: ExampleSet, change: str) -> None:
    other = dataclasses.replace(examples, **CHANGES[change](examples))  # type: ignore[arg-type]
    assert other.content_hash() != examples.content_hash()


def test_equal_content_has_an_equal_hash(examples: ExampleSet) -> None:
    same = dataclasses.replace(
        examples,
        codes=np.asfortranarray(examples.codes),
        labels=examples.labels.copy(order="F"),
        regions=examples.regions.assign(source="elsewhere").set_index(np.arange(12) + 5),
        facts={"seed": 99},
    )
    assert same.content_hash() == examples.content_hash()


def test_parts(examples: ExampleSet) -> None:
    assert examples.rows("valid").tolist() == [1, 4, 7, 10]
    with pytest.raises(ValueError, match="one row per example"):
        dataclasses.replace(examples, labels=examples.labels[:3])
    with pytest.raises(ValueError, match="one column per task"):
        dataclasses.replace(examples, tasks=("A",))


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def _record(**changes: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "dataset.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return change


DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "no record": (lambda f: (f / "dataset.json").unlink(), "dataset.json: no such file"),
    "half a record": (lambda f: _cut(f / "dataset.json"), "not valid JSON"),
    "another kind": (_record(format="x"), "expected the record of a cistransfer-examples"),
    "newer": (_record(version=2), "example set format 2; this cistransfer reads 1"),
    "no codes": (lambda f: (f / "codes.npy").unlink(), "damaged example set"),
    "cut codes": (lambda f: _cut(f / "codes.npy"), "damaged example set"),
    "empty codes": (lambda f: (f / "codes.npy").write_bytes(b""), "damaged example set"),
    "a pickle": (
        lambda f: np.save(f / "labels.npy", np.array([{}], dtype=object), allow_pickle=True),
        "damaged example set",
    ),
    "labels of floats": (
        lambda f: np.save(f / "labels.npy", np.zeros((12, 2))),
        "damaged example set: wrong array types",
    ),
    "cut regions": (lambda f: _cut(f / "regions.parquet"), "damaged example set"),
    "regions without parts": (
        lambda f: (
            pd.read_parquet(f / "regions.parquet")
            .drop(columns="part")
            .to_parquet(f / "regions.parquet")
        ),
        r"regions.parquet lacks \['part'\]",
    ),
    "fewer labels": (
        lambda f: np.save(f / "labels.npy", np.zeros((11, 2), dtype=np.int8)),
        "do not belong together",
    ),
    "another task": (_record(tasks=["A"]), "do not belong together"),
    "no tasks": (_record(tasks=[]), "do not belong together"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damaged_folders(examples: ExampleSet, tmp_path: Path, case: str) -> None:
    damage, message = DAMAGE[case]
    folder = save_examples(tmp_path / "set", examples)
    damage(folder)
    with pytest.raises(InputError, match=message) as caught:
        open_examples(folder)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)
