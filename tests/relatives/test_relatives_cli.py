"""The verb: its answer equals the API's, files it writes, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cistransfer.binding.matrix import BindingMatrix
from cistransfer.cli.command import run_app
from cistransfer.cli.main import app
from cistransfer.motifs.files import read_motifs, write_meme
from cistransfer.motifs.names import motifs_of
from cistransfer.relatives.answer import find_relatives
from cistransfer.relatives.options import Sources

TFS = ["A", "B", "C", "D"]
STATES = [[1, 1, 1, 0], [1, 1, 0, 0], [1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, -1, 0]]


@pytest.fixture
def files(make_matrix: Any, tmp_path: Path) -> dict[str, str]:
    matrix = make_matrix(STATES, TFS)
    modes = tmp_path / "modes.tsv"
    modes.write_text("A\tx\nB\tx\nC\ty\nD\ty\n")
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("A\tC\t0.95\nB\tD\t0.92\nA\tD\t0.5\n")
    peaks = tmp_path / "peaks.bed"
    peaks.write_text("chr1\t0\t100\nchr1\t2000\t2100\n")
    return {"matrix": str(matrix.path), "modes": str(modes), "pairs": str(pairs),
            "peaks": str(peaks), "folder": str(tmp_path)}  # fmt: skip


def ask(capsys: Any, *words: str) -> dict[str, Any]:
    assert run_app(app, ["relatives", *words, "--json"]) == 0
    return dict(json.loads(capsys.readouterr().out))


def test_json_equals_the_api(files: dict[str, str], make_matrix: Any, capsys: Any) -> None:
    found = ask(capsys, files["matrix"], "A", "--group", "cofactors", "--n-tfs", "2",
                "--modes", files["modes"])  # fmt: skip
    matrix = make_matrix(STATES, TFS)
    choice = find_relatives(matrix, "A", Sources(modes=files["modes"])).choose("cofactors", n=2)
    assert found["tfs"] == list(choice.tfs) == ["C", "D"]
    assert found["common_regions"] == choice.common == 5
    assert found["target_modes"] == ["x"]
    assert found["target_bound"] == 3
    assert [row["cosine"] for row in found["evidence"]] == choice.evidence["cosine"].tolist()


def test_words_and_files(files: dict[str, str], capsys: Any) -> None:
    folder = Path(files["folder"])
    table, figure, modes = folder / "out.tsv", folder / "out.svg", folder / "again.tsv"
    words = ["relatives", files["matrix"], "A", "--group", "co-binders", "--n-tfs", "2",
             "--modes", files["modes"],
             "--partners", files["pairs"], "--out", str(table), "--figure", str(figure),
             "--save-modes", str(modes), "--check-modes", files["modes"],
             "--check-partners"]  # fmt: skip
    assert run_app(app, words) == 0
    text = capsys.readouterr().out
    assert "A: 3 bound regions; binding mode x" in text
    assert "--tfs B,C" in text
    assert "kappa 1.00" in text
    assert "mean cosine of 2 pairs that score ≥ 0.9" in text
    assert table.read_text().splitlines()[0].startswith("tf\trole\twhy\tfamily")
    assert "<svg" in figure.read_text()
    assert modes.read_text().splitlines()[1:] == ["A\tx", "B\tx", "C\ty", "D\ty"]
    record = json.loads((folder / "out.tsv.config.json").read_text())
    assert record["command"] == ["relatives"]
    assert record["arguments"]["target"] == "A"


def test_all_groups_and_own_peaks(files: dict[str, str], capsys: Any) -> None:
    found = ask(capsys, files["matrix"], "A", "--group", "all", "--n-tfs", "1", "--modes",
                files["modes"])["groups"]  # fmt: skip
    assert found["cofactors"]["tfs"] == ["C"]
    assert "protein partners" in found["partners"]["refused"]
    assert run_app(app, ["relatives", files["matrix"], "A", "--group", "all", "--modes",
                         files["modes"]]) == 0  # fmt: skip
    assert "not possible here:" in capsys.readouterr().out
    mine = ask(capsys, files["matrix"], "MINE", "--peaks", files["peaks"], "--n-tfs", "1",
               "--group", "co-binders")  # fmt: skip
    assert mine["tfs"] == ["A"]
    nameless = ask(capsys, files["matrix"], "--peaks", files["peaks"], "--n-tfs", "1",
                   "--group", "co-binders")  # fmt: skip
    assert (nameless["target"], nameless["tfs"]) == ("the peaks", ["A"])
    general = ask(capsys, files["matrix"], "--group", "general", "--modes", files["modes"])
    assert general["tfs"] == ["A", "C"]
    assert general["target"] is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["A", "--group", "cofactor"], "no group 'cofactor'; nearest: cofactors"),
        (["Z"], "no TF 'Z' in this matrix"),
        (["A", "--group", "partners", "--modes", "MODES"], "needs protein partners"),
        (["A", "--partner-names", "MODES"], "--partner-names has no meaning without --partners"),
        (["A", "--check-partners"], "to check partners, name them"),
        (["A", "--save-modes", "OUT"], "no binding modes to save"),
        (["A", "--rule", "spars"], "no rule 'spars'; nearest: sparse"),
    ],
)
def test_refusals(files: dict[str, str], capsys: Any, words: list[str], message: str) -> None:
    real = {"MODES": files["modes"], "PEAKS": files["peaks"], "OUT": files["folder"] + "/x.tsv"}
    code = run_app(app, ["relatives", files["matrix"], *(real.get(word, word) for word in words)])
    assert code == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


def test_the_help_is_quick_to_import() -> None:
    """Nothing heavy is imported for --help."""
    import subprocess
    import sys

    code = (
        "import sys, cistransfer.cli.relatives; "
        "heavy = {'torch', 'scipy', 'pandas', 'matplotlib', 'memelite'} & set(sys.modules); "
        "sys.exit(str(heavy) if heavy else 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_one_command_on_the_real_matrix(
    real_matrix: BindingMatrix, shared_data: Path, capsys: Any
) -> None:
    source = str(shared_data / "motifs/TFClass_human.obo.gz")
    found = ask(capsys, str(real_matrix.path), "hnf4a", "--group", "cofactors", "--modes", source)
    assert found["target"] == "HNF4A"
    # NR2F2 is of HNF4A's family in TFClass, so CEBPA takes the place behind it.
    assert found["tfs"] == ["FOXA2", "FOXA1", "SP1", "MYBL2", "CEBPA"]


def test_a_motif_file_alone_on_the_real_matrix(
    real_matrix: BindingMatrix, shared_data: Path, tmp_path: Path, capsys: Any
) -> None:
    profiles = read_motifs(shared_data / "motifs/JASPAR2020_CORE_vertebrates_non-redundant.meme")
    motif = replace(motifs_of("HNF4G", profiles)[0], name="X1", alt_name="")
    write_meme(tmp_path / "mine.meme", [motif])
    found = ask(capsys, str(real_matrix.path), "--target-motif", str(tmp_path / "mine.meme"))
    assert found["target"] == "X1"
    kin = {"HNF4A", "NR2C2", "NR2F1", "NR2F2", "NR2F6", "RXRA"}
    assert found["tfs"][0] in kin
    assert len(kin & set(found["tfs"])) >= 3
