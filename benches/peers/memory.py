"""Keeps the host of a virtual machine from taking free memory back while clients are measured."""
import contextlib
import mmap

# The kernel reports free blocks of 2 MiB to the host (CONFIG_PAGE_REPORTING). A page in each 256 KiB leaves none free.
APART = 256 << 10
PIECE = 1 << 20


@contextlib.contextmanager
def held(gib):
    """Takes so much memory, and keeps a page in each 256 KiB of it: the rest is free, in blocks too small to be taken.
    Memory that the host took costs several times as much to write to, and the client that comes next pays."""
    if gib == 0:
        yield
        return
    with mmap.mmap(-1, gib << 30, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        memory.madvise(mmap.MADV_NOHUGEPAGE)
        memory.madvise(mmap.MADV_DONTFORK)
        for at in range(0, len(memory), PIECE):
            memory[at:at + PIECE] = b"\1" * PIECE
        for at in range(0, len(memory), APART):
            memory.madvise(mmap.MADV_DONTNEED, at + mmap.PAGESIZE, APART - mmap.PAGESIZE)
        yield
