#!/usr/bin/env bash
# 64 clients that stream from qlora serve for five minutes, after one alone for
# thirty seconds, on the embedded model. Prints a line of JSON for each, the
# processor time of both processes, and the exit code of the server.
#
#   make build && benchmarks/serve_load.sh [SECONDS [FLAG OF SERVE]...]
#
#   MODEL                GGUF file to serve instead of the embedded model
#   QLORA                the binary [bin/qlora]
#   QLORA_LIBRARY_PATH   the CUDA library [where the binary finds it]
#   SERVELOAD            benchmarks/serveload, compiled [made with go build]
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-300}
shift || true
[ $# -gt 0 ] || set -- -t 1 --contexts 2
work=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; rm -rf "$work"' EXIT
serveload=${SERVELOAD:-$work/serveload}
[ -n "${SERVELOAD:-}" ] || go build -o "$serveload" ./benchmarks/serveload
"${QLORA:-bin/qlora}" serve -m "${MODEL:-internal/embedded/weights/model.gguf}" -np 64 --port 0 --json "$@" >"$work/events" 2>"$work/log" &
server=$!
until grep -qs '"listening"' "$work/events"; do
	kill -0 "$server" || { cat "$work/log" >&2; exit 1; }
	sleep 0.1
done
url=$(sed -n 's/.*"address":"\([^"]*\)".*/\1/p' "$work/events")
engine=$(pgrep -P "$server")
ticks() { awk '{print $14+$15}' "/proc/$1/stat"; }
echo "flags: $*; $(nproc) processors; $(uptime)"
for clients in 1 64; do
	span=$seconds
	[ "$clients" = 64 ] || span=$((seconds < 30 ? seconds : 30))
	before=$(ticks "$engine") before_server=$(ticks "$server")
	"$serveload" -url "$url" -clients "$clients" -seconds "$span" -pids "$server,$engine"
	echo "processor time: engine $((($(ticks "$engine") - before) * 10)) ms, HTTP $((($(ticks "$server") - before_server) * 10)) ms"
done
uptime
kill -INT "$server"
wait "$server" && echo "exit 0"
