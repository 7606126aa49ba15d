#!/bin/sh
# The whole path on simulated data: sh demo/simulated.sh FOLDER
# The truth is planted: HNF4G shares its motif with HNF4A, NR2F2 and RXRA, and binds only beside a
# FOXA1 site; only 60 of its bound regions are used.
set -eu
run=$1
mkdir -p "$run"

echo "1/7 simulate a genome, DHS, peaks and TFBS"
cistransfer simulate --out "$run/data" --n-regions 40000

echo "2/7 build the binding matrix"
cistransfer matrix build \
  --open "$run/data/wgEncodeRegDnaseClustered.txt.gz" \
  --dhs-sources "$run/data/wgEncodeRegDnaseClusteredSources.txt.gz" \
  --ucsc2encode "$run/data/ucsc2encode.tsv" \
  --samples "$run/data/samples.tsv" \
  --peaks "$run/data/remap.bed.gz" \
  --tfbs "$run/data/unibind_tfbs.tar.gz" \
  --out "$run/matrix.h5"

echo "3/7 pre-train on the relatives"
cistransfer pretrain --matrix "$run/matrix.h5" --genome "$run/data/genome.fa" \
  --tfs HNF4A,NR2F2,RXRA,FOXA1 --valid-chroms chr2 --test-chroms chr3,chr4 --epochs 10 \
  --out "$run/trunk"

echo "4/7 fine-tune for HNF4G from 60 bound regions"
cistransfer finetune --trunk "$run/trunk" --matrix "$run/matrix.h5" --tf HNF4G --n-positives 60 \
  --motifs "$run/data/motifs.meme" --genome "$run/data/genome.fa" --out "$run/HNF4G-transfer"

echo "5/7 the same examples by the published recipe, and the control from scratch"
cistransfer finetune --trunk "$run/trunk" --strategy published \
  --examples "$run/HNF4G-transfer/examples" --out "$run/HNF4G-published"
cistransfer finetune --trunk scratch --examples "$run/HNF4G-transfer/examples" \
  --out "$run/HNF4G-scratch"

echo "6/7 score regions"
cistransfer check "$run/HNF4G-transfer"
cistransfer predict "$run/HNF4G-transfer" --regions "$run/data/open.bed.gz" \
  --genome "$run/data/genome.fa" --out "$run/HNF4G.scores.tsv.gz"

echo "7/7 evaluate on held-out chromosomes, five unbound regions to a bound one, and report"
cistransfer examples --trunk "$run/trunk" --matrix "$run/matrix.h5" --tf HNF4G --n-positives 60 \
  --ratio 5 --genome "$run/data/genome.fa" --out "$run/HNF4G-regions"
cistransfer evaluate "transfer=$run/HNF4G-transfer" "published=$run/HNF4G-published" \
  "scratch=$run/HNF4G-scratch" --baselines gc,motif --motifs "$run/data/motifs.meme" \
  --examples "$run/HNF4G-regions" --out "$run/HNF4G-evaluation"
cistransfer report "$run/HNF4G-evaluation" --out "$run/report.html"
