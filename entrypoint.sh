#!/bin/sh
# Start one program: the server (`serve`), its health check, or an offline tool. This script also sets the defaults of the
# environment variables that libraries read.
set -eu

# Python finds the program in the directory of this script, and imports nothing from the working directory.
program=$(cd "$(dirname "$0")" && pwd)
export PYTHONPATH="$program${PYTHONPATH:+:$PYTHONPATH}" PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1
# Each lane sets its own number of threads. This value keeps other libraries from starting one thread per core.
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
# torch and IPEX register one kernel twice, and would write a warning at each start.
export TORCH_CPP_LOG_LEVEL="${TORCH_CPP_LOG_LEVEL:-ERROR}"

case "${1:-}" in
serve)
  shift
  exec python -m serve "$@"
  ;;
healthcheck)
  exec python -m container.healthcheck
  ;;
quantize | evaluate | benchmark)
  tool=$1
  shift
  if [ ! -d "$program/tools" ]; then
    echo "$tool is not in this image, which was built with \`--target\`. Build an image without this option to run it." >&2
    exit 64
  fi
  unset OMP_NUM_THREADS # the tools use every core
  exec python -m "tools.$tool" "$@"
  ;;
*)
  [ -d "$program/tools" ] || { echo "usage: serve [--plan]" >&2; exit 64; }
  echo "usage: serve [--plan] | quantize ARGS | evaluate ARGS | benchmark ARGS   (--help after a tool shows its arguments)" >&2
  exit 64
  ;;
esac
