"""Makes parts of a cache as the command leaves them, without a source."""

import hashlib
import json
import os

# A time long ago: a file that was written just now is not trusted by its stamp.
WRITTEN_AT = 1_700_000_000


def key(text):
    return hashlib.sha256(text.encode()).hexdigest()


def stamp_of(seen):
    return {"size": seen.st_size, "mtime_ns": seen.st_mtime_ns, "dev": seen.st_dev, "inode": seen.st_ino}


def described(name, root, file, seen, **more):
    stamp = stamp_of(seen)
    if not more:
        stamp["ctime_ns"] = seen.st_ctime_ns
    sha256 = {"sha256": more["digest"]} if more else {}
    verification = {"outcome": "warn", "reason": "no digest was given, and none was computed"}
    if more:
        verification = {"outcome": "pass", "basis": "source", "reason": "matches what the source says"}
    return {
        "id": name, "local_path": str(root / file), "lifecycle": "Active", **more, "size_bytes": seen.st_size,
        "format": "gguf", "entry": file,
        "files": [{"path": file, "stamp": stamp, "settled": True, "format": "gguf", **sha256}],
        "verification": verification,
        "created_at": "2024-01-01T00:00:00Z", "updated_at": "2024-01-01T00:00:00Z",
    }


def stored(cache, folder, content):
    """Puts a file into the store, with its view below `hf/org/FOLDER`. Returns the view, the file as it was seen, and its digest."""
    digest = hashlib.sha256(content).hexdigest()
    blob = cache / "store-v1/blobs/sha256" / digest[:2] / digest[2:]
    root = cache / "store-v1/models/hf/org" / folder / ("0" * 40) / "all"
    blob.parent.mkdir(parents=True, exist_ok=True)
    root.mkdir(parents=True)
    blob.write_bytes(content)
    blob.chmod(0o444)
    os.utime(blob, (WRITTEN_AT, WRITTEN_AT))
    os.link(blob, root / "a.gguf")
    seen = blob.stat()
    blob.with_suffix(".stamp").write_text(json.dumps(stamp_of(seen)))
    return root, seen, {"algo": "sha256", "value": digest}
