"""Write the simulated data in the forms in which the real files come."""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from pathlib import Path

import numpy as np
import pandas as pd

from cistransfer.motifs.files import write_meme
from cistransfer.simulation.factors import CELLS, FACTORS, TARGET, UNASSAYED_SOURCE, motifs
from cistransfer.simulation.landscape import Landscape

__all__ = ["write_files"]

_LINE = 60
_LETTERS = np.frombuffer(b"ACGTN", np.uint8)


def write_files(
    folder: Path,
    land: Landscape,
    peaks: pd.DataFrame,
    tfbs: pd.DataFrame,
    truth: pd.DataFrame,
    rng: np.random.Generator,
) -> None:
    """Write every file into ``folder``; nothing in them depends on the clock or the machine."""
    _write_genome(folder / "genome.fa", land)
    clusters = _clusters(land, rng)
    _write_dhs(folder, land, clusters, rng)
    for name, table in (
        ("samples.tsv", _samples()),
        ("ucsc2encode.tsv", _ucsc_to_encode()),
        ("relatives.tsv", _relatives()),
    ):
        (folder / name).write_text(table, encoding="utf-8")
    _write_remap(folder / "remap.bed.gz", peaks)
    _write_unibind(folder / "unibind_tfbs.tar.gz", tfbs, rng)
    write_meme(folder / "motifs.meme", motifs())
    _gzip(folder / "truth.tsv.gz", _text(truth, header=True))
    _write_user_files(folder, land, clusters, peaks)


def _gzip(path: Path, text: str) -> None:
    path.write_bytes(gzip.compress(text.encode(), compresslevel=6, mtime=0))


def _text(table: pd.DataFrame, *, header: bool = False) -> str:
    return table.to_csv(sep="\t", header=header, index=False, lineterminator="\n")


