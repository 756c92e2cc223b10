# This image contains the server, the offline tools and a small demo model. Build it with `docker build -t bert-qa .`.
# With `--target serve` it contains the server alone, and with `--target openvino` a server without torch. docs/image.md
# describes them.
# docs/image.md says how to pin the base image by its digest, and when to build the image again.
ARG BASE_IMAGE=python:3.11-slim-bookworm

# The layers that change least come first, so a change of the code rebuilds only the last layers. All packages are wheels,
# so no compiler is needed. The base image's pip installs them; /opt/venv itself has no pip.
FROM ${BASE_IMAGE} AS base
ARG BASE_IMAGE
LABEL org.opencontainers.image.base.name="${BASE_IMAGE}" \
      org.opencontainers.image.title="BERT question answering on CPU" \
      org.opencontainers.image.description="INT8 and FP32 BERT question answering on CPUs under SageMaker's contract" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0" \
      com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true \
      com.amazonaws.sagemaker.capabilities.multi-models=true
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["/opt/program/entrypoint.sh", "healthcheck"]
# SageMaker and `docker run` append a command such as `serve`. entrypoint.sh replaces itself with the program, so the
# program itself gets SIGTERM.
ENTRYPOINT ["/opt/program/entrypoint.sh"]
CMD ["serve"]
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
RUN python3 -m venv --without-pip /opt/venv

# The program without the tools, with its bytecode, because the root file system may be read-only later. All users can
# read it, because serverless endpoints run as another user.
FROM base AS program
COPY LICENSE entrypoint.sh /opt/program/
COPY container /opt/program/container
COPY model_loader /opt/program/model_loader
COPY serve /opt/program/serve
RUN chmod -R a+rX /opt/program && chmod a+x /opt/program/entrypoint.sh && \
    /opt/venv/bin/python -m compileall -q /opt/program

# The image of `--target openvino`. It serves artifacts that `quantize --engine openvino` wrote, without torch. Nothing in
# it is for x86-64 only.
FROM base AS openvino
COPY container/requirements-openvino.txt container/requirements.txt container/constraints.txt /opt/program/container/
RUN cd /opt/program/container && python3 -m pip --python /opt/venv/bin/python install \
      -r requirements-openvino.txt -r requirements.txt -c constraints.txt && \
    # What a server on a CPU never loads: plugins for GPUs and NPUs, readers of other formats, headers, numpy's tests, and
    # the downloads of the hub's client.
    cd /opt/venv/lib/python3.11/site-packages && rm -rf hf_xet* openvino/include openvino/libs/cache.json \
      openvino/libs/libopenvino_intel_[gn]pu_plugin.so && find openvino/libs -name 'libopenvino_*_frontend.so*' \
      ! -name '*_ir_frontend*' -delete && find numpy -name tests -type d -prune -exec rm -r {} +
COPY --from=program /opt/program /opt/program
ENV HOME=/tmp PATH=/opt/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 RUN_AS_USER=10001
WORKDIR /tmp

FROM base AS serving-packages
# This index has PyTorch's CPU build. With an empty value, pip takes torch from the ordinary package index, which is 6 GB
# larger.
ARG TORCH_INDEX_URL=https://download.pytorch.org/whl/cpu
COPY container/check_platform.sh container/requirements-torch.txt /opt/program/container/
RUN PYTHON=python3 sh /opt/program/container/check_platform.sh && \
    python3 -m pip --python /opt/venv/bin/python install ${TORCH_INDEX_URL:+--index-url ${TORCH_INDEX_URL}} \
      $(grep ^torch /opt/program/container/requirements-torch.txt)
COPY container/requirements.txt container/constraints.txt /opt/program/container/
RUN cd /opt/program/container && python3 -m pip --python /opt/venv/bin/python install \
      -r requirements-torch.txt -r requirements.txt -c constraints.txt

# The image of `--target serve`. It has no tools, no packages that only tools need, no OpenVINO, and no demo model.
FROM serving-packages AS serve
COPY --from=program /opt/program /opt/program
ENV HOME=/tmp PATH=/opt/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 RUN_AS_USER=10001
WORKDIR /tmp

FROM serving-packages AS packages
COPY container/requirements-openvino.txt container/requirements-tools.txt /opt/program/container/
RUN cd /opt/program/container && python3 -m pip --python /opt/venv/bin/python install -r requirements-torch.txt \
      -r requirements-openvino.txt -r requirements.txt -r requirements-tools.txt -c constraints.txt

# This stage makes the demo artifact. The server uses it if no other artifact is mounted. The kernels need AVX2, which
# some emulators lack.
FROM packages AS demo
WORKDIR /opt/program
COPY models/demo models/demo
COPY container container
COPY model_loader model_loader
COPY serve/__init__.py serve/errors.py serve/
COPY serve/qa serve/qa
COPY tools/*.py tools/
COPY tools/checkpoint tools/checkpoint
COPY tools/quantize tools/quantize
COPY tools/squad tools/squad
RUN if grep -qw avx2 /proc/cpuinfo; then cd models/demo && PYTHONPATH=/opt/program /opt/venv/bin/python -m tools.quantize \
      --model . --calibration calibration.json --evaluation held_out.json --output /opt/demo; \
    else echo "this CPU has no AVX2: the image gets no demo model" && mkdir /opt/demo; fi && chmod -R a+rX /opt/demo

# The last stage is the default: the server, the tools and the demo model.
FROM packages
COPY --from=demo /opt/demo /opt/demo
COPY models/demo/held_out.json models/demo/calibration.json /opt/program/models/demo/
COPY --from=program /opt/program /opt/program
COPY tools /opt/program/tools
RUN chmod -R a+rX /opt/program/tools && /opt/venv/bin/python -m compileall -q /opt/program/tools
ENV HOME=/tmp PATH=/opt/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 RUN_AS_USER=10001
WORKDIR /tmp
