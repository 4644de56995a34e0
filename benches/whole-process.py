#!/usr/bin/env python3
"""Measures the command as a whole process: CPU beside openssl's, cores, memory, what a warm `ensure` costs, and what
adopting a file of another tool reads and writes.

Whatever is compared runs by turns in one run, so that a busy machine slows both. Prints Markdown. Ends with 1 where a
limit is missed, unless `--report` is given.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

from caches import WRITTEN_AT, described, key, stored

MIB = 1 << 20
RECORDS = 1000

CPU_LIMIT = 1.05
CORES_LIMIT = 0.85
RSS_LIMIT_MIB = 24
WARM_LIMIT_MS = 5
WRITTEN_LIMIT_MIB = 1
ALL_LIMIT = 1.8
MANY = 10_000

READERS = {"read", "pread64", "readv", "preadv", "preadv2"}
OPENERS = {"open", "openat", "openat2", "creat"}
LOOKERS = {"stat", "lstat", "newfstatat", "statx", "stat64", "fstatat64"}

CPU, WALL = attrgetter("cpu"), attrgetter("wall")


@dataclass
class Run:
    """What one process took."""

    wall: float
    cpu: float
    rss_mib: float  # `ru_maxrss`: never less than what this script has, for a process begins as its copy.
    hwm_mib: float  # `VmHWM` of the program alone, looked at while it ran; 0 where nobody looked.
    written: int  # Bytes that it sent to disks, as the kernel accounts for them (`ru_oublock`).
    output: str


def run(command, watch=False, **environment):
    """Runs a process to its end. Watching its memory takes a core's time, so it is not done where time is measured."""
    with tempfile.TemporaryFile() as output:
        actions = [(os.POSIX_SPAWN_DUP2, output.fileno(), 1), (os.POSIX_SPAWN_DUP2, output.fileno(), 2)]
        began = time.perf_counter()
        pid = os.posix_spawn(command[0], command, ENVIRONMENT | environment, file_actions=actions)
        hwm = watch_memory(pid) if watch else 0
        _, status, usage = os.wait4(pid, 0)
        wall = time.perf_counter() - began
        output.seek(0)
        text = output.read().decode(errors="replace")
    if status != 0:
        sys.exit(f"{' '.join(command)[:200]}\nended with {os.waitstatus_to_exitcode(status)}:\n{text}")
    return Run(
        wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, hwm / 1024, 512 * usage.ru_oublock, text
    )


def watch_memory(pid):
    """The `VmHWM` in KiB that was last seen before the process ended. It is a peak: it never falls."""
    seen = 0
    while True:
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            return seen
        found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.M)
        if not found:
            return seen
        seen = int(found[1])
        time.sleep(0.001)


def gguf_header(size):
    """The header of a GGUF of so many bytes: version 3, no key, and one tensor of 8-bit integers."""
    info = struct.pack("<QsIQIQ", 1, b"w", 1, size - 64, 24, 0)
    return (b"GGUF" + struct.pack("<IQQ", 3, 1, 0) + info).ljust(64, b"\0")


def make_file(path, size, seed):
    """A GGUF of random bytes, repeated, on disk and in the page cache."""
    path.parent.mkdir(parents=True, exist_ok=True)
    chunk = os.urandom(MIB)
    with open(path, "wb") as file:
        left = size - file.write(gguf_header(size) + seed.to_bytes(4, "little"))
        while left > 0:
            left -= file.write(chunk[:left])
        file.flush()
        # Writing back while the clock runs would cost what is measured.
        os.fsync(file.fileno())
    os.utime(path, (WRITTEN_AT, WRITTEN_AT))


def warm(paths):
    """Reads files, so that they are in the page cache."""
    for path in paths:
        with open(path, "rb", buffering=0) as file:
            while file.read(4 * MIB):
                pass


def median(runs, of):
    return statistics.median(of(run) for run in runs)


def spread(runs, of):
    values = [of(run) for run in runs]
    return f"{min(values):.3f} to {max(values):.3f}"


