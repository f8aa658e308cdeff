#!/usr/bin/env bash
# Session logs to conversations: bytes a second and memory, with and without redaction, and a Python script that does the
# same step, in one run.
#
#   benchmarks/prep_chatlog.sh [BYTES] [LONG]
#
# BYTES of made-up logs (1 GB) are written under TMPDIR, one session in 200 with a line of LONG bytes (none). QLORA is
# the binary, CORES how many are used, REDACT the modes that are measured ("off mask").
set -euo pipefail
cd "$(dirname "$0")/.."
qlora=$(realpath "${QLORA:-bin/qlora}")
bytes=${1:-1000000000}
long=${2:-0}
cores=${CORES:-2}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 benchmarks/peers/chatlog_tree.py "$work/logs" "$bytes" --long "$long" --sources "${SOURCES:-$(go env GOROOT)/src}"
size=$(du -sb --apparent-size "$work/logs" | cut -f1)
cat "$work"/logs/*/*.jsonl >/dev/null # both read from the cache

export GOMAXPROCS=$cores
for redact in ${REDACT:-off mask}; do
	/usr/bin/time -f '%e %M %U %S' -o "$work/time" "$qlora" prep logs2sft --src "$work/logs" -o "$work/out.jsonl" \
		--workers "$cores" --redact "$redact" --quiet
	read -r seconds kilobytes user system <"$work/time"
	awk -v s="$seconds" -v k="$kilobytes" -v n="$size" -v mode="$redact" -v cpu="$user $system" 'BEGIN {
		split(cpu, part, " "); busy = part[1] + part[2]
		printf "qlora, redact %s: %.0f bytes in %.2f s, %.1f MB/s; %.2f s of processor, %.1f MB a second of it; %.0f MiB\n",
			mode, n, s, n / s / 1e6, busy, n / busy / 1e6, k / 1024 }'
done
[ -n "${NO_PEER:-}" ] || python3 benchmarks/peers/chatlog_peer.py "$work/logs" "$work/peer.jsonl" "$cores"
