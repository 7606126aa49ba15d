# docker build -t cistransfer .
# docker run --rm -v "$PWD:/work" --user "$(id -u):$(id -g)" cistransfer learn --peaks mine.narrowPeak …
FROM python:3.12-slim-bookworm AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN python -m pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.12-slim-bookworm
COPY --from=build /wheels /wheels
COPY constraints.txt /tmp/constraints.txt
RUN python -m pip install --no-cache-dir -c /tmp/constraints.txt \
      "cistransfer[motifs,jaspar,bigbed] @ file://$(echo /wheels/cistransfer-*.whl)" \
    && rm -rf /wheels /tmp/constraints.txt \
    && useradd --uid 1000 --create-home cistransfer
ENV PYTHONUTF8=1 CISTRANSFER_CACHE=/tmp/cistransfer-cache MPLCONFIGDIR=/tmp/matplotlib NUMBA_CACHE_DIR=/tmp/numba
USER 1000:1000
WORKDIR /work
ENTRYPOINT ["cistransfer"]
CMD ["--help"]
