#!/bin/sh
# Set up an environment of its own, then: style, types, imports, tests. Needs git and Python 3.11 or newer.
set -eu
cd "$(dirname "$0")/.."
venv=${WELLFED_VENV:-.venv}
[ -x "$venv/bin/python" ] || "${PYTHON:-python3}" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -e '.[dev]'
# tests with a real engine use the demo model; without an index they skip
"$venv/bin/python" -c 'from wellfed.launch.demo import demo_file; print("demo model:", demo_file())' || true
"$venv/bin/ruff" check .
"$venv/bin/ruff" format --check .
"$venv/bin/mypy"
"$venv/bin/lint-imports"
workers=$(($(getconf _NPROCESSORS_ONLN) + 1))  # one more than cores: some tests wait for processes
exec "$venv/bin/python" -m pytest -n "$workers" --durations=10 "$@"
