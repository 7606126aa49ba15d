"""Every reader of files, with good files to spoil."""

from __future__ import annotations

import io
import json
import pickle
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import torch
from hard_fuzz import Target, rewrite
from safetensors.torch import save_file

from cistransfer.binding.file import MatrixParts, write_matrix
from cistransfer.binding.matrix import open_matrix
from cistransfer.binding.published.indices import read_index, read_region_index
from cistransfer.binding.published.read import npy_rows
from cistransfer.binding.readers.evidence import read_evidence
from cistransfer.cli.record import Config
from cistransfer.errors import InputError
from cistransfer.evaluation.results import open_evaluation
from cistransfer.evaluation.runs import open_predictions
from cistransfer.evaluation.tidy import read_results
from cistransfer.examples.dataset import ExampleSet, check_examples, save_examples
from cistransfer.genome.bed import read_bed, regions_table
from cistransfer.genome.fasta import open_sequences, read_fasta
from cistransfer.models.bundle import check_bundle, save_bundle
from cistransfer.models.card import Architecture
from cistransfer.models.packed import extract_packed, is_packed, read_manifest, write_packed
from cistransfer.models.registry import build_model
from cistransfer.models.tensors import read_tensors
from cistransfer.motifs.files import read_motifs
from cistransfer.motifs.tfclass import read_ensembl_symbols, read_tfclass
from cistransfer.openness.dhs import read_dhs_sources
from cistransfer.openness.lists import read_list
from cistransfer.openness.read import read_open
from cistransfer.openness.regions import read_chrom_sizes
from cistransfer.openness.samples import read_samples, read_table, read_ucsc2encode
from cistransfer.openness.signals import read_region_numbers, read_signal_table
from cistransfer.prediction.vcf import read_vcf
from cistransfer.relatives.modes import read_modes_table
from cistransfer.relatives.partners import read_pairs, read_string
from cistransfer.relatives.read_modes import read_cisbp
from cistransfer.report.learned import learned_part
from cistransfer.sharing.layers import read_keras_layers, read_torch_layers
from cistransfer.storage import (
    fingerprint,
    open_npy,
    open_text,
    read_json,
    read_toml,
    read_tsv,
    shaped,
)
from cistransfer.storage import read_table as read_parquet
from cistransfer.studies.collect import results
from cistransfer.studies.schema import load_study
from cistransfer.studies.steps import Measured
from cistransfer.studies.store import Done, Store
from cistransfer.studies.trial import Trial
from cistransfer.tables import write_tsv
from cistransfer.training.checkpoint import State, check_state, save_state
from cistransfer.training.strategy import load_strategy

