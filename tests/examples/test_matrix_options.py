"""One cell's labels, wider windows and regions common with other TFs, out of a matrix."""

from __future__ import annotations

import by_source
import numpy as np
import pytest

from cistransfer.errors import InputError
from cistransfer.examples import from_matrix
from cistransfer.examples.dataset import ExampleSet
from cistransfer.examples.holdout import HoldOut
from cistransfer.examples.make import examples_for
from cistransfer.examples.sources import FromMatrix, FromTFs
from cistransfer.examples.split import Split
from cistransfer.genome.intervals import centre_windows

TFS = ("ELF1", "SPI1")


def _places(examples: ExampleSet) -> list[tuple[str, int, int]]:
    return list(examples.regions[["chrom", "start", "end"]].itertuples(index=False, name=None))


def _shared_cells(world, tfs: tuple[str, ...]) -> list[str]:
    cells = set(world.matrix.cells)
    return sorted(cells.intersection(*(world.matrix.cells_of(tf) for tf in tfs)))


@pytest.mark.parametrize("how", ["alone", "also_in", "not_in"])
def test_labels_of_one_cell(world, how: str) -> None:
    cell, other = _shared_cells(world, TFS)[:2]
    options = {} if how == "alone" else {how: (other,)}
    found = by_source.multi(world.matrix, world.genome, TFS, regions="common", cell=cell, **options)
    mine = world.matrix.states(list(TFS), "less-sparse", cell)
    theirs = world.matrix.states(list(TFS), "less-sparse", other)
    expected = [
        (row, labels.tolist())
        for row, (labels, at) in enumerate(zip(mine, theirs, strict=True))
        if (labels >= 0).all()
        and {"alone": True, "also_in": (at >= 0).all(), "not_in": (at < 0).all()}[how]
    ]
    assert 0 < len(expected) < len(mine)
    table = world.matrix.regions.iloc[[row for row, _ in expected]]
    assert _places(found) == list(table.itertuples(index=False, name=None))
    assert found.labels.tolist() == [labels for _, labels in expected]
    assert found.facts["cell"] == cell
    assert found.facts[how if options else "cell"] == ([other] if options else cell)


def test_the_two_cells_of_the_published_comparison(world) -> None:
    """Labels of one cell on regions resolved in both, and one TF where only one cell is."""
    cell, other = _shared_cells(world, TFS)[:2]
    both = by_source.multi(
        world.matrix, world.genome, TFS, regions="common", cell=cell, also_in=(other,)
    )
    opened = world.matrix.accessible([cell, other])
    assert len(both.codes) == opened.all(axis=1).sum()  # less-sparse: resolved where it is open
    source = FromMatrix(
        world.matrix, "SPI1", world.genome, rule="less-sparse", cell=other, not_in=(cell,)
    )
    single = source.candidates()
    place = {
        key: row for row, key in enumerate(world.matrix.regions.itertuples(index=False, name=None))
    }
    places = list(single.regions[["chrom", "start", "end"]].itertuples(index=False, name=None))
    rows = [place[key] for key in places]
    assert len(rows) == (opened[:, 1] & ~opened[:, 0]).sum() > 20
    assert (opened[rows, 1] & ~opened[rows, 0]).all()
    states = world.matrix.states("SPI1", "less-sparse", other)[:, 0]
    assert single.labels[:, 0].tolist() == states[rows].tolist()
    assert not set(places) & set(_places(both))


def test_cells_that_cannot_be(world) -> None:
    tf = next(tf for tf in world.matrix.tfs if len(world.matrix.cells_of(tf)) < 5)
    without = next(c for c in world.matrix.cells if c not in world.matrix.cells_of(tf))
    with pytest.raises(InputError, match=f"{tf} is assayed in .*, not {without}"):
        by_source.single(world.matrix, world.genome, tf, cell=without)
    with pytest.raises(InputError, match="no cell 'K526' in this matrix"):
        by_source.single(world.matrix, world.genome, "SPI1", cell="K526")
    with pytest.raises(InputError, match="not_in has no meaning without cell"):
        FromMatrix(world.matrix, "SPI1", world.genome, not_in=("K562",))
    cell = world.matrix.cells_of("SPI1")[0]
    with pytest.raises(InputError, match=f"no region is resolved for SPI1 in {cell} .not in"):
        by_source.single(world.matrix, world.genome, "SPI1", cell=cell, not_in=(cell,))


