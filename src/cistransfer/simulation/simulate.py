"""A simulated genome, DHS, peaks and TFBS whose truth is known."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.errors import InputError
from cistransfer.motifs.pwm import PWM
from cistransfer.simulation.evidence import bound_by, make_evidence, observations
from cistransfer.simulation.factors import CELLS, FACTORS, TARGET, factor_names, motifs
from cistransfer.simulation.files import write_files
from cistransfer.simulation.landscape import make_landscape
from cistransfer.storage import Kind, check_folder, whole_folder

__all__ = ["SimulationTruth", "simulate"]

_SIMULATION = Kind(
    "simulation",
    "truth.tsv.gz",
    (
        *("genome.fa", "motifs.meme", "samples.tsv", "ucsc2encode.tsv", "relatives.tsv"),
        *("remap.bed.gz", "unibind_tfbs.tar.gz", "wgEncodeRegDnaseClustered*.txt.gz"),
        *("peaks/*.narrowPeak.gz", "open/*.bed.gz", "open.bed.gz", "config.json", "genome.fa.fai"),
    ),
)


@dataclass(frozen=True, repr=False)
class SimulationTruth:
    """What was planted.

    Attributes
    ----------
    folder : Path
        Where the files lie.
    target : str
        The TF with few bound regions, a relative of well-provided TFs.
    tfs, cells : tuple of str
        Alphabetical.
    binding_modes : dict of str to str
        TF → binding mode.
    pwms : dict of str to PWM
        The planted motifs, by TF.
    regions : DataFrame
        The 200-bp windows that are open in at least one assayed cell, in BED order.
    open : ndarray of bool, shape (regions, cells)
    bound : ndarray of int8, shape (tfs, regions)
        True binding in any assayed cell: 1 yes, 0 no, −1 closed wherever the TF was assayed.
    sparse, less_sparse : ndarray of int8, shape (tfs, regions)
        The three-state matrix that the published recipe makes of the files.
    sites : DataFrame
        The rows of ``truth.tsv.gz``: chrom, start, end, strand, motif (binding mode), kind
        (site, cofactor, decoy), spacing (of a nuclear receptor's cofactor: preferred, other or
        empty), bound_by (``TF@cell`` of every experiment that truly binds there, comma-joined).
    """

    folder: Path
    target: str
    tfs: tuple[str, ...]
    cells: tuple[str, ...]
    binding_modes: dict[str, str]
    pwms: dict[str, PWM]
    regions: pd.DataFrame
    open: NDArray[np.bool_]
    bound: NDArray[np.int8]
    sparse: NDArray[np.int8]
    less_sparse: NDArray[np.int8]
    sites: pd.DataFrame

    def __repr__(self) -> str:
        return (
            f"<SimulationTruth {self.folder}: {len(self.tfs)} TFs in {len(self.cells)} cells, "
            f"{len(self.regions):,} open regions; the target is {self.target}>"
        )


def simulate(
    folder: str | os.PathLike[str],
    *,
    seed: int = 0,
    regions: int = 16_000,
    chromosomes: int = 8,
) -> SimulationTruth:
    """Write a simulated data set in the forms of the real files.

    Fifteen TFs in seven binding modes and five cells. A TF binds an open region that holds a
    site above its affinity threshold; nuclear receptors (HNF4A, HNF4G, NR2F2, RXRA) seldom do
    unless a FOXA1 site lies 8 bp behind the DR1 site. Regions with sites are GC-rich, and so are
    decoys without any; half-sites, missed and spurious peaks, and peaks without a TFBS keep it
    from being separable. HNF4G has few bound regions: it was assayed only where little is open.

    Parameters
    ----------
    folder : path
        Made, or replaced if it holds an earlier simulation.
    seed : int
        Equal seeds (and sizes) give bit-identical files.
    regions : int
        DHS windows in all, at least 100.
    chromosomes : int
        How many chromosomes share them.

    Returns
    -------
    SimulationTruth

    Raises
    ------
    InputError
        For impossible sizes, or a folder that holds something else.
    """
    if regions < 100:
        raise InputError(f"expected at least 100 regions to simulate, found {regions}")
    if not 1 <= chromosomes <= regions // 10:
        raise InputError(
            f"expected 1 to {regions // 10} chromosomes for {regions} regions, found {chromosomes}"
        )
    target_folder = Path(folder)
    check_folder(target_folder, _SIMULATION)
    land_seed, evidence_seed, file_seed = np.random.SeedSequence(seed).spawn(3)
    land = make_landscape(regions, chromosomes, np.random.default_rng(land_seed))
    evidence_rng = np.random.default_rng(evidence_seed)
    evidence = make_evidence(land, evidence_rng)
    peaks, tfbs = observations(land, evidence, evidence_rng)
    truth = land.sites.assign(bound_by=bound_by(land, evidence)).drop(columns="region")
    with whole_folder(target_folder, _SIMULATION) as temporary:
        write_files(temporary, land, peaks, tfbs, truth, np.random.default_rng(file_seed))

    kept = land.open.any(axis=1)
    resolved = (land.open[:, None, :] & evidence.assayed[None]).any(axis=2).T
    bound = np.where(resolved, evidence.bound.any(axis=2).T, -1).astype(np.int8)
    return SimulationTruth(
        folder=target_folder,
        target=TARGET,
        tfs=factor_names(),
        cells=tuple(cell.name for cell in CELLS),
        binding_modes={f.name: f.mode for f in sorted(FACTORS, key=lambda f: f.name)},
        pwms={motif.name: motif for motif in motifs()},
        regions=land.regions.loc[kept, ["chrom", "start", "end"]].reset_index(drop=True),
        open=land.open[kept],
        bound=bound[:, kept],
        sparse=evidence.states(land.open, sparse=True)[:, kept],
        less_sparse=evidence.states(land.open, sparse=False)[:, kept],
        sites=truth,
    )
