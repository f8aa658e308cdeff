#!/usr/bin/env bash
# What `qlora test perf` measures of libllama, against a loop in C on the same library, in turns.
#
#   benchmarks/perf_loop.sh MODEL.gguf [TURNS] [PROMPT] [GENERATE] [THREADS]
#
# Prints the medians of both over all rounds of all turns, and their ratio. On the CPU.
set -euo pipefail
model=$(realpath "$1")
turns=${2:-5} prompt=${3:-128} generate=${4:-32} threads=${5:-$(nproc)}
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
make --no-print-directory build
export CGO_CFLAGS="${CGO_CFLAGS:--O3 -march=native}" CGO_CXXFLAGS="${CGO_CXXFLAGS:--O3 -march=native}"
go build -o "$work/perfloop" ./benchmarks/perfloop
for _ in $(seq "$turns"); do
	"$work/perfloop" "$model" "$prompt" "$generate" 3 "$threads" | sed 's/^/c /'
	bin/qlora test perf -m "$model" -p "$prompt" -n "$generate" -r 3 -t "$threads" --device cpu -o benchfmt -q |
		awk '/^BenchmarkPrompt/ { print "qlora prompt", $(NF - 1) } /^BenchmarkGenerate/ { print "qlora generate", $(NF - 1) }'
done >"$work/rates"
for test in prompt generate; do
	for side in c qlora; do
		awk -v s="$side" -v t="$test" '$1 == s && $2 == t { print $3 }' "$work/rates" | sort -g | awk '{ v[NR] = $1 } END { print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'
	done | paste -sd ' ' | awk -v t="$test" '{ printf "%s: C %.2f tokens/s, qlora %.2f tokens/s, ratio %.3f\n", t, $1, $2, $2 / $1 }'
done
