#!/bin/sh
# The whole path on real files: sh demo/real.sh DATA FOLDER
# DATA holds DHS clusters, ReMap peaks, UniBind TFBS and window sequences (docs/tutorial.md).
# HNF4A and SPI1 are learned from 500 bound regions each; the trunk has never seen either TF, and
# chr15 and chr21 are held out from every step.
set -eu
data=$1
run=$2
mkdir -p "$run"

echo "1/6 build the binding matrix"
cistransfer matrix build \
  --open "$data/wgEncodeRegDnaseClustered.txt.gz" \
  --dhs-sources "$data/wgEncodeRegDnaseClusteredSources.txt.gz" \
  --ucsc2encode "$data/ucsc2encode.tsv" \
  --samples "$data/samples.tsv" \
  --peaks "$data/remap2018_macs2_hg38.bed.gz" \
  --tfbs "$data/unibind_pwm_tfbs.tar.gz" \
  --out "$run/matrix.h5"

echo "2/6 pre-train on relatives of both targets: same binding mode, and cofactors"
cistransfer pretrain --matrix "$run/matrix.h5" --genome "$data/sequences" \
  --tfs NR2F1,NR2F2,NR2F6,RXRA,FOXA1,FOXA2,CEBPA,SP1,ETV1,ETV4,ETV6,ELF1,ELK4,ERG,ETS1,GABPA,RUNX3 \
  --valid-chroms chr15 --test-chroms chr21 --epochs 10 --out "$run/trunk"

for tf in HNF4A SPI1; do
  echo "3/6 fine-tune for $tf from 500 bound regions; the published recipe; the control from scratch"
  cistransfer finetune --trunk "$run/trunk" --matrix "$run/matrix.h5" --tf "$tf" --n-positives 500 \
    --genome "$data/sequences" --out "$run/$tf-transfer"
  cistransfer finetune --trunk "$run/trunk" --strategy published \
    --examples "$run/$tf-transfer/examples" --out "$run/$tf-published"
  cistransfer finetune --trunk scratch --examples "$run/$tf-transfer/examples" \
    --out "$run/$tf-scratch"
  cistransfer check "$run/$tf-transfer"
  echo "4/6 evaluate $tf on chr21"
  cistransfer evaluate "transfer=$run/$tf-transfer" "published=$run/$tf-published" \
    "scratch=$run/$tf-scratch" --out "$run/$tf-evaluation"
done

echo "5/6 score regions"
gzip -dc "$data/wgEncodeRegDnaseClustered.txt.gz" | awk -F '\t' '$2 == "chr21" {print $2 "\t" $3 "\t" $4}' \
  > "$run/chr21.dhs.bed"
cistransfer predict "$run/HNF4A-transfer" --regions "$run/chr21.dhs.bed" \
  --genome "$data/sequences" --out "$run/HNF4A.chr21.tsv.gz"

echo "6/6 report"
cistransfer report "$run/HNF4A-evaluation" "$run/SPI1-evaluation" --out "$run/report.html"
