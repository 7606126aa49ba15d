"""Models of a hub: pushed, fetched, and believed no more than a packed file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from fake_hub import Hub, handler

import cistransfer as ct
from cistransfer.cli.command import run_app
from cistransfer.cli.main import app
from cistransfer.errors import InputError, MachineError
from cistransfer.models.bundle import Bundle, open_bundle
from cistransfer.models.hub import open_hub, read_repository

hub_library = pytest.importorskip("huggingface_hub")
NAME = "lab/SPI1-model"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub of this machine, for `huggingface_hub` the only one."""
    from huggingface_hub import constants

    state = Hub()
    running = ThreadingHTTPServer(("127.0.0.1", 0), handler(state))
    running.daemon_threads = True
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    state.url = f"http://127.0.0.1:{running.server_address[1]}"
    template = state.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "ENDPOINT", state.url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub-cache"))
    monkeypatch.setenv("HF_TOKEN", "hf_of_nobody")
    open_hub.cache_clear()
    yield state
    open_hub.cache_clear()
    running.shutdown()
    thread.join()
    running.server_close()
    assert state.unknown == []


def test_what_is_pushed_is_what_is_fetched(
    hub: Hub, toy: Bundle, words: list[str], tmp_path: Path
) -> None:
    named = ct.push_bundle(toy, f"hf:{NAME}", license="cc-by-4.0", title="SPI1, a toy")
    commit, files = hub.at(NAME, "main") or ("", {})
    assert named == f"hf:{NAME}@{commit}"
    assert {"README.md", "manifest.json", "toy/weights.safetensors", "toy/card.json"} <= set(files)
    head = yaml.safe_load(files["README.md"].decode().split("---")[1])
    assert head["library_name"] == "cistransfer"
    assert head["license"] == "cc-by-4.0"
    assert {"biology", "SPI1"} <= set(head["tags"])
    assert f'ct.predict("hf:{NAME}"' in files["README.md"].decode()
    for text in (f"hf:{NAME}", f"hf:{NAME}@main", named):
        opened = open_bundle(text)
        assert opened.card.weights == toy.card.weights
    assert ct.predict(f"hf:{NAME}", words).equals(ct.predict(toy, words))
    (place,) = ct.unpack_bundle(f"hf:{NAME}", tmp_path / "mine")
    assert open_bundle(place).card.weights == toy.card.weights


def test_an_ensemble_replaces_what_was_there(
    hub: Hub, toy: Bundle, words: list[str], tmp_path: Path
) -> None:
    first = ct.push_bundle(toy, f"hf:{NAME}")
    ct.push_bundle({"one": toy.path, "two": toy.path}, f"hf:{NAME}")
    open_hub.cache_clear()
    _, files = hub.at(NAME, "main") or ("", {})
    folders = {path.partition("/")[0] for path in files if "/" in path}
    assert folders == {"one", "two"}
    assert "SPI1 sd" in ct.predict(f"hf:{NAME}", words)
    assert "SPI1 sd" not in ct.predict(first, words)  # a commit stays what it was
    places = ct.unpack_bundle(f"hf:{NAME}", tmp_path / "both")
    assert [place.name for place in places] == ["one", "two"]
    assert (tmp_path / "both" / "manifest.json").is_file()
    with pytest.raises(InputError, match="holds 2 models, and one is needed"):
        open_bundle(f"hf:{NAME}")


