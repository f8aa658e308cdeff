#!/usr/bin/env bash
# Training on one GPU against transformers + PEFT, row by row in one run. Prints a table; raw results go to FOLDER.
#
#   benchmarks/train_cuda.sh FOLDER [ROWS...]     [core]: under five minutes on an H100
#   benchmarks/train_cuda.sh --list               the groups of rows and the rows in them
#
# ROWS are groups or rows, with * and ? as in a shell: benchmarks/train_cuda.sh out core '1.5b*' precision
#
#   QLORA                the binary [bin/qlora, of `make build`]
#   QLORA_LIBRARY_PATH   the CUDA library [where the binary finds it]
#   PYTHON               with torch, transformers and peft [python3]
#   MODELS               folder for the synthetic models, kept [a temporary one]
#   PEER=0               leaves the peer out; then only --ceiling TFLOPS, if given, makes a share
#
# Ends with 1 when a row of ours has no result.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export QLORA=${QLORA:-$here/../bin/qlora}
exec "${PYTHON:-python3}" "$here/train_cuda.py" "$@"
