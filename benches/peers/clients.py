"""The clients, and how each is told to fetch."""
import dataclasses
import pathlib
import shlex
import shutil
import tempfile
from typing import IO

OURS = "ensure"
CURL = "curl"
THEN = "curl, then openssl"
PIPE = "curl | openssl"
OPENSSL = "openssl dgst"
PLAIN = "plain"
ARIA = "aria2c -x8"
HF = "hf"
HF_XET = "hf with hf_xet"
HFRS = "hfrs"


@dataclasses.dataclass
class Client:
    """A command, as a list of arguments or as a line for the shell."""

    name: str
    argv: list | str
    env: dict
    errors: IO = dataclasses.field(default_factory=tempfile.TemporaryFile)

    def said(self):
        """The end of what it wrote to its standard error."""
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace")[-2000:]


class Tools:
    """The commands that are installed here, by the names of the clients."""

    def __init__(self, args):
        on_path = shutil.which
        hf = args.hf or on_path("hf")
        self.ours = args.target / "model-provisioner"
        self.hub = args.target / "examples/hub"
        self.storage = args.xet_server
        plain = args.target / "examples/plain"
        self.paths = {OURS: self.ours, CURL: on_path("curl"), OPENSSL: on_path("openssl"), ARIA: on_path("aria2c"), HF: hf,
                      HFRS: args.hfrs or on_path("hfrs"), PLAIN: plain if plain.exists() else None}
        self.paths[THEN] = self.paths[PIPE] = self.paths[CURL] and self.paths[OPENSSL]
        self.python = hf and pathlib.Path(hf).with_name("python")
        self.paths[HF_XET] = self.storage and hf if self.python and self.python.exists() else None

    def has(self, name):
        return bool(self.paths.get(name))


class Workplace:
    """The folders into which the clients fetch, and the tools."""

    def __init__(self, tools, folder):
        self.tools, self.folder = tools, folder
        self.cache, self.out, self.hf_home = folder / "cache", folder / "out", folder / "hf"

    def empty(self):
        """Removes what the last client brought."""
        for path in (self.cache, self.out, self.hf_home):
            shutil.rmtree(path, ignore_errors=True)
        self.out.mkdir()

    def client(self, name, hub, repo, file=None):
        """The client that fetches a file of a repo, or the whole repo, from a hub."""
        env, paths = hub.environment(self.hf_home), self.tools.paths
        url, target = f"{hub.endpoint}/{repo}/resolve/main/{file}", self.out / (file or "")
        trust = ["--cacert", str(hub.certificate)] if hub.certificate else []
        curl = [str(paths[CURL]), "-sfL", *trust, url]
        if name == OURS:
            reference = f"hf:{repo}/{file}" if file else f"hf:{repo}?include=*"
            argv = [paths[OURS], "--cache-dir", self.cache, "ensure", reference]
        elif name == CURL:
            argv = [*curl, "-o", target]
        elif name == THEN:
            argv = shlex.join([*curl, "-o", str(target)]) + f" && openssl dgst -sha256 {shlex.quote(str(target))}"
        elif name == PIPE:
            argv = shlex.join(curl) + " | openssl dgst -sha256"
        elif name == PLAIN:
            argv = [paths[PLAIN], url, target]
        elif name == OPENSSL:
            argv = [paths[OPENSSL], "dgst", "-sha256", self.folder / repo / file]
        elif name == ARIA:
            trust = [f"--ca-certificate={hub.certificate}"] if hub.certificate else []
            argv = [paths[ARIA], "-q", "-x8", "-s8", "--file-allocation=none", *trust, "-d", self.out, "-o", file, url]
        elif name in (HF, HF_XET):
            env["HF_HUB_DISABLE_XET"] = "1" if name == HF else "0"
            argv = [paths[HF], "download", repo, *([file] if file else []), "--format", "quiet"]
        else:
            argv = [paths[HFRS], "download", repo, *([file] if file else []), "--quiet"]
        return Client(name, argv, env)