BED = (
    b"chr1\t10\t60\tE1.FOXA1.HepG2\t5\t+\nchr1\t70\t120\tE1.FOXA1.HepG2\t7\t.\n"
    b"chr2\t5\t55\tE2.SP1.K562\t0\t-\n"
)
NARROW = b"chr1\t10\t60\tp1\t5\t.\t1.5\t3\t2\t20\nchr2\t70\t170\tp2\t7\t.\t2.5\t3\t-1\t-1\n"
FASTA = b">chr1 one\nACGTNacgtn\nACGTACGTAC\nACG\n>chr2\nTTTTTTTTTT\nGG\n"
MEME = (
    b"MEME version 4\n\nALPHABET= ACGT\n\nMOTIF MA1 FOXA1\nletter-probability matrix: alength= 4 "
    b"w= 3 nsites= 20 E= 0\n 0.1 0.2 0.3 0.4\n 0.7 0.1 0.1 0.1\n 0.25 0.25 0.25 0.25\n\n"
)
JASPAR = b">MA2.1\tSP1\nA [ 1 2 3 ]\nC [ 4 5 6 ]\nG [ 7 8 9 ]\nT [ 1 1 1 ]\n"
HOMER = b">ACG\tname\t6.5\t-10\t0\n0.7\t0.1\t0.1\t0.1\n0.1\t0.7\t0.1\t0.1\n0.1\t0.1\t0.7\t0.1\n"
OBO = (
    b"format-version: 1.2\n\n[Term]\nid: 2.1.1\nname: Steroid\nsubset: Family\n\n[Term]\n"
    b'id: 2.1.1.1\nname: HNF-4alpha (NR2A1)\nsubset: Genus\nsynonym: "HNF4A" EXACT []\n'
    b'xref: ENSEMBL:ENSG00000101076 "x"\nis_a: 2.1.1\n'
)
STUDY = resources.files("cistransfer.studies").joinpath("catalogue/few-peaks.toml").read_bytes()
STRATEGY = (
    b'name = "mine"\nsummary = "s"\nstart = "trunk"\ntransfer = ["*"]\n\n[[phases]]\nname = "all"\n'
    b'train = ["*"]\nlearning_rate = 1e-4\nrates = { "conv*" = 0.1 }\nbatch_size = 64\nepochs = 6\n'
)
EVALUATION = {
    "kind": "evaluation", "examples": "sha256:0", "part": "test", "tasks": ["A"],
    "models": [
        {"name": "m", "run": "r", "strategy": "finetune", "seen": 0, "metrics": {
            "A": {"n": 10, "positives": 5, "auroc": 0.8, "aucpr": 0.7, "threshold": 0.1,
                  "temperature": 1.0, "why": ""}}}
    ],
}  # fmt: skip
CONFIG = {
    "cistransfer": "0.1", "format": 2, "command": ["finetune"], "arguments": {"out": "x"},
    "used": {}, "folder": ".",
}  # fmt: skip


def _text(**files: bytes) -> Callable[[Path], Mapping[str, str]]:
    """Good text files by name; ``_`` stands for the dot."""

    def write(folder: Path) -> Mapping[str, str]:
        for name, raw in files.items():
            (folder / name.replace("_", ".")).write_bytes(raw)
        return {name.replace("_", "."): "text" for name in files}

    return write


def _sequences(path: Path) -> None:
    opened = open_sequences(path)
    chroms = list(opened.chromosomes)[:3]
    regions = regions_table(chroms, [0] * len(chroms), [8] * len(chroms))
    opened.fetch(regions[~opened.missing(regions)].reset_index(drop=True))


def _archives(folder: Path) -> Mapping[str, str]:
    with zipfile.ZipFile(folder / "m.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.meme", MEME)
        archive.writestr("b.jaspar", JASPAR)
    with tarfile.open(folder / "m.tar.gz", "w:gz") as archive:
        for name, raw in (("a.meme", MEME), ("b.jaspar", JASPAR)):
            entry = tarfile.TarInfo(name)
            entry.size = len(raw)
            archive.addfile(entry, io.BytesIO(raw))
    return {"m.zip": "binary", "m.tar.gz": "binary"}


def _indices(folder: Path) -> Mapping[str, str]:
    (folder / "names.pickle").write_bytes(pickle.dumps({"a": 0, "b": 1}, protocol=4))
    (folder / "regions.pickle").write_bytes(pickle.dumps({("chr1", 0, 200): 0}, protocol=4))
    return {"names.pickle": "binary", "regions.pickle": "binary"}


def _npz(folder: Path) -> Mapping[str, str]:
    np.savez_compressed(folder / "m.npz", np.eye(20))
    return {"m.npz": "binary"}


def _npy(folder: Path) -> Mapping[str, str]:
    np.save(folder / "a.npy", np.arange(60, dtype=np.uint8).reshape(6, 10))
    return {"a.npy": "binary"}


def _parquet(folder: Path) -> Mapping[str, str]:
    table = pd.DataFrame({"chrom": ["chr1", "chr2"] * 20, "start": range(40), "m A": 0.5})
    table.to_parquet(folder / "predictions.parquet", index=False)
    return {"predictions.parquet": "binary"}


