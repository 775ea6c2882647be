# wellfed on a CPU: `docker build -t wellfed . && docker run --rm -p 127.0.0.1:8080:8080 wellfed up demo`
# Everything is pinned with its checksums (scripts/supply.sh lock); nothing is compiled.
FROM python:3.12-slim-bookworm AS build
WORKDIR /src
COPY container/build.lock ./container/
RUN pip install --no-cache-dir --only-binary=:all: --require-hashes -r container/build.lock
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY src ./src
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation -w /dist .

FROM python:3.12-slim-bookworm
COPY container/requirements.lock /tmp/
COPY --from=build /dist/ /tmp/
RUN pip install --no-cache-dir --only-binary=:all: --require-hashes -r /tmp/requirements.lock \
    && pip install --no-cache-dir --no-deps --no-index /tmp/wellfed-*.whl \
    && rm /tmp/requirements.lock /tmp/wellfed-*.whl \
    && useradd --create-home --uid 10001 wellfed

USER 10001
WORKDIR /home/wellfed
ENTRYPOINT ["wellfed"]
CMD ["plan", "deepseek-r1:7b"]
