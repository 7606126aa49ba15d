"""A small study on the simulated world, whose trials take a moment each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

TINY = """
name = "tiny"
title = "Two baselines and a network from scratch"

[files]
matrix = "Binding matrix."
genome = "Genome."
short = { help = "Strategy.", optional = true }

[axes]
tf = ["ELF1", "SPI1"]
size = [30, 40]
draw = { values = 2, once = { size = [40] } }

[inputs.examples]
do = "examples"
source = "{matrix}"
genome = "{genome}"
tf = "{tf}"
positives = "{size}"
seed = "{draw}"

[strategies]
gc = { do = "baseline", name = "gc", examples = "{examples}" }
kmer = { do = "baseline", name = "kmer", examples = "{examples}" }
scratch = { do = "finetune", examples = "{examples}", strategy = "{short}", seed = "{draw}" }

[[claims]]
id = "N3"
says = "k-mers beat GC content in both TFs"
quantity = "share"
first = { strategy = "kmer" }
second = { strategy = "gc" }
paper = 1.0
paper_p = 0.5
direction = "above"
test = "wilcoxon"

[[claims]]
id = "N11"
says = "not in here"
first = { strategy = "scratch" }

[[figures]]
name = "by-size"
kind = "line"
x = "size"

[[figures]]
name = "by-tf"
kind = "box"
panels = "size"

[[figures]]
name = "against"
kind = "scatter"
x = "gc"
y = "kmer"

[[figures]]
name = "bars"
kind = "bars"

[[figures]]
name = "heat"
kind = "heat"
x = "size"
y = "tf"
"""


@pytest.fixture(scope="session")
def tiny_text() -> str:
    """The small study."""
    return TINY


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """The file of the small study."""
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="session")
def tiny_files(world: Any) -> dict[str, Path]:
    """Files of the small study."""
    return {"matrix": world.matrix_path, "genome": world.genome_path}
