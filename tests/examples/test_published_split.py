"""The published way to examples: drawn and GC-matched from all regions, then split at random."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import by_source
import numpy as np
import pytest

from cistransfer.errors import InputError
from cistransfer.evaluation.compare_runs import compare_runs
from cistransfer.evaluation.runs import evaluate_runs
from cistransfer.examples.dataset import ExampleSet
from cistransfer.examples.holdout import HoldOut
from cistransfer.examples.make import examples_for
from cistransfer.examples.sources import FromMatrix, FromTFs
from cistransfer.examples.split import Split
from cistransfer.genome.bed import regions_table
from cistransfer.genome.codes import gc_fraction
from cistransfer.genome.intervals import overlaps_any
from cistransfer.models.bundle import open_bundle
from cistransfer.training.finetune import finetune
from cistransfer.training.pretrain import pretrain

PUBLISHED = Split(by="published", seed=1)


def _sizes(examples: ExampleSet) -> list[int]:
    return [len(examples.rows(part)) for part in ("train", "valid", "test")]


def _gc(examples: ExampleSet, which: np.ndarray) -> list[int]:
    gc = (100 * gc_fraction(np.asarray(examples.codes[which]))).round().astype(int)
    return np.bincount(np.maximum(-(-gc // 10) - 1, 0), minlength=10).tolist()


def test_the_parts_have_the_published_sizes_of_what_was_matched(world) -> None:
    states = world.matrix.states(["SPI1"], rule="sparse")[:, 0]
    found = by_source.single(world.matrix, world.genome, "SPI1", split=PUBLISHED)
    n = len(found.codes)
    held = int(0.5 + 0.1 * n)
    assert _sizes(found) == [n - 2 * held, held, held]
    labels = found.labels[:, 0]
    assert (labels == 1).sum() == (states == 1).sum()  # all positives are kept
    everything = world.genome.fetch(world.matrix.regions)
    gc = (100 * gc_fraction(everything)).round().astype(int)
    bins = np.maximum(-(-gc // 10) - 1, 0)
    there = np.bincount(bins[states == 0], minlength=10)
    wanted = np.bincount(bins[states == 1], minlength=10)
    assert _gc(found, labels == 0) == np.minimum(there, wanted).tolist()  # over all, not by part
    assert found.facts["negatives"] == "unbound open regions, GC-matched in 10 bins"
    assert found.facts["drawn"] == "before the split"
    assert found.facts["guard"] == "all"
    assert found.facts["split"] == {"by": "published", "fraction": 0.1, "seed": 1}


def test_bins_of_gc_content_are_the_published_ones_unless_asked_otherwise(world) -> None:
    drawn = {
        (by, bins): by_source.single(
            world.matrix, world.genome, "SPI1", split=Split(by=by, seed=1), gc_bins=bins
        )
        for by in ("published", "random")
        for bins in (None, 10, 20)
    }
    hashes = {key: examples.content_hash() for key, examples in drawn.items()}
    assert hashes["published", None] == hashes["published", 10] != hashes["published", 20]
    assert hashes["random", None] == hashes["random", 20] != hashes["random", 10]
    said = [drawn[by, None].facts["negatives"] for by in ("published", "random")]
    assert said == [f"unbound open regions, GC-matched in {n} bins" for n in (10, 20)]


def test_only_the_split_depends_on_its_seed(world) -> None:
    one, other = (
        by_source.single(world.matrix, world.genome, "SPI1", split=Split(by="published", seed=s))
        for s in (1, 2)
    )
    assert (one.codes == other.codes).all()
    assert (one.labels == other.labels).all()
    assert one.regions["part"].tolist() != other.regions["part"].tolist()
    again = by_source.single(world.matrix, world.genome, "SPI1", split=PUBLISHED)
    assert again.content_hash() == one.content_hash()


def test_regions_of_many_tfs_are_split_as_at_random(world) -> None:
    """Nothing is matched there, so the two rules are one."""
    at_random = Split(by="random", seed=3)
    same = [
        by_source.multi(world.matrix, world.genome, ["ELF1", "MAX"], split=split, regions="common")
        for split in (at_random, Split(by="published", seed=3))
    ]
    assert same[0].content_hash() == same[1].content_hash()


def test_a_test_set_apart(world) -> None:
    """N positives for training and as many others for testing, each with matched negatives."""
    found = by_source.single(
        world.matrix, world.genome, "ELF1", split=PUBLISHED, positives=60, test_positives=40
    )
    labels, part = found.labels[:, 0], found.regions["part"].to_numpy()
    n = _sizes(by_source.single(world.matrix, world.genome, "ELF1", split=PUBLISHED, positives=60))
    assert _sizes(found)[:2] == n[:2]  # a tenth of the training draw is not used, as published
    assert found.facts["dropped"]["unused_test"] == n[2]
    assert ((labels == 1) & (part == "test")).sum() == 40
    assert 0 < ((labels == 0) & (part == "test")).sum() <= 40
    places = found.regions[["chrom", "start"]]
    assert not places.duplicated().any()
    seeds = [
        by_source.single(
            world.matrix,
            world.genome,
            "ELF1",
            split=Split(by="published", seed=seed),
            positives=60,
            test_positives=40,
        )
        for seed in (1, 2)
    ]
    tests = [one.regions[one.regions["part"] == "test"].reset_index(drop=True) for one in seeds]
    assert tests[0].equals(tests[1])  # five splits of one draw are tested on the same regions
    rest = by_source.single(world.matrix, world.genome, "ELF1", split=PUBLISHED, test_positives=40)
    bound = rest.labels[:, 0] == 1
    assert (bound & (rest.regions["part"] == "test")).sum() == 40


def test_a_test_part_by_chromosome_can_be_capped(world) -> None:
    whole = by_source.single(world.matrix, world.genome, "ELF1")
    capped = by_source.single(world.matrix, world.genome, "ELF1", test_positives=15)
    for part in ("train", "valid"):
        rows, others = whole.rows(part), capped.rows(part)
        assert (whole.codes[rows] == capped.codes[others]).all()
    assert (capped.labels[capped.rows("test"), 0] == 1).sum() == 15
    with pytest.raises(InputError, match=r"ELF1: \d+ bound .* for testing; 9,999 are asked for"):
        by_source.single(world.matrix, world.genome, "ELF1", test_positives=9999)
    with pytest.raises(InputError, match=r"at least 10,059 are needed"):
        by_source.single(
            world.matrix,
            world.genome,
            "ELF1",
            split=PUBLISHED,
            positives=60,
            test_positives=9999,
        )


def test_the_guard_comes_before_the_draw(world) -> None:
    table = world.matrix.regions
    trunk = table.iloc[::5][["chrom", "start", "end"]].assign(part="train")
    found = by_source.single(
        world.matrix, world.genome, "ELF1", split=PUBLISHED, trunk_regions=trunk
    )
    assert not overlaps_any(found.regions, trunk).any()
    n = len(found.codes)
    assert _sizes(found)[2] == int(0.5 + 0.1 * n)
    with pytest.raises(InputError, match="with the split 'published' it is all or off"):
        HoldOut(PUBLISHED, "heldout", trunk)


def test_sets_that_share_windows_are_not_split_so(world) -> None:
    opened = world.matrix.open_regions()
    with pytest.raises(InputError, match="sets that share windows cannot be split as published"):
        by_source.cell(
            opened, world.genome, world.matrix.cells[0], world.matrix.cells[:2],
            window=100, split=PUBLISHED,
        )  # fmt: skip


def test_two_trunks_by_the_published_way(
    world, short_strategy: Callable[..., str], tmp_path: Path
) -> None:
    """Pre-trained, fine-tuned, evaluated and compared without an exception being asked for."""
    float32 = {"device": "cpu", "precision": "float32"}
    trunks = {}
    for name, tfs in (("few", ("ELF1", "SPI1")), ("many", ("ELF1", "SPI1", "MAX"))):
        data = examples_for(
            FromTFs(
                world.matrix, world.genome, tfs,
                regions="common", common_with=("MAX",), max_regions=120,
            ),
            holdout=HoldOut.of(split=PUBLISHED),
        )  # fmt: skip
        trunks[name] = pretrain(
            tmp_path / f"trunk-{name}", data, strategy=short_strategy(steps=2), **float32
        )
    places = [bundle.regions()[["chrom", "start", "part"]] for bundle in trunks.values()]
    assert places[0].equals(places[1])  # one draw of regions, one split of them
    source = FromMatrix(world.matrix, "GABPA", world.genome)
    data = examples_for(source, trunks["many"], holdout=HoldOut.of(trunks["many"], PUBLISHED))
    for name, bundle in trunks.items():
        finetune(tmp_path / name, data, bundle, strategy=short_strategy("trunk"), **float32)
    runs = [f"{name} TFs={tmp_path / name}" for name in trunks]
    found = evaluate_runs(
        tmp_path / "e", runs, protocol="published", trunk=tmp_path / "trunk-many", device="cpu"
    )
    assert [model.seen for model in found.models] == [0, 0, 0]
    assert [model.name for model in found.models] == ["few TFs", "many TFs", "sibling"]
    tables = compare_runs([tmp_path / "e"], reference="few TFs", draws=20)
    assert set(tables["comparison"]["strategy"]) == {"many TFs", "sibling"}
    assert set(tables["summary"]["strategy"]) == {"few TFs", "many TFs", "sibling"}
    assert open_bundle(tmp_path / "few").card.split["by"] == "published"


def test_neighbours_of_the_models_own_split_are_counted(
    world, short_strategy: Callable[..., str], tmp_path: Path
) -> None:
    """With windows so wide that most overlap, from a trunk that has seen other regions."""
    float32 = {"device": "cpu", "precision": "float32"}
    wide = {"window": 400}
    seed = HoldOut.of(split=PUBLISHED)
    source = FromTFs(world.matrix, world.genome, ("SPI1",), max_regions=80, **wide)
    trunk = pretrain(
        tmp_path / "trunk",
        examples_for(source, holdout=seed),
        strategy=short_strategy(steps=2),
        **float32,
    )
    data = examples_for(
        FromMatrix(world.matrix, "GABPA", world.genome),
        trunk,
        holdout=HoldOut.of(trunk, PUBLISHED),
    )
    assert data.window == 400  # the trunk's
    test = data.regions[data.regions["part"] == "test"]
    own = data.regions[data.regions["part"] != "test"]
    beside = int(overlaps_any(test, own).sum())
    finetune(tmp_path / "run", data, trunk, strategy=short_strategy("trunk"), **float32)
    found = evaluate_runs(tmp_path / "e", [tmp_path / "run"], device="cpu")
    assert (found["run"].seen, found["run"].neighbours) == (0, beside)
    assert not overlaps_any(test, regions_table([], [], [])).any()
