#!/usr/bin/env bash
# What repo2fim must show on real code: that every record holds, that parts and workers give one output, and how fast it is.
#
#   benchmarks/prep_fim.sh [FOLDER]
#
# The code is Django (Python), webpack (JavaScript) and Redis (C) from Debian, and the standard library of Go. FOLDER keeps what
# was downloaded; by default it is deleted at the end. Needs `make build`, Go, apt-get with network, dpkg-deb, tar, python3, and
# DEBIAN_MIRROR, the address of a mirror of Debian.
# Throughput counts the bytes of the files that records were made of; MB is 10^6 bytes. "cpu" is user and system time of all
# threads: on a machine that others use too, 2 cores could do in half of it what took longer. SPEED_ONLY=1 leaves out all but the speed.
set -euo pipefail
cd "$(dirname "$0")/.."
qlora=$(realpath "${QLORA:-bin/qlora}")
keep=${1:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
code=${keep:-$work/code}
mkdir -p "$code"
code=$(realpath "$code")

# fetch PACKAGE: the source of a Debian package, whatever the machine's own list of sources.
fetch() {
	local apt="$work/apt"
	mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial"
	local suite
	suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-bookworm}")
	echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${DEBIAN_MIRROR:?names a mirror of Debian} $suite main" >"$apt/sources.list"
	local options=(-qq -o "Dir::Etc::sourcelist=$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null -o "Dir::State=$apt/state" -o "Dir::Cache=$apt/cache")
	[ -e "$apt/updated" ] || apt-get "${options[@]}" update
	touch "$apt/updated"
	(cd "$apt" && apt-get "${options[@]}" source --download-only "$1" 2>/dev/null)
	mkdir -p "$code/$1"
	tar -xf "$(ls "$apt/$1"_*.orig.tar.* | head -n 1)" -C "$code/$1" --strip-components 1
}
[ -d "$code/python-django" ] || fetch python-django
[ -d "$code/node-webpack" ] || fetch node-webpack
[ -d "$code/redis" ] || fetch redis
golang=$(go env GOROOT)/src
repos=("$code/python-django" "$code/node-webpack" "$code/redis" "$golang")

if [ -z "${SPEED_ONLY:-}" ]; then
	echo "== records, held to their files and to the syntax trees"
	QLORA_FIM_REPOS=$(IFS=:; echo "${repos[*]}") go test -count=1 -v -timeout 30m -run TestRealRepositories ./internal/prep/fim | grep -E 'hold|^(---|ok|FAIL)'
fi

# repo2fim OUT REPO... [-- FLAG...]: one run; leaves its summary in $work/summary.
repo2fim() {
	local out=$1 args=()
	shift
	while [ $# -gt 0 ] && [ "$1" != -- ]; do args+=(--repo "$1") && shift; done
	[ $# -eq 0 ] || shift
	"$qlora" prep repo2fim "${args[@]}" --out "$out" --json "$@" 2>/dev/null >"$work/summary"
}

if [ -z "${SPEED_ONLY:-}" ]; then
	echo "== workers and parts"
	repo2fim "$work/1.jsonl" "${repos[@]}" -- --workers 1
	repo2fim "$work/8.jsonl" "${repos[@]}" -- --workers 8
	cmp "$work/1.jsonl" "$work/8.jsonl" && echo "1 and 8 workers: the same $(stat -c %s "$work/1.jsonl") bytes"
	for n in 2 7; do
		for i in $(seq "$n"); do repo2fim "$work/part-$i.jsonl" "${repos[@]}" -- --shard "$i/$n"; done
		"$qlora" prep merge "$work"/part-*.jsonl --out "$work/merged.jsonl" >/dev/null 2>&1
		cmp "$work/1.jsonl" "$work/merged.jsonl" && echo "$n parts: the same bytes"
		rm "$work"/part-*
	done
	rm "$work"/*.jsonl
fi

# timed NAME COMMAND...: runs it and prints megabytes a second. The command leaves the bytes used in $work/summary.
timed() {
	local name=$1 TIMEFORMAT='%R %U %S'
	shift
	{ time "$@" 2>"$work/err"; } 2>"$work/time" || { cat "$work/err" >&2; return 1; }
	python3 - "$name" "$work/summary" "$work/time" <<'EOF'
import json, sys
name, summary, time = sys.argv[1:]
text = open(summary).read().strip()
used, size = (lambda d: (d["files_used"], d["bytes_used"]))(json.loads(text.splitlines()[-1])) if text.startswith("{") else map(int, text.split())
wall, user, system = map(float, open(time).read().split())
print(f"{name:34} {used:6} files {size/1e6:7.1f} MB  wall {wall:6.2f} s {size/1e6/wall:6.1f} MB/s  cpu {user+system:6.2f} s, {2*size/1e6/(user+system):6.1f} MB/s on 2 cores")
EOF
}
peer() { python3 benchmarks/peers/fim_peer.py "$work/peer.jsonl" 2 "$@" >"$work/summary"; }
plain=(--spans line:1,char:1 --level file:1 --workers 2)

echo "== throughput, load $(cut -d ' ' -f 1-3 /proc/loadavg)"
for round in 1 2 3; do
	timed "no syntax, no redaction, all" repo2fim "$work/out.jsonl" "${repos[@]}" -- "${plain[@]}" --redact off
	timed "no syntax, redaction, all" repo2fim "$work/out.jsonl" "${repos[@]}" -- "${plain[@]}"
	timed "Python peer, 2 processes, all" peer "${repos[@]}"
	for lang in python:python-django javascript:node-webpack c:redis; do
		for redact in off mask; do
			timed "syntax, ${lang%%:*}, redact $redact" repo2fim "$work/out.jsonl" "$code/${lang##*:}" -- --level file:1 --workers 2 --redact "$redact" --lang "${lang%%:*}"
		done
		timed "syntax and repositories, ${lang%%:*}" repo2fim "$work/out.jsonl" "$code/${lang##*:}" -- --workers 2 --redact off --lang "${lang%%:*}"
	done
done
timed "defaults, all" repo2fim "$work/out.jsonl" "${repos[@]}" -- --workers 2
