#!/usr/bin/env bash
# The chat page in headless Chromium: answers by keyboard alone, nothing in the
# console, nothing loaded from elsewhere; pictures into docs/images. Needs
# Chromium, Node and npm; an adapter beside the base, if one is given.
#
#   make build && benchmarks/serve_page.sh [model.gguf name=adapter.gguf]
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
work=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; rm -rf "$work"' EXIT
bin/qlora serve -m "${1:-internal/embedded/weights/model.gguf}" --alias base ${2:+--lora "$2"} --port 0 --json >"$work/events" 2>"$work/log" &
server=$!
until grep -qs '"listening"' "$work/events"; do
	kill -0 "$server" || { cat "$work/log" >&2; exit 1; }
	sleep 0.1
done
url=$(sed -n 's/.*"address":"\([^"]*\)".*/\1/p' "$work/events")
cd "$work"
npm install --silent --no-audit --no-fund puppeteer-core >/dev/null
node "$root/benchmarks/peers/serve_page.mjs" "$url" "$root/docs/images"
