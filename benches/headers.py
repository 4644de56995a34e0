#!/usr/bin/env python3
"""Reading the header of a real vocabulary as a whole process, beside the `gguf` Python package.

    crates/model-inspect/tests/oracle/prepare.sh
    cargo build --profile dist -p model-inspect --example inspect
    python3 benches/headers.py target/dist/examples/inspect target/oracle [--rounds 5] [--report]

Rounds go by turns. It ends with 1 where a limit is missed; with --report it only prints.
"""
import argparse
import json
import pathlib
import resource
import statistics
import subprocess
import sys
import time

FILE = "ggml-vocab-llama-bpe.gguf"
LIMIT_RATIO = 20


def run(argv):
    """Wall and CPU milliseconds, and what it says of the context."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(argv, check=True, capture_output=True)
    wall, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    said = json.loads(done.stdout)
    return wall * 1000, cpu * 1000, said.get(FILE, said)["ctx_max"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("inspect", type=pathlib.Path)
    parser.add_argument("oracle", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--report", action="store_true")
    args = parser.parse_args()
    path = args.oracle / "models" / FILE
    facts = pathlib.Path(__file__).parent.parent / "crates/model-inspect/tests/oracle/facts.py"
    processes = {"`inspect`": [args.inspect, path],
                 "Python reader": [args.oracle / "venv/bin/python", "-B", facts, path]}
    found = {name: [] for name in processes}
    for _ in range(args.rounds):
        for name, argv in processes.items():
            found[name].append(run(argv))
    assert len({said for runs in found.values() for _, _, said in runs}) == 1, "they read the same"
    print(f"{FILE}, {path.stat().st_size} bytes, {args.rounds} runs each by turns:\n")
    print("| process | wall, median (ms) | wall, range (ms) | CPU, median (ms) |\n| --- | --- | --- | --- |")
    for name, runs in found.items():
        walls, cpus = [wall for wall, _, _ in runs], [cpu for _, cpu, _ in runs]
        print(f"| {name} | {statistics.median(walls):.1f} | {min(walls):.1f} to {max(walls):.1f} "
              f"| {statistics.median(cpus):.1f} |")
    ours, theirs = (statistics.median([wall for wall, _, _ in found[name]]) for name in processes)
    print(f"\nThe Python reader takes {theirs / ours:.0f} times as long.")
    if theirs / ours < LIMIT_RATIO and not args.report:
        sys.exit(f"missed: at least {LIMIT_RATIO} times")


if __name__ == "__main__":
    main()
