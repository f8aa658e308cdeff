#!/usr/bin/env bash
# Reads the machine code of our kernels: is what was meant to be there in it? `make cuda-check` runs it.
#
#   internal/ggml/cuda/check_sass.sh OBJECTS    a folder of .o files; CUOBJDUMP names the tool
#
# - Every f16 attention kernel that a device of the object's capability may launch has matrix instructions (HMMA), and every bf16
#   one from 8.0 on. Kernels that copy asynchronously have no body below 8.0.
# - Attention has no static shared memory (the 1 KiB that CUDA takes from 8.0 on aside): what is dynamic is all of it, and
#   attention_launch.cuh holds that to 64 KiB for 7.5.
# - A tensor-core kernel keeps at most SPILL_LIMIT bytes a thread in local memory, and those that 7.5 launches at most sixteen, the bounds of its heads in dK and dV;
#   no other kernel keeps more than STACK_LIMIT: the plain attention indexes its sums at run time.
# Linears run on cuBLAS and have no code here.
set -euo pipefail
objects=${1:?usage: check_sass.sh OBJECTS}
cuobjdump=${CUOBJDUMP:-cuobjdump}
export SPILL_LIMIT=64 STACK_LIMIT=64

# audit_code FILE prints a line for each kernel without what it needs.
audit_code() {
	"$cuobjdump" -sass "$1" | awk '
		function judge() {
			if (name == "") return
			body = capability >= 80 || name ~ /attention_configI.*Lb0ELi/
			if (body && !products) { printf "%s: sm_%d: no matrix instruction in %s\n", file, capability, name; bad = 1 }
			if (body) { kernels++; total += products }
			name = ""
		}
		$1 == "code" && $3 ~ /^sm_/ { judge(); capability = substr($3, 4) + 0 }
		$1 == "Function" { judge(); products = 0; name = $3 }
		/[ \t]HMMA\./ { products++ }
		END {
			judge()
			if (!kernels) { printf "%s: holds no kernel with a body\n", file; bad = 1 }
			if (!bad) printf "%s: %d kernels with %d matrix instructions\n", file, kernels, total
			exit bad
		}' file="$(basename "$1")"
}

# audit_memory FILE does the same for the memory of all kernels in it.
audit_memory() {
	{ "$cuobjdump" -res-usage "$1" || true; } 2>&1 | awk '
		function value(key) { return match($0, key ":[0-9]+") ? substr($0, RSTART + length(key) + 1, RLENGTH - length(key) - 1) + 0 : 0 }
		$1 == "arch" { reserved = substr($3, 4) >= 80 ? 1024 : 0 }
		$1 == "Function" { name = $2; sub(/:$/, "", name) }
		/ REG:/ || /^REG:/ {
			limit = ENVIRON[name ~ /attention_config/ ? "SPILL_LIMIT" : "STACK_LIMIT"]
			if (name ~ /attention_configI.*Lb0ELi/) limit = 16
			if (value("STACK") > limit || value("LOCAL") > limit) { printf "%s: %d bytes of local memory in %s, at most %d wanted\n", file, value("STACK") + value("LOCAL"), name, limit; bad = 1 }
			if (name ~ /attention_config/ && value("SHARED") > reserved) { printf "%s: %d bytes of static shared memory in %s\n", file, value("SHARED"), name; bad = 1 }
		}
		END { exit bad }' file="$(basename "$1")"
}

failed=0
for kind in forward backward_q backward_kv; do
	object=$(find "$objects" -name "attention_$kind.cu.o*" ! -name '*.key' | head -n 1)
	if [ -z "$object" ]; then
		echo "check_sass.sh: $objects holds no attention_$kind.cu.o" >&2
		exit 1
	fi
	audit_code "$object" || failed=1
done
while IFS= read -r object; do
	audit_memory "$object" || failed=1
done < <(find "$objects" -name '*.cu.o' | sort)
[ "$failed" = 0 ] || exit 1
echo "matrix instructions, shared and local memory of our kernels are as they should be"
