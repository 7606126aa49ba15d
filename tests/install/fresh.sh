#!/bin/sh
# Build wheel and sdist, install each in an empty environment without constraints, and use it: sh fresh.sh PYTHON
set -eu
python=$1
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
"$python" -m venv "$place/build"
"$place/build/bin/pip" install -qq --disable-pip-version-check build
"$place/build/bin/python" -m build --outdir "$place/dist" .
ls -l "$place/dist"
for package in "$place"/dist/*; do
  rm -rf "$place/venv" "$place/work"
  "$python" -m venv "$place/venv"
  "$place/venv/bin/pip" install -qq --disable-pip-version-check "$package"
  mkdir "$place/work"
  (
    cd "$place/work"
    PATH="$place/venv/bin:$PATH"
    cistransfer doctor
    cistransfer simulate --out data --n-regions 500
    cistransfer predict general --regions data/open.bed.gz --genome data/genome.fa --out scores.tsv
    test "$(wc -l < scores.tsv)" -gt 30
  )
  echo "$("$python" --version), $(basename "$package"): installs and works"
done
