"""The notebook's code runs from top to bottom, and is kept without outputs."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

NOTEBOOK = Path(__file__).resolve().parents[2] / "docs" / "tutorial.ipynb"
BOOK: dict[str, Any] = json.loads(NOTEBOOK.read_text(encoding="utf-8"))


def code_of(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def test_it_is_a_notebook_without_outputs() -> None:
    assert (BOOK["nbformat"], BOOK["nbformat_minor"]) == (4, 5)
    names = [cell["id"] for cell in BOOK["cells"]]
    assert len(set(names)) == len(names)
    for cell in BOOK["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None


def test_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for cell in BOOK["cells"]:
        if cell["cell_type"] != "code":
            continue
        tree = ast.parse(code_of(cell))
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, cell["id"], "exec"), names)
        if last is not None:  # what a notebook would show
            assert repr(eval(compile(ast.Expression(last.value), cell["id"], "eval"), names))
    table = names["evaluation"].table().set_index("model")
    assert table.loc["transfer", "aucpr"] > table.loc["gc", "aucpr"]
    assert names["model"].tasks == ("HNF4A",)
    assert set(names["locus"].hits["name"]) & {"HNF4A", "HNF4G", "NR2F2", "RXRA"}
    assert names["locus"].chrom == "chr3"
    effect = names["bases"].loc[names["worst"].name]
    assert np.isclose(
        effect[f"to_{names['other']}"],
        names["bases"][["to_A", "to_C", "to_G", "to_T"]].to_numpy().min(),
    )
    assert {"report.html", "locus.png", "chr3.bedGraph"} <= {
        path.name for path in tmp_path.iterdir()
    }
