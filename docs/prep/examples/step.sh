#!/bin/sh
# One step of preparing data in parts.
#
#   step.sh logs       a part of the logs becomes conversations
#   step.sh merge      the parts become one file
#   step.sh describe   a part of the records is described
#   step.sh divide     the records become train.jsonl and eval.jsonl
#
# logs and describe run once for each part, side by side, on any machines that
# share the folders; merge and divide run once, when all parts are there. Which
# part this is comes from Slurm's array or from Kubernetes' indexed Job. A step
# that failed is run again: it replaces its own part.
set -eu
: "${LOGS:=logs}" "${SCRATCH:=work}" "${OUT:=data}" "${PARTS:=1}"

if [ -n "${SLURM_ARRAY_TASK_ID:-}" ]; then
	part=$((SLURM_ARRAY_TASK_ID - ${SLURM_ARRAY_TASK_MIN:-1} + 1))
	count=$SLURM_ARRAY_TASK_COUNT
else
	part=$((${JOB_COMPLETION_INDEX:-0} + 1)) # from 0
	count=$PARTS
fi

# Exit status 3 says that lines of the input were skipped, and which.
run() { "$@" || [ $? -eq 3 ]; }

case $1 in
logs) run qlora prep logs2sft --src "$LOGS" --out "$SCRATCH/chat/$part.jsonl" --shard "$part/$count" ;;
merge) qlora prep merge "$SCRATCH"/chat/*.jsonl --out "$SCRATCH/chat.jsonl" ;;
describe) run qlora prep split "$SCRATCH"/*.jsonl --name full --parts "$SCRATCH/parts" --shard "$part/$count" ;;
divide) run qlora prep split "$SCRATCH"/*.jsonl --name full --parts "$SCRATCH/parts" --out-dir "$OUT" --eval-frac 0.15 ;;
*) echo "step.sh: no step $1" >&2 && exit 2 ;;
esac