class Report:
    """Rows of a table, and the limits that were missed."""

    def __init__(self):
        self.missed = []

    def table(self, title, *columns):
        print(f"\n### {title}\n\n| {' | '.join(columns)} |\n|{' --- |' * len(columns)}", flush=True)

    def row(self, *cells):
        print(f"| {' | '.join(str(cell) for cell in cells)} |", flush=True)

    def limit(self, what, value, met):
        print(f"\n{'pass' if met else '**MISSED**'}: {what}: {value}", flush=True)
        if not met:
            self.missed.append(what)


def hash_time(report, binary, openssl, large, digest, rounds, scratch):
    """CPU time of hashing one large file, beside openssl's."""
    ours, theirs = [], []
    for number in range(rounds):
        cache = str(scratch / f"cpu-{number}")
        command = [binary, "ensure", str(large), "--sha256", digest, "--strict", "--cache-dir", cache]
        ours.append(run(command))
        theirs.append(run([openssl, "dgst", "-sha256", str(large)]))
    report.table(
        f"Hashing {large.stat().st_size / MIB:,.0f} MiB from the page cache, {rounds} runs each by turns",
        "process", "CPU, median (s)", "CPU, range (s)", "wall, median (s)",
    )
    for name, runs in (("`ensure --sha256`, nothing recorded", ours), ("`openssl dgst -sha256`", theirs)):
        report.row(name, f"{median(runs, CPU):.3f}", spread(runs, CPU), f"{median(runs, WALL):.3f}")
    ratio = median(ours, CPU) / median(theirs, CPU)
    paired = statistics.median(a.cpu / b.cpu for a, b in zip(ours, theirs))
    report.limit(
        f"CPU, ours to openssl's, at most {CPU_LIMIT}",
        f"{ratio:.3f} (median of the ratios of neighbours: {paired:.3f})",
        ratio <= CPU_LIMIT,
    )


def cores(report, binary, openssl, folder, rounds, scratch):
    """How busy four files keep the cores, beside as many processes of openssl as there are cores."""
    available = len(os.sched_getaffinity(0))
    used = min(available, 4)
    files = sorted(map(str, folder.iterdir()))
    cache = str(scratch / "cores")
    run([binary, "ensure", files[0], str(folder), "--cache-dir", cache])
    # Quoted by position: `sh -c` takes them as its arguments. Each process hashes its share of the files.
    shares = [" ".join(f'"${{{at + 2}}}"' for at in range(first, 4, used)) for first in range(used)]
    side_by_side = " ".join(f'"$1" dgst -sha256 {share} &' for share in shares) + " wait"
    one, four, theirs = [], [], []
    for _ in range(rounds):
        one.append(run([binary, "verify", files[0], "--cache-dir", cache]))
        four.append(run([binary, "verify", str(folder), "--cache-dir", cache]))
        theirs.append(run(["/bin/sh", "-c", side_by_side, "sh", openssl, *files]))
    size = os.path.getsize(files[0]) // MIB
    report.table(
        f"One file and four, {size} MiB each, {rounds} runs each by turns, {available} cores",
        "process", "wall, median (s)", "CPU, median (s)", "CPU / wall, median", "best", "rate (GiB/s)",
    )
    rows = (
        (1, "`verify` of one", one),
        (4, "`verify` of a folder of four", four),
        (4, f"{used} × `openssl dgst` of their share of four", theirs),
    )
    for count, name, runs in rows:
        wall, busy = median(runs, WALL), [run.cpu / run.wall for run in runs]
        report.row(
            name, f"{wall:.3f}", f"{median(runs, CPU):.3f}",
            f"{statistics.median(busy):.2f}", f"{max(busy):.2f}", f"{count * size / 1024 / wall:.2f}",
        )
    # Whatever else runs on the machine only lowers it, so the best run tells what the program does.
    best = max(run.cpu / run.wall for run in four)
    times = median(four, WALL) / median(one, WALL)
    beside = statistics.median(a.wall / b.wall for a, b in zip(four, theirs))
    report.limit(
        f"four files keep {used} cores busy: CPU / wall at least {CORES_LIMIT * used:.2f} in the best run",
        f"{best:.2f}; four take {times:.2f} times the wall time of one, and {beside:.2f} times openssl's",
        best >= CORES_LIMIT * used,
    )


