"""Runs a process, and says what it took."""
import ctypes
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from typing import NamedTuple

# A look takes a processor from the clients for a moment, and the mark that it reads only grows.
POLL_S = 0.02
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


class Run(NamedTuple):
    """What one run of a client took; the counts are the hub's, and None where it has none."""

    wall_s: float
    cpu_s: float
    peak_mib: float
    requests: int | None = None
    connections: int | None = None
    mib_sent: float | None = None


def dies_with_us():
    """Lets the kernel end this child where the script ends, however it does."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def start(argv, **options):
    """Starts a server or a client, which ends with the script."""
    return subprocess.Popen([str(arg) for arg in argv], preexec_fn=dies_with_us, **options)


def measured(client):
    """Wall and CPU seconds of a client and its children, and the peak memory of the client itself in MiB."""
    argv = ["sh", "-c", client.argv] if isinstance(client.argv, str) else client.argv
    begin = time.monotonic()
    child = start(argv, env=client.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=client.errors)
    marks, is_over = [0], threading.Event()
    watcher = threading.Thread(target=watch, args=(child.pid, marks, is_over))
    watcher.start()
    # The process is left as a zombie, whose number no other process gets while the watcher looks.
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    wall = time.monotonic() - begin
    is_over.set()
    watcher.join()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.exit(f"{client.name} failed with {child.returncode}: {argv}\n{client.said()}")
    return Run(wall, usage.ru_utime + usage.ru_stime, max(marks) / 1024)


def watch(pid, marks, is_over):
    """Notes the peak of a process until it is over."""
    while not is_over.wait(POLL_S):
        marks.append(high_water_kib(pid))


def high_water_kib(pid):
    """The peak of a process that runs; 0 where it is over."""
    try:
        lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
        return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)
    except OSError:
        return 0
