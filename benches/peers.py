#!/usr/bin/env python3
"""Fetching models beside other clients, in one run, from a hub on loopback: over plain HTTP, and over TLS with HTTP/2 on offer.

    cargo build --profile dist && cargo build --profile dist -p testkit --example hub
    python3 benches/peers.py target/dist [--hf PATH-of-hf] [--large-mib 2048] [--dir DIR] [--over http|tls]

It needs curl and openssl; `hf` is left out where it is not given. Files and caches go below --dir, a tmpfs by preference;
each client's cache is emptied before each run. Rounds go by turns. CPU is user and system time of the client and its
children; memory is the peak of the client itself. It only prints.
"""
import argparse
import json
import os
import pathlib
import resource
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time

ROUNDS = 3
WARM_ROUNDS = 100


def measured(argv, env=None, shell=False):
    """Wall and CPU seconds, and the peak memory in MiB, of one client."""
    start = time.monotonic()
    child = subprocess.Popen(argv, env=env, shell=shell, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    peak = 0
    while child.poll() is None:
        try:
            status = pathlib.Path(f"/proc/{child.pid}/status").read_text()
            line = next((line for line in status.splitlines() if line.startswith("VmHWM")), None)
            peak = max(peak, int(line.split()[1]) if line else 0)
        except (OSError, ValueError):
            pass
        time.sleep(0.002)
    wall = time.monotonic() - start
    if child.returncode != 0:
        sys.exit(f"{argv} failed: {child.stderr.read().decode()}")
    return wall, peak / 1024


def run(argv, env=None, shell=False):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall, peak = measured(argv, env, shell)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu, peak


def gguf_header(size):
    """The header of a GGUF of so many bytes: version 3, no key, and one tensor of 8-bit integers."""
    info = struct.pack("<QsIQIQ", 1, b"w", 1, size - 64, 24, 0)
    return (b"GGUF" + struct.pack("<IQQ", 3, 1, 0) + info).ljust(64, b"\0")


def safetensors_header(size, seed):
    """The header of a safetensors file of so many bytes, with one tensor, which no other shard has."""
    data = size - 96
    header = json.dumps({f"w{seed}": {"dtype": "U8", "shape": [data], "data_offsets": [0, data]}}).encode().ljust(88)
    return struct.pack("<Q", len(header)) + header


def write_large(path, mib, seed):
    """Weights that are no pattern, made quickly: one MiB of noise with its number stamped in."""
    size = mib << 20
    header = gguf_header(size) if path.suffix == ".gguf" else safetensors_header(size, seed)
    noise = bytearray(os.urandom(1 << 20))
    with open(path, "wb") as file:
        for n in range(mib):
            noise[128:144] = n.to_bytes(8, "little") + seed.to_bytes(8, "little")
            file.write(noise)
        file.seek(0)
        file.write(header)


class Hub:
    def __init__(self, target, repos, certificate, limit=None):
        argv = [target / "examples/hub", "--port", "0"]
        # Without a certificate it speaks plain HTTP.
        self.certificate = certificate
        if certificate:
            argv += ["--tls", certificate]
        for name, folder in repos.items():
            argv += ["--repo", f"{name}={folder}"]
        if limit:
            argv += ["--limit-rate", str(limit)]
        self.child = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        lines = iter(self.child.stdout.readline, "")
        self.endpoint = next(line.strip() for line in lines if line.startswith("http"))

    def environment(self, hf_home):
        """What a client of the Hub needs to know of this one."""
        trust = {"SSL_CERT_FILE": str(self.certificate)} if self.certificate else {}
        return {**os.environ, **trust, "HF_ENDPOINT": self.endpoint, "HF_HOME": str(hf_home)}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.kill()
        self.child.wait()


def table(title, rows):
    print(f"\n### {title}\n\n| client | wall, median (s) | CPU, median (s) | peak (MiB) |\n| --- | --- | --- | --- |")
    for name, runs in rows.items():
        wall, cpu, peak = (statistics.median(column) for column in zip(*runs))
        print(f"| {name} | {wall:.2f} | {cpu:.2f} | {peak:.1f} |")
    return {name: [statistics.median(column) for column in zip(*runs)] for name, runs in rows.items()}


def compare(title, clients, rounds=ROUNDS):
    rows = {name: [] for name in clients}
    for _ in range(rounds):
        for name, (prepare, argv, env, shell) in clients.items():
            prepare()
            rows[name].append(run(argv, env, shell))
    return table(title, rows)


def warm(client):
    """The median wall time of a client that finds everything in its place, in milliseconds."""
    _, argv, env, _ = client
    walls = []
    for _ in range(WARM_ROUNDS):
        start = time.monotonic()
        subprocess.run(argv, env=env, check=True, stdout=subprocess.DEVNULL)
        walls.append((time.monotonic() - start) * 1000)
    return statistics.median(walls)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", type=pathlib.Path, help="the folder of release binaries")
    parser.add_argument("--hf", type=pathlib.Path, help="the hf command")
    parser.add_argument("--large-mib", type=int, default=2048)
    parser.add_argument("--dir", default="/dev/shm" if os.path.isdir("/dev/shm") else None)
    parser.add_argument("--over", choices=["http", "tls"], help="one of the two alone")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.dir) as folder:
        folder = pathlib.Path(folder)
        (folder / "large").mkdir()
        write_large(folder / "large/model.gguf", args.large_mib, 1)
        (folder / "many").mkdir()
        for n in range(200):
            (folder / f"many/{n}.json").write_bytes(os.urandom(2000))
        for n in range(4):
            write_large(folder / f"many/model-{n + 1:05}-of-00004.safetensors", 256, n)
        for over in [args.over] if args.over else ["http", "tls"]:
            measure(args, folder, over)


