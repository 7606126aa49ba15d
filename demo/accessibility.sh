#!/bin/sh
# Chromatin accessibility by transfer, on real files: sh demo/accessibility.sh DATA FOLDER [--quick]
# DATA holds what demo/real.sh takes, as tf-binding-hg38/, and genome/ and motifs/ beside it.
# A network learns what is open in fourteen cells against background (tiles of the genome, and
# shuffled sequence), then what is specific to each of six lines; chr14 and chr22 are held out.
set -eu
data=$1
run=$2
quick=${3:-}
open=$data/tf-binding-hg38
mkdir -p "$run"

echo "1/6 the binding matrix: open regions of twenty cells"
cistransfer matrix build \
  --open "$open/wgEncodeRegDnaseClustered.txt.gz" \
  --dhs-sources "$open/wgEncodeRegDnaseClusteredSources.txt.gz" \
  --ucsc2encode "$open/ucsc2encode.tsv" \
  --samples "$open/samples.tsv" \
  --peaks "$open/remap2018_macs2_hg38.bed.gz" \
  --tfbs "$open/unibind_pwm_tfbs.tar.gz" \
  --out "$run/matrix.h5"

echo "2/6 example sets: pre-training, each cell's own regions, multi-class"
cistransfer accessibility sets --open "$run/matrix.h5" --genome "$open/sequences" \
  --cells GM12878,K562,HepG2,HCT116,A549,MCF-7 --window 200 \
  --background tiles,shuffled --background-genome "$data/genome/hg38_blocks.fa.gz" --max-regions 40000 \
  --negatives others=0.45,nobody=0.5,universal=0.05 \
  --valid-chroms chr20 --test-chroms chr14,chr22 --out "$run/sets"

echo "3/6 pre-train, fine-tune, compare"
# shellcheck disable=SC2086
cistransfer accessibility study --sets "$run/sets" --out "$run/study" \
  ${quick:---max-positives 10000 --max-test-positives 3000}

echo "4/6 which differences are sure"
cistransfer compare "$run/study/results.tsv" --metric auroc --reference tune-whole \
  --out "$run/comparison"

echo "5/6 what the models learned: HepG2 against K562, and against the network before fine-tuning"
hepg2=$run/study/cells/HepG2/100-0/tune-whole
interpret() {
  cistransfer interpret "$hepg2" --other "$1" --methods enrichment --out "$2" \
    --attribution gradient-input --on probability --examples "$run/sets/multiclass" --part test \
    --max-sequences 6000 --hit-p 1e-4 --min-sites 50 \
    --motifs "$data/motifs/JASPAR2020_CORE_vertebrates_non-redundant.meme"
}
interpret "$run/study/cells/K562/100-0/tune-whole" "$run/HepG2-against-K562"
interpret "$run/study/trunk" "$run/HepG2-against-trunk"

echo "6/6 report"
cistransfer report "$run"/study/cells/*/100-0/evaluation-test --out "$run/report.html"
