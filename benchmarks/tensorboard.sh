#!/usr/bin/env bash
# Does TensorBoard read in our event files what metrics.jsonl says? Trains the embedded model for some steps, interrupts a
# second run by SIGKILL and resumes it, and compares every scalar of both.
#
#   benchmarks/tensorboard.sh PYTHON
#
# PYTHON has the package tensorboard; `make build` comes first. Exit status 1 when a scalar differs.
set -euo pipefail
cd "$(dirname "$0")/.."
python=$(realpath -s "$1")
MODEL=internal/embedded/weights/model.gguf
source benchmarks/common.sh

# 24 steps with evaluations between the reports, and on them.
train whole --max-steps 24 --log-every 2 --eval-data "$work/chat.jsonl" --eval-every 3 --save-every 0
"$python" benchmarks/tensorboard_scalars.py "$work/whole/runs/bench"

# A run that is killed after its report of step 9 or later and goes on from the checkpoint of step 4 or 8.
steps=(--max-steps 40 --save-every 4 --keep-last 1)
train killed "${steps[@]}" &
until grep -q '"step":9,' "$work/killed/runs/bench/metrics.jsonl" 2>/dev/null; do sleep 0.02; done
kill -9 "$(cat "$work/killed/pid")"
wait || true
echo "killed after step $(tail -n 1 "$work/killed/runs/bench/metrics.jsonl" | grep -o '"step":[0-9]*' | cut -d: -f2)"
train killed "${steps[@]}" --resume last
ls "$work"/killed/runs/bench/events.out.* | wc -l | sed 's/$/ event files/'
"$python" benchmarks/tensorboard_scalars.py "$work/killed/runs/bench"
