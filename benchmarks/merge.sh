#!/usr/bin/env bash
# Merging an adapter into SmolLM2-135M Q4_1 as F16, against copying the result and waiting for the disk, in turns.
#
#   benchmarks/merge.sh ADAPTER.gguf [ROUNDS]
#
# `make build smollm2` comes first; prints seconds of each, their ratio, and the merge's peak RSS (GNU time).
set -euo pipefail
cd "$(dirname "$0")/.."
adapter=$1
rounds=${2:-5}
model=data/models/SmolLM2-135M-Instruct.Q4_1.gguf
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for round in $(seq "$rounds"); do
	rm -f "$work/merged.gguf" "$work/copy.gguf"
	/usr/bin/time -f '%e %M' -o "$work/time" bin/qlora merge -m "$model" --lora "$adapter" -o "$work/merged.gguf" --type f16 --quiet >/dev/null
	read -r merge rss <"$work/time"
	/usr/bin/time -f '%e' -o "$work/time" sh -c 'cp "$0" "$1" && sync "$1"' "$work/merged.gguf" "$work/copy.gguf"
	read -r copy <"$work/time"
	awk -v m="$merge" -v c="$copy" -v r="$rss" -v n="$round" \
		'BEGIN { printf "round %d: merge %.2f s, cp and sync %.2f s, %.2f of its speed, peak RSS %.0f MB\n", n, m, c, c / m, r / 1024 }'
done
