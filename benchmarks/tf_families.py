"""Make src/cistransfer/relatives/families.tsv from pyjaspar's tables.

python benchmarks/tf_families.py > src/cistransfer/relatives/families.tsv
"""

from __future__ import annotations

import re
import sqlite3
from collections import defaultdict
from pathlib import Path

HEAD = """\
# Class and family of the DNA-binding domain of human TFs (of vertebrates' under the symbol in
# capitals where no human profile has one): symbol, class, family. From the annotations class and
# family of the vertebrate profiles (CORE and UNVALIDATED) of JASPAR 2026, 2024, 2022 and 2020 as
# pyjaspar 4.0.0 has them: profiles of single TFs before those of dimers, later releases before
# earlier ones, spellings of a family brought to one ("PAS", "PAS domain factors"). JASPAR's terms
# are TFClass's (Wingender 2015). JASPAR's data may be used without restriction, says its help page;
# cite Rauluseviciute et al. 2024, doi:10.1093/nar/gkad1059. pyjaspar is under the MIT licence.
# Made by benchmarks/tf_families.py."""

RELEASES = (2026, 2024, 2022, 2020)

CLASSES = {"Helix-Turn-Helix": "Homeo domain factors"}

FAMILIES = {
    "PAS": "PAS domain", "TALE-type HD": "TALE-type homeo domain",
    "NFkappaB-related": "NF-kappaB-related", "EBF-related": "Early B-Cell Factor-related",
    "Myb-SANT": "Myb/SANT domain", "THAP": "THAP-related", "tesmin/TSO1-family": "tesmin/TSO1",
    "Three-zinc finger Kruppel-related": "Three-zinc finger Krüppel-related",
}  # fmt: skip
"""Spellings of older releases, after " factors" is cut off."""


def main() -> None:
    """Print the table."""
    import pyjaspar

    best: dict[str, tuple[tuple[object, ...], str, str]] = {}
    for release in RELEASES:
        path = Path(pyjaspar.__file__).parent / "data" / f"JASPAR{release}.sqlite"
        for rank, symbol, tf_class, family in profiles(sqlite3.connect(path)):
            key = (rank[0], release, *rank[1:])
            if symbol not in best or key > best[symbol][0]:
                best[symbol] = (key, tf_class, family)
    print(HEAD)
    for symbol, (_, tf_class, family) in sorted(best.items()):
        family = re.sub(" factors$", "", family)
        family = FAMILIES.get(family, family)
        tf_class = CLASSES.get(tf_class, tf_class)
        if family == "PAS domain":  # one HIF is filed under homeo domains
            tf_class = "Basic helix-loop-helix factors (bHLH)"
        print(symbol, tf_class, family, sep="\t")


def profiles(base: sqlite3.Connection):  # type: ignore[no-untyped-def]
    """Yield rank, symbol, class and family of every TF of every vertebrate profile."""
    noted: dict[int, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    question = "SELECT id, tag, val FROM matrix_annotation ORDER BY rowid"
    for profile, tag, value in base.execute(question):
        noted[profile][tag].append((value or "").strip())
    human = {row[0] for row in base.execute("SELECT id FROM matrix_species WHERE tax_id = '9606'")}
    question = "SELECT id, collection, version, name FROM matrix"
    for profile, collection, version, name in base.execute(question):
        notes = noted[profile]
        symbols = [re.sub(r"\(.*", "", part).strip().upper() for part in name.split("::")]
        classes, families = (
            found * len(symbols) if len(found) == 1 else found
            for found in (notes["class"], notes["family"])
        )
        if "vertebrates" not in notes["tax_group"]:
            continue
        if len(classes) != len(symbols) or len(families) != len(symbols):
            continue
        rank = (len(symbols) == 1, collection == "CORE", profile in human, int(version))
        for symbol, tf_class, family in zip(symbols, classes, families, strict=True):
            if tf_class and family and re.fullmatch(r"[A-Z0-9.-]+", symbol):
                yield rank, symbol, tf_class, family


if __name__ == "__main__":
    main()
