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
motifs=$data/motifs/JASPAR2020_CORE_vertebrates_non-redundant.meme
mkdir -p "$run"

most=40000
[ "$quick" = --quick ] && most=4000

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
  --background tiles,shuffled --background-genome "$data/genome/hg38_blocks.fa.gz" --max-regions "$most" \
  --negatives others=0.45,nobody=0.5,universal=0.05 \
  --valid-chroms chr20 --test-chroms chr14,chr22 --out "$run/sets"

echo "3/6 pre-train, fine-tune, compare"
small='--axis max_positives=10000 --axis max_test_positives=3000'
if [ "$quick" = --quick ]; then
  small='--axis max_positives=400 --axis max_test_positives=300 --axis epochs=4
    --axis pretraining_epochs=2 --axis multiclass_epochs=2 --draws 1
    --strategies tune-whole,scratch-whole,multi-class,multi-class-published,pre-trained,trunk,gc,kmer,learning,calibration,motifs'
fi
# shellcheck disable=SC2086
cistransfer study run accessibility --file sets="$run/sets" \
  --file shuffled="$run/sets/pretraining-shuffled" --file motifs="$motifs" $small --out "$run/study"
cistransfer study collect "$run/study"
cistransfer study figures "$run/study"
cat "$run/study/summary.md"

echo "4/6 which differences are sure"
cistransfer compare "$run/study/results.tsv" --metric auroc --reference tune-whole \
  --out "$run/comparison"

echo "5/6 what the models learned: HepG2 against K562, and against the network before fine-tuning"
model() {
  cistransfer study models "$run/study" --strategies "$1" --axis size=100 --axis cell="$2" | cut -f 1
}
hepg2=$(model tune-whole HepG2)
trunk=$(cistransfer study models "$run/study" --strategies trunk | cut -f 1)
interpret() {
  cistransfer interpret "$hepg2" --other "$1" --methods enrichment --out "$2" \
    --attribution gradient-input --on probability --examples "$run/sets/multiclass" --part test \
    --max-sequences 6000 --hit-p 1e-4 --min-sites 50 \
    --motifs "$motifs"
}
interpret "$(model tune-whole K562)" "$run/HepG2-against-K562"
interpret "$trunk" "$run/HepG2-against-trunk"

echo "6/6 report"
for cell in GM12878 K562 HepG2 HCT116 A549 MCF-7; do
  tuned=$(model tune-whole "$cell")
  scratch=$(model scratch-whole "$cell")
  cistransfer evaluate "tune-whole=$tuned" "scratch-whole=$scratch" --baselines gc,kmer \
    --out "$run/evaluation/$cell"
done
cistransfer report "$run"/evaluation/* --out "$run/report.html"
