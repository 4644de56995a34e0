"""What is compared, and what is wanted of each comparison."""
import dataclasses
import os
from collections.abc import Callable

from .clients import ARIA, CURL, HF, HF_XET, HFRS, OPENSSL, OURS, PIPE, PLAIN, THEN
from .models import write_large, write_shards, write_small

GIB = 1024
MANY_CORES = 4


@dataclasses.dataclass(frozen=True)
class Limit:
    """What is wanted: our wall time, CPU or speed beside another client's, or our peak memory in MiB."""

    kind: str
    beside: str | None
    at_most: float | None = None
    at_least: float | None = None

    def measure(self, summaries):
        """The ratio or the peak that was measured; None where the other client is not here."""
        ours, other = summaries[OURS], summaries.get(self.beside)
        if self.kind == "peak":
            return ours.peak_mib
        if other is None:
            return None
        if self.kind == "speed":
            return other.wall_s / ours.wall_s
        return ours.cpu_s / other.cpu_s if self.kind == "CPU" else ours.wall_s / other.wall_s

    def is_held(self, value):
        return value <= self.at_most if self.at_least is None else value >= self.at_least


@dataclasses.dataclass(frozen=True)
class Row:
    """One comparison: the files, the server, the clients, and the limits."""

    name: str
    title: str
    write: Callable
    clients: list
    limits: list
    file: str | None = "model.gguf"
    is_tls: bool = False
    is_xet: bool = False
    options: list = dataclasses.field(default_factory=list)
    rounds: int | None = None
    cores: int = 1

    def reason_to_leave_out(self, tools):
        """Says why this machine cannot run it; None where it can."""
        if self.cores > os.cpu_count():
            return f"it is for {self.cores} processors and more"
        if self.is_xet and not (tools.storage and tools.python and tools.python.exists()):
            return "the storage server of Xet, or hf with hf_xet, is not here"
        return None


def large(mib):
    return lambda folder: write_large(folder / "model.gguf", mib)


def small_and_shards(folder):
    write_small(folder, 200, 2000)
    write_shards(folder, 4, 256)


def small(folder):
    write_small(folder, 200, 2000)
    write_shards(folder, 1, 1)


def many(folder):
    write_small(folder, 20_000, 16)
    write_shards(folder, 1, 1)


def rows(args):
    """All comparisons, in the order in which they run."""
    every = [OURS, CURL, THEN, PIPE, PLAIN, ARIA, HF, HFRS]
    cpu = [Limit("CPU", THEN, at_most=0.9), Limit("CPU", PIPE, at_most=0.9)]
    peak = Limit("peak", None, at_most=32)
    limited = ["--limit-rate", "50000000"]
    late = ["--limit-rate", "100000000", "--latency-ms", "100"]
    return [
        Row("large-1", "1 GiB in one file", large(GIB), every, [Limit("wall", CURL, at_most=1.3), *cpu, peak]),
        Row("large-2", "2 GiB in one file", large(2 * GIB), every, [Limit("wall", CURL, at_most=1.15), *cpu, peak]),
        Row("cores", "8 GiB in one file, beside SHA-256 on one core", large(8 * GIB), [OURS, OPENSSL, CURL, HFRS],
            [Limit("wall", OPENSSL, at_most=1.05), peak], cores=MANY_CORES),
        Row("small", "200 small files and 4 shards of 256 MiB", small_and_shards, [OURS, HF, HFRS],
            [Limit("wall", HFRS, at_most=1.3), Limit("wall", HF, at_most=0.25), peak], file=None),
        Row("limited", "1 GiB at 50 MB/s a connection", large(GIB), [OURS, ARIA, CURL],
            [Limit("wall", ARIA, at_most=0.97), peak], options=limited, rounds=args.slow_rounds),
        Row("latency", "1 GiB at 100 MB/s a connection, 100 ms before each answer", large(GIB), [OURS, ARIA, CURL],
            [Limit("wall", ARIA, at_most=1.1), peak], options=late, rounds=args.slow_rounds),
        Row("small-latency", "200 small files, 50 ms before each answer", small, [OURS, HF, HFRS],
            [Limit("wall", HFRS, at_most=0.65), peak], file=None, options=["--latency-ms", "50"],
            rounds=args.slow_rounds),
        Row("tls", "1 GiB over TLS with HTTP/2", large(GIB), [OURS, CURL, THEN, ARIA],
            [Limit("wall", CURL, at_most=1.2), peak], is_tls=True),
        Row("tls-limited", "1 GiB over TLS with HTTP/2, at 50 MB/s a connection", large(GIB), [OURS, CURL],
            [Limit("speed", CURL, at_least=3.5), peak], is_tls=True, options=limited, rounds=1),
        Row("tls-latency", "1 GiB over TLS with HTTP/2, at 100 MB/s a connection, 100 ms before each answer", large(GIB),
            [OURS, ARIA, CURL], [Limit("wall", ARIA, at_most=1.1), peak], is_tls=True, options=late, rounds=args.slow_rounds),
        Row("xet", f"{args.xet_mib} MiB from Xet's storage server",
            lambda folder: write_large(folder / "model.gguf", args.xet_mib, unlike=True), [OURS, HF_XET],
            [Limit("wall", HF_XET, at_most=1.1), Limit("peak", None, at_most=128)], is_xet=True),
        Row("many", "20,000 files of 16 bytes", many, [OURS], [Limit("peak", None, at_most=48)], file=None, rounds=1),
    ]