def test_it_is_used_where_a_model_is_taken(
    hub: Hub, toy: Bundle, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fasta = tmp_path / "words.fa"
    fasta.write_text("".join(f">{n}\n{word}\n" for n, word in enumerate(words)))
    assert run_app(app, ["bundle", "push", str(toy.path), "--to", f"hf:{NAME}", "--json"]) == 0
    done = json.loads(capsys.readouterr().out)
    assert done["url"] == f"{hub.url}/{NAME}"
    out = str(tmp_path / "scores.tsv")
    assert run_app(app, ["predict", f"hf:{NAME}", "--fasta", str(fasta), "--out", out]) == 0
    record = json.loads(Path(out + ".config.json").read_text())
    assert record["arguments"]["bundles"] == [f"hf:{NAME}"]
    for verb in (["bundle", "info"], ["bundle", "check"], ["check"]):
        assert run_app(app, [*verb, f"hf:{NAME}"]) == 0
    assert "example sequences" in capsys.readouterr().out


def test_without_a_network_what_was_fetched_is_used(
    hub: Hub, toy: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    ct.push_bundle(toy, f"hf:{NAME}")
    open_bundle(f"hf:{NAME}")
    open_hub.cache_clear()
    hub.status = 503
    assert open_bundle(f"hf:{NAME}").card.weights == toy.card.weights
    with pytest.raises(MachineError, match=r"cannot be reached, and the model is not in the cache"):
        open_bundle("hf:lab/other")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    open_hub.cache_clear()
    assert open_bundle(f"hf:{NAME}").card.weights == toy.card.weights
    with pytest.raises(MachineError, match="not in the cache"):
        open_bundle("hf:lab/other")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        ({"toy/weights.safetensors": b"x" * 100}, r"has 100 bytes, the manifest says"),
        ({"manifest.json": b"{}"}, "expected packed bundles"),
        ({"manifest.json": b"[" * 100_000}, "not valid JSON"),
        ({"toy/card.json": None}, "a file that is named there"),
        ({"manifest.json": None}, "no model of cistransfer"),
    ],
)
def test_what_is_not_as_the_manifest_says_is_refused(
    hub: Hub, toy: Bundle, spoil: dict[str, bytes | None], said: str
) -> None:
    ct.push_bundle(toy, f"hf:{NAME}")
    _, files = hub.at(NAME, "main") or ("", {})
    left = {path: spoil.get(path, content) for path, content in files.items()}
    hub.commit(NAME, {path: content for path, content in left.items() if content is not None})
    with pytest.raises(InputError, match=said) as refused:
        open_bundle(f"hf:{NAME}")
    assert "\n" not in str(refused.value)


def test_forged_bytes_names_and_sizes(hub: Hub, toy: Bundle) -> None:
    ct.push_bundle(toy, f"hf:{NAME}")
    _, files = hub.at(NAME, "main") or ("", {})
    weights = files["toy/weights.safetensors"]
    hub.commit(NAME, files | {"toy/weights.safetensors": weights[:-1] + b"!"})
    with pytest.raises(InputError, match="is not the file that its manifest names"):
        open_bundle(f"hf:{NAME}")
    manifest = json.loads(files["manifest.json"])
    manifest["files"]["../../evil.py"] = manifest["files"]["toy/card.json"]
    hub.commit(NAME, files | {"manifest.json": json.dumps(manifest).encode(), "run.py": b"1/0"})
    with pytest.raises(InputError, match="which is no part of a bundle"):
        open_bundle(f"hf:{NAME}")
    hub.commit(NAME, files)
    hub.sizes["manifest.json"] = 1 << 40
    with pytest.raises(InputError, match=r"manifest.json has 1,099,511,627,776 bytes"):
        open_bundle(f"hf:{NAME}")
    assert not [line for line in hub.log if "run.py" in line or "evil" in line]


@pytest.mark.parametrize(
    "text", ["hf:", "hf:one", "hf:../x", "hf:a/b/c", "hf:a/..", "hf:a/b@", "hf:a/b@../c", "hf:a /b"]
)
def test_names_that_are_none(text: str) -> None:
    with pytest.raises(InputError, match="expected a model of the hub"):
        read_repository(text)


def test_refusals_in_one_line(hub: Hub, toy: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    ct.push_bundle(toy, f"hf:{NAME}")
    for text, said in (
        ("hf:lab/nothing", "there is no such model"),
        (f"hf:{NAME}@v2", "the model has no revision 'v2'"),
    ):
        assert run_app(app, ["bundle", "info", text]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert said in line
    with pytest.raises(InputError, match="leave out the revision"):
        ct.push_bundle(toy, f"hf:{NAME}@main")
    hub.status = 401
    with pytest.raises(InputError, match="log in with 'hf auth login'"):
        ct.push_bundle(toy, f"hf:{NAME}")


def test_the_endpoint_of_the_environment_counts(hub: Hub, toy: Bundle, tmp_path: Path) -> None:
    ct.push_bundle(toy, f"hf:{NAME}")
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home")}
    code = f"from cistransfer.models.hub import open_hub; print(*open_hub('hf:{NAME}'))"
    said = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    assert (said.stdout, said.stderr) == ("toy\n", "")


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(InputError, match=r"pip install 'cistransfer\[hub\]'"):
        open_hub("hf:a/b")
