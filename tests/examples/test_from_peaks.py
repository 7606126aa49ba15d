"""Examples from peaks and open regions, on a literal toy genome and on the simulated one."""

from __future__ import annotations

from pathlib import Path

import by_source
import numpy as np
import pandas as pd
import pytest

from cistransfer.errors import InputError
from cistransfer.examples.draw import Matched
from cistransfer.examples.from_peaks import _too_wide, _unlike_peaks
from cistransfer.examples.make import examples_for
from cistransfer.examples.sources import FromPeaks
from cistransfer.examples.split import Split
from cistransfer.genome.bed import read_bed, regions_table
from cistransfer.genome.intervals import overlaps_any

LONG = 100_000


class Toy:
    """Chromosomes a, b, c of 100,000 random bases; N from 90,000 on."""

    name = "toy.fa"

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.codes = {chrom: rng.integers(0, 4, LONG, dtype=np.uint8) for chrom in "abc"}
        for codes in self.codes.values():
            codes[90_000:] = 4

    @property
    def chromosomes(self) -> dict[str, int | None]:
        return dict.fromkeys("abc", LONG)

    def missing(self, regions: pd.DataFrame) -> np.ndarray:
        known = regions["chrom"].isin(list("abc"))
        return np.asarray(~known | (regions["start"] < 0) | (regions["end"] > LONG))

    def fetch(self, regions: pd.DataFrame) -> np.ndarray:
        rows = [
            self.codes[chrom][start:end]
            for chrom, start, end in regions[["chrom", "start", "end"]].itertuples(index=False)
        ]
        return np.stack(rows) if rows else np.empty((0, 0), dtype=np.uint8)


def _every(
    step: int, offset: int, width: int, chroms: str = "abc", to: int = 80_000
) -> pd.DataFrame:
    start = np.arange(offset, to, step)
    return pd.concat(
        [regions_table([chrom] * len(start), start, start + width) for chrom in chroms],
        ignore_index=True,
    )


SPLIT = Split(valid=("b",), test=("c",))
OPEN = pd.concat([_every(1000, 400, 150), _every(1000, 900, 150)], ignore_index=True)
PEAKS = _every(1000, 420, 90)


def _make(peaks: pd.DataFrame = PEAKS, open_regions: pd.DataFrame = OPEN, **changes: object):
    options = {"tf": "T", "window": 100, "split": SPLIT, **changes}
    return by_source.peaks(peaks, open_regions, Toy(), **options)


def test_peaks_become_windows_on_their_midpoints_or_summits() -> None:
    examples = _make()
    bound = examples.regions[examples.labels[:, 0] == 1]
    expected = {
        (c, s + 45 - 50, s + 45 + 50) for c, s in zip(PEAKS["chrom"], PEAKS["start"], strict=True)
    }
    assert set(bound[["chrom", "start", "end"]].itertuples(index=False, name=None)) == expected
    assert set(bound["source"]) == {"peak"}
    on_summits = _make(PEAKS.assign(summit=PEAKS["start"] + 10))
    bound = on_summits.regions[on_summits.labels[:, 0] == 1]
    expected = {
        (c, s + 10 - 50, s + 10 + 50) for c, s in zip(PEAKS["chrom"], PEAKS["start"], strict=True)
    }
    assert set(bound[["chrom", "start", "end"]].itertuples(index=False, name=None)) == expected


@pytest.mark.parametrize("summits", [False, True])
def test_negatives_are_open_and_touch_no_peak(summits: bool) -> None:
    peaks = pd.concat([PEAKS, _every(10_000, 870, 35)], ignore_index=True)  # beside an open region
    if summits:
        peaks["summit"] = peaks["start"]
    examples = _make(peaks)
    unbound = examples.regions[examples.labels[:, 0] == 0]
    centres = {(c, s + 75) for c, s in zip(OPEN["chrom"], OPEN["start"], strict=True)}
    assert {(c, s + 50) for c, s in zip(unbound["chrom"], unbound["start"], strict=True)} <= centres
    assert not overlaps_any(unbound, peaks).any()
    assert not overlaps_any(unbound, examples.regions[examples.labels[:, 0] == 1]).any()
    assert len(unbound) > 100


def test_a_window_wider_than_its_open_region_touches_no_peak_either() -> None:
    """An open region of 20 bp beside a broad peak whose own window lies far away."""
    broad = _every(10_000, 5_100, 2_000)
    narrow = pd.concat([OPEN, _every(10_000, 5_070, 20)], ignore_index=True)
    examples = _make(pd.concat([PEAKS, broad], ignore_index=True), narrow)
    unbound = examples.regions[examples.labels[:, 0] == 0]
    assert not overlaps_any(unbound, broad).any()


def test_double_windows_are_kept_once() -> None:
    twice = pd.concat([PEAKS, PEAKS.assign(start=PEAKS["start"] - 4, end=PEAKS["end"] + 4)])
    examples, once = _make(twice), _make()
    assert examples.content_hash() == once.content_hash()
    assert examples.facts["peaks"] == 2 * len(PEAKS)


def test_row_order_does_not_matter() -> None:
    shuffled = _make(PEAKS.sample(frac=1, random_state=1), OPEN.sample(frac=1, random_state=2))
    assert shuffled.content_hash() == _make().content_hash()


