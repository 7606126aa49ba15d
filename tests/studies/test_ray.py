"""A Ray cluster of two nodes on this machine, one of which is killed in mid-study."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from cistransfer.studies.asked import Asked
from cistransfer.studies.collect import collect
from cistransfer.studies.run import run_study

ray = pytest.importorskip("ray")
pytestmark = [pytest.mark.filterwarnings("ignore")]  # of Ray, on what it starts and leaves open


def _start(folder: Path, *words: str) -> subprocess.Popen[bytes]:
    """A node with folders of its own; nothing that it is sent lies in the other's."""
    folder.mkdir()
    environment = {
        **os.environ,
        "CISTRANSFER_NODE": str(folder),
        "TMPDIR": str(folder),
        "RAY_DISABLE_IMPORT_WARNING": "1",
        "RAY_worker_niceness": "0",  # else its workers starve beside anything else that runs
        "RAY_health_check_period_ms": "1000",
        "RAY_health_check_timeout_ms": "20000",
        "RAY_health_check_failure_threshold": "3",
    }
    ray = [sys.executable, "-c", "from ray.scripts.scripts import main; main()"]
    return subprocess.Popen(
        [*ray, "start", "--block", "--num-cpus=1", "--object-store-memory=100000000", *words],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _end(node: subprocess.Popen[bytes]) -> None:
    """Kill a node and everything that it started, as a power cut would."""
    with psutil.Process(node.pid).oneshot():
        started = psutil.Process(node.pid).children(recursive=True)
    for each in [*started, psutil.Process(node.pid)]:
        try:
            os.kill(each.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    node.wait()


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # a token that another run left is none of ours
    place = Path(tempfile.mkdtemp(prefix="ray", dir="/tmp"))  # sockets have short names
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    nodes: dict[str, subprocess.Popen[bytes]] = {}
    try:
        nodes["head"] = _start(
            place / "a", "--head", f"--port={address.rpartition(':')[2]}",
            "--node-ip-address=127.0.0.1", f"--temp-dir={place / 'r'}",
            "--include-dashboard=false", "--disable-usage-stats",
        )  # fmt: skip
        _until(lambda: _listens(address))
        nodes["other"] = _start(place / "b", f"--address={address}", "--node-ip-address=127.0.0.1")
        _until(lambda: _connects(address))
        _until(lambda: sum(node["Alive"] for node in ray.nodes()) == 2)
        yield {"address": address, "nodes": nodes, "place": place}
    finally:
        ray.shutdown()
        for node in nodes.values():
            if node.poll() is None:
                _end(node)
        shutil.rmtree(place, ignore_errors=True)


def _connects(address: str) -> bool:
    """Whether a node takes a driver; it needs a moment after its port is open."""
    try:
        ray.init(address=address, log_to_driver=False, _node_ip_address="127.0.0.1")
    except ConnectionError:
        return False
    return True


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with socket.socket() as looking:
        return looking.connect_ex((host, int(port))) == 0


def _until(ready: Any, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_a_node_is_killed(
    cluster: dict[str, Any], tiny: Path, tiny_files: dict[str, Path], tmp_path: Path
) -> None:
    """Each trial is there exactly once; the table equals the undisturbed one, bit for bit."""
    axes: dict[str, Any] = {"tf": 1}
    asked = Asked(files=tiny_files, axes=axes, engine="here", device="cpu")
    run_study(tiny, tmp_path / "here", asked)
    collect(tmp_path / "here")
    out, place = tmp_path / "study", cluster["place"]
    killed = []

    def kill() -> None:
        """When the other node works and something is done."""
        _until(lambda: any((place / "b").glob("cistransfer-node-*/*/whole")))
        _until(lambda: any(out.glob("trials/*/trial.json")))
        _end(cluster["nodes"]["other"])
        killed.append(1)

    threading.Thread(target=kill, daemon=True).start()
    found = run_study(
        tiny,
        out,
        Asked(files=tiny_files, axes=axes, engine="ray", address=cluster["address"], device="cpu"),
    )
    assert (found.ran, found.failed, found.waiting) == (9, 0, 0)
    assert killed
    collect(out)
    same = (out / "results.parquet").read_bytes() == (
        tmp_path / "here" / "results.parquet"
    ).read_bytes()
    assert same