def _write_genome(path: Path, land: Landscape) -> None:
    with open(path, "wb") as handle:
        for name, codes in land.genome.items():
            letters = _LETTERS[codes] | np.where(land.masked[name], 32, 0).astype(np.uint8)
            handle.write(f">{name}\n".encode())
            whole = len(letters) // _LINE * _LINE
            lines = np.full((whole // _LINE, _LINE + 1), ord("\n"), np.uint8)
            lines[:, :_LINE] = letters[:whole].reshape(-1, _LINE)
            handle.write(lines.tobytes())
            if whole < len(letters):
                handle.write(letters[whole:].tobytes() + b"\n")


def _clusters(land: Landscape, rng: np.random.Generator) -> pd.DataFrame:
    """DHS clusters of varied width around the windows' centres."""
    n = len(land.regions)
    centre = land.regions["start"].to_numpy() + 100
    half = rng.integers(30, 115, size=n)
    return pd.DataFrame(
        {
            "chrom": land.regions["chrom"],
            "start": centre - half,
            "end": centre + half + rng.integers(0, 2, size=n),
        }
    )


def _write_dhs(
    folder: Path, land: Landscape, clusters: pd.DataFrame, rng: np.random.Generator
) -> None:
    sources = [cell.dhs_source for cell in CELLS] + [UNASSAYED_SOURCE]
    numbers = "".join(f"{row + 1}\t{name}\n" for row, name in enumerate(sources))
    _gzip(folder / "wgEncodeRegDnaseClusteredSources.txt.gz", numbers)
    here = np.column_stack([land.open, land.regions["unassayed"].to_numpy()])
    scores = rng.integers(50, 1000, size=here.shape)
    lines = []
    for row, (chrom, start, end) in enumerate(clusters.itertuples(index=False)):
        ids = np.flatnonzero(here[row])
        listed = "".join(f"{i + 1}," for i in ids)
        heights = "".join(f"{s}," for s in scores[row, ids])
        lines.append(
            f"{_ucsc_bin(start, end)}\t{chrom}\t{start}\t{end}\t{len(ids)}\t"
            f"{scores[row, ids].max()}\t{len(ids)}\t{listed}\t{heights}\n"
        )
    _gzip(folder / "wgEncodeRegDnaseClustered.txt.gz", "".join(lines))


def _ucsc_bin(start: int, end: int) -> int:
    """The UCSC binning scheme's smallest bin that holds the interval."""
    first, last = start >> 17, (end - 1) >> 17
    for offset in (585, 73, 9, 1):
        if first == last:
            return offset + first
        first, last = first >> 3, last >> 3
    return 0


def _samples() -> str:
    rows = "".join(f"{cell.name}\t{cell.dhs_source}\t{cell.peaks_name}\n" for cell in CELLS)
    return "cell\tdhs_source\tpeaks_name\n" + rows


def _ucsc_to_encode() -> str:
    names = {cell.dhs_source: cell.name for cell in CELLS} | {UNASSAYED_SOURCE: UNASSAYED_SOURCE}
    rows = "".join(f"{source}\t{names[source]}\n" for source in sorted(names))
    return "# Simulated\nUCSC (source name)\tENCODE (biosample term name)\n" + rows


def _relatives() -> str:
    rows = sorted((factor.name, factor.mode) for factor in FACTORS)
    return "tf\tbinding_mode\n" + "".join(f"{name}\t{mode}\n" for name, mode in rows)


def _accession(*words: str) -> str:
    return f"SIMU{zlib.crc32('/'.join(words).encode()) % 1_000_000:06d}"


def _write_remap(path: Path, peaks: pd.DataFrame) -> None:
    upper = {cell.name: cell.peaks_name for cell in CELLS}
    pairs = peaks["tf"] + "\t" + peaks["cell"]
    names = {
        pair: ".".join(
            (
                _accession("remap", *pair.split("\t")),
                pair.split("\t")[0],
                upper[pair.split("\t")[1]],
            )
        )
        for pair in pairs.unique()
    }
    table = pd.DataFrame(
        {
            "chrom": peaks["chrom"],
            "start": peaks["start"],
            "end": peaks["end"],
            "name": pairs.map(names),
            "score": 0,
            "strand": ".",
            "summit": peaks["summit"],
            "after": peaks["summit"] + 1,
            "rgb": "0,0,0",
        }
    )
    _gzip(path, _text(table))


def _write_unibind(path: Path, tfbs: pd.DataFrame, rng: np.random.Generator) -> None:
    upper = {cell.name: cell.peaks_name for cell in CELLS}
    members = []
    for (tf, cell), rows in tfbs.groupby(["tf", "cell"], sort=True):
        name = f"{_accession('unibind', tf, cell)}.{upper[cell]}.{tf}.pwm.bed"
        table = rows[["chrom", "start", "end"]].assign(
            name=tf, score=rng.integers(800, 1000, size=len(rows)), strand=rows["strand"]
        )
        members.append((name, _text(table).encode()))
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in sorted(members):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    path.write_bytes(gzip.compress(buffer.getvalue(), compresslevel=6, mtime=0))


def _write_user_files(
    folder: Path, land: Landscape, clusters: pd.DataFrame, peaks: pd.DataFrame
) -> None:
    """One narrowPeak file a TF (its first cell) and the open regions of each cell."""
    (folder / "peaks").mkdir()
    (folder / "open").mkdir()
    for factor in FACTORS:
        mine = peaks[(peaks["tf"] == factor.name) & (peaks["cell"] == factor.cells[0])]
        table = pd.DataFrame(
            {
                "chrom": mine["chrom"],
                "start": mine["start"],
                "end": mine["end"],
                "name": ".",
                "score": 1000,
                "strand": ".",
                "signal": 30.0,
                "p": -1.0,
                "q": 5.0,
                "summit": mine["summit"] - mine["start"],
            }
        )
        _gzip(folder / "peaks" / f"{factor.name}.narrowPeak.gz", _text(table))
    home = next(factor.cells[0] for factor in FACTORS if factor.name == TARGET)
    for column, cell in enumerate(CELLS):
        text = _text(clusters[land.open[:, column]])
        _gzip(folder / "open" / f"{cell.name}.bed.gz", text)
        if cell.name == home:
            _gzip(folder / "open.bed.gz", text)