def test_what_is_dropped_is_counted() -> None:
    with_n = _every(1000, 90_020, 90, to=95_000)
    off = regions_table(["a", "b", "zz"], [0, LONG - 20, 500], [20, LONG, 590])
    examples = _make(pd.concat([PEAKS, with_n, off], ignore_index=True))
    assert examples.content_hash() == _make().content_hash()
    assert examples.facts["dropped"] == {
        "seen_by_trunk": 0,
        "no_sequence": 3,
        "with_n": len(with_n),
    }
    assert not (examples.codes == 4).any()


def test_a_blacklist() -> None:
    blacklist = regions_table(["a"], [10_000], [20_000])
    examples = _make(blacklist=blacklist)
    assert not overlaps_any(examples.regions, blacklist).any()
    assert overlaps_any(_make().regions, blacklist).any()
    assert (
        examples.facts["blacklisted"] == 21
    )  # ten peaks, ten open regions and one whose window reaches in


def test_peaks_that_match_no_open_region() -> None:
    with pytest.raises(InputError) as caught:
        _make(PEAKS.assign(chrom="1"))
    assert str(caught.value) == (
        f"peaks: none of the {len(PEAKS)} rows lies on toy.fa: the rows name 1; the genome has "
        "a, b, c"
    )
    with pytest.raises(InputError, match=r"none of the 240 peaks overlaps .*\(peaks: a, b, c"):
        _make(PEAKS, OPEN.assign(chrom="a", start=OPEN["start"] + 81_000, end=OPEN["end"] + 81_000))


def test_too_few_peaks() -> None:
    few = PEAKS[PEAKS["start"] < 6000]
    with pytest.raises(InputError, match=r"T: 12 bound regions .* \(of 18 in all; .*least 20 are"):
        _make(few)


def test_no_sequence_for_any() -> None:
    with pytest.raises(InputError, match="the rows name z; the genome has a, b, c"):
        _make(PEAKS.assign(chrom="z"), OPEN.assign(chrom="z"), split=None)


def test_three_equal_chromosomes_leave_a_third_for_training_which_is_said() -> None:
    made = _make()
    assert made.notes()[-1].startswith("only 155 of 455 examples (34%) are trained on: whole chrom")
    for other in (_make(split=Split(by="neighbours")), _make(positives=20)):
        assert not any("are trained on" in line for line in other.notes())


def test_the_default_split_comes_from_what_has_a_sequence() -> None:
    other = PEAKS.iloc[:8].assign(chrom="zz")
    examples = _make(pd.concat([PEAKS, other], ignore_index=True), split=None)
    split = examples.facts["split"]
    assert {*split["valid"], *split["test"]} <= set("abc")


def test_simulated_peaks(world) -> None:
    data: Path = world.truth.folder
    peaks = read_bed(data / "peaks" / "ELF1.narrowPeak.gz")
    examples = by_source.peaks(
        peaks, read_bed(data / "open.bed.gz"), world.genome, tf="ELF1", window=100
    )
    bound = examples.regions[examples.labels[:, 0] == 1]
    summits = set(zip(peaks["chrom"], peaks["summit"], strict=True))
    assert set(zip(bound["chrom"], bound["start"] + 50, strict=True)) <= summits
    assert (examples.codes == world.genome.fetch(examples.regions)).all()
    assert set(examples.regions["part"]) == {"train", "valid", "test"}


def test_without_open_regions_tiles_of_the_genome_stand_in(world) -> None:
    states = world.matrix.states(["GABPA"], rule="sparse")[:, 0]
    peaks = world.matrix.regions[states == 1]
    source = FromPeaks(peaks=peaks, genome=world.genome, window=100)
    made = examples_for(source, draw=Matched(2.0))
    again = examples_for(source, draw=Matched(2.0))
    assert made.content_hash() == again.content_hash()
    tiles = made.regions[made.labels[:, 0] == 0]
    assert set(tiles["source"]) == {"tile"}
    assert (tiles["start"] % 100 == 0).all()
    near = peaks.assign(start=peaks["start"] - 1000, end=peaks["end"] + 1000)
    assert not overlaps_any(tiles, near).any()
    assert "tiles of the genome stand in" in " ".join(made.notes())


def test_peaks_in_a_genome_that_is_open_nearly_everywhere_are_no_warning() -> None:
    starts = np.arange(0, 40_000, 400)
    opened = regions_table(["c"] * 100, starts, starts + 350)
    assert _unlike_peaks(opened.iloc[::3], opened, 1.0) == ""
    assert "only 50% of the peaks lie in open" in _unlike_peaks(opened.iloc[::3], opened, 0.5)


def test_peaks_that_are_not_on_the_genome_say_nothing_of_the_open_regions() -> None:
    elsewhere = regions_table("chrUn", np.arange(0, 900_000, 1000), np.arange(100, 900_000, 1000))
    made = _make(pd.concat([PEAKS, elsewhere], ignore_index=True))
    assert "peaks lie in open regions" not in " ".join(made.notes())


def test_wide_peaks_without_a_summit_are_told() -> None:
    wide = regions_table(["c"] * 3, [0, 100, 0], [10_001, 10_100, 50_000])
    told = _too_wide(wide, 200)
    assert told.startswith("2 of 3 peaks are wider than 10 kb and have no summit: the 200 bp in")
    assert _too_wide(wide.assign(summit=[5000, 5100, 700]), 200).startswith("1 of 3 peaks")
    assert _too_wide(wide.assign(summit=[17, 5100, 700]), 200) == ""