def _results(folder: Path) -> Mapping[str, str]:
    table = pd.DataFrame({"tf": ["A", "B"], "strategy": ["x", "y"], "size": [1, 2], "auroc": 0.5})
    table.to_parquet(folder / "results.parquet", index=False)
    table.to_csv(folder / "results.tsv", sep="\t", index=False)
    return {"results.parquet": "binary", "results.tsv": "text"}


def _matrix(folder: Path) -> Mapping[str, str]:
    n = 40
    parts = MatrixParts(
        regions=pd.DataFrame(
            {"chrom": ["chr1"] * n, "start": np.arange(n) * 100, "end": np.arange(n) * 100 + 60}
        ),
        region_ids=np.arange(n),
        cells=["a", "b"],
        accessibility=np.packbits(np.ones((2, n), dtype=bool), axis=1),
        experiments=pd.DataFrame(
            {"tf": ["P", "Q"], "cell": ["a", "b"], "accessions": ["E1", ""], "peaks": True,
             "tfbs": True, "peak_rows": 7, "tfbs_rows": 5}
        ),
        indptr=np.array([0, 3, 5]),
        region=np.array([0, 3, 9, 1, 2], dtype=np.int32),
        kind=np.array([1, 2, 3, 1, 1], dtype=np.uint8),
        settings={"name": "toy", "genome": "toy1", "window": 60},
    )  # fmt: skip
    write_matrix(folder / "m.h5", parts)
    return {"m.h5": "binary"}


SMALL = Architecture(name="motif-bank", arguments={"filters": 8, "width": 4})


def small_bundle(folder: Path, architecture: Architecture = SMALL) -> Path:
    """A bundle of initial weights."""
    return save_bundle(
        folder,
        build_model(architecture.name, window=100, n_tasks=2, seed=1, **architecture.arguments),
        architecture=architecture,
        tasks=["A", "B"],
        window=100,
        regions=regions_table(["chr1", "chr2"], [0, 5], [100, 105], part=["train", "valid"]),
        example=np.random.default_rng(0).integers(0, 4, (2, 100), dtype=np.uint8),
        facts={"threshold": [0.5, None], "strategy": {"name": "x"}},
        seen={"train": np.arange(5, dtype=np.uint64)},
    )


def _bundle(folder: Path) -> Mapping[str, str]:
    small_bundle(folder / "bundle")
    forms = {name.name: "binary" for name in (folder / "bundle").iterdir()}
    forms |= {"card.json": "text", "example.json": "text"}
    return {f"bundle/{name}": form for name, form in forms.items()}


def packed_words(folder: Path) -> Mapping[str, str]:
    """A packed bundle of little but text, so that what is spoiled is its structure."""
    (folder / "toy").mkdir()
    for name in ("card.json", "weights.safetensors", "example.json"):
        (folder / "toy" / name).write_text(f"{name} of a toy\n" * 4)
    write_packed(folder / "p.zip", {"toy": folder / "toy"}, "# Toy\n")
    return {"p.zip": "binary"}


def _unpack(folder: Path) -> None:
    is_packed(folder / "p.zip")
    read_manifest(folder / "p.zip")
    extract_packed(folder / "p.zip", folder / "out")
    outside = [each.name for each in folder.iterdir() if each.name not in ("p.zip", "toy", "out")]
    assert not outside


def _keras(folder: Path) -> Mapping[str, str]:
    with h5py.File(folder / "m.h5", "w") as file:
        root = file.create_group("model_weights")
        root.attrs["layer_names"] = [b"conv", b"norm", b"dense"]
        shapes = {
            "conv": {"kernel": (3, 4, 2), "bias": (2,)},
            "norm": dict.fromkeys(("gamma", "beta", "moving_mean", "moving_variance"), (2,)),
            "dense": {"kernel": (2, 1), "bias": (1,)},
        }
        for name, parts in shapes.items():
            group = root.create_group(name)
            for part, shape in parts.items():
                group[f"{name}/{part}:0"] = np.ones(shape, np.float32)
            group.attrs["weight_names"] = [f"{name}/{part}:0".encode() for part in parts]
        layers = [{"class_name": "X", "config": {"name": name}} for name in shapes]
        file.attrs["model_config"] = json.dumps({"config": {"layers": layers}})
    return {"m.h5": "binary"}


