"""The whole of ``interpret`` on a small bundle: files, refusals, and the command."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from toynets import OTHER, SITE, random_codes, settled, with_sites

from cistransfer.errors import InputError
from cistransfer.examples.dataset import ExampleSet, save_examples
from cistransfer.genome.codes import decode
from cistransfer.genome.fasta import write_fasta
from cistransfer.interpretation import filters, marginal, patterns, refinement
from cistransfer.interpretation.interpret import interpret
from cistransfer.interpretation.steps import METHODS, Methods, OtherModels, chosen_steps, step_of
from cistransfer.interpretation.subject import Source, gather
from cistransfer.models.bundle import open_bundle, save_bundle
from cistransfer.models.card import Architecture, Parent
from cistransfer.models.registry import build_model
from cistransfer.models.score import score_codes
from cistransfer.motifs.files import write_meme
from cistransfer.motifs.pwm import PWM, from_counts

WINDOW = 100


def _motif(name: str, text: str) -> PWM:
    letters = np.eye(4)[["ACGT".index(letter) for letter in text]]
    return from_counts(name, 50 * letters, pseudocount=1.0, alt_name=name.lower())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with examples, a bundle of two tasks, a trunk and known motifs."""
    folder = tmp_path_factory.mktemp("interpret")
    codes, _ = with_sites(random_codes(60, WINDOW, seed=1), SITE)
    codes[3, 5] = 4
    labels = (random_codes(60, 2, seed=2) % 2).astype(np.int8)
    labels[5, 1] = -1
    start = np.arange(60) * 200
    regions = pd.DataFrame(
        {"chrom": "chr1", "start": start, "end": start + WINDOW, "part": "train"}
    )
    regions.loc[50:, "part"] = "test"
    save_examples(folder / "run" / "examples", ExampleSet(codes, labels, regions, ("A", "B"), {}))
    for name, seed in (("run/bundle", 0), ("trunk", 1)):
        model = settled(build_model("cnn", window=WINDOW, n_tasks=2, seed=seed), WINDOW, seed)
        middle = np.median(score_codes(model, codes), axis=0)
        save_bundle(
            folder / name,
            model,
            architecture=Architecture(name="cnn"),
            tasks=["A", "B"],
            window=WINDOW,
            regions=regions,
            example=codes[:2],
            facts={"threshold": middle.astype(float).tolist(), "temperature": [1.0, 1.0]},
        )
    rng = np.random.default_rng(0)
    noise = [
        from_counts(f"T{number}", 20 * rng.dirichlet([0.3] * 4, size=9), pseudocount=0.5)
        for number in range(8)
    ]
    write_meme(folder / "motifs.meme", [*noise, _motif("SITE", SITE), _motif("OTHER", OTHER)])
    return folder


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few shuffles, few neutral sequences, few logos: how many is no matter of these tests."""
    for module in (filters, patterns):
        monkeypatch.setattr(module, "_SHUFFLED", 200)
    monkeypatch.setattr(refinement, "_SHOWN", 5)
    monkeypatch.setattr(marginal, "_NEUTRAL", 3)
    monkeypatch.setattr("cistransfer.interpretation.figures._MAX_LOGOS", 2)
    monkeypatch.setattr("cistransfer.interpretation.tracks._TRACKS", 2)


def test_every_step_writes_its_files(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("memelite")
    out = tmp_path / "out"
    summary = interpret(
        run / "run",
        out,
        Methods(
            task="B",
            motifs=run / "motifs.meme",
            pair=("SITE", "other"),
            min_sites=5,
            hit_p=1e-3,
            max_sequences=12,
            text=True,
        ),
        OtherModels(run / "trunk", scratch=run / "trunk"),
    )
    assert summary["steps"] == list(METHODS)
    assert summary["sequences"] == 60
    assert summary["predicted_positive"] == 30
    for name in (
        "filters.tsv",
        "filters.meme",
        "filters.png",
        "influence.tsv",
        "influence.svg",
        "refinement.tsv",
        "attribution.npz",
        "attribution.tsv",
        "attribution.png",
        "attribution.txt.gz",
        "positions.tsv",
        "positions.png",
        "sites.tsv",
        "scratch_filters.tsv",
        "patterns.tsv",
        "seqlets.tsv",
        "enrichment.tsv",
        "enrichment.png",
        "ecdf.png",
        "densities.png",
        "untested.tsv",
        "marginal.tsv",
        "marginal.png",
        "spacing.tsv",
        "spacing.png",
        "summary.json",
    ):
        assert (out / name).stat().st_size > 0, name
    assert json.loads((out / "summary.json").read_text()) == json.loads(json.dumps(summary))
    table = pd.read_csv(out / "attribution.tsv", sep="\t")
    assert len(table) == 12
    assert table["completeness_error"].max() < 1e-3
    bundle = open_bundle(run / "run")
    assert (table["logit"] >= bundle.thresholds[1] - 1e-4).all()
    with np.load(out / "attribution.npz") as arrays:
        np.testing.assert_allclose(
            arrays["contributions"].sum(axis=1), table["sum_of_contributions"], atol=1e-4
        )
        assert arrays["hypothetical"].shape == (12, 4, WINDOW)
    influence = pd.read_csv(out / "influence.tsv", sep="\t")
    np.testing.assert_allclose(
        influence["influence_max"], influence[["A", "B"]].max(axis=1), rtol=1e-4
    )
    assert not list(out.glob(".*"))


def test_the_command_equals_the_function(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from cistransfer.cli.command import run_app
    from cistransfer.cli.main import app

    words = [
        "interpret", str(run / "run"), "--out", str(tmp_path / "cli"), "--task", "A", "--part",
        "test", "--attribution", "mutagenesis", "--strands", "both", "--max-sequences", "2",
        "--json", "--methods", "influence,attribution",
    ]  # fmt: skip
    assert run_app(app, words) == 0
    told = json.loads(capsys.readouterr().out)
    api = interpret(
        run / "run", tmp_path / "api",
        Methods(("influence", "attribution"), "A", attribution="mutagenesis", strands="both",
                max_sequences=2),
        source=Source(part="test"),
    )  # fmt: skip
    assert told == json.loads(json.dumps(api))
    assert told["sequences"] == 10
    for name in ("influence.tsv", "attribution.tsv"):
        assert (tmp_path / "cli" / name).read_bytes() == (tmp_path / "api" / name).read_bytes()
    assert (tmp_path / "cli" / "config.json").exists()


def test_default_steps_are_those_that_have_what_they_need() -> None:
    pytest.importorskip("memelite")
    m, t = Path("m"), Path("t")

    def chosen(methods: Methods, *other: Path) -> list[str]:
        return list(chosen_steps(methods, OtherModels(*other)))

    assert chosen(Methods()) == ["filters", "influence", "attribution"]
    without = [name for name in METHODS if name != "spacing"]
    assert chosen(Methods(motifs=m), t) == without
    assert chosen(Methods(("attribution", "filters"))) == ["filters", "attribution"]
    assert chosen(Methods(("enrichment",), motifs=m), t) == ["enrichment", "comparison"]


def test_every_method_says_what_it_is() -> None:
    for name in METHODS:
        step = step_of(name)
        assert step.title, name
        assert step.panels, name


def test_help_names_the_methods_without_their_imports() -> None:
    code = "import sys, cistransfer.interpretation.steps; print('numpy' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "False"


def test_sequences_from_fasta_and_regions(run: Path, tmp_path: Path) -> None:
    bundle = open_bundle(run / "run")
    codes = random_codes(3, 120, seed=5)
    write_fasta(tmp_path / "s.fa", {f"s{row}": decode(codes[row]) for row in range(3)})
    material = gather(bundle, Source(fasta=tmp_path / "s.fa"))
    assert (material.codes == codes[:, 10:110]).all()
    assert material.names == ["s0", "s1", "s2"]
    assert material.labels is None
    write_fasta(tmp_path / "g.fa", {"chr1": decode(codes.ravel())})
    (tmp_path / "r.bed").write_text("chr1\t40\t60\nchr1\t100\t200\n")
    material = gather(bundle, Source(regions=tmp_path / "r.bed", genome=tmp_path / "g.fa"))
    assert material.names == ["chr1:0-100", "chr1:100-200"]
    assert (material.codes[1] == codes.ravel()[100:200]).all()
    own = gather(bundle, Source(part="test"))
    assert own.labels is not None
    assert own.labels.shape == (10, 2)


def test_hits_of_the_user(run: Path, tmp_path: Path) -> None:
    bed = tmp_path / "hits.bed"
    rows = [f"chr1\t{200 * row + 10}\t{200 * row + 20}\tM{row % 2}\n" for row in range(60)]
    bed.write_text("".join(rows))
    asked = Methods(("enrichment",), "A", hits=bed, min_sites=5)
    summary = interpret(run / "run", tmp_path / "out", asked)
    assert summary["enrichment"]["sites"] == 30
    assert summary["enrichment"]["motifs_tested"] == 2
    few = interpret(run / "run", tmp_path / "out", replace(asked, min_sites=500))
    assert "no motif has 500 sites in 30 sequences" in few["enrichment"]["note"]
    assert few["enrichment"]["untested"] == 2
    left = pd.read_csv(tmp_path / "out" / "untested.tsv", sep="\t")
    assert left["reason"].tolist() == ["16 sites, fewer than 500", "14 sites, fewer than 500"]
    with pytest.raises(InputError, match="or an earlier interpretation"):
        interpret(run / "run", tmp_path, asked)  # where hits.bed is
    bed.write_text("chr1\t10\t20\n")
    with pytest.raises(InputError, match="column 4"):
        interpret(run / "run", tmp_path / "out", asked)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "2 tasks"),
        ({"task": "C"}, "no task 'C'"),
        ({"task": "A", "methods": ("filter",)}, "nearest: filters"),
        ({"task": "A", "methods": ("patterns",)}, "needs --motifs"),
        ({"task": "A", "methods": ("refinement",)}, "needs --other MODEL and --motifs"),
        ({"task": "A", "methods": ("spacing",)}, "needs --pair"),
        ({"task": "A", "attribution": "shap"}, "expected deeplift or"),
        ({"task": "A", "part": "tset"}, "nearest: test"),
        ({"task": "A", "regions": "r.bed"}, "--regions needs --genome"),
        ({"task": "A", "regions": "r.bed", "fasta": "s.fa"}, "name one of"),
    ],
)
def test_refusals(run: Path, tmp_path: Path, given: dict, said: str) -> None:
    of_source = {key: given[key] for key in ("part", "regions", "fasta") if key in given}
    asked = {key: value for key, value in given.items() if key not in of_source}
    with pytest.raises(InputError, match=said):
        interpret(run / "run", tmp_path / "out", Methods(**asked), source=Source(**of_source))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("given", "missing", "said"),
    [
        ({"modisco": True}, "modiscolite", r"cistransfer\[modisco\]"),
        ({"methods": ("filters",)}, "memelite", r"cistransfer\[motifs\]"),
        ({"modisco": True, "attribution": "mutagenesis"}, "", "expected --attribution deeplift"),
        ({"pair": ("SITE", "SITF")}, "", "no motif 'SITF'"),
    ],
)
def test_what_cannot_run_is_refused_before_the_work(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict, missing: str, said: str
) -> None:
    there = {module: object() for module in ("modiscolite", "memelite") if module != missing}
    for module in (filters, patterns):
        monkeypatch.setattr(module, "find_spec", there.get)
    asked = Methods(task="A", motifs=run / "motifs.meme", **given)
    with pytest.raises(InputError, match=said):
        interpret(run / "run", tmp_path / "out", asked)
    assert not (tmp_path / "out").exists()


def test_an_interruption_leaves_a_summary_of_what_is_done(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cistransfer.interpretation.influence.filter_influence", interrupted)
    with pytest.raises(KeyboardInterrupt):
        interpret(run / "run", tmp_path / "out", Methods(task="A"))
    told = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert told["steps"] == ["filters"]
    assert told["filters"]["filters"] == 100


def test_published_filters_come_from_sequences_right_at_a_half(run: Path, tmp_path: Path) -> None:
    told = {}
    for way in ("threshold", "published"):
        asked = Methods(("filters",), "A", filters_from=way)
        told[way] = interpret(run / "run", tmp_path / way, asked)["filters"]
    bundle = open_bundle(run / "run")
    material = gather(bundle)
    assert material.labels is not None
    logits = score_codes(bundle.model, material.codes)
    right = filters.correct_sequences(logits, material.labels, 0.0)
    assert told["published"]["sequences"] == right.sum()
    assert told["published"]["sequences"] != told["threshold"]["sequences"]


def test_a_frozen_trunk_is_said_and_what_the_head_weighs_is_shown(
    run: Path, tmp_path: Path
) -> None:
    pytest.importorskip("memelite")
    asked = Methods(("refinement",), "A", motifs=run / "motifs.meme", max_sequences=10)
    told = interpret(run / "run", tmp_path, asked, OtherModels(run / "run"))["refinement"]
    assert told["moved"] == 0
    assert told["note"].startswith("no first-layer filter differs from the trunk's")
    assert len(told["head"]["most_used"]) == 5
    assert told["head"]["sd_of_the_logit_by"]["trunk"] > 0
    assert (tmp_path / "head.tsv").exists()
    assert "Standard deviation of the logit" in step_of("refinement").words(told)


def test_another_model_is_not_taken_for_the_trunk(run: Path) -> None:
    """Where no method is named, what is run beside another model is the comparison."""
    bundle = open_bundle(run / "run")
    card = bundle.card.model_copy(update={"trunk": Parent(weights="sha256:0", tasks=("A",))})
    subject = SimpleNamespace(
        bundle=replace(bundle, card=card), other=open_bundle(run / "trunk"), methods=Methods()
    )
    told = step_of("refinement").run(subject)  # type: ignore[arg-type]
    assert "is not the trunk that this model was fine-tuned from" in told["note"]
    assert step_of("refinement").words(told).startswith("Not asked: ")


def test_no_positive_prediction_is_an_answer(run: Path, tmp_path: Path) -> None:
    write_fasta(tmp_path / "n.fa", {"none": "A" * WINDOW})
    bundle = open_bundle(run / "run")
    task = int(np.argmin(score_codes(bundle.model, np.zeros((1, WINDOW), np.uint8))[0] -
                         bundle.thresholds))  # fmt: skip
    with pytest.raises(InputError, match=r"none of the 1 sequences is predicted positive"):
        interpret(
            run / "run", tmp_path / "out", Methods(("attribution",), bundle.tasks[task]),
            source=Source(fasta=tmp_path / "n.fa"),
        )  # fmt: skip
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["predicted_positive"] == 0


def test_short_records_and_bundles_without_examples(run: Path, tmp_path: Path) -> None:
    write_fasta(tmp_path / "short.fa", {"s": "ACGT"})
    with pytest.raises(InputError, match=r"'>s' has 4 bp; the model reads 100 bp"):
        gather(open_bundle(run / "run"), Source(fasta=tmp_path / "short.fa"))
    with pytest.raises(InputError, match="no examples beside this bundle"):
        gather(open_bundle(run / "trunk"))


def test_what_was_only_learned_from_is_not_interpreted(trunk, target_examples) -> None:
    kept = np.flatnonzero(target_examples.regions["part"] != "extra")
    assert 0 < len(kept) < len(target_examples.codes)
    found = gather(trunk, Source(examples=target_examples, part="all"))
    assert len(found.codes) == len(found.names) == len(found.labels) == len(kept)
    assert (found.codes == target_examples.codes[kept]).all()
