# For the scripts beside it: `source` it from the root of the repository. Sets qlora, model and work, an empty folder that is
# deleted at the end, and writes $work/chat.jsonl from the sample logs. Neither Go nor Python is needed.
qlora=$(realpath "${QLORA:-bin/qlora}")
model=$(realpath "${MODEL:-data/models/SmolLM2-135M-Instruct.Q4_1.gguf}")
[ -z "${QLORA_LIBRARY_PATH:-}" ] || export QLORA_LIBRARY_PATH=$(realpath "$QLORA_LIBRARY_PATH")
work=$(mktemp -d)
trap 'status=$?; [ $status = 0 ] || tail -v -n 4 "$work"/*/stderr 2>/dev/null; rm -rf "$work"' EXIT

# The samples end in a torn line, which is exit 3.
"$qlora" prep logs2sft --src data/staging/claude --out "$work/chat.jsonl" --quiet >/dev/null 2>&1 || [ $? = 3 ]

# train FOLDER [FLAG]...: the run "bench" in a folder of its own, every token of the logs trained in rows of 4 x 256. Its
# process id is in FOLDER/pid.
train() {
	local folder=$work/$1
	shift
	mkdir -p "$folder"
	(cd "$folder" && echo "$BASHPID" >pid && exec "$qlora" train -m "$model" --data "$work/chat.jsonl" --loss all --over-length truncate -c 256 \
		--micro-batch-size 4 --grad-accum 1 --rank 16 --seed 7 --template-date 2026-01-01 --log-every 1 --name bench "$@" >stdout 2>stderr)
}
