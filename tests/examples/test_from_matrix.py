"""Examples from the simulated matrix: rows, labels, counts, determinism."""

from __future__ import annotations

import dataclasses

import by_source
import numpy as np
import pandas as pd
import pytest

from cistransfer.errors import InputError
from cistransfer.examples.dataset import (
    ExampleSet,
    counts,
    open_examples,
    save_examples,
    subset,
)
from cistransfer.examples.split import Split
from cistransfer.genome.bed import regions_table
from cistransfer.genome.codes import gc_fraction
from cistransfer.genome.intervals import overlaps_any

TFS = ["MAX", "ELF1", "HNF4A"]


class Holed:
    """A genome whose regions of even row number hold an N, or are missing on a chromosome."""

    def __init__(self, genome: object, without: str = "", holes: bool = False) -> None:
        self.genome, self.without, self.holes = genome, without, holes
        self.name = "holed.fa"

    @property
    def chromosomes(self) -> dict[str, int | None]:
        return {k: v for k, v in self.genome.chromosomes.items() if k != self.without}  # type: ignore[attr-defined]

    def missing(self, regions: pd.DataFrame) -> np.ndarray:
        return self.genome.missing(regions) | (regions["chrom"] == self.without).to_numpy()  # type: ignore[attr-defined]

    def fetch(self, regions: pd.DataFrame) -> np.ndarray:
        codes = self.genome.fetch(regions)  # type: ignore[attr-defined]
        if self.holes:
            codes[regions["start"].to_numpy() % 2 == 0, 5] = 4
        return codes


def _key(examples: ExampleSet) -> list[tuple[str, int]]:
    return list(zip(examples.regions["chrom"], examples.regions["start"], strict=True))


@pytest.mark.parametrize(("regions", "rule"), [("resolved", "sparse"), ("common", "less-sparse")])
def test_several_tfs(world, regions: str, rule: str) -> None:
    examples = by_source.multi(world.matrix, world.genome, TFS, regions=regions)
    states = world.matrix.states(TFS, rule=rule)
    known = (states >= 0).any(axis=1) if regions == "resolved" else (states >= 0).all(axis=1)
    assert 0 < known.sum() < len(states)
    assert (examples.labels == states[known]).all()
    table = world.matrix.regions[known].reset_index(drop=True)
    assert _key(examples) == list(zip(table["chrom"], table["start"], strict=True))
    assert (examples.codes == world.genome.fetch(table)).all()
    assert examples.tasks == tuple(TFS)
    assert examples.facts["rule"] == rule
    split = examples.facts["split"]
    by_chrom = {split["valid"][0]: "valid", split["test"][0]: "test"}
    assert examples.regions["part"].tolist() == [
        by_chrom.get(chrom, "train") for chrom in table["chrom"]
    ]


def test_the_order_of_tfs_is_the_order_of_columns(world) -> None:
    one = by_source.multi(world.matrix, world.genome, TFS)
    other = by_source.multi(world.matrix, world.genome, TFS[::-1])
    assert (one.labels == other.labels[:, ::-1]).all()


def test_a_sample_of_regions(world) -> None:
    make = lambda seed: by_source.multi(world.matrix, world.genome, TFS, max_regions=200, seed=seed)  # noqa: E731
    assert len(make(1).codes) == 200
    assert make(1).content_hash() == make(1).content_hash()
    assert _key(make(1)) != _key(make(2))
    everything = by_source.multi(world.matrix, world.genome, TFS)
    assert set(_key(make(1))) < set(_key(everything))


def test_wrong_requests(world) -> None:
    for wrong in ({"tfs": ["MAX", "MAX"]}, {"tfs": ["MAX"], "exclude": ("MAX",)}):
        with pytest.raises(InputError, match="expected different TFs"):
            by_source.multi(world.matrix, world.genome, **wrong)
    with pytest.raises(InputError, match="regions: expected resolved or common, found 'some'"):
        by_source.multi(world.matrix, world.genome, TFS, regions="some")
    with pytest.raises(InputError, match=r"HNF4B.*nearest: HNF4"):
        by_source.multi(world.matrix, world.genome, ["HNF4B"])
    with pytest.raises(InputError, match=r"HNF4B.*nearest: HNF4"):
        by_source.single(world.matrix, world.genome, "HNF4B")


