#!/bin/sh
# The one way in: `serve` for SageMaker and people, and the offline tools. Environment defaults live here.
set -eu

# The program is found wherever it lies, and nothing of the working directory is imported.
program=$(cd "$(dirname "$0")" && pwd)
export PYTHONPATH="$program${PYTHONPATH:+:$PYTHONPATH}" PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1
# Lanes set their own width; this keeps every other library from starting a thread a core.
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
# torch and IPEX register one kernel twice, and say so at each start.
export TORCH_CPP_LOG_LEVEL="${TORCH_CPP_LOG_LEVEL:-ERROR}"

case "${1:-}" in
serve)
  exec python -m serve
  ;;
healthcheck)
  exec python -m container.healthcheck
  ;;
quantize | evaluate | benchmark)
  tool=$1
  shift
  unset OMP_NUM_THREADS # the tools use every core
  exec python -m "tools.$tool" "$@"
  ;;
*)
  echo "usage: serve | quantize ARGS | evaluate ARGS | benchmark ARGS   (--help after a tool shows its arguments)" >&2
  exit 64
  ;;
esac