def measure(args, folder, over):
    """All comparisons over one of the two."""
    print(f"\n## {'Plain HTTP' if over == 'http' else 'TLS, with HTTP/2 on offer'}")
    target = args.target.resolve()
    certificate = folder / "certificate.pem" if over == "tls" else None
    cache, out, hf_home = folder / "cache", folder / "out", folder / "hf"

    def empty():
        for path in (cache, out, hf_home):
            shutil.rmtree(path, ignore_errors=True)
        out.mkdir()

    def ours(hub, reference):
        argv = [target / "model-provisioner", "--cache-dir", cache, "ensure", reference]
        return empty, argv, hub.environment(hf_home), False

    def curl(hub, digest):
        url = f"{hub.endpoint}/org/large/resolve/main/model.gguf"
        trust = f"--cacert {hub.certificate}" if hub.certificate else ""
        fetch = f"curl -sfL {trust} {url} -o {out}/model.gguf"
        return empty, f"{fetch} && openssl dgst -sha256 {out}/model.gguf" if digest else fetch, None, True

    def hf(hub, repo, *files):
        env = {**hub.environment(hf_home), "HF_HUB_DISABLE_XET": "1"}
        return empty, [args.hf, "download", repo, *files, "--format", "quiet"], env, False

    repos = {"org/large": folder / "large", "org/many": folder / "many"}
    with Hub(target, repos, certificate) as hub:
        clients = {"model-provisioner": ours(hub, "hf:org/large/model.gguf"),
                   "curl, then openssl": curl(hub, True), "curl alone": curl(hub, False)}
        if args.hf:
            clients["hf download"] = hf(hub, "org/large", "model.gguf")
        cold = compare(f"{args.large_mib} MiB, cold, in one file", clients)
        mine = cold["model-provisioner"]
        print(f"\nCPU: {mine[1] / cold['curl, then openssl'][1]:.2f} times curl and openssl", end="")
        print(f"; {mine[1] / cold['hf download'][1]:.2f} times hf" if args.hf else "")
        print(f"Wall: {mine[0] / cold['curl, then openssl'][0]:.2f} times curl and openssl", end="")
        print(f"; {mine[0] / cold['curl alone'][0]:.2f} times curl alone")
        ours_again = ours(hub, "hf:org/large/model.gguf")
        ours_again[0]()
        subprocess.run(ours_again[1], env=ours_again[2], check=True, stdout=subprocess.DEVNULL)
        print(f"Present already, whole process: {warm(ours_again):.2f} ms, median of {WARM_ROUNDS}")
        clients = {"model-provisioner": ours(hub, "hf:org/many?include=*")}
        if args.hf:
            clients["hf download"] = hf(hub, "org/many")
        many = compare("200 small files and 4 shards of 256 MiB", clients)
        if args.hf:
            print(f"\nWall: {many['model-provisioner'][0] / many['hf download'][0]:.2f} times hf")
    with Hub(target, {"org/large": folder / "large"}, certificate, limit=50_000_000) as hub:
        clients = {"model-provisioner": ours(hub, "hf:org/large/model.gguf"), "curl alone": curl(hub, False)}
        limited = compare("50 MB/s per connection", clients, rounds=1)
        print(f"\nSpeed: {limited['curl alone'][0] / limited['model-provisioner'][0]:.1f} times curl")


if __name__ == "__main__":
    main()