def memory(report, binary, models, scratch):
    """The most memory that hashing a model takes."""
    measured = []
    for number, (name, model) in enumerate(models):
        cache = str(scratch / f"memory-{number}")
        run([binary, "ensure", str(model), "--cache-dir", cache])
        runs = [run([binary, "verify", str(model), "--cache-dir", cache], watch=True) for _ in range(3)]
        measured.append((name, max(run.hwm_mib for run in runs), max(run.rss_mib for run in runs)))
    # Afterwards, for the script's own memory only grows.
    floor = run(["/bin/true"]).rss_mib
    report.table("Peak memory of `verify`, the greatest of 3 runs", "model", "`VmHWM` (MiB)", "`ru_maxrss` (MiB)")
    worst = 0
    for name, hwm, rss in measured:
        worst = max(worst, rss if rss > floor else hwm)
        report.row(name, f"{hwm:.1f}", f"{rss:.1f}" if rss > floor else f"at most {rss:.1f}")
    print(f"\n`ru_maxrss` counts the script's own memory too, and tells only what is above that: {floor:.1f} MiB.")
    report.limit(f"peak memory below {RSS_LIMIT_MIB} MiB", f"{worst:.1f} MiB", worst < RSS_LIMIT_MIB)


def warm_ensure(report, binary, large, digest, rounds, scratch):
    """Wall time of a model that is present, as a whole process, and what that process reads."""
    cache = scratch / "warm"
    folder = scratch / "models"
    folder.mkdir()
    models = []
    for number in range(RECORDS - 1):
        model = folder / f"{number}.gguf"
        model.write_bytes(gguf_header(68) + number.to_bytes(4, "little"))
        os.utime(model, (WRITTEN_AT, WRITTEN_AT))
        models.append(str(model))
    run([binary, "ensure", *models, "--quiet", "--cache-dir", str(cache)])
    command = [binary, "ensure", str(large), "--sha256", digest, "--cache-dir", str(cache)]
    run(command)
    records = len(list(cache.glob("catalog-v1/*/*.json")))
    if records != RECORDS:
        sys.exit(f"{records} records were made, not {RECORDS}")

    ours, true = [], []
    for _ in range(rounds):
        ours.append(run(command))
        true.append(run(["/bin/true"]))
    report.table(
        f"Warm `ensure --sha256` of {large.stat().st_size / MIB:,.0f} MiB with {RECORDS:,} records,"
        f" {rounds} runs each by turns",
        "process", "wall, median (ms)", "90th percentile (ms)", "range (ms)",
    )
    for name, runs in (("`ensure`", ours), ("`/bin/true`", true)):
        walls = [1000 * run.wall for run in runs]
        report.row(
            name,
            f"{statistics.median(walls):.2f}",
            f"{statistics.quantiles(walls, n=10)[-1]:.2f}",
            f"{min(walls):.2f} to {max(walls):.2f}",
        )
    wall, floor = (1000 * median(runs, WALL) for runs in (ours, true))
    report.limit(
        f"wall below {WARM_LIMIT_MS} ms",
        f"{wall:.2f} ms, {wall / floor:.1f} times `/bin/true`, {wall - floor:.2f} ms more",
        wall < WARM_LIMIT_MS,
    )
    count_reads(report, command, cache, large, scratch)


