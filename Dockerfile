# One image: the server, and the offline tools. `docker build -t bert-qa .`
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS packages
# PyTorch's CPU build; an empty value takes torch from the ordinary package index, 6 GB larger.
ARG TORCH_INDEX_URL=https://download.pytorch.org/whl/cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python3 -m venv /opt/venv
COPY container/requirements-torch.txt container/requirements.txt container/constraints.txt /tmp/
RUN /opt/venv/bin/pip install ${TORCH_INDEX_URL:+--index-url ${TORCH_INDEX_URL}} $(grep ^torch /tmp/requirements-torch.txt)
RUN /opt/venv/bin/pip install -r /tmp/requirements-torch.txt -r /tmp/requirements.txt -c /tmp/constraints.txt

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="BERT question answering on CPU" \
      org.opencontainers.image.licenses="Apache-2.0" \
      com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true
COPY --from=packages /opt/venv /opt/venv
# World-readable, since serverless endpoints run as another user; bytecode is compiled now, the root may be read-only later.
COPY --chmod=755 entrypoint.sh /opt/program/
COPY container /opt/program/container
COPY model_loader /opt/program/model_loader
COPY serve /opt/program/serve
COPY tools /opt/program/tools
RUN chmod -R a+rX /opt/program && /opt/venv/bin/python -m compileall -q /opt/program
ENV PATH=/opt/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1
EXPOSE 8080
ENTRYPOINT ["/opt/program/entrypoint.sh"]
CMD ["serve"]
