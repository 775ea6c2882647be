#!/bin/sh
# What the container is made of: `lock` pins it with checksums, `audit` asks for known faults, `sbom FILE` lists it.
#
# The tools come from an environment of their own (WELLFED_SUPPLY_VENV): uv, pip-audit, cyclonedx-bom. `lock` and
# `audit` need an index; `audit` needs the advisories behind it, too, and fails when it could not look a package up.
set -eu
cd "$(dirname "$0")/.."
tools=${WELLFED_SUPPLY_VENV:-.supply}
[ -x "$tools/bin/python" ] || "${PYTHON:-python3}" -m venv "$tools"
"$tools/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary=:all: uv pip-audit cyclonedx-bom

lock() {
    "$tools/bin/uv" pip compile "$1" --quiet --generate-hashes --only-binary :all: --python-version 3.12 \
        --python-platform x86_64-unknown-linux-gnu --no-header --no-annotate -o "$2" > /dev/null
}

case ${1:-} in
lock)
    lock pyproject.toml container/requirements.lock
    lock container/build.in container/build.lock
    ;;
audit)
    for file in container/requirements.lock container/build.lock; do
        "$tools/bin/pip-audit" --strict --disable-pip --require-hashes -r "$file"
    done
    ;;
sbom)
    "$tools/bin/cyclonedx-py" requirements --pyproject pyproject.toml --output-reproducible --output-format JSON \
        -o "${2:?where to}" container/requirements.lock
    ;;
*)
    echo "usage: $0 lock | audit | sbom FILE" >&2
    exit 2
    ;;
esac
