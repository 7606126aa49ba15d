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
from cistransfer.examples.dataset import (
    ExampleSet,
    check_examples,
    counts,
    open_examples,
    save_examples,
)
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


def _unhashed(damage: Callable[[Path], object]) -> Callable[[Path], None]:
    """The damage to a set of before, whose record had no hashes of its files."""

    def change(folder: Path) -> None:
        _record(files=None)(folder)
        damage(folder)

    return change


DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "no record": (lambda f: (f / "dataset.json").unlink(), "dataset.json: no such file"),
    "half a record": (lambda f: _cut(f / "dataset.json"), "not valid JSON"),
    "another kind": (_record(format="x"), "expected the record of a cistransfer-examples"),
    "newer": (_record(version=2), "example set format 2; this cistransfer reads 1"),
    "no codes": (lambda f: (f / "codes.npy").unlink(), "codes.npy: no such file"),
    "cut codes": (lambda f: _cut(f / "codes.npy"), "codes.npy: damaged: 358 bytes, expected 368"),
    "empty codes": (lambda f: (f / "codes.npy").write_bytes(b""), "codes.npy: damaged, or no arr"),
    "a pickle": (
        lambda f: np.save(f / "labels.npy", np.array([{}], dtype=object), allow_pickle=True),
        "labels.npy: damaged, or no array of numbers",
    ),
    "labels of floats": (
        lambda f: np.save(f / "labels.npy", np.zeros((12, 2))),
        "labels.npy: expected int8 of 12 × 2, found float64 of 12 × 2",
    ),
    "cut regions": (lambda f: _cut(f / "regions.parquet"), "regions.parquet: not the file"),
    "regions without parts": (
        _unhashed(
            lambda f: (
                pd.read_parquet(f / "regions.parquet")
                .drop(columns="part")
                .to_parquet(f / "regions.parquet")
            )
        ),
        "regions.parquet: lacks the column 'part'; it has: chrom, end, source, start",
    ),
    "fewer labels": (
        lambda f: np.save(f / "labels.npy", np.zeros((11, 2), dtype=np.int8)),
        "labels.npy: expected int8 of 12 × 2, found int8 of 11 × 2",
    ),
    "another task": (_record(tasks=["A"]), "labels.npy: expected int8 of 12 × 1"),
    "no tasks": (_record(tasks=[]), "tasks: List should have at least 1 item"),
    "tasks of one name": (_record(tasks=["A", "A"]), "expected different names"),
    "no content hash": (_record(content=None), "content: Input should be a valid string"),
    "windows of text": (_record(window="20"), "window: Input should be a valid integer"),
    "more rows than there are": (_record(examples=10**11), "expected uint8 of 100,000,000,000 ×"),
    "a longer whole number than there is": (
        lambda f: (f / "dataset.json").write_text('{"examples": ' + "9" * 5000 + "}"),
        "not valid JSON: a whole number of 5,000 digits",
    ),
    "deeper than there is": (
        lambda f: (f / "dataset.json").write_text("[" * 99_999 + "]" * 99_999),
        "not valid JSON: nested too deeply",
    ),
    "a list": (lambda f: (f / "dataset.json").write_text("[]"), "expected an object, found list"),
    "hashes of nothing": (_record(files={}), "files: expected the hashes|expected the hashes"),
    "inverted labels": (
        lambda f: np.save(f / "labels.npy", 1 - np.abs(np.load(f / "labels.npy"))),
        "labels.npy: not the file that dataset.json describes",
    ),
    "moved parts": (
        lambda f: (
            pd.read_parquet(f / "regions.parquet")
            .assign(part="train")
            .to_parquet(f / "regions.parquet", index=False)
        ),
        "regions.parquet: not the file that dataset.json describes",
    ),
    "labels that are none": (
        _unhashed(lambda f: np.save(f / "labels.npy", np.full((12, 2), 7, dtype=np.int8))),
        "labels.npy: expected labels from -1 to 1",
    ),
    "parts that are none": (
        _unhashed(
            lambda f: (
                pd.read_parquet(f / "regions.parquet")
                .assign(part="all")
                .to_parquet(f / "regions.parquet", index=False)
            )
        ),
        "regions.parquet: expected the parts train, valid, test",
    ),
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


def test_every_damaged_byte_is_found(examples: ExampleSet, tmp_path: Path) -> None:
    """On opening, or where the whole set is read; a set without hashes of its files as well."""
    folder = save_examples(tmp_path / "set", examples)
    rng = np.random.default_rng(0)
    for old in (False, True):
        if old:
            record = json.loads((folder / "dataset.json").read_text())
            del record["files"]
            (folder / "dataset.json").write_text(json.dumps(record))
        assert check_examples(folder)["content_hash"] == examples.content_hash()
        for name in ("codes.npy", "labels.npy"):
            whole = (folder / name).read_bytes()
            for place in rng.integers(0, len(whole), 60):
                damaged = bytearray(whole)
                damaged[place] ^= 1 << rng.integers(8)
                (folder / name).write_bytes(damaged)
                said = ""
                try:
                    assert check_examples(folder)["content_hash"] == examples.content_hash()
                except InputError as error:
                    said = str(error)
                # in a header, "<u1" says what "|u1" does
                assert ".npy: " in said or (place < 128 and not said)
            (folder / name).write_bytes(whole)
    assert check_examples(folder)["windows"] == 12


def test_a_changed_copy_has_a_hash_of_its_own(examples: ExampleSet, tmp_path: Path) -> None:
    opened = open_examples(save_examples(tmp_path / "set", examples))
    changed = dataclasses.replace(opened, labels=1 - np.abs(opened.labels))
    assert changed.content_hash() != opened.content_hash() == examples.content_hash()
