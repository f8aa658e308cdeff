#!/usr/bin/env bash
# Merging and splitting data against the same steps in Python with datasketch, one after the other on the same file.
#
#   benchmarks/prep_split.sh [BYTES] [PYTHON]
#
# PYTHON needs datasketch. QLORA names another binary than bin/qlora, RUNS how often each is run; the fastest run counts. Prints
# seconds, MB/s, the largest resident memory and the ratio, and fails below 10.
set -euo pipefail
cd "$(dirname "$0")/.."
bytes=${1:-50000000}
python=${2:-python3}
qlora=$(realpath "${QLORA:-bin/qlora}")
runs=${RUNS:-3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$python" benchmarks/peers/split_data.py "$bytes" 1 >"$work/data.jsonl"

# fastest NAME COMMAND...: seconds and kilobytes of the fastest run
fastest() {
	local name=$1
	shift
	for _ in $(seq "$runs"); do
		/usr/bin/time -f '%e %M' -o "$work/time" "$@" >"$work/$name.out" 2>&1 || { cat "$work/$name.out" >&2 && return 1; }
		cat "$work/time"
	done | sort -n | head -1
}

read -r ours memory < <(fastest ours "$qlora" prep split "$work/data.jsonl" --out-dir "$work/ours" --eval-frac 0.15)
read -r theirs peer_memory < <(fastest peer "$python" benchmarks/peers/split_peer.py "$work/data.jsonl" "$work/peer")
cat "$work/ours.out" "$work/peer.out"
awk -v bytes="$bytes" -v ours="$ours" -v theirs="$theirs" -v memory="$memory" -v peer="$peer_memory" 'BEGIN {
	printf "qlora %.2f s, %.1f MB/s, %d MB; peer %.2f s, %.1f MB/s, %d MB; %.1f times as fast\n",
		ours, bytes / ours / 1e6, memory / 1000, theirs, bytes / theirs / 1e6, peer / 1000, theirs / ours
	exit theirs / ours < 10
}'
