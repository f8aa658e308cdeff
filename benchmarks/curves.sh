#!/usr/bin/env bash
# The same training on the CPU and on a GPU: 200 steps of SmolLM2-135M on the sample logs, loss by loss.
#
#   benchmarks/curves.sh [STEPS] [PRECISION]
#
# PRECISION is that of the GPU: bf16, f16 or f32. QLORA, MODEL and QLORA_LIBRARY_PATH name other files than those of `make
# build smollm2 cuda`; DEVICE, another device than cuda; HOST, the metrics.jsonl of a CPU run that was kept. KEEP names a file
# that gets the metrics of this one's CPU run; with DEVICE=none that is all it does. Prints the largest relative difference of
# the losses of a step and of their means over 20 steps; the latter may be 1 %, else exit 1.
set -euo pipefail
cd "$(dirname "$0")/.."
source benchmarks/common.sh
steps=${1:-200}
precision=${2:-auto}

if [ -n "${HOST:-}" ]; then
	mkdir -p "$work/host/runs/bench"
	cp "$HOST" "$work/host/runs/bench/metrics.jsonl"
else
	train host --device cpu --max-steps "$steps" --quiet
	[ -z "${KEEP:-}" ] || cp "$work/host/runs/bench/metrics.jsonl" "$KEEP"
fi
[ "${DEVICE:-}" != none ] || exit 0
train device --device "${DEVICE:-cuda}" --precision "$precision" --max-steps "$steps" --quiet

# step and loss of every report
losses() {
	sed -n 's/^{"step":\([0-9]*\),.*"loss":\([0-9.e+-]*\),"grad_norm".*/\1 \2/p' "$work/$1/runs/bench/metrics.jsonl"
}
losses host >"$work/host.txt"
losses device >"$work/device.txt"
paste -d ' ' "$work/host.txt" "$work/device.txt" | awk -v steps="$steps" '
	function abs(x) { return x < 0 ? -x : x }
	$1 != $3 || NF != 4 { print "step " $1 " of one run meets step " $3 " of the other"; bad = 1; exit 1 }
	{
		a[NR] = $2; b[NR] = $4; sum_a += $2; sum_b += $4
		if (abs($4 - $2) / $2 > raw) { raw = abs($4 - $2) / $2; raw_step = $1 }
		if (NR > 20) { sum_a -= a[NR - 20]; sum_b -= b[NR - 20] }
		if (NR >= 20 && abs(sum_b - sum_a) / sum_a > smooth) { smooth = abs(sum_b - sum_a) / sum_a; smooth_step = $1 }
	}
	END {
		if (bad || NR != steps || NR < 20) { print NR " of " steps " steps compared, at least 20 are needed"; exit 1 }
		printf "loss of step 1: %.5f and %.5f; of step %d: %.5f and %.5f\n", a[1], b[1], NR, a[NR], b[NR]
		printf "largest relative difference: %.3f %% of a step (%d), %.3f %% of the mean over 20 (step %d)\n", 100 * raw, raw_step, 100 * smooth, smooth_step
		exit smooth > 0.01
	}'
