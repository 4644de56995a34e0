#!/usr/bin/env python3
"""Fetching models beside other clients, in one run, from servers on loopback.

    cargo build --profile dist && cargo build --profile dist -p testkit --examples
    python3 benches/peers.py target/dist [--hf PATH] [--hfrs PATH] [--xet-server PATH] [--only NAME …] [--list]

Rows: plain HTTP, TLS with HTTP/2, limits, latency, small files, and Xet. Each row runs the product beside the clients that
are installed (curl, openssl, aria2c, hf, hf with hf_xet, hfrs) by turns, and `plain`, an example of the testkit that fetches and
hashes as simply as can be. It leaves out what is not installed, and says so.
The last table has a line for each limit: measured, wanted, held or missed.

Files and caches go below --dir, a tmpfs by preference, into a folder that goes with the script; each client's cache is
emptied before each run. Each round has the clients in another order, for what one freed costs the next one less. In a
virtual machine whose host takes free memory back, --hold-memory keeps that from the clients.

CPU is user and system time of the client and its children. Memory is the highest peak of the client itself; all else is a
median. Requests, connections and bytes are those that the hub counted, without those of Xet's storage.

The script ends with 1 where a limit is missed; with --report it only prints.
"""
import argparse
import os
import pathlib
import random
import shutil
import signal
import sys
import tempfile

from peers import clients, report
from peers.memory import held
from peers.processes import measured
from peers.rows import rows
from peers.servers import Hub, Storage


def main():
    args = arguments()
    tools = clients.Tools(args)
    every = rows(args)
    chosen = [row for row in every if not args.only or row.name in args.only]
    if unknown := set(args.only or ()) - {row.name for row in every}:
        sys.exit(f"there is no row {', '.join(sorted(unknown))}: --list has their names")
    if args.list:
        print("\n".join(f"{row.name}: {row.title}" for row in chosen))
        return
    if not tools.ours.exists() or not tools.hub.exists():
        sys.exit(f"{args.target} lacks the command or the hub: the head of this script says how to build them")
    # An interrupt and a termination leave through `finally`, so that the folder goes.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with held(args.hold_memory):
        lines, left_out = measure(chosen, tools, args)
    report.last_table(lines, left_out)
    is_missed = any("missed" in verdict for *_, verdict in lines)
    sys.exit(1 if is_missed and not args.report else 0)


def measure(chosen, tools, args):
    """Prints the table of each row. Returns the lines of the last table, and what was left out."""
    lines, left_out = [], [f"`{name}` (not installed)" for name, path in tools.paths.items() if not path]
    for row in chosen:
        if reason := row.reason_to_leave_out(tools):
            left_out.append(f"{row.name} ({reason})")
            continue
        folder = pathlib.Path(tempfile.mkdtemp(prefix="peers-", dir=args.dir))
        try:
            runs = compare(row, clients.Workplace(tools, folder), args.rounds)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        report.details(row, runs)
        sys.stdout.flush()
        lines += report.verdicts(row, runs)
    return lines, left_out


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", type=pathlib.Path, help="the folder of release binaries")
    parser.add_argument("--hf", type=existing, help="the hf command; for Xet, with hf_xet beside it")
    parser.add_argument("--hfrs", type=existing, help="the command of hf-hub")
    parser.add_argument("--xet-server", type=existing, help="local_cas_server, which `just xet-server` installs")
    parser.add_argument("--only", action="append", metavar="NAME", help="only this row; may come again")
    parser.add_argument("--list", action="store_true", help="say which rows there are")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--slow-rounds", type=int, default=3, help="rounds where the hub is slow")
    parser.add_argument("--xet-mib", type=int, default=2048)
    parser.add_argument("--dir", default="/dev/shm" if os.path.isdir("/dev/shm") else None)
    parser.add_argument("--hold-memory", type=memory_gib, default=0, metavar="GIB",
                        help="memory that the host shall not take back, and that must be free: 10 for rows of 1 and 2 GiB")
    parser.add_argument("--report", action="store_true", help="end with 0 where a limit is missed")
    args = parser.parse_args()
    args.target = args.target.resolve()
    return args


def memory_gib(text):
    gib, free = int(text), os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 30
    if not 0 <= gib <= free:
        raise argparse.ArgumentTypeError(f"{gib} GiB are not free; {free} are")
    return gib


def existing(text):
    path = pathlib.Path(text).absolute()
    if not path.exists():
        raise argparse.ArgumentTypeError(f"{path} does not exist")
    return path


def compare(row, place, rounds):
    """The runs of each client, by turns."""
    files = place.folder / "org/model"
    files.mkdir(parents=True)
    row.write(files)
    certificate = place.folder / "certificate.pem" if row.is_tls else None
    if not row.is_xet:
        return by_turns(row, place, rounds, certificate, row.options)
    with Storage(place.tools.storage, place.folder / "storage") as storage:
        digest = storage.put(place.tools.python, files / row.file)
        return by_turns(row, place, rounds, certificate, ["--cas", storage.endpoint, "--xet", f"{row.file}={digest}"])


def by_turns(row, place, rounds, certificate, options):
    with Hub(place.tools.hub, {"org/model": place.folder / "org/model"}, certificate, options) as hub:
        here = [place.client(name, hub, "org/model", row.file) for name in row.clients if place.tools.has(name)]
        runs = {client.name: [] for client in here}
        for turn in range(row.rounds or rounds):
            for client in random.Random(turn).sample(here, len(here)):
                place.empty()
                hub.counts()
                run = measured(client)
                counts = hub.counts()
                run = run._replace(requests=counts["requests"], connections=counts["connections"],
                                   mib_sent=counts["bytes"] / (1 << 20))
                runs[client.name].append(run)
                print(f"{row.name}: {client.name}: {run.wall_s:.2f} s", file=sys.stderr)
        return runs


if __name__ == "__main__":
    main()
