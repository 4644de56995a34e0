#!/usr/bin/env python3
"""Measures what grows with the count: `list`, `gc`, `doctor` and `ensure` beside many records, a folder of many files, and
the listing of a hub.

Each command is a process of its own, under GNU time. Prints Markdown.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from caches import WRITTEN_AT, described, key, stored
from peers.servers import Hub

CONTENT = b"GGUF" + bytes(68)


def run(time_binary, command, environment):
    """Runs a process to its end, and returns its wall time (s), its CPU time (s) and its peak memory (MiB)."""
    with tempfile.NamedTemporaryFile() as told, tempfile.TemporaryFile() as output:
        began = time.perf_counter()
        timed = [time_binary, "-q", "-f", "%U %S %M", "-o", told.name, *command]
        done = subprocess.run(timed, stdout=output, stderr=subprocess.PIPE, env=environment, check=False)
        wall = time.perf_counter() - began
        user, system, peak = told.read().decode().split()[-3:]
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)[:200]}\nended with {done.returncode}:\n{done.stderr.decode()[:2000]}")
    return wall, float(user) + float(system), int(peak) / 1024


def put(cache, name, record):
    """Writes a record and the note of its last use, as the command leaves them."""
    place = cache / "catalog-v1" / key(name)[:2] / f"{key(name)[2:]}.json"
    used = cache / "store-v1/used" / key(name)
    for path in (place, used):
        path.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps({"schema_version": 1, "version": 1, **record}, indent=2) + "\n")
    used.touch()


def local_models(cache, models, count):
    """Makes models of this machine, each of one file, and their records."""
    models.mkdir()
    for number in range(count):
        model = models / f"tiny-model-{number:06}.gguf"
        model.write_bytes(CONTENT)
        os.utime(model, (WRITTEN_AT, WRITTEN_AT))
        put(cache, f"local:{model}", described(f"local:{model}", models, model.name, model.stat()))
    return str(models / "tiny-model-000000.gguf")


def fetched_models(cache, count):
    """Makes fetched models, each with a blob, a view and a record of its own."""
    for number in range(count):
        name = f"hf:org/m{number:06}"
        content = CONTENT + number.to_bytes(8, "little")
        root, seen, sha256 = stored(cache, f"m{number:06}", content)
        record = described(name, root, "a.gguf", seen, revision="0" * 40, digest=sha256)
        # An engine loads the folder of a whole repository.
        record["local_path"] = str(root)
        del record["entry"]
        (root / ".model.json").write_text(json.dumps({"schema_version": 1, "record": record}))
        put(cache, name, record)


def folder_of(root, count):
    """Makes a folder of small files, a hundred in each folder below it."""
    for number in range(count):
        file = root / f"part-{number // 100:04}" / f"tensor-{number:06}.dat"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(number.to_bytes(8, "little"))
        os.utime(file, (WRITTEN_AT, WRITTEN_AT))
    (root / "config.json").write_text("{}")
    os.utime(root / "config.json", (WRITTEN_AT, WRITTEN_AT))


class Table:
    """Prints rows as they are measured."""

    def __init__(self, title, binary, time_binary, rounds):
        self.binary, self.time_binary, self.rounds = binary, time_binary, rounds
        print(f"\n### {title}\n\n| count | command | wall (s) | CPU (s) | peak memory (MiB) |", flush=True)
        print("| --- | --- | --- | --- | --- |", flush=True)

    def row(self, count, name, *arguments, rounds=None, environment=None):
        command = [self.binary, *arguments]
        runs = [run(self.time_binary, command, environment or ENVIRONMENT) for _ in range(rounds or self.rounds)]
        wall, cpu, peak = (statistics.median(values) for values in zip(*runs))
        print(f"| {count:,} | {name} | {wall:.3f} | {cpu:.3f} | {peak:.1f} |", flush=True)


def commands(table, count, cache):
    store = ["--cache-dir", str(cache)]
    table.row(count, "`list`", "list", *store)
    table.row(count, "`list --json`", "list", "--json", *store)
    table.row(count, "`gc --dry-run --json`", "gc", "--dry-run", "--json", *store)
    table.row(count, "`doctor --json`", "doctor", "--json", *store)


def listing(table, count, scratch, hub):
    """Measures what a hub lists of a repository of many files; no byte of them is fetched."""
    repo = scratch / "repo"
    folder_of(repo, count - 1)
    store = ["--cache-dir", str(scratch / "cache")]
    with Hub(hub, {"org/many": repo}) as server:
        environment = {**ENVIRONMENT, "HF_ENDPOINT": server.endpoint, "HF_HOME": str(scratch / "home")}
        table.row(count, "`plan --json`", "plan", "--json", "hf:org/many?include=*", *store, environment=environment)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", type=Path, help="the command, built for release")
    parser.add_argument("--counts", default="1000,10000,100000", help="how many [default: 1000,10000,100000]")
    parser.add_argument("--parts", default="local,fetched,folder,listing", help="[default: local,fetched,folder,listing]")
    parser.add_argument("--hub", type=Path, help="the hub of `testkit`, for the listing; left out without")
    parser.add_argument("--rounds", type=int, default=3, help="how often each command runs [default: 3]")
    parser.add_argument("--dir", type=Path, help="where the files go [default: the temp folder]")
    arguments = parser.parse_args()
    counts = [int(count) for count in arguments.counts.split(",")]
    time_binary = shutil.which("time") or sys.exit("there is no GNU time")
    measured = (str(arguments.binary.resolve(strict=True)), time_binary, arguments.rounds)
    parts = arguments.parts.split(",")
    # The temporary folder of each count goes before the next one is made.
    if "local" in parts:
        table = Table("Models of this machine, each of one file", *measured)
        for count in counts:
            with tempfile.TemporaryDirectory(prefix="growth-", dir=arguments.dir) as scratch:
                cache = Path(scratch).resolve() / "cache"
                model = local_models(cache, Path(scratch).resolve() / "models", count)
                commands(table, count, cache)
                table.row(count, "`ensure` of one", "ensure", model, "--cache-dir", str(cache))
    if "fetched" in parts:
        table = Table("Fetched models, each with a blob and a view of its own", *measured)
        for count in counts:
            with tempfile.TemporaryDirectory(prefix="growth-", dir=arguments.dir) as scratch:
                cache = Path(scratch).resolve() / "cache"
                fetched_models(cache, count)
                commands(table, count, cache)
    if "folder" in parts:
        table = Table("A folder of many files", *measured)
        for count in counts:
            with tempfile.TemporaryDirectory(prefix="growth-", dir=arguments.dir) as scratch:
                root, cache = Path(scratch).resolve() / "folder", Path(scratch).resolve() / "cache"
                # A folder has at most 100,000 names, its folders among them.
                folder_of(root, count - 1 - count // 99)
                store = ["--cache-dir", str(cache)]
                table.row(count, "`ensure`, not recorded", "ensure", str(root), *store, rounds=1)
                table.row(count, "`ensure`, recorded", "ensure", str(root), *store)
                table.row(count, "`verify`", "verify", str(root), *store, rounds=1)
                table.row(count, "`show --json`", "show", "--json", str(root), *store)
    if "listing" in parts and arguments.hub:
        table = Table("The listing of a hub", *measured)
        for count in counts:
            with tempfile.TemporaryDirectory(prefix="growth-", dir=arguments.dir) as scratch:
                listing(table, count, Path(scratch).resolve(), str(arguments.hub.resolve(strict=True)))


# Neither the caller's settings nor a terminal's take part.
ENVIRONMENT = {"PATH": os.environ.get("PATH", os.defpath), "HOME": os.environ.get("HOME", "/")}

if __name__ == "__main__":
    main()
