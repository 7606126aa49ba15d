"""Running studies: once, in part, again, on a full disk, on other files."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cistransfer.errors import InputError, MachineError
from cistransfer.studies import run as running
from cistransfer.studies import work
from cistransfer.studies.asked import Asked
from cistransfer.studies.collect import collect, results
from cistransfer.studies.draw import write_figures
from cistransfer.studies.page import reproduction
from cistransfer.studies.run import Outcome, run_study
from cistransfer.studies.store import Store
from cistransfer.studies.trainings import _there

ONE: dict[str, Any] = {"tf": 1, "size": [30], "draw": 1}


def asked(files: dict[str, Path], **options: Any) -> Asked:
    return Asked(files=files, **{"engine": "here", "device": "cpu", **options})


def counts(found: Outcome) -> tuple[int, int, int, int]:
    return found.ran, found.there, found.failed, found.waiting


@pytest.fixture(scope="module")
def undisturbed(
    tiny_files: dict[str, Path], tiny_text: str, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The small study, run in this process (read only)."""
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "tiny.toml").write_text(tiny_text)
    run_study(folder / "tiny.toml", folder / "study", asked(tiny_files))
    collect(folder / "study")
    return folder / "study"


def test_one_table(undisturbed: Path) -> None:
    table = pd.read_parquet(undisturbed / "results.parquet")
    assert list(table) == [
        "strategy", "draw", "size", "tf", "trial", "part", "item", "metric", "value"
    ]  # fmt: skip
    assert not table.duplicated(list(table)[:-1]).any()
    trials = table[["strategy", "draw", "size", "tf"]].drop_duplicates()
    assert len(trials) == 2 * 2 * 3
    assert table.loc[table["metric"] == "auroc", "value"].between(0, 1).all()
    wide = pd.read_csv(undisturbed / "results.tsv", sep="\t")
    assert len(wide) == len(trials)
    assert {"tf", "strategy", "size", "draw", "aucpr"} <= set(wide)
    # Inputs keep what they made, what is compared only its numbers.
    plan = Store(undisturbed).plan()
    for name in plan.chain(plan.compared):
        assert (Store(undisturbed).files(name)).exists() == (name in plan.kept)


def test_twice_costs_nothing(
    undisturbed: Path, tiny_files: dict[str, Path], tmp_path: Path, monkeypatch: Any
) -> None:
    study = shutil.copytree(undisturbed.parent, tmp_path / "s")
    before = {path: path.stat().st_mtime_ns for path in study.rglob("trial.json")}
    monkeypatch.setattr(work, "run_task", None)
    found = run_study(study / "tiny.toml", study / "study", asked(tiny_files))
    assert counts(found) == (0, 18, 0, 0)
    assert before == {path: path.stat().st_mtime_ns for path in study.rglob("trial.json")}


def test_in_parts_it_is_the_same(
    undisturbed: Path, tiny: Path, tiny_files: dict[str, Path], tmp_path: Path
) -> None:
    """Inputs first, then shards in any order, one of them with a budget of nothing."""
    out = tmp_path / "study"
    found = run_study(tiny, out, asked(tiny_files, inputs_only=True))
    assert (counts(found), found.inputs) == ((6, 0, 0, 0), 6)
    assert counts(run_study(tiny, out, asked(tiny_files, budget=0.0)))[0] <= 1
    for shard in ((2, 2), (1, 2)):
        run_study(tiny, out, asked(tiny_files, shard=shard))
    collect(out)
    same = (out / "results.parquet").read_bytes() == (undisturbed / "results.parquet").read_bytes()
    assert same
    with pytest.raises(InputError, match="expected I/N with I from 1 to N, found 3/2"):
        run_study(tiny, out, asked(tiny_files, shard=(3, 2)))


def test_any_row_is_run_again_by_name(undisturbed: Path, tiny_files: dict[str, Path]) -> None:
    table = results(Store(undisturbed))
    name = table.loc[table["strategy"] == "kmer", "trial"].iloc[0]
    toml = undisturbed.parent / "tiny.toml"
    differences, rows = running.run_again(toml, undisturbed, name, asked(tiny_files))
    assert differences == {}
    assert len(rows) == (table["trial"] == name).sum()
    with pytest.raises(InputError, match=f"no trial '{name[:-1]}'; nearest: .*{name}"):
        running.run_again(toml, undisturbed, name[:-1], asked(tiny_files))


def test_a_folder_is_of_one_study_on_one_set_of_files(
    undisturbed: Path, tiny: Path, tiny_files: dict[str, Path], tmp_path: Path
) -> None:
    tiny.write_text(tiny.read_text().replace('name = "tiny"', 'name = "other"'))
    with pytest.raises(InputError, match="holds the study 'tiny', not 'other'"):
        run_study(tiny, undisturbed, asked(tiny_files, axes=ONE))
    tiny.write_text(tiny.read_text().replace('name = "other"', 'name = "tiny"'))
    changed = {**tiny_files, "genome": shutil.copy(tiny_files["genome"], tmp_path / "g.fa")}
    with open(changed["genome"], "a") as handle:
        handle.write(">chrX\nACGT\n")
    with pytest.raises(InputError, match=r"on other data \(genome changed\)"):
        run_study(tiny, undisturbed, asked(changed, axes=ONE))
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.tex").touch()
    with pytest.raises(InputError, match="expected a new or empty folder, or one of a study"):
        run_study(tiny, tmp_path / "thesis", asked(tiny_files, axes=ONE))
    with pytest.raises(InputError, match="needs matrix"):
        run_study(tiny, tmp_path / "new", asked({"genome": tiny_files["genome"]}))
    with pytest.raises(InputError, match="no file 'matrx'; nearest: matrix"):
        run_study(tiny, tmp_path / "new", asked({**tiny_files, "matrx": tiny}))
    assert not (tmp_path / "new").exists()


