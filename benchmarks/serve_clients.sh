#!/usr/bin/env bash
# The official openai packages for Python and Node against qlora serve, on the
# embedded model and an adapter to it. Both packages are installed into a
# temporary folder. Needs Python 3 with venv, Node and npm.
#
#   make build && benchmarks/serve_clients.sh [model.gguf adapter.gguf]
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
work=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; rm -rf "$work"' EXIT
model=$(realpath "${1:-internal/embedded/weights/model.gguf}")
adapter=${2:-}
if [ -z "$adapter" ]; then # a step of training makes one
	printf '{"text":"package main"}\n' >"$work/data.jsonl"
	(cd "$work" && "$root/bin/qlora" train -m "$model" --data data.jsonl --name mine -c 64 --max-steps 1 --rank 4 -q >/dev/null)
	adapter=$work/outputs/mine/adapter.gguf
fi
bin/qlora serve -m "$model" --alias base --lora mine="$adapter" --port 0 --json >"$work/events" 2>"$work/log" &
server=$!
until grep -qs '"listening"' "$work/events"; do
	kill -0 "$server" || { cat "$work/log" >&2; exit 1; }
	sleep 0.1
done
url=$(sed -n 's/.*"address":"\([^"]*\)".*/\1/p' "$work/events")/v1
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet openai
"$work/venv/bin/python" benchmarks/peers/openai_client.py "$url" base mine
(cd "$work" && npm install --silent --no-audit --no-fund openai >/dev/null && node "$root/benchmarks/peers/openai_client.mjs" "$url" base mine)
