"""Starts the servers on loopback: the hub, and the storage of Xet."""
import json
import os
import socket
import subprocess
import sys
import time

from .processes import start

START_S = 30

# Puts a file into the storage, and prints its hash there.
UPLOAD = """
import sys, hf_xet
[info] = hf_xet.upload_files([sys.argv[1]], sys.argv[2], ("any", 1 << 60), None, None, "model")
print(getattr(info, "hash", None) or info.xet_info.hash)
"""


class Server:
    """A server that ends with the block that uses it."""

    child = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.kill()
        self.child.wait()


class Hub(Server):
    """The hub of the tests, with these folders as its repos."""

    def __init__(self, program, repos, certificate=None, options=()):
        argv = [program, "--port", "0", "--steered", "yes", *options]
        # Without a certificate it speaks plain HTTP.
        self.certificate = certificate
        if certificate:
            argv += ["--tls", certificate]
        for name, folder in repos.items():
            argv += ["--repo", f"{name}={folder}"]
        self.child = start(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        lines = iter(self.child.stdout.readline, "")
        self.endpoint = next((line.strip() for line in lines if line.startswith("http")), None)
        if not self.endpoint:
            sys.exit("the hub did not start")

    def environment(self, hf_home):
        """What a client of the Hub needs to know of this one."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING_FACE_"))}
        trust = {"SSL_CERT_FILE": str(self.certificate)} if self.certificate else {}
        return {**kept, **trust, "HF_ENDPOINT": self.endpoint, "HF_HOME": str(hf_home), "NO_PROXY": "127.0.0.1"}

    def counts(self):
        """What the hub counted since the last time."""
        self.child.stdin.write("counts\n")
        self.child.stdin.flush()
        return json.loads(self.child.stdout.readline())


class Storage(Server):
    """The storage server of Xet, empty at first."""

    def __init__(self, program, folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.folder = folder
        self.endpoint = f"http://127.0.0.1:{port}"
        folder.mkdir(parents=True)
        argv = [program, "--port", port, "--data-directory", folder / "data"]
        self.child = start(argv, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        begin = time.monotonic()
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                return
            except OSError:
                if time.monotonic() - begin > START_S or self.child.poll() is not None:
                    sys.exit("the storage server of Xet did not start")
                time.sleep(0.01)

    def put(self, python, path):
        """Puts a file in through the Python package `hf_xet`, and returns its hash."""
        env = {**os.environ, "HF_HOME": str(self.folder / "upload"), "NO_PROXY": "127.0.0.1"}
        done = subprocess.run([python, "-c", UPLOAD, path, self.endpoint], env=env, text=True, capture_output=True)
        if done.returncode != 0:
            sys.exit(f"the upload to Xet failed: {done.stderr}")
        return done.stdout.split()[-1]
