#!/usr/bin/env python3
"""Write the small files in `tests/vectors`, by the writer and the tables of the `gguf` Python package and not by ours.

    make_vectors.py OUT
    facts.py OUT/*.gguf > OUT/facts.json        # without the ones that are not read

Deterministic. Needs gguf 0.19.0 and numpy (`prepare.sh`).
"""
import json
import pathlib
import sys

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Q
from gguf import LlamaFileType as F
from gguf import quants


def close(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def put(writer, name, shape, kind=Q.F32):
    values = np.arange(np.prod(shape), dtype=np.float32).reshape(shape) / 64
    writer.add_tensor(name, quants.quantize(values, kind), raw_dtype=kind)


def dense(path, **options):
    """A llama with several types of tensors, an alignment of its own, and strings that are not ASCII."""
    writer = gguf.GGUFWriter(path, "llama", **options)
    writer.add_custom_alignment(64)
    writer.add_name("Väctor ✓")
    writer.add_license("cc0-1.0")
    writer.add_file_type(F.MOSTLY_Q8_0)
    writer.add_context_length(4096)
    writer.add_embedding_length(64)
    writer.add_block_count(2)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_vocab_size(5)
    writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
    writer.add_rope_scaling_factor(4.0)
    writer.add_rope_scaling_orig_ctx_len(1024)
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(["<unk>", "<s>", "</s>", "ä", "✓"])
    writer.add_token_scores([0.0, 0.0, 0.0, -1.0, -2.0])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template("{{ messages }}")
    for name, kind in [("a", Q.Q8_0), ("b", Q.Q4_0), ("c", Q.Q5_1), ("d", Q.F16), ("e", Q.BF16), ("f", Q.F32)]:
        put(writer, f"{name}.weight", (3, 64), kind)
    close(writer)


def layers(path):
    """Layers that differ, experts, a window, and no file type."""
    writer = gguf.GGUFWriter(path, "gemma3")
    writer.add_base_model_count(1)
    writer.add_base_model_name(0, "Base")
    writer.add_base_model_repo_url(0, "https://example.org/base")
    writer.add_context_length(8192)
    writer.add_embedding_length(32)
    writer.add_block_count(3)
    writer.add_head_count([2, 4, 2])
    writer.add_head_count_kv([1, 2, 1])
    writer.add_key_length(24)
    writer.add_value_length(16)
    writer.add_sliding_window(512)
    writer.add_sliding_window_pattern([True, False, True])
    writer.add_expert_count(8)
    writer.add_expert_used_count(2)
    put(writer, "x.weight", (2, 32), Q.Q8_0)
    put(writer, "x.norm", (32,))
    close(writer)


def tables(path):
    """The package's tables: types of tensors with elements and bytes of a block, and types of files."""
    types = {int(kind): [kind.name, *gguf.GGML_QUANT_SIZES[kind]] for kind in Q}
    files = {int(kind): kind.name.removeprefix("MOSTLY_").removeprefix("ALL_") for kind in F if kind != F.GUESSED}
    path.write_text(json.dumps({"tensor_types": types, "file_types": files}, indent=1) + "\n")


def main():
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    dense(out / "dense.gguf")
    layers(out / "layers.gguf")
    dense(out / "big-endian.gguf", endianess=gguf.GGUFEndian.BIG)
    tables(out / "tables.json")


if __name__ == "__main__":
    main()
