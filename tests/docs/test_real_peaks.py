"""The tutorial on real peaks, word for word: five minutes of processor time, run by `make hard`."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from cistransfer.genome.bed import read_bed, write_bed
from cistransfer.genome.intervals import merge, overlaps_any, sort_regions

PAGE = Path(__file__).resolve().parents[2] / "docs" / "real-peaks.md"
DHS = "wgEncodeRegDnaseClustered.txt.gz"


def _files(data: Path, out: Path) -> None:
    """The three files that the page begins with."""
    with gzip.open(data / "genome" / "hg38_blocks.fa.gz") as packed:
        (out / "hg38.fa").write_bytes(packed.read())
    known = read_bed(data / "genome" / "hg38_blocks.known.bed")
    known = known.assign(start=known["start"] + 300, end=known["end"] - 300)
    every = []
    for path in sorted((data / "encode-peaks-hg38").glob("*.gz")):
        peaks = pd.read_csv(path, sep="\t", header=None)
        places = peaks[[0, 1, 2]].set_axis(["chrom", "start", "end"], axis=1)
        mine = peaks[_inside(places, known)]
        every.append(places[_inside(places, known)])
        if "FOXA1" in path.name:
            mine.to_csv(out / "FOXA1.narrowPeak", sep="\t", header=False, index=False)
    dhs = read_bed(data / "tf-binding-hg38" / DHS, "chrom=2,start=3,end=4")
    dhs = dhs.loc[dhs["chrom"].isin(["chr20", "chr21", "chr22"]), ["chrom", "start", "end"]]
    merged = merge(sort_regions(pd.concat(every, ignore_index=True)))[0]
    opened = pd.concat([merged[["chrom", "start", "end"]], dhs[_inside(dhs, known)]])
    write_bed(out / "atac.bed", sort_regions(opened.reset_index(drop=True)))


def _inside(places: pd.DataFrame, known: pd.DataFrame) -> pd.Series:
    ends = [places.assign(end=places["start"] + 1), places.assign(start=places["end"] - 1)]
    first, last = (overlaps_any(end, known) for end in ends)
    return first & last


@pytest.mark.skipif("CISTRANSFER_LONG" not in os.environ, reason="long; `make hard` runs it")
def test_the_tutorial_on_real_peaks_word_for_word(shared_data: Path, tmp_path: Path) -> None:
    _files(shared_data, tmp_path)
    text = PAGE.read_text(encoding="utf-8")
    script = "".join(re.findall(r"<!-- real: learn -->\n```bash\n(.*?)```", text, re.DOTALL))
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONWARNINGS": "error",
    }
    done = subprocess.run(
        ["sh", "-eu", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True,
        timeout=3600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    said = done.stdout + done.stderr
    for line in "".join(re.findall(r"```text\n(.*?)```", text, re.DOTALL)).splitlines():
        for part in line.split("(…)"):  # what the page leaves out
            assert part.strip() in said
    scores = read_bed(tmp_path / "FOXA1-scores.bed", keep=True)
    assert len(scores) == 330
    assert scores["score"].astype(int).median() > 500
    for name in ("answer/report.html", "answer/predictions.tsv.gz", "peak/locus.png"):
        assert (tmp_path / name).stat().st_size > 1000
    (record,) = (
        line for line in (tmp_path / "effects.vcf").read_text().splitlines() if line[0] != "#"
    )
    delta = re.search(r"CT_DELTA=(-[0-9.]+)", record)
    assert delta is not None
    assert -4 < float(delta[1]) < -2
