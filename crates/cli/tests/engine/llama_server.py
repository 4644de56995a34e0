#!/usr/bin/env python3
"""Serves a GGUF model with llama.cpp's own HTTP server, on a free port of loopback, and prints its address.

    pip install xllamacpp==2026.10.11549
    llama_server.py MODEL.gguf
"""
import signal
import sys

import xllamacpp

params = xllamacpp.CommonParams()
params.model.path = sys.argv[1]
params.hostnames = ["127.0.0.1"]
params.port = 0
params.n_ctx = 128
params.n_parallel = 1
params.warmup = False
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
signal.pause()
