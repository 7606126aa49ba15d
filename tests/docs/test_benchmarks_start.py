"""Benchmarks do not rot: each can be imported, and those that need no data run at toy size."""

from __future__ import annotations

import importlib.util
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"
BENCHMARKS = sorted(FOLDER.glob("*.py"))
TOYS = {
    "attribution": "--sequences 1 --window 100 --repeats 0",
    "cosine": "--regions 2000 --tfs 10 --bound 3000",
    "finetune_time": "--regions 400 --sizes 20 --ways one",
    "genome_index": "--megabases 1",
    "gpu": "--device cpu --toy",
    "kernels": "--repeats 1 --batch 8",
    "matrix_scale": "--regions 2000 --cells 4 --experiments 3 --peaks 4000 --sites 2000 --parts 1",
    "motif_scan": "--sequences 50",
    "reading": "--rows 2000 --motifs 3",
    "roofline": "--batch 4 --steps 1",
    "scoring_speed": "--sequences 10",
    "stacked_speed": "--device cpu --models 2 --examples 20 --alone 1",
    "start_up": "--repeats 1",
    "study_overhead": "--engines here --trials 1",
    "track_speed": "--windows 10 --repeats 0",
    "training_memory": "--regions 200 --tasks 2 --steps 2",
    "training_speed": "--examples 200 --epochs 1 --repeats 1",
}
NEED_DATA = {
    "ceilings", "cofactor_patterns", "denovo_motifs", "enrichment", "gallery", "hidden_tfs",
    "own_peaks", "prior_parts", "tf_families", "without_open_regions",
}  # fmt: skip
PROCESSES = {"shared_cores"}
"""Several processes that train against each other: a minute at any size."""


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_every_name_that_a_benchmark_imports_is_there(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(path.parent))
    name = f"benchmark_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)  # dataclasses look their module up
    spec.loader.exec_module(module)
    assert module.__doc__


def test_all_benchmarks_are_run_here_or_need_data() -> None:
    assert {path.stem for path in BENCHMARKS} == TOYS.keys() | NEED_DATA | PROCESSES
    assert not TOYS.keys() & NEED_DATA


@pytest.fixture
def own_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("own_threads")
@pytest.mark.parametrize(("name", "arguments"), TOYS.items())
def test_a_benchmark_runs_at_toy_size(
    name: str,
    arguments: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """What it prints has numbers; how large they are at that size says nothing."""
    path = FOLDER / f"{name}.py"
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    monkeypatch.setattr(sys, "argv", [str(path), *arguments.split()])
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(path), run_name="__main__")
    assert any(character.isdigit() for character in capfd.readouterr().out)
