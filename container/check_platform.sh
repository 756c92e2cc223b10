#!/bin/sh
# Checks that this machine can run the kernels, and prints one line that says what to do if it cannot.
image="docker build --platform linux/amd64 -t bert-qa . && docker run --rm --platform linux/amd64 -p 8080:8080 bert-qa serve"
case "$(uname -sm)" in
  "Linux x86_64") ;;
  *arm64 | *aarch64)
    echo "bert-qa needs Linux on x86-64, but this machine runs $(uname -sm). Use the image in an emulator with AVX2, such as Rosetta on macOS 15, which is slow, but runs everything: $image" >&2
    exit 1 ;;
  *)
    echo "bert-qa needs Linux on x86-64, but this machine runs $(uname -sm). Use the image instead: $image" >&2
    exit 1 ;;
esac
if ! "$PYTHON" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
  echo "bert-qa needs Python 3.11. Set PYTHON=/path/to/python3.11 if it is installed elsewhere, or use the image: $image" >&2
  exit 1
fi