def _torch(folder: Path) -> Mapping[str, str]:
    state = {"a.weight": torch.ones(2, 4, 3), "a.bias": torch.ones(2), "b.weight": torch.ones(1, 2)}
    torch.save({"state_dict": state}, folder / "m.pt")
    return {"m.pt": "binary"}


def _mend_bundle(folder: Path) -> None:
    """Write the hashes of the files, as they are now, into the card."""
    place = folder / "bundle"
    try:
        card: Any = json.loads((place / "card.json").read_bytes())
        card["files"] = {name: fingerprint(place / name) for name in card["files"]}
        rewrite(place / "card.json", json.dumps(card).encode())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, InputError):
        return


def _examples(folder: Path) -> Mapping[str, str]:
    rng = np.random.default_rng(0)
    start = np.arange(12) * 50
    regions = regions_table(["chr1"] * 12, start, start + 20).assign(
        part=["train", "valid", "test"] * 4, source="matrix"
    )
    codes = rng.integers(0, 4, (12, 20), dtype=np.uint8)
    labels = rng.integers(-1, 2, (12, 2)).astype(np.int8)
    facts = {"genome": "g.fa", "dropped": {"with_n": 1}, "split": {"by": "chromosome"}}
    save_examples(folder / "set", ExampleSet(codes, labels, regions, ("A", "B"), facts))
    return {
        "set/codes.npy": "binary",
        "set/labels.npy": "binary",
        "set/regions.parquet": "binary",
        "set/dataset.json": "text",
    }


def _mend_examples(folder: Path) -> None:
    """Write the hashes of the files, as they are now, into the record."""
    place = folder / "set"
    try:
        record: Any = json.loads((place / "dataset.json").read_bytes())
        record["files"] = {name: fingerprint(place / name) for name in record["files"]}
        rewrite(place / "dataset.json", json.dumps(record).encode())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, InputError):
        return


def _tensors(folder: Path) -> Mapping[str, str]:
    save_file(
        {"a": torch.eye(3), "b/é": torch.zeros(2, dtype=torch.int64)}, folder / "t.safetensors"
    )
    return {"t.safetensors": "binary"}


def _state(folder: Path) -> Mapping[str, str]:
    weights = {"w": torch.eye(3)}
    history = [{"phase": "a", "epoch": 1, "valid_loss": 0.5}]
    state = State(
        run="x", phase=1, epoch=2, model=weights, best={"w": torch.zeros(2)}, history=history
    )
    state.optimiser[0] = {"step": torch.tensor(3.0)}
    save_state(folder / "c.safetensors", state)
    return {"c.safetensors": "binary"}


def _json_of(name: str, content: Any) -> Callable[[Path], Mapping[str, str]]:
    def write(folder: Path) -> Mapping[str, str]:
        (folder / name).write_text(json.dumps(content, indent=1))
        return {name: "text"}

    return write


def _two_bit(folder: Path) -> Mapping[str, str]:
    def words(*numbers: int) -> bytes:
        return b"".join(number.to_bytes(4, "little") for number in numbers)

    head = words(0x1A412743, 0, 1, 0) + bytes([4]) + b"chr1" + words(25)
    (folder / "g.2bit").write_bytes(head + words(23, 1, 4, 2, 0, 0) + bytes(range(6)))
    return {"g.2bit": "binary"}


def _vcf(path: Path) -> None:
    with open_text(path) as handle:
        header, chunks = read_vcf(handle, path.name)
        assert all(0 < int(fields[1]) < 2**31 for rows in chunks for _, fields in rows), header


