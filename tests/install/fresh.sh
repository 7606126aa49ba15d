#!/bin/sh
# Build wheel and sdist, install each in an empty environment without constraints, and use it: sh fresh.sh PYTHON
# Where root runs it, the model that was made is handed to another user, who may write nowhere else,
# has no home, and opens, exports and scores it.
set -eu
python=$1
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
chmod 755 "$place"
"$python" -m venv "$place/build"
"$place/build/bin/pip" install -qq --disable-pip-version-check build
"$place/build/bin/python" -m build --outdir "$place/dist" .
ls -l "$place/dist"
for package in "$place"/dist/*; do
  rm -rf "$place/venv" "$place/work" "$place/theirs"
  "$python" -m venv "$place/venv"
  "$place/venv/bin/pip" install -qq --disable-pip-version-check "$package"
  mkdir "$place/work" "$place/theirs"
  (
    cd "$place/work"
    PATH="$place/venv/bin:$PATH"
    cistransfer doctor
    cistransfer simulate --out data --n-regions 500
    cistransfer predict general --regions data/open.bed.gz --genome data/genome.fa --out scores.tsv
    test "$(wc -l < scores.tsv)" -gt 30
    cistransfer bundle pack general --out general.zip
    mv general.zip "$place/theirs"
  )
  as=""
  # (where the other user can run this Python: one under /root is closed to others)
  other="setpriv --reuid=nobody --regid=65534 --clear-groups"
  if [ "$(id -u)" = 0 ] && $other sh -c '"$0" -c ""' "$place/venv/bin/python" 2> "$place/why"; then
    chown -R nobody "$place/theirs"
    as=$other
  else
    echo "by the same user: $(head -c 200 "$place/why" 2> /dev/null)"
  fi
  $as env -i PATH="$place/venv/bin:/usr/bin:/bin" MPLBACKEND=nonsense sh -eu -c '
    cd "$1"
    cistransfer bundle check general.zip
    cistransfer bundle unpack general.zip --out general
    cistransfer bundle export general --to pytorch --out plain
    python plain/model.py
    for model in general.zip general; do
      cistransfer predict "$model" --regions ../work/data/open.bed.gz --genome ../work/data/genome.fa --out - > "of-$model.tsv"
      cmp "of-$model.tsv" ../work/scores.tsv
    done
  ' sh "$place/theirs"
  echo "$("$python" --version), $(basename "$package"): installs and works${as:+, for another user too}"
done
