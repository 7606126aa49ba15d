"""A build that is killed, run twice at once, or fed many rows."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cistransfer.binding import build as build_module
from cistransfer.binding.build import build_matrix
from cistransfer.binding.matrix import open_matrix
from cistransfer.errors import InputError
from cistransfer.genome import rows as rows_module
from cistransfer.openness.options import OpenOptions


def write_inputs(folder: Path, n_rows: int, seed: int = 0) -> dict[str, Any]:
    """Files of 2,000 regions and ``n_rows`` peaks of three TFs."""
    rng = np.random.default_rng(seed)
    starts = np.arange(2000) * 1000 + 500
    (folder / "dhs").write_text(
        "".join(f"1\tchr1\t{at}\t{at + 150}\tx\t0\t1\t1,\t9,\n" for at in starts)
    )
    (folder / "sources").write_text("1\tK562\n")
    at = np.sort(rng.integers(0, 2_000_000, n_rows))
    tf = rng.integers(0, 3, n_rows)
    (folder / "peaks.bed").write_text(
        "".join(
            f"chr1\t{p}\t{p + 9}\tE.TF{t}.K562\t0\t.\t{p}\t{p + 1}\t0\n"
            for p, t in zip(at.tolist(), tf.tolist(), strict=True)
        )
    )
    return {
        "opened": OpenOptions(folder / "dhs", dhs_sources=folder / "sources"),
        "peaks": [folder / "peaks.bed"],
    }


def test_killed_at_any_moment_leaves_nothing_half_written(tmp_path: Path) -> None:
    write_inputs(tmp_path, 20_000)
    out = tmp_path / "out" / "m.h5"
    words = ["--open", "dhs", "--dhs-sources", "sources", "--peaks", "peaks.bed", "--out", str(out)]
    script = "import sys; from cistransfer.cli.main import main; main()"
    command = [sys.executable, "-c", script, "matrix", "build", *words]
    for delay in (0.4, 0.8, 1.2):
        process = subprocess.Popen(
            command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        if out.exists():
            assert len(open_matrix(out)) == 2000
            out.unlink()
    subprocess.run(command, cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    assert len(open_matrix(out)) == 2000


def test_a_kill_in_mid_write_keeps_the_old_matrix(tmp_path: Path) -> None:
    """The writer is killed when all but the last data set is in the temporary file."""
    options = write_inputs(tmp_path, 300)
    out = tmp_path / "out" / "m.h5"
    build_matrix(out, **options)
    old = open_matrix(out)
    options = write_inputs(tmp_path, 600, seed=1)
    process = multiprocessing.get_context("spawn").Process(
        target=_build_and_die, args=(str(out), options)
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert [path.name for path in out.parent.iterdir() if not path.name.startswith(".")] == ["m.h5"]
    (orphan,) = [path for path in out.parent.iterdir() if path.name.startswith(".")]
    kept = open_matrix(out, check_inputs=False)
    assert kept.content_hash == old.content_hash
    np.testing.assert_array_equal(kept.states(rule="peaks-only"), old.states(rule="peaks-only"))
    build_matrix(out, **options)
    assert not orphan.exists()
    assert [path.name for path in out.parent.iterdir()] == ["m.h5"]


def _build_and_die(out: str, options: dict[str, Any]) -> None:
    import h5py

    create = h5py.Group.create_dataset

    def dying(self: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "evidence/kind":
            os.kill(os.getpid(), signal.SIGKILL)
        return create(self, name, *args, **kwargs)

    h5py.Group.create_dataset = dying
    build_matrix(out, **options)


def test_two_builds_to_one_path_do_not_mix(tmp_path: Path) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    hashes = set()
    spawn = multiprocessing.get_context("spawn")
    processes = []
    out = tmp_path / "m.h5"
    for seed, folder in enumerate(folders):
        folder.mkdir()
        options = write_inputs(folder, 5000, seed)
        build_matrix(tmp_path / f"{seed}.h5", **options)
        hashes.add(open_matrix(tmp_path / f"{seed}.h5").content_hash)
        processes.append(spawn.Process(target=_build_often, args=(str(out), options)))
    assert len(hashes) == 2
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    last = open_matrix(out)
    assert last.content_hash in hashes
    assert last.states(rule="peaks-only").shape == (2000, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.h5", "1.h5", "a", "b", "m.h5"]


def _build_often(out: str, options: dict[str, Any]) -> None:
    for _ in range(3):
        build_matrix(out, **options)


def test_an_input_that_changes_during_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = write_inputs(tmp_path, 100)
    collect = build_module.collect

    def disturbed(*args: Any, **kwargs: Any) -> Any:
        found = collect(*args, **kwargs)
        if args[1] == "peaks":
            (tmp_path / "peaks.bed").write_text("chr1\t1\t2\n")
        return found

    monkeypatch.setattr(build_module, "collect", disturbed)
    with pytest.raises(InputError, match=r"peaks\.bed: the file changed while it was read"):
        build_matrix(tmp_path / "m.h5", **options)
    assert not (tmp_path / "m.h5").exists()


def test_memory_does_not_grow_with_the_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row that is held costs eight bytes or more; what the peak may differ by is a block of the
    reader that is in flight or not, as the threads happen to run. The smaller file is as large as
    what the reader reads ahead."""
    monkeypatch.setattr(build_module, "_AHEAD", 1 << 20)
    sizes = (2_400_000, 7_200_000)
    peaks = []
    for n_rows in sizes:
        options = write_inputs(tmp_path, n_rows)
        tracemalloc.start()
        report = build_matrix(tmp_path / "m.h5", **options)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert report.peak_rows == n_rows
    assert peaks[1] - peaks[0] < 1.0 * (sizes[1] - sizes[0])