def _learned(folder: Path) -> Mapping[str, str]:
    """What ``interpret`` writes, and a training's curve."""
    codes = np.zeros((2, 12), np.uint8)
    place = folder / "model"
    place.mkdir()
    arrays = {"codes": codes, "contributions": np.full(codes.shape, 0.5, np.float32)}
    np.savez_compressed(folder / "attribution.npz", **arrays)  # type: ignore[arg-type]
    tables: dict[Path, dict[str, list[Any]]] = {
        folder / "attribution.tsv": {
            "sequence": ["chr1:5-17", "chr1:50-62"], "logit": [1.5, -2.0],
            "probability": [0.8, 0.1], "label": ["bound", "unbound"],
        },
        folder / "sites.tsv": {
            "sequence": ["chr1:5-17"], "start": [2], "end": [7], "name": ["FOXA1"]
        },
        folder / "patterns.tsv": {"pattern": ["p1"], "match": ["MA1"], "match_name": ["FOXA1"]},
        place / "history.tsv": {
            "phase": ["a", "a"], "epoch": [1, 2], "train_loss": [0.5, 0.4],
            "valid_loss": [0.6, 0.5], "valid_aucpr": [0.3, 0.5], "best": [False, True],
        },
    }  # fmt: skip
    for path, columns in tables.items():
        write_tsv(path, pd.DataFrame(columns))
    (folder / "patterns.meme").write_bytes(MEME.replace(b"MA1 FOXA1", b"p1 p1"))
    summary = {
        "kind": "interpretation", "bundle": "model/bundle", "part": "test", "task": "A",
        "sequences": 2, "predicted_positive": 1, "patterns": {"note": "n", "patterns": []},
        "filters": {
            "from": "threshold", "sequences": 2, "filters": 3, "with_sites": 2, "flat": 1,
            "resembling_a_known_motif": 0},
    }  # fmt: skip
    (folder / "summary.json").write_text(json.dumps(summary))
    (place / "config.json").write_text(json.dumps(CONFIG))
    names = [path.relative_to(folder).as_posix() for path in (*tables, folder / "summary.json")]
    return dict.fromkeys([*names, "model/config.json"], "text") | {"attribution.npz": "binary"}


def _report(folder: Path) -> None:
    summary = read_json(folder / "summary.json")
    attributed = (
        {"attribution": {"method": "deeplift", "on": "logit", "sequences": 2}}
        if isinstance(summary, dict)
        else {}
    )
    with shaped(folder, "what was learned"):
        learned_part(folder, {**summary, **attributed})
        read_tsv(folder / "model" / "history.tsv", ("train_loss", "valid_loss"))


_ONE = Trial("evaluate", json.dumps({"strategy": "x", "size": 5}), "0.1")


def _study(folder: Path) -> Mapping[str, str]:
    name, record = _ONE.name, _ONE.to_json()
    place = folder / "trials" / name
    place.mkdir(parents=True)
    (folder / "failed").mkdir()
    content = {
        "study": "s", "files": {"genome": "0"}, "trials": {name: record}, "kept": [],
        "rows": [["x", {"tf": "A"}, name]], "inputs": {}, "notes": [], "commands": [],
    }  # fmt: skip
    done = Done(_ONE, (Measured("auroc", 0.5), Measured("aucpr", 0.25)), {"seconds": 1.0})
    (folder / "study.json").write_text(json.dumps(content))
    (place / "trial.json").write_text(json.dumps(done.to_json()))
    return {"study.json": "text", f"trials/{name}/trial.json": "text"}