def count_reads(report, command, cache, model, scratch):
    """What a warm `ensure` opens, looks at and reads, by its system calls."""
    strace = shutil.which("strace")
    if not strace:
        print("\nNot counted what it reads: there is no strace.")
        return
    # One log per thread: no call is split by another's.
    log = scratch / "strace"
    calls = ",".join(f"?{name}" for name in sorted(READERS | OPENERS | LOOKERS | {"getdents64", "mmap"}))
    run([strace, "-ff", "-y", "-o", str(log), "-e", f"trace={calls}", *command])
    opens, looks, reads, read_bytes, maps, lists = (Counter() for _ in range(6))
    for file in scratch.glob("strace.*"):
        for line in file.read_text(errors="replace").splitlines():
            called = re.match(r"(\w+)\((.*)\)\s+= (-?\w+)", line)
            if not called:
                continue
            name, arguments, result = called.groups()
            quoted = re.search(r'"([^"]*)"', arguments)
            held = re.match(r"\d+<([^>]*)>", arguments)
            if name in OPENERS:
                opens[quoted[1]] += 1
            elif name in LOOKERS and quoted and quoted[1]:
                looks[quoted[1]] += 1
            elif name in READERS and held:
                reads[held[1]] += 1
                read_bytes[held[1]] += max(0, int(result))
            elif name == "getdents64" and held:
                lists[held[1]] += 1
            elif name == "mmap" and (mapped := re.search(r"\d+<([^>]*)>", arguments)):
                maps[mapped[1]] += 1

    def ours(path):
        return path == str(model) or Path(path).is_relative_to(cache)

    shown = {str(model): "the model", str(cache): "the cache"}
    report.table(
        "What a warm `ensure` asks of the cache and the model", "path", "opens", "stats by path", "reads", "bytes read"
    )
    for path in sorted(filter(ours, opens | looks | reads | lists)):
        name = shown.get(path) or re.sub(r"[0-9a-f]{62,64}", "…", os.path.relpath(path, cache))
        report.row(name, opens[path], looks[path], reads[path], read_bytes[path])
    catalog = cache / "catalog-v1"
    in_catalog = [path for path in opens if Path(path).is_relative_to(catalog)]
    report.limit(
        "it opens one file of the catalog, once, and lists no folder of the cache",
        f"{len(in_catalog)} opened, {sum(lists[path] for path in filter(ours, lists))} listings",
        sum(opens[path] for path in in_catalog) == 1 and not any(map(ours, lists)),
    )
    name = str(model)
    report.limit(
        "it looks at the model once, and neither opens nor maps it",
        f"{looks[name]} stats, {opens[name]} opens, {maps[name]} maps, {reads[name]} reads",
        looks[name] == 1 and not (opens[name] or maps[name] or reads[name]),
    )


def adoption(report, binary, hub, openssl, mib, rounds, scratch):
    """What it takes to adopt a file of the Hugging Face cache: beside openssl, which only reads it."""
    large = scratch / "repo" / "large.gguf"
    make_file(large, mib * MIB, 9)
    warm([large])
    digest = run([openssl, "dgst", "-sha256", "-r", str(large)]).output.split()[0]
    blob = scratch / "hf" / "hub" / "models--org--repo" / "blobs" / digest
    blob.parent.mkdir(parents=True)
    os.link(large, blob)
    serving = subprocess.Popen([hub, "--repo", f"org/repo={large.parent}"], stdout=subprocess.PIPE, text=True)
    try:
        serving.stdout.readline()
        endpoint = serving.stdout.readline().strip()
        environment = {"HF_ENDPOINT": endpoint, "HF_HUB_CACHE": str(blob.parents[2]), "OLLAMA_MODELS": str(scratch / "none")}
        command = lambda name: [binary, "ensure", "hf:org/repo/large.gguf", "--json", "--cache-dir", str(scratch / name)]
        ours, theirs = [], []
        for number in range(rounds):
            ours.append(run(command(f"adopt-{number}"), **environment))
            theirs.append(run([openssl, "dgst", "-sha256", str(large)]))
        report.table(
            f"Adopting {mib:,} MiB by a link, {rounds} runs each by turns", "process", "wall, median (s)", "CPU, median (s)",
            "written (KiB)",
        )
        for name, runs in (("`ensure hf:…`, in the Hugging Face cache", ours), ("`openssl dgst -sha256`", theirs)):
            written = max(run.written for run in runs) / 1024
            report.row(name, f"{median(runs, WALL):.3f}", f"{median(runs, CPU):.3f}", f"{written:,.0f}")
        report.limit(
            f"nothing is fetched, and less than {WRITTEN_LIMIT_MIB} MiB written",
            f"{max(run.written for run in ours) / 1024:,.0f} KiB",
            all('"cached": true' in run.output and run.written < WRITTEN_LIMIT_MIB * MIB for run in ours),
        )
        count_passes(report, command("adopt-counted"), environment, mib, scratch)
    finally:
        serving.kill()
        serving.wait()


