#!/bin/sh
# Checks that this machine can run the kernels, and prints one line that says what to do if it cannot.
image="Use the image instead: docker build -t bert-qa . && docker run --rm -p 8080:8080 bert-qa serve"
if [ "$(uname -sm)" != "Linux x86_64" ]; then
  echo "bert-qa needs Linux on x86-64, but this machine runs $(uname -sm). $image" >&2
  exit 1
fi
if ! "$PYTHON" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
  echo "bert-qa needs Python 3.11. Set PYTHON=/path/to/python3.11 if it is installed elsewhere. $image" >&2
  exit 1
fi