def test_windows_with_n_are_dropped_and_counted(world) -> None:
    whole = by_source.multi(world.matrix, world.genome, TFS)
    holed = by_source.multi(world.matrix, Holed(world.genome, holes=True), TFS)
    odd = [key for key in _key(whole) if key[1] % 2]
    assert _key(holed) == odd
    assert 0 < len(odd) < len(whole.codes)
    assert holed.facts["dropped"]["with_n"] == len(whole.codes) - len(odd)
    assert not (holed.codes == 4).any()


def test_a_genome_without_a_chromosome(world) -> None:
    whole = by_source.multi(world.matrix, world.genome, TFS)
    lost = whole.facts["split"]["test"][0]
    part = by_source.multi(world.matrix, Holed(world.genome, without=lost), TFS)
    assert part.facts["dropped"]["no_sequence"] == (whole.regions["chrom"] == lost).sum() > 0
    assert lost not in part.facts["split"]["test"] + part.facts["split"]["valid"]
    single = by_source.single(world.matrix, Holed(world.genome, without=lost), "ELF1")
    assert lost not in set(single.regions["chrom"])


@pytest.mark.parametrize(
    "split", [None, Split(by="random"), Split(valid=("chr1",), test=("chr2",))]
)
def test_another_assembly(world, split: Split | None) -> None:
    class Empty(Holed):
        def missing(self, regions: pd.DataFrame) -> np.ndarray:
            return np.ones(len(regions), dtype=bool)

    for make in (
        lambda: by_source.multi(world.matrix, Empty(world.genome), TFS, split=split),
        lambda: by_source.single(world.matrix, Empty(world.genome), "ELF1", split=split),
    ):
        with pytest.raises(
            InputError, match=r"none of the \d+ regions has .* right genome assembly"
        ):
            make()


def test_one_tf(world) -> None:
    examples = by_source.single(world.matrix, world.genome, "ELF1")
    states = world.matrix.states(["ELF1"], rule="sparse")[:, 0]
    table = world.matrix.regions
    place = dict(zip(zip(table["chrom"], table["start"], strict=True), states, strict=True))
    assert [place[key] for key in _key(examples)] == examples.labels[:, 0].tolist()
    assert len(set(_key(examples))) == len(examples.codes)
    assert (examples.labels == 1).sum() == (states == 1).sum()  # every bound region is kept
    assert (examples.codes == world.genome.fetch(examples.regions)).all()
    assert examples.regions["source"].tolist() == [
        "bound" if label else "unbound" for label in examples.labels[:, 0]
    ]