def test_single_cells_are_learned_beside_the_tfs(world, monkeypatch) -> None:
    monkeypatch.setattr(from_matrix, "MIN_BESIDE", 20)
    plain = by_source.multi(world.matrix, world.genome, TFS)
    more = by_source.multi(world.matrix, world.genome, TFS, beside=("openness", "experiments"))
    assert _places(more) == _places(plain)
    row_of = {
        place: row
        for row, place in enumerate(world.matrix.regions.itertuples(index=False, name=None))
    }
    rows = [row_of[place] for place in _places(more)]
    wanted = dict(zip(TFS, world.matrix.states(list(TFS))[rows].T, strict=True))
    for tf in TFS:
        for cell in world.matrix.cells_of(tf):
            states = world.matrix.states(tf, cells=cell)[rows, 0]
            if (states == 1).sum() >= 20:
                wanted[f"{tf}@{cell}"] = states
    assert len(wanted) > len(TFS)
    for cell in world.matrix.cells:
        wanted[f"open@{cell}"] = world.matrix.accessible(cell)[rows, 0]
    assert more.tasks == tuple(wanted)
    assert (more.labels == np.stack(list(wanted.values()), axis=1)).all()
    assert more.facts["beside"] == list(wanted)[len(TFS) :]


def test_what_cannot_be_learned_beside(world) -> None:
    with pytest.raises(InputError, match="beside: expected experiments or openness, found 'dna'"):
        FromTFs(world.matrix, world.genome, beside=("dna",))
    with pytest.raises(InputError, match="beside has no meaning with the labels of one cell"):
        FromTFs(world.matrix, world.genome, beside=("openness",), cell="K562")


@pytest.mark.parametrize("window", [60, 100, 250, 501])
def test_a_window_keeps_the_labels(world, window: int) -> None:
    windows = centre_windows(world.matrix.regions, window).itertuples(index=False, name=None)
    row_of = {place: row for row, place in enumerate(windows)}
    for tfs, wide in (
        (TFS, by_source.multi(world.matrix, world.genome, TFS, window=window)),
        (("ELF1",), by_source.single(world.matrix, world.genome, "ELF1", window=window)),
    ):
        rows = [row_of[place] for place in _places(wide)]
        assert len(set(rows)) == len(rows) > 200
        assert (wide.labels == world.matrix.states(list(tfs))[rows]).all()
        assert wide.window == window
        assert (wide.codes == world.genome.fetch(wide.regions)).all()
        assert wide.facts.get("window_of_labels", window) == 100
    whole = by_source.multi(world.matrix, world.genome, TFS)
    wide = by_source.multi(world.matrix, world.genome, TFS, window=window)
    assert 0 <= len(whole.codes) - len(wide.codes) < 40  # off chromosomes, or with an N


def test_windows_off_the_chromosome_are_dropped_and_counted(world) -> None:
    wide = by_source.multi(world.matrix, world.genome, TFS, window=4001)
    assert wide.facts["dropped"]["no_sequence"] > 0
    assert (wide.regions["start"] >= 0).all()


def test_the_trunks_window(world) -> None:
    class Trunk:
        window = 200

    source = FromMatrix(world.matrix, "SPI1", world.genome)
    assert source.candidates(window=Trunk.window).regions.eval("end - start").unique() == [200]
    assert source.candidates(window=40).regions.eval("end - start").unique() == [100]
    asked = FromMatrix(world.matrix, "SPI1", world.genome, window=120)
    assert asked.candidates(window=200).regions.eval("end - start").unique() == [120]


def test_common_regions_of_some_tfs_alone_and_among_others(world) -> None:
    """The same regions, in the same parts, for two trunks."""
    few, many = ("ELF1", "SPI1"), ("ELF1", "SPI1", "MAX", "HNF4A")
    for sample in (None, 50):
        alone, among = (
            examples_for(
                FromTFs(
                    world.matrix, world.genome, tfs,
                    regions="common", common_with=many, max_regions=sample,
                ),
                holdout=HoldOut(Split(by="random", seed=4)),
                seed=4,
            )
            for tfs in (few, many)
        )  # fmt: skip
        assert alone.regions.equals(among.regions)
        assert (alone.codes == among.codes).all()
        assert (alone.labels == among.labels[:, :2]).all()
    free = by_source.multi(world.matrix, world.genome, few, regions="common")
    assert len(free.codes) > len(among.codes)
    states = world.matrix.states(list(many), "less-sparse")
    whole = by_source.multi(world.matrix, world.genome, few, regions="common", common_with=many)
    assert len(whole.codes) == np.count_nonzero((states >= 0).all(axis=1))
    with pytest.raises(InputError, match="common_with has no meaning without regions common"):
        FromTFs(world.matrix, world.genome, few, common_with=many)
    with pytest.raises(InputError, match="no TF 'HNF4B' in this matrix"):
        by_source.multi(world.matrix, world.genome, few, regions="common", common_with=("HNF4B",))
