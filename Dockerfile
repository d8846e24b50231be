# An image that runs studies, on a laptop or as the machines of a cluster (cluster-kuberay.yaml).
#
#   docker build --tag evae .
#   docker run --rm --shm-size=2g --volume evae-results:/evae/results evae study kernel-sweep
#   docker build --tag evae-test --target test . && docker run --rm --shm-size=2g evae-test
#
# torch is the package index's own, which computes on CPUs and, on x86-64, on NVIDIA's GPUs (docker run --gpus all). Of
# another index, such as PyTorch's own with its smaller builds for CPUs, or for another CUDA:
#
#   docker build --build-arg TORCH_INDEX=https://... --tag evae .

FROM python:3.12-slim AS study
ARG TORCH_INDEX=
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore

# KubeRay asks with wget whether a node lives.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends wget && rm -rf /var/lib/apt/lists/*

WORKDIR /evae
# What changes seldom, first: the packages, which are built anew only when their versions change.
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY evae/__init__.py evae/errors.py evae/home.py evae/
RUN if [ -n "$TORCH_INDEX" ]; then \
        pip install --index-url "$TORCH_INDEX" --constraint constraints.txt torch torchvision; \
    fi && \
    pip install --constraint constraints.txt --editable .
COPY . .
RUN pip install --no-deps --editable . && \
    useradd --create-home --uid 1000 evae && \
    mkdir results && chown evae results && chmod 1777 /home/evae results

# As any other user, too (docker run --user): the home folder is everybody's.
ENV HOME=/home/evae
USER 1000
VOLUME /evae/results
ENTRYPOINT ["evae"]
CMD ["--help"]

FROM study AS test
USER 0
RUN pip install --constraint constraints.txt --editable '.[test]' && chown evae /evae
USER 1000
ENTRYPOINT ["python", "-m", "pytest", "-n", "2", "--dist", "loadfile", "-p", "no:cacheprovider"]
CMD []

# What `docker build` makes without a --target.
FROM study
