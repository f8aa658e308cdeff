#!/usr/bin/env bash
# prep stats on about 1 GB of fill-in-the-middle records and on 200 MB of chats:
# seconds, processor seconds, MB/s of each, peak memory; then the Python peer on the same files.
#
#   benchmarks/prep_stats.sh [model.gguf]
set -euo pipefail
cd "$(dirname "$0")/.."
make -s build
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

bin/qlora prep repo2fim --repo . --out "$work/fim.jsonl" -q >/dev/null
bin/qlora prep logs2sft --src data/staging/claude --out "$work/chat.jsonl" -q >/dev/null 2>/dev/null || [ $? = 3 ] # the samples end in a torn line
repeat() { # FILE BYTES: the file again and again, up to BYTES
	local size times
	size=$(stat -c %s "$1")
	times=$(($2 / size))
	for ((i = 0; i < times; i++)); do cat "$1"; done
}
repeat "$work/fim.jsonl" 1000000000 >"$work/fim-big.jsonl"
repeat "$work/chat.jsonl" 200000000 >"$work/chat-big.jsonl"

measure() { # LABEL FILE COMMAND...
	local label=$1 file=$2
	shift 2
	python3 - "$label" "$file" "$@" <<'PY'
import os, resource, subprocess, sys, time
label, path, command = sys.argv[1], sys.argv[2], sys.argv[3:]
start = time.monotonic()
subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
seconds = time.monotonic() - start
used = resource.getrusage(resource.RUSAGE_CHILDREN)
cpu, peak = used.ru_utime + used.ru_stime, used.ru_maxrss / 1024
size = os.path.getsize(path) / 1e6
print(f"{label:24} {size:7.1f} MB {seconds:7.2f} s {size / seconds:7.1f} MB/s  cpu {cpu:7.2f} s {size / cpu:7.1f} MB/s {peak:6.0f} MiB")
PY
}
for name in fim-big chat-big; do
	file=$work/$name.jsonl
	measure "$name, estimate" "$file" bin/qlora prep stats "$file" --json
	measure "$name, Python" "$file" python3 benchmarks/peers/stats_peer.py "$file"
done
if [ $# -gt 0 ]; then
	measure "fim, $(basename "$1")" "$work/fim.jsonl" bin/qlora prep stats "$work/fim.jsonl" -m "$1" --json
	measure "chat, $(basename "$1")" "$work/chat.jsonl" bin/qlora prep stats "$work/chat.jsonl" -m "$1" --json
fi