def count_passes(report, command, environment, mib, scratch):
    """How often an adoption reads the file, and how much it writes to files, by its system calls."""
    strace = shutil.which("strace")
    if not strace:
        print("\nNot counted what adopting reads: there is no strace.")
        return
    log = scratch / "adopting"
    writers = {"write", "pwrite64", "writev", "pwritev", "copy_file_range", "sendfile"}
    calls = ",".join(f"?{name}" for name in sorted(READERS | writers | {"mmap"}))
    run([strace, "-ff", "-y", "-o", str(log), "-e", f"trace={calls}", *command], **environment)
    read, written = 0, 0
    for file in scratch.glob("adopting.*"):
        for line in file.read_text(errors="replace").splitlines():
            called = re.match(r"(\w+)\(\d+<(/[^>]*)>.* = (\d+)$", line)
            if called and called[1] in READERS and called[2].endswith(("/linked", "/data", ".gguf")):
                read += int(called[3])
            elif called and called[1] in writers:
                written += int(called[3])
    passes = read / (mib * MIB)
    report.limit(
        "the file is read once, by its system calls",
        f"{passes:.4f} times; {written / 1024:,.1f} KiB are written to files",
        0.999 < passes < 1.001 and written < WRITTEN_LIMIT_MIB * MIB,
    )




def verify_all(report, binary, folder, rounds, scratch):
    """How much faster four models are verified together than one, for each of them is one file."""
    files = sorted(map(str, folder.iterdir()))
    cache = str(scratch / "all")
    run([binary, "ensure", "--quiet", *files, "--cache-dir", cache])
    one, all_of_them = [], []
    for _ in range(rounds):
        one.append(run([binary, "verify", files[0], "--cache-dir", cache]))
        all_of_them.append(run([binary, "verify", "--all", "--cache-dir", cache]))
    size = os.path.getsize(files[0]) // MIB
    report.table(
        f"`verify --all` of {len(files)} models, one file of {size:,} MiB each, {rounds} runs each by turns",
        "process", "wall, median (s)", "CPU, median (s)", "CPU / wall, best", "rate (GiB/s)",
    )
    for count, name, runs in ((1, "`verify` of one", one), (len(files), "`verify --all`", all_of_them)):
        wall, busy = median(runs, WALL), max(run.cpu / run.wall for run in runs)
        report.row(
            name, f"{wall:.3f}", f"{median(runs, CPU):.3f}", f"{busy:.2f}", f"{count * size / 1024 / wall:.2f}"
        )
    gains = [len(files) * a.wall / b.wall for a, b in zip(one, all_of_them)]
    report.limit(
        f"`verify --all` at least {ALL_LIMIT} times the rate of one, in the best pair of neighbours",
        f"{max(gains):.2f}, median {statistics.median(gains):.2f}",
        max(gains) >= ALL_LIMIT,
    )


def make_store(cache):
    """A cache of many fetched models, each with a blob of its own, as the command leaves it."""
    for number in range(MANY):
        name = f"hf:org/m{number}/a.gguf"
        root, seen, sha256 = stored(cache, f"m{number}", gguf_header(72) + number.to_bytes(8, "little"))
        record = described(name, root, "a.gguf", seen, revision="0" * 40, digest=sha256)
        (root / ".model.json").write_text(json.dumps({"schema_version": 1, "record": record}))
        place = cache / "catalog-v1" / key(name)[:2] / f"{key(name)[2:]}.json"
        used, lock = (cache / "store-v1" / folder / key(name) for folder in ("used", "locks"))
        for path in (place, used, lock):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        os.utime(used, (WRITTEN_AT + number, WRITTEN_AT + number))
        place.write_text(json.dumps({"schema_version": 1, "version": 1, **record}))


# A listing reads a record for its id, and again when it prints it, in the order of the ids.
READS = {"`gc --dry-run --max-size 0`": 1, "`list`": 2}


def many_models(report, binary, rounds, scratch):
    """What planning and listing cost with many models, and what they read."""
    cache = scratch / "many"
    make_store(cache)
    store = ["--cache-dir", str(cache), "--json"]
    commands = {
        "`gc --dry-run --max-size 0`": [binary, "gc", "--dry-run", "--max-size", "0", *store],
        "`list`": [binary, "list", *store],
    }
    planned = json.loads(run(commands["`gc --dry-run --max-size 0`"]).output)
    if len(planned["evicted"]) != MANY:
        sys.exit(f"{len(planned['evicted'])} of {MANY} models would be evicted: {planned['kept'][:3]}")
    report.table(
        f"{MANY:,} fetched models, {rounds} runs each by turns",
        "process", "wall, median (ms)", "CPU, median (ms)", "records read", "other files read",
    )
    runs = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            runs[name].append(run(command))
    counted = {}
    for name, command in commands.items():
        records, others = counted[name] = files_read(command, cache, scratch, READS[name])
        walls, cpus = (f"{1000 * median(runs[name], of):.0f}" for of in (WALL, CPU))
        report.row(name, walls, cpus, *("not counted", "") if records is None else (records, len(others)))
    for name, (records, others) in counted.items():
        if records is not None:
            times = "twice" if READS[name] == 2 else "once"
            report.limit(f"{name} reads each record {times}, and nothing else", records, (records, others) == (MANY, set()))


