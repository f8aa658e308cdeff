#!/bin/sh
# Runs the steps as Kubernetes Jobs, each after the one before it. The scripts
# are the ConfigMap qlora-scripts, the data is the volume claim qlora-data:
#
#   kubectl create configmap qlora-scripts --from-file=step.sh
#   PARTS=7 sh kubernetes.sh
set -eu
: "${PARTS:=7}" "${STEPS:=logs merge describe divide}"
here=$(dirname "$0")
for step in $STEPS; do
	case $step in
	logs | describe) completions=$PARTS ;;
	*) completions=1 ;;
	esac
	sed -e "s/STEP/$step/g" -e "s/COMPLETIONS/$completions/g" -e "s/PARTCOUNT/\"$PARTS\"/" "$here/job.yaml" | kubectl apply -f -
	kubectl wait --for=condition=complete --timeout=24h "job/qlora-$step"
done