@pytest.mark.parametrize("room", [0, 1 << 26])
def test_evidence_that_is_read_ahead_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    options = write_inputs(tmp_path, 200_000)  # several blocks of rows
    monkeypatch.setattr(build_module, "_AHEAD", room)
    build_matrix(tmp_path / "m.h5", **options)
    assert open_matrix(tmp_path / "m.h5").content_hash == (
        "sha256:c717baec464a62a74abe2d620de220f03096e594d4d247831ca47d3000b81759"
    )
    (tmp_path / "dhs").write_text("1\tchr1\tx\t150\tx\t0\t1\t1,\t9,\n")
    (tmp_path / "peaks.bed").write_text("chr1\t9\t3\tE.TF1.K562\t0\t.\n")
    with pytest.raises(InputError, match=r"dhs, line 1"):  # the peaks are not asked for
        build_matrix(tmp_path / "m.h5", **options)


def test_an_error_ends_what_is_read_ahead_while_it_is_still_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At exit Python waits for every thread: one that waits for room would wait for ever."""
    monkeypatch.setattr(rows_module, "_BLOCK_BYTES", 1 << 10)
    options = write_inputs(tmp_path, 1000)
    lines = (tmp_path / "peaks.bed").read_text().splitlines()
    lines[200] = "chr1\t50\t40\tE.TF1.K562\t0\t.\t45\t46\t0"
    (tmp_path / "peaks.bed").write_text("\n".join(lines))
    before = set(threading.enumerate())
    with pytest.raises(InputError, match=r"line 201: expected start < end") as held:
        build_matrix(tmp_path / "m.h5", **options)
    assert set(threading.enumerate()) == before
    assert held.value.__traceback__ is not None


def test_an_interrupt_ends_a_build_that_would_read_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = write_inputs(tmp_path, 1000)
    read, closed, sent = build_module.read_evidence, threading.Event(), threading.Event()
    latest = time.monotonic() + 60

    def endless(paths: Any, kind: str) -> Any:
        pieces = list(read(paths, kind))
        try:
            yield from pieces[:1]
            while kind == "peaks" and time.monotonic() < latest:
                yield pieces[1]
        finally:
            closed.set()

    def interrupted(rows: int) -> None:
        if not sent.is_set():
            sent.set()
            os.kill(os.getpid(), signal.SIGINT)

    collect, threads = build_module.collect, threading.active_count()

    def watched(*args: Any, **kwargs: Any) -> Any:
        return collect(*args, **{**kwargs, "advance": interrupted})

    monkeypatch.setattr(build_module, "read_evidence", endless)
    monkeypatch.setattr(build_module, "collect", watched)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may ignore it
    try:
        with pytest.raises(KeyboardInterrupt):
            build_matrix(tmp_path / "m.h5", **options)
    finally:
        signal.signal(signal.SIGINT, before)
    assert closed.is_set()
    while threading.active_count() > threads and time.monotonic() < latest:
        time.sleep(0.01)  # one that was just begun when the interrupt came ends by itself
    assert threading.active_count() == threads
    assert not (tmp_path / "m.h5").exists()