@pytest.mark.parametrize("bins", [10, 20])
def test_each_part_is_gc_matched_in_itself(world, bins: int) -> None:
    examples = by_source.single(world.matrix, world.genome, "SPI1", gc_bins=bins)
    states = world.matrix.states(["SPI1"], rule="sparse")[:, 0]
    split = examples.facts["split"]
    named = {split["valid"][0]: "valid", split["test"][0]: "test"}
    table = world.matrix.regions
    codes = world.genome.fetch(table)

    def histogram(rows: np.ndarray) -> np.ndarray:
        gc = (100 * gc_fraction(rows)).round().astype(int)  # of windows of 100 bp
        return np.bincount(np.maximum(-(-gc * bins // 100) - 1, 0), minlength=bins)

    for part in ("train", "valid", "test"):
        mine = np.array([named.get(chrom, "train") == part for chrom in table["chrom"]])
        wanted = histogram(codes[mine & (states == 1)])
        there = histogram(codes[mine & (states == 0)])
        rows = examples.rows(part)
        chosen = examples.codes[rows][examples.labels[rows, 0] == 0]
        assert histogram(chosen).tolist() == np.minimum(wanted, there).tolist()


def test_more_negatives(world) -> None:
    one = counts(by_source.single(world.matrix, world.genome, "SPI1"))["train"]["SPI1"]
    two = counts(by_source.single(world.matrix, world.genome, "SPI1", per_bound=2))
    assert two["train"]["SPI1"]["bound"] == one["bound"]
    assert two["train"]["SPI1"]["unbound"] > 1.5 * one["unbound"]


def test_a_number_of_positives(world) -> None:
    make = lambda n, seed=0: by_source.single(  # noqa: E731
        world.matrix, world.genome, "ELF1", positives=n, seed=seed
    )
    sets = {n: make(n) for n in (20, 40, 60)}
    bound = {
        n: {
            key
            for key, label, part in zip(_key(e), e.labels[:, 0], e.regions["part"], strict=True)
            if label == 1 and part != "test"
        }
        for n, e in sets.items()
    }
    assert {n: len(keys) for n, keys in bound.items()} == {20: 20, 40: 40, 60: 60}
    assert bound[20] < bound[40] < bound[60]  # smaller sets are nested in larger ones
    test_rows = {n: counts(e)["test"]["ELF1"]["bound"] for n, e in sets.items()}
    assert len(set(test_rows.values())) == 1  # the test part does not shrink
    assert make(40).content_hash() == sets[40].content_hash()
    assert make(40, seed=1).content_hash() != sets[40].content_hash()


def test_too_few_bound_regions_says_how_many(world) -> None:
    states = world.matrix.states(["HNF4G"], rule="sparse")[:, 0]
    with pytest.raises(InputError) as caught:
        by_source.single(world.matrix, world.genome, "HNF4G")
    text = str(caught.value)
    assert text.startswith("HNF4G: ")
    assert f"(of {(states == 1).sum()} in all; " in text
    assert text.endswith("at least 20 are needed")
    with pytest.raises(InputError, match="at least 5,000 are needed"):
        by_source.single(world.matrix, world.genome, "ELF1", positives=5000)


def test_a_held_out_chromosome_without_bound_regions(world) -> None:
    states = world.matrix.states(["ELF1"], rule="sparse")[:, 0]
    hide = (world.matrix.regions["chrom"] == "chr2").to_numpy() & (states == 1)

    class Without(Holed):
        def missing(self, regions: pd.DataFrame) -> np.ndarray:
            return overlaps_any(regions, world.matrix.regions[hide])

    with pytest.raises(InputError, match=r"the test part \(chromosomes chr2\) has 0 bound"):
        by_source.single(
            world.matrix,
            Without(world.genome),
            "ELF1",
            split=Split(valid=("chr1",), test=("chr2",)),
        )


@pytest.mark.parametrize(
    ("guard", "split"),
    [
        (None, Split(valid=("chr1",), test=("chr2",))),
        ("all", Split(valid=("chr1",), test=("chr2",))),
        ("off", Split(valid=("chr1",), test=("chr2",))),
        (None, Split(by="random")),
    ],
)
def test_what_the_trunk_has_seen(world, guard: str | None, split: Split) -> None:
    table = world.matrix.regions
    rows = np.random.default_rng(0).permutation(len(table))[:450]
    trunk = table.iloc[rows][["chrom", "start", "end"]].assign(
        part=["train", "valid", "train"] * 150
    )
    examples = by_source.single(
        world.matrix, world.genome, "ELF1", split=split, trunk_regions=trunk, guard=guard
    )
    seen = overlaps_any(examples.regions, trunk)
    parts = examples.regions["part"].to_numpy()
    rule = guard or ("heldout" if split.by == "chromosome" else "all")
    assert examples.facts["guard"] == rule
    if rule == "all":
        assert not seen.any()
    elif rule == "heldout":
        assert not seen[parts == "test"].any()
        trained = overlaps_any(examples.regions, trunk[trunk["part"] == "train"])
        assert not trained[parts == "valid"].any()
        assert seen[parts == "train"].any()
    else:
        assert seen[parts == "test"].any()
    assert (examples.facts["dropped"]["seen_by_trunk"] > 0) == (rule != "off")


def test_nothing_of_the_callers_is_changed(world) -> None:
    before = world.matrix.regions.copy()
    trunk = regions_table(["chr1"], [0], [5], part=["train"])
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    examples = by_source.single(world.matrix, world.genome, "ELF1", trunk_regions=trunk)
    pd.testing.assert_frame_equal(world.matrix.regions, before)
    assert list(trunk.columns) == ["chrom", "start", "end", "part"]
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002
    assert dataclasses.asdict(examples)["tasks"] == ("ELF1",)


def test_folds_share_their_test_part(world) -> None:
    """One TF's folds: identical test examples, every other region validates once."""
    sets = [
        by_source.single(world.matrix, world.genome, "GABPA", split=Split(fold=f"{at}/3"))
        for at in (1, 2, 3)
    ]
    first = sets[0]
    held: list[str] = []
    for data in sets:
        test, expected = data.rows("test"), first.rows("test")
        assert np.array_equal(data.codes[test], first.codes[expected])
        assert np.array_equal(data.labels[test], first.labels[expected])
        held += data.facts["split"]["valid"]
    assert len(held) == len(set(held)) == 4  # of five chromosomes one tests
    assert [data.facts["split"]["fold"] for data in sets] == ["1/3", "2/3", "3/3"]
    many = by_source.multi(world.matrix, world.genome, ["ELF1", "MAX"], split=Split(fold="2/3"))
    assert many.facts["split"] == sets[1].facts["split"]


def _part(examples: ExampleSet, part: str) -> ExampleSet:
    rows = examples.rows(part)
    table = examples.regions.iloc[rows].reset_index(drop=True)
    return dataclasses.replace(
        examples, codes=examples.codes[rows], labels=examples.labels[rows], regions=table
    )


@pytest.mark.parametrize("ratio", [1.0, 1.5])
def test_more_unbound_regions_to_learn_from_lie_beside_what_was_drawn_before(
    world, ratio: float
) -> None:
    """The three parts do not depend on them, row by row; none lies in another part."""
    few = by_source.single(world.matrix, world.genome, "HNF4A", per_bound=ratio)
    made = by_source.single(
        world.matrix, world.genome, "HNF4A", per_bound=ratio, train_per_bound=3.0
    )
    n = len(few.codes)
    assert not len(few.rows("extra"))
    assert made.regions["part"].tolist()[:n] == few.regions["part"].tolist()
    assert _key(made)[:n] == _key(few)
    assert (made.codes[:n] == few.codes).all()
    assert made.rows("extra").tolist() == list(range(n, len(made.codes)))
    assert made.learned_rows().tolist() == [*made.rows("train"), *made.rows("extra")]
    extra, train = _part(made, "extra"), _part(made, "train")
    assert not extra.labels.any()
    assert len(set(_key(made))) == len(made.codes)
    assert set(extra.regions["chrom"]) <= set(train.regions["chrom"])
    bound = int((train.labels == 1).sum())
    assert len(extra.codes) <= (3.0 - ratio) * bound + 20  # rounding in each bin
    assert len(extra.codes) > 0.5 * (3.0 - ratio) * bound
    assert counts(made)["extra"]["HNF4A"] == {
        "bound": 0, "unbound": len(extra.codes), "unresolved": 0,
    }  # fmt: skip
    assert "extra" not in counts(few)
    own = gc_fraction(train.codes[train.labels[:, 0] == 1]).mean()
    assert abs(gc_fraction(extra.codes).mean() - own) < 0.04


def test_how_many_there_are_at_most(world, monkeypatch: pytest.MonkeyPatch) -> None:
    from cistransfer.examples import draw

    monkeypatch.setattr(draw, "_MAX_EXTRA", 30)
    made = by_source.single(world.matrix, world.genome, "HNF4A", train_per_bound=20.0)
    assert 15 <= len(made.rows("extra")) <= 45  # rounding in each bin
    split = Split(by="published")
    late = by_source.single(world.matrix, world.genome, "SPI1", split=split, train_per_bound=20.0)
    assert not len(late.rows("extra"))
    assert not len(by_source.single(world.matrix, world.genome, "SPI1").rows("extra"))


def test_what_is_learned_from_is_not_guarded_as_held_out(world) -> None:
    """Regions that a trunk has trained on stay in the parts that are learned from."""
    seen = world.matrix.regions[["chrom", "start", "end"]].assign(part="train")
    chroms = list(pd.unique(seen["chrom"]))
    split = Split(valid=(chroms[-2],), test=(chroms[-1],))
    seen = seen[~seen["chrom"].isin(chroms[-2:])]
    given = {"trunk_split": split, "trunk_regions": seen, "train_per_bound": 3.0}
    made = by_source.single(world.matrix, world.genome, "SPI1", **given)
    free = by_source.single(world.matrix, world.genome, "SPI1", split=split, train_per_bound=3.0)
    assert len(made.rows("extra"))
    assert made.content_hash() == free.content_hash()


def test_a_share_of_them_goes_with_a_share_of_the_training_part(world, tmp_path) -> None:
    made = by_source.single(world.matrix, world.genome, "SPI1", train_per_bound=4.0)
    half = subset(made, fraction=0.5)
    for part in ("train", "extra"):
        assert abs(len(half.rows(part)) - len(made.rows(part)) / 2) <= 1
    save_examples(tmp_path / "set", made)
    again = open_examples(tmp_path / "set")
    assert again.content_hash() == made.content_hash()
    assert counts(again) == counts(made)
    assert f"extra {len(made.rows('extra')):,})" in repr(again)
