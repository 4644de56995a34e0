"""Writes the files that the clients fetch."""
import json
import os
import struct

MIB = 1 << 20


def gguf_header(size):
    """The header of a GGUF of so many bytes: version 3, no key, and one tensor of 8-bit integers."""
    info = struct.pack("<QsIQIQ", 1, b"w", 1, size - 64, 24, 0)
    return (b"GGUF" + struct.pack("<IQQ", 3, 1, 0) + info).ljust(64, b"\0")


def safetensors_header(size, seed):
    """The header of a safetensors file of so many bytes, with one tensor, which no other shard has."""
    data = size - 96
    header = json.dumps({f"w{seed}": {"dtype": "U8", "shape": [data], "data_offsets": [0, data]}}).encode().ljust(88)
    return struct.pack("<Q", len(header)) + header


def write_large(path, mib, seed=0, unlike=False):
    """Writes weights that are no pattern. One MiB of noise comes again with its number stamped in, which is quick to
    make; where each piece must be `unlike` every other, as for a storage that keeps like pieces once, all is noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    size = mib * MIB
    header = gguf_header(size) if path.suffix == ".gguf" else safetensors_header(size, seed)
    noise = bytearray(os.urandom(MIB))
    with open(path, "wb") as file:
        for n in range(mib):
            if unlike:
                noise = os.urandom(MIB)
            else:
                noise[128:144] = n.to_bytes(8, "little") + seed.to_bytes(8, "little")
            file.write(noise)
        file.seek(0)
        file.write(header)


def write_small(folder, count, size):
    """Writes so many small JSON files of 16 bytes and more, each with its number: one of mere noise may begin like a pickle."""
    folder.mkdir(parents=True, exist_ok=True)
    for n in range(count):
        (folder / f"{n}.json").write_text(f'{{"n":"{n:08x}{os.urandom((size - 16) // 2).hex()}"}}')


def write_shards(folder, count, mib):
    """Writes the shards of a model."""
    for n in range(count):
        write_large(folder / f"model-{n + 1:05}-of-{count:05}.safetensors", mib, n)
