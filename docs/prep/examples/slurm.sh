#!/bin/sh
# Submits the steps to Slurm, each after the one before it.
#
#   PARTS=7 sh slurm.sh
set -eu
: "${PARTS:=7}" "${STEPS:=logs merge describe divide}"
here=$(dirname "$0")
after=
for step in $STEPS; do
	case $step in
	logs | describe) array="--array=1-$PARTS" ;;
	*) array= ;;
	esac
	# Unquoted where an option may be absent.
	job=$(sbatch --parsable --job-name="qlora-$step" --cpus-per-task=4 --mem=2G \
		$array ${after:+--dependency=afterok:$after} "$here/step.sh" "$step")
	echo "$step: job $job"
	after=$job
done
