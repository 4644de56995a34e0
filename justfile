# Every task of this repository. `just` lists them.

default:
    @just --list

# What the README's first command does
provision:
    cargo run --release --no-default-features -- provision --config examples/model.yaml

# The command as packages have it: smaller and slower to build than `cargo build --release`; prints its size in bytes
package:
    cargo build --profile dist --locked
    stat -c %s "${CARGO_TARGET_DIR:-target}/dist/model-provisioner"

# The tests
test:
    cargo test --workspace

# The tests that need strace, unshare, openssl, mkfs and mount, hf, zsh, fish, tmux, exfat-fuse, the engine, the readers of
# statements or the Python reader of GGUF; `just test-xet` and `just test-engines` have their own
test-ignored: oracle
    cargo test --workspace -- --ignored --skip xet_server:: --skip python_engines:: --skip each_protection

# Installs the storage server of Xet, for the tests that need one; four minutes of a processor
xet-server:
    cargo install xet-client --version 1.8.0 --features simulation --bin local_cas_server --root "${CARGO_TARGET_DIR:-target}/tools" --target-dir "${CARGO_TARGET_DIR:-target}/xet-server"

# The tests that need the Xet server
test-xet:
    cargo test --test hub -- --ignored xet_server::

# Transformers, sentence-transformers, PEFT and diffusers, for the tests that load models with them: 3.7 GB to fetch and 6 GB on
# the disk, for PyPI's PyTorch brings CUDA's libraries along
engines:
    python3 -m venv target/tools/engines
    target/tools/engines/bin/pip install --quiet --no-cache-dir --no-compile torch==2.15.0 transformers==5.24.0 \
        sentence-transformers==6.2.0 diffusers==0.42.1 peft==0.21.2 tokenizers==0.23.3 sentencepiece==0.2.3 pillow==13.0.0 \
        keras==3.15.1 h5py==3.16.0 dill==0.4.1

# The tests that load with those libraries what the command brings, offline, and those that tell the formats of files that they
# write; prints files and bytes beside `hf download`, and the formats
test-engines: test-formats
    cargo test -p model-provisioner-cli --test command -- --ignored --nocapture python_engines::

# The tests that tell the formats of files that PyTorch, NumPy, Keras, joblib and others write
test-formats:
    cargo test -p model-inspect --test formats -- --ignored --nocapture python_engines::

# A real engine for the test that needs one: llama.cpp's own HTTP server, in a Python package
engine:
    python3 -m venv target/tools/llama
    target/tools/llama/bin/pip install --quiet xllamacpp==2026.10.11549

# The reference implementation of model signatures, for the tests that need it
model-signing:
    python3 -m venv target/tools/model-signing
    target/tools/model-signing/bin/pip install --quiet model-signing==1.1.1 pyOpenSSL

# The readers of statements that other projects wrote, for the tests that read ours with them; half a minute
statement-readers:
    python3 -m venv target/tools/statements
    target/tools/statements/bin/pip install --quiet in-toto-attestation==0.9.3 'cyclonedx-python-lib[json-validation]==11.12.0' \
        'securesystemslib[crypto]==1.6.0' packageurl-python==0.17.6

# The tests that read our statements with those
test-statements:
    cargo test -p model-provisioner-cli --test command -- --ignored statement_readers

# The long tier: everything at full length
prove:
    MODEL_PROVISIONER_PROVE=full cargo test --workspace -- --include-ignored --skip xet_server:: --skip python_engines:: --skip each_protection

# Takes each protection away in turn, and sees the test fail that `docs/guarantees.md` names for it; about a minute a row.
# `CONTROLS=…` chooses some, by their names with semicolons between them
controls:
    cargo test --test controls -- --include-ignored --nocapture

# Formatting and lints
lint:
    cargo fmt --all -- --check
    cargo clippy --workspace --all-targets -- -D warnings

# The documentation, without warnings
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# Licences, bans and sources of all dependencies
deny:
    cargo deny check bans licenses sources

# Fuzzing of one target (`gguf`, `safetensors`, `config`, `formats`, `signature`), for so many executions
fuzz target="gguf" runs="10000000":
    cargo run -p model-inspect --example seeds fuzz/corpus
    cargo +nightly fuzz run -s none {{ target }} -- -runs={{ runs }} -max_len=4096

# What grows with the count: listings, collections and checks of many models, folders of many files, and what a hub lists
bench-growth:
    cargo build --profile dist -p model-provisioner-cli
    cargo build --profile dist -p testkit --example hub
    python3 benches/growth.py target/dist/model-provisioner --hub target/dist/examples/hub

# What the tests and benchmarks beside the Python reader need, into `target/oracle`
oracle:
    crates/model-inspect/tests/oracle/prepare.sh

# Headers: in the library, and whole processes beside the Python reader
bench-headers: oracle
    cargo bench -p model-inspect --bench header
    cargo build --profile dist -p model-inspect --example inspect
    python3 benches/headers.py target/dist/examples/inspect target/oracle

# Writes schemas, the page of the command, that of error codes and the example anew
generate:
    UPDATE_GENERATED=1 cargo test --workspace

# Benchmarks of the library
bench:
    cargo bench --bench locate
    cargo bench -p transfer --bench fetch

# Benchmarks of whole processes, beside openssl
bench-whole:
    cargo build --profile dist
    cargo build --profile dist -p testkit --example hub
    python3 benches/whole-process.py target/dist/model-provisioner --hub target/dist/examples/hub

# Fetching beside the other clients that are installed, from servers on loopback; `docs/benchmarks.md` says how to install them.
# `just bench-peers --only xet` runs one row
bench-peers *args:
    cargo build --profile dist
    cargo build --profile dist -p testkit --examples
    python3 benches/peers.py target/dist {{ args }}

# All that must pass
ci:
    .ci/run
