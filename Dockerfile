# wellfed on a CPU: `docker build -t wellfed . && docker run --rm -p 127.0.0.1:8080:8080 wellfed up demo`
FROM python:3.12-slim-bookworm

WORKDIR /src
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY src ./src
RUN pip install --no-cache-dir --only-binary=:all: . \
    && useradd --create-home --uid 10001 wellfed

USER 10001
WORKDIR /home/wellfed
ENTRYPOINT ["wellfed"]
CMD ["plan", "deepseek-r1:7b"]
