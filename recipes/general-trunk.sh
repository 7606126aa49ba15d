#!/bin/sh
# The general trunk on the whole genome, from public data, in one command on one GPU:
#   sh recipes/general-trunk.sh FOLDER          fetches what it needs (resumed when run again)
#   sh recipes/general-trunk.sh FOLDER DATA     takes DATA/hg38, DATA/dhs and DATA/published-matrices
# VALID and TEST name chromosomes that stay out of training (a fine-tuned model is tested on TEST);
# OPTIONS are further ones of 'cistransfer pretrain'.
set -eu
run=$1
data=${2:-$run/data}
valid=${VALID:-chr9,chr15}
test=${TEST:-chr1,chr8,chr21}
mkdir -p "$run"

if [ $# -lt 2 ]; then
  echo "1/4 fetch genome, DHS and published matrices"
  cistransfer data get hg38 dhs published-matrices --out "$data"
fi

echo "2/4 import the matrices; the DHS say where their regions are, on all chromosomes"
cistransfer matrix import "$data/published-matrices" \
  --open "$data/dhs/wgEncodeRegDnaseClustered.txt.gz" \
  --dhs-sources "$data/dhs/wgEncodeRegDnaseClusteredSources.txt.gz" \
  --ucsc2encode "$data/dhs/ucsc2encode.tsv" \
  --out "$run/matrix.h5"

echo "3/4 pre-train on every TF and region that is resolved"
# shellcheck disable=SC2086  # several options
cistransfer pretrain --matrix "$run/matrix.h5" --genome "$data/hg38/hg38.fa.gz" \
  --valid-chroms "$valid" --test-chroms "$test" ${OPTIONS:-} --out "$run/trunk"

echo "4/4 make it small, and pack it"
cistransfer compact "$run/trunk" --out "$run/general"
cistransfer bundle pack "$run/general" --title "A general trunk" --out "$run/general.zip"
