#!/usr/bin/env bash
# Training on a GPU gives the same bytes twice, and again when it is killed at some moment and resumed.
#
#   benchmarks/resume_cuda.sh [STEPS] [PRECISION]
#
# QLORA, MODEL and QLORA_LIBRARY_PATH name other files than those of `make build smollm2 cuda`; DEVICE, another device than
# cuda. Exit 1 when an adapter differs.
set -euo pipefail
cd "$(dirname "$0")/.."
source benchmarks/common.sh
steps=${1:-60}
flags=(--device "${DEVICE:-cuda}" --precision "${2:-auto}" --max-steps "$steps" --dropout 0.05 --save-every 5 --quiet)

same() {
	if ! cmp "$work/first/outputs/bench/adapter.gguf" "$work/$1/outputs/bench/adapter.gguf"; then
		echo "$2: another adapter"
		exit 1
	fi
	echo "$2: the same bytes"
}

train first "${flags[@]}"
train second "${flags[@]}"
same second "a second run"

# killed after some steps, once a checkpoint is there
train killed "${flags[@]}" 2>/dev/null &
job=$!
until [ -e "$work/killed/outputs/bench/checkpoint-10/DONE" ]; do
	kill -0 "$job" 2>/dev/null || { echo "the run ended before it was killed"; exit 1; }
	sleep 0.05
done
sleep 0.2
kill -KILL "$(<"$work/killed/pid")"
wait "$job" 2>/dev/null && { echo "the run had finished before it was killed; give more steps"; exit 1; }
echo "killed after step $(sed -n '$s/^{"step":\([0-9]*\),.*/\1/p' "$work/killed/runs/bench/metrics.jsonl") of $steps"
train killed "${flags[@]}" --resume last
same killed "killed and resumed"
