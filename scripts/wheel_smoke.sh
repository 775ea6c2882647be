#!/usr/bin/env bash
# Build the wheel, install it into an environment elsewhere, and use it: data files, python -m, completion.
set -euo pipefail
cd "$(dirname "$0")/.."
scratch=${1:-$(mktemp -d)}
"${PYTHON:-python3}" -m venv "$scratch/venv"
python=$scratch/venv/bin/python
"$python" -m pip wheel --quiet --disable-pip-version-check --no-deps -w "$scratch/dist" .
"$python" -m pip install --quiet --disable-pip-version-check "$scratch"/dist/wellfed-*.whl
cd "$scratch"
"$scratch/venv/bin/wellfed" --version
"$python" -m wellfed plan deepseek-r1 --on "8x h200 sxm, 2x xeon 8480+" --top 1
"$python" -m wellfed plan qwen3-30b-a3b --on "rtx 4090, ryzen 9 7950x, 2x32GB ddr5-5600" --json | "$python" -m json.tool > /dev/null
"$python" -m wellfed check --on "build:moe-epyc" > /dev/null || [ $? = 1 ]
"$python" -m wellfed catalog gpus > /dev/null
printf 'model,quant,engine,gpu,gpu_count,context_tokens,decode_tok_s\nLlama 3.1 8B,Q4_K_M,llama.cpp,RTX 4090 24GB,1,512,120\n' > rows.csv
"$python" -m wellfed accuracy rows.csv --json > rows.json
grep '"predicted"' rows.json
"$python" -m wellfed accuracy --refit . 2> refit.txt || [ $? = 2 ]
grep checkout refit.txt  # the fits are not in the wheel
"$python" -m wellfed completion bash > completion.bash
bash -n completion.bash
echo "the wheel works: $(ls "$scratch"/dist)"
