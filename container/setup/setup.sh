#!/bin/sh
# Creates the virtual environment VENV from the pinned requirements. It says first what it will download, and goes on
# where an interrupted run has stopped. uv installs the packages if it is there, else pip does. `make setup` runs it with PYTHON, VENV and TORCH_INDEX_URL.
set -eu
cd "$(dirname "$0")/../.."
sh container/check_platform.sh

if [ -n "${TORCH_INDEX_URL:-}" ]; then
  echo "Set-up, once: torch comes from $TORCH_INDEX_URL."
else
  echo "Set-up, once: downloads about 4.2 GB, and $VENV will take 8 GB, because torch brings CUDA's libraries."
  echo "PyTorch's CPU wheels work as well and take 6 GB less. To use them, stop with Ctrl-C and add to the command:"
  echo "  TORCH_INDEX_URL=https://download.pytorch.org/whl/cpu"
fi

# Changed requirements, and torch from another index, need a new environment. One that an interruption has left incomplete
# is completed. The old one is renamed first: if its removal is interrupted, it is not taken for one to complete.
index="$VENV/torch-index"
if [ -e "$VENV/ready" ] || { [ -e "$index" ] && [ "$(cat "$index")" != "${TORCH_INDEX_URL:-}" ]; }; then
  rm -rf "$VENV.old"
  mv "$VENV" "$VENV.old"
fi
rm -rf "$VENV.old"
"$PYTHON" -m venv "$VENV"
echo "${TORCH_INDEX_URL:-}" > "$index"
pip="$VENV/bin/python -m pip"
install="$pip install --disable-pip-version-check"
index_option=--index-url
if command -v uv >/dev/null; then
  echo "uv installs the packages. It keeps what it has downloaded, and downloads nothing twice."
  install="uv pip install --python $VENV/bin/python"
  index_option=--default-index # uv prefers UV_DEFAULT_INDEX to --index-url, but not to this option
  # uv does not read pip's settings, so it gets pip's package index from here.
  index_url="${PIP_INDEX_URL:-$($pip config get global.index-url 2>/dev/null || true)}"
  if [ -n "$index_url" ] && [ -z "${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-}" ]; then
    export UV_DEFAULT_INDEX="$index_url"
  fi
fi

echo "Step 1 of 2: torch"
$install ${TORCH_INDEX_URL:+$index_option "$TORCH_INDEX_URL"} "$(grep ^torch container/requirements-torch.txt)"
echo "Step 2 of 2: everything else"
$install -r container/requirements-torch.txt -r container/requirements-openvino.txt -r container/requirements.txt \
  -r container/requirements-tools.txt -r container/requirements-dev.txt -c container/constraints.txt
touch "$VENV/ready"
echo "Set-up is complete."
