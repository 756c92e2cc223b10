#!/bin/sh
# Says in one line what to do where the kernels cannot run.
image="use the image instead: docker build -t bert-qa . && docker run --rm -p 8080:8080 bert-qa serve"
if [ "$(uname -sm)" != "Linux x86_64" ]; then
  echo "This needs Linux on x86-64, here is $(uname -sm); $image" >&2
  exit 1
fi
if ! "$PYTHON" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
  echo "This needs Python 3.11 (PYTHON=/path/to/python3.11 names one); or $image" >&2
  exit 1
fi