TARGETS: dict[str, Target] = {
    "BED": Target(
        ("read_bed", "open_regions", "open_rows", "open_text", "open_bytes", "open_raw"),
        _text(a_bed=BED, b_narrowPeak=NARROW),
        lambda f: [read_bed(f / name) for name in ("a.bed", "b.narrowPeak")],
    ),
    "peaks of many experiments": Target(
        ("open_evidence", "read_evidence"),
        _text(a_bed=BED),
        lambda f: list(read_evidence([f / "a.bed"], "peaks")),
    ),
    "FASTA": Target(("read_fasta",), _text(a_fa=FASTA), lambda f: list(read_fasta(f / "a.fa"))),
    "genome": Target(
        ("open_sequences", "open_faidx", "open_genome"),
        _text(a_fa=FASTA),
        lambda f: _sequences(f / "a.fa"),
    ),
    "2bit": Target(("open_sequences",), _two_bit, lambda f: _sequences(f / "g.2bit")),
    "motifs": Target(
        ("read_motifs", "read_profiles", "parse_motifs"),
        _text(a_meme=MEME, b_jaspar=JASPAR, c_motif=HOMER),
        lambda f: [read_motifs(f / name) for name in ("a.meme", "b.jaspar", "c.motif")],
    ),
    "archives of motifs": Target(
        ("read_motifs",),
        _archives,
        lambda f: [read_motifs(f / name) for name in ("m.zip", "m.tar.gz")],
    ),
    "TFClass": Target(
        ("read_tfclass", "read_ensembl_symbols", "read_modes"),
        _text(t_obo=OBO, s_tsv=b"ensembl\tsymbol\nENSG00000101076\tHNF4A\nENSG00000101077\tX\n"),
        lambda f: (read_tfclass(f / "t.obo"), read_ensembl_symbols(f / "s.tsv")),
    ),
    "modes": Target(
        ("read_modes_table",),
        _text(m_tsv=b"FOXA1\tm1,m2\nSP1\tm2\n"),
        lambda f: read_modes_table(f / "m.tsv"),
    ),
    "CIS-BP families": Target(
        ("read_cisbp",),
        _text(c_tsv=b"symbol\tcisbp_family\nFOXA1\tForkhead\nSP1\tC2H2 ZF\n"),
        lambda f: read_cisbp(f / "c.tsv"),
    ),
    "sample sheets": Target(
        ("read_samples", "read_table", "read_ucsc2encode"),
        _text(s_tsv=b"cell\tdhs_source\nA\tx;y\nB\tz\n", u_tsv=b"# c\nucsc\tencode\nA\tB\n"),
        lambda f: (
            read_samples(f / "s.tsv"),
            read_ucsc2encode(f / "u.tsv"),
            read_table(f / "s.tsv", ["cell"]),
        ),
    ),
    "DHS sources and chromosome sizes": Target(
        ("read_dhs_sources", "read_chrom_sizes"),
        _text(d_tsv=b"0\tA549\n1\tHepG2\n", c_sizes=b"chr1\t1000\nchr2\t500\n"),
        lambda f: (read_dhs_sources(f / "d.tsv"), read_chrom_sizes(f / "c.sizes")),
    ),
    "open regions": Target(
        ("read_open", "open_form"),
        _text(
            s_tsv=b"cell\tfile\nA\ta.bed\nB\tb.bed\n",
            a_bed=b"chr1\t0\t100\nchr1\t300\t400\n",
            b_bed=b"chr1\t50\t150\nchr2\t7\t9\n",
        ),
        lambda f: read_open(f / "s.tsv"),
    ),
    "tables of signals": Target(
        ("read_region_numbers", "read_signal_table", "read_open_table"),
        _text(
            r_bed=b"chr1\t0\t100\ta\nchr1\t300\t400\tb\n", t_tsv=b"region\tA\tB\na\t1\t2\nb\t3\t5\n"
        ),
        lambda f: (
            read_region_numbers(f / "r.bed", f / "t.tsv"),
            read_signal_table(f / "r.bed", f / "t.tsv"),
        ),
    ),
    "ChromTransfer's lists": Target(
        ("read_list", "read_lists"),
        _text(K562_csv=b"chr1:100-700,K562\nchr2:5-605,Negative\nchr2:900-1500,K562_NEG\n"),
        lambda f: read_list(f / "K562.csv"),
    ),
    "partners": Target(
        ("read_pairs", "read_string"),
        _text(
            p_tsv=b"FOXA1\tSP1\t0.9\nSP1\tMYC\t0.5\n",
            l_txt=b"protein1 protein2 combined_score\n9606.E1 9606.E2 900\n",
            i_txt=b"#string_protein_id\tpreferred_name\n9606.E1\tFOXA1\n9606.E2\tSP1\n",
        ),
        lambda f: (
            read_pairs(f / "p.tsv", ["FOXA1", "SP1", "MYC"]),
            read_string(f / "l.txt", f / "i.txt", ["FOXA1", "SP1"]),
        ),
    ),
    "published indices": Target(
        ("read_index", "read_region_index"),
        _indices,
        lambda f: (read_index(f / "names.pickle"), read_region_index(f / "regions.pickle")),
    ),
    "published arrays (npz)": Target(
        ("npy_rows", "import_published"), _npz, lambda f: list(npy_rows(f / "m.npz"))
    ),
    "arrays (npy)": Target(
        ("open_npy",), _npy, lambda f: open_npy(f / "a.npy", np.uint8, (None, None)).sum()
    ),
    "predictions (Parquet)": Target(
        ("open_predictions", "read_table"),
        _parquet,
        lambda f: (open_predictions(f), read_parquet(f / "predictions.parquet")),
    ),
    "results": Target(
        ("read_results",),
        _results,
        lambda f: read_results([f / "results.parquet", f / "results.tsv"]),
    ),
    "evaluation (metrics.json)": Target(
        ("open_evaluation",),
        _json_of("metrics.json", EVALUATION),
        lambda f: open_evaluation(f).to_json(),
    ),
    "configuration (config.json)": Target(
        ("read_config",), _json_of("config.json", CONFIG), lambda f: Config(f / "config.json")
    ),
    "JSON": Target(
        ("read_json", "parse_json"),
        _json_of("a.json", {"a": [1, 2.5, None, {"b": "x"}]}),
        lambda f: json.dumps(read_json(f / "a.json")),
    ),
    "strategies (TOML)": Target(
        ("load_strategy", "read_toml"),
        _text(s_toml=STRATEGY),
        lambda f: (read_toml(f / "s.toml"), load_strategy(str(f / "s.toml"))),
    ),
    "VCF": Target(
        ("read_vcf",),
        _text(
            a_vcf=b"##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
            b"chr1\t12\trs1\tA\tG\t.\t.\tX=1\nchr2\t7\t.\tAC\tA,<DEL>\t.\t.\t.\n"
        ),
        lambda f: _vcf(f / "a.vcf"),
    ),
    "windows (FASTA)": Target(
        ("open_sequences",),
        _text(w_fa=b">a::chr1:10-18\nACGTACGT\n>chr2:0-8(-)\nACGNACGT\n"),
        lambda f: open_sequences(f / "w.fa"),
    ),
    "interpretation of a report": Target(("read_tsv", "read_npz"), _learned, _report),
    "folder of a study": Target(
        ("read_json",), _study, lambda f: results(Store(f)).to_csv(f / "r.csv")
    ),
    "studies (TOML)": Target(
        ("load_study",), _text(s_toml=STUDY), lambda f: load_study(f / "s.toml")
    ),
    "matrix (HDF5)": Target(
        ("open_matrix", "open_file"), _matrix, lambda f: open_matrix(f / "m.h5").check()
    ),
    "example set": Target(
        ("open_examples", "check_examples"),
        _examples,
        lambda f: check_examples(f / "set"),
        _mend_examples,
    ),
    "bundle": Target(
        ("open_bundle", "check_bundle"),
        _bundle,
        lambda f: check_bundle(f / "bundle"),
        _mend_bundle,
    ),
    "packed bundles": Target(
        ("read_manifest", "open_packed"),
        packed_words,
        _unpack,
    ),
    "weights of Keras": Target(
        ("read_keras_layers",),
        _keras,
        lambda f: read_keras_layers(f / "m.h5"),
    ),
    "weights of PyTorch": Target(
        ("read_torch_layers",),
        _torch,
        lambda f: read_torch_layers(f / "m.pt"),
    ),
    "safetensors": Target(
        ("read_tensors", "read_shapes"), _tensors, lambda f: read_tensors(f / "t.safetensors")
    ),
    "checkpoint": Target(
        ("check_state", "load_state"), _state, lambda f: check_state(f / "c.safetensors")
    ),
}