def files_read(command, cache, scratch, times):
    """How many records of a cache a process reads, each so many times, and what else of it."""
    strace = shutil.which("strace")
    if not strace:
        return None, None
    for old in scratch.glob("reads.*"):
        old.unlink()
    calls = ",".join(f"?{name}" for name in sorted(READERS | OPENERS))
    run([strace, "-ff", "-y", "-o", str(scratch / "reads"), "-e", f"trace={calls}", *command])
    opened, read = Counter(), set()
    for file in scratch.glob("reads.*"):
        for line in file.read_text(errors="replace").splitlines():
            if named := re.match(r'\w+\(.*"([^"]*)".*\)\s+= \d+', line):
                opened[named[1]] += 1
            if held := re.match(r"\w+\(\d+<([^>]*)>.*\s+= (\d+)", line):
                read.add(held[1])
    catalog = str(cache / "catalog-v1")
    records = {path for path in read if path.startswith(catalog)}
    otherwise = {path for path in records if opened[path] != times}
    return len(records), {path for path in read if path.startswith(str(cache))} - records | otherwise


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", type=Path, help="the command, built for release")
    parser.add_argument("--report", action="store_true", help="end with 0 even where a limit is missed")
    parser.add_argument("--rounds", type=int, default=7, help="how often each hashing runs [default: 7]")
    parser.add_argument("--warm-rounds", type=int, default=200, help="how often a warm ensure runs [default: 200]")
    parser.add_argument("--hub", type=Path, help="the hub of `testkit`, for the adoption; left out without")
    parser.add_argument("--adopt-mib", type=int, default=1024, help="the size of what is adopted [default: 1024]")
    parser.add_argument("--dir", type=Path, help="where 9.2 GiB of files go [default: the temp folder]")
    arguments = parser.parse_args()
    binary = str(arguments.binary.resolve(strict=True))
    openssl = shutil.which("openssl") or sys.exit("there is no openssl to compare with")

    report = Report()
    with tempfile.TemporaryDirectory(prefix="whole-process-", dir=arguments.dir) as scratch:
        scratch = Path(scratch).resolve()
        small, large, folder = scratch / "small.gguf", scratch / "large.gguf", scratch / "four"
        single = scratch / "single"
        make_file(small, 64 * MIB, 0)
        make_file(large, 2048 * MIB, 1)
        for number in range(4):
            make_file(folder / f"{number}.gguf", 512 * MIB, 2 + number)
            make_file(single / f"{number}.gguf", 1024 * MIB, 6 + number)
        warm([small, large, *folder.iterdir(), *single.iterdir()])
        digest = run([openssl, "dgst", "-sha256", "-r", str(large)]).output.split()[0]
        hash_time(report, binary, openssl, large, digest, arguments.rounds, scratch)
        cores(report, binary, openssl, folder, arguments.rounds, scratch)
        memory(report, binary, [("64 MiB", small), ("2,048 MiB", large), ("4 × 512 MiB", folder)], scratch)
        verify_all(report, binary, single, arguments.rounds, scratch)
        warm_ensure(report, binary, large, digest, arguments.warm_rounds, scratch)
        many_models(report, binary, arguments.rounds, scratch)

        if arguments.hub:
            hub = str(arguments.hub.resolve(strict=True))
            adoption(report, binary, hub, openssl, arguments.adopt_mib, arguments.rounds, scratch)

    print(f"\n{len(report.missed)} limits missed.")
    sys.exit(1 if report.missed and not arguments.report else 0)


# Neither the caller's settings nor a terminal's take part.
ENVIRONMENT = {"PATH": os.environ.get("PATH", os.defpath), "HOME": os.environ.get("HOME", "/")}

if __name__ == "__main__":
    main()