def test_a_folder_whose_first_files_failed_is_the_studys(
    undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, store = Store(undisturbed).plan(), Store(tmp_path / "study")
    for failing in ("write_json", "write_text"):
        shutil.rmtree(store.folder, ignore_errors=True)
        store.folder.mkdir()
        (store.folder / ".0123abcd-77.0123abcd.part").touch()  # of a killed run

        def fails(*_: object) -> None:
            raise MachineError("no space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(f"cistransfer.studies.store.{failing}", fails)
            with pytest.raises(MachineError):
                store.claim("tiny", {}, plan, "run", "text")
        store.claim("tiny", {}, plan, "run", "text")
        assert store.plan().trials == plan.trials
        assert store.declared.read_text() == "text"


def test_tfs_that_a_part_of_the_matrix_lacks_are_left_out_and_said(
    tiny_files: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    matrix = tiny_files["matrix"]
    assert _there(["SPI1", "NOPE", "ELF1"], matrix, "left out") == ["SPI1", "ELF1"]
    assert capsys.readouterr().err == f"not in {matrix.name}, and left out: NOPE\n"
    assert _there(["SPI1", "NOPE"], matrix, "refused") == ["SPI1", "NOPE"]  # pretrain refuses it
    with pytest.raises(InputError, match="'refused' or 'left out', found 'kept'"):
        _there(["SPI1"], matrix, "kept")


@pytest.mark.parametrize("row", [["kmer", {"tf": ["ELF1"]}], [["kmer"], {}]])
def test_a_record_whose_rows_are_no_text_is_refused(
    undisturbed: Path, tmp_path: Path, row: list[Any]
) -> None:
    content = json.loads((undisturbed / "study.json").read_text(encoding="utf-8"))
    content["rows"][0] = [*row, content["rows"][0][2]]
    (tmp_path / "study.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(InputError, match=r"study\.json.*expected text in a row"):
        results(Store(tmp_path))


def test_a_failure_stops_only_what_reads_it(
    tiny: Path, tiny_files: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "study"
    many = asked(tiny_files, axes={"tf": 1, "size": [30, 9999], "draw": 1})
    found = run_study(tiny, out, many)
    assert counts(found) == (3, 0, 3, 0)
    failed = Store(out).failed(Store(out).plan().trials)
    why = sorted(record["error"] for record in failed.values())
    assert any("bound regions can be used for training" in text for text in why)
    assert sum("which it reads, failed" in text for text in why) == 2
    assert counts(run_study(tiny, out, many)) == (0, 3, 3, 0)  # not tried again unasked
    again = asked(tiny_files, axes=many.axes, again=True)
    assert counts(run_study(tiny, out, again)) == (0, 3, 3, 0)
    assert set(results(Store(out))["size"]) == {"30"}


@pytest.mark.parametrize("how", ["full disk", "Ctrl-C"])
def test_a_run_is_stopped_at_once_and_nothing_half_written_is_left(
    how: str, tiny: Path, tiny_files: dict[str, Path], tmp_path: Path, monkeypatch: Any
) -> None:
    out = tmp_path / "study"
    real = work.write_json
    heeded = signal.signal(signal.SIGINT, signal.default_int_handler)  # also where it is ignored

    def stopped(path: Path, value: Any) -> None:
        if "kmer" in str(value):
            if how == "full disk":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            signal.raise_signal(signal.SIGINT)
        real(path, value)

    monkeypatch.setattr(work, "write_json", stopped)
    error = MachineError if how == "full disk" else KeyboardInterrupt
    with pytest.raises(error, match="No space left" if how == "full disk" else None):
        run_study(tiny, out, asked(tiny_files, axes=ONE))
    signal.signal(signal.SIGINT, heeded)
    assert {path.name for path in (out / "trials").iterdir()} == {
        path.parent.name for path in out.glob("trials/*/trial.json")
    }
    assert not (out / "failed").exists()
    monkeypatch.undo()
    assert counts(run_study(tiny, out, asked(tiny_files, axes=ONE))) == (1, 2, 0, 0)


def test_claims_and_the_page(undisturbed: Path, tmp_path: Path) -> None:
    text = reproduction([undisturbed], tmp_path / "page.md")
    assert (tmp_path / "page.md").read_text() == text
    rows = [line for line in text.splitlines() if line.startswith("| N3 ")]
    ours = next(line for line in rows if "k-mers beat GC content" in line)
    assert " of 2 better (" in ours
    assert "Wilcoxon signed-rank: p = " in ours
    assert "2 tf, 12 trials" in ours
    assert "\ncistransfer study run tiny.toml --file " in text
    before, _, after = text.partition("## Not run")
    assert "not in here" in after
    assert "not in here" not in before
    assert "k-mers beat" in (undisturbed / "claims.md").read_text()


def test_figures(undisturbed: Path, tmp_path: Path) -> None:
    study = shutil.copytree(undisturbed, tmp_path / "study")
    written = {path.name for path in write_figures(study)}
    assert written == {
        f"{name}.{kind}"
        for name in ("by-size", "by-tf", "against", "bars", "heat")
        for kind in ("png", "svg")
    }
