#!/usr/bin/env python3
"""Print what GGUF files tell, as JSON by file name, read by the `gguf` Python package and not by us.

    facts.py FILE...

A file's fields are those of `ModelInfo`, but for `memory`, whose weights are the sum over `tensor_types`.
Needs gguf 0.19.0 (`prepare.sh`).
"""
import json
import os
import sys

from gguf import GGUFReader, LlamaFileType


def scalar(value):
    """The greatest of several, for what each layer has its own."""
    if isinstance(value, list):
        return max(value) if value else None
    return value


def facts(path):
    reader = GGUFReader(path)
    fields = {name: field.contents() for name, field in reader.fields.items() if not name.startswith("GGUF.")}
    get = fields.get
    arch = get("general.architecture")
    of = lambda key: scalar(get(f"{arch}.{key}"))
    first = lambda value: value[0] if isinstance(value, list) else value
    heads, width = of("attention.head_count"), of("embedding_length")
    per_head = width // first(get(f"{arch}.attention.head_count")) if heads and width else None
    kv_heads = of("attention.head_count_kv")
    tokens = get("tokenizer.ggml.tokens")
    types = {}
    for tensor in reader.tensors:
        share = types.setdefault(tensor.tensor_type.name, {"tensors": 0, "elements": 0, "bytes": 0})
        share["tensors"] += 1
        share["elements"] += int(tensor.n_elements)
        share["bytes"] += int(tensor.n_bytes)
    scaling = {"type": get(f"{arch}.rope.scaling.type"), "factor": get(f"{arch}.rope.scaling.factor"),
               "original_ctx": of("rope.scaling.original_context_length")}
    scaling = {key: value for key, value in scaling.items() if value is not None}
    bases = []
    for index in range(get("general.base_model.count") or 0):
        base = get(f"general.base_model.{index}.repo_url") or get(f"general.base_model.{index}.name")
        bases += [base] if base else []
    file_type = get("general.file_type")
    quantization = None
    if file_type is not None:
        quantization = LlamaFileType(file_type).name.removeprefix("MOSTLY_").removeprefix("ALL_")
    elif types:
        quantization = max(sorted(types), key=lambda name: types[name]["elements"])
    special = {name.removeprefix("tokenizer.ggml.").removesuffix("_token_id"): [value]
               for name, value in fields.items()
               if name.startswith("tokenizer.ggml.") and name.endswith("_token_id")}
    found = {
        "format": "gguf", "architecture": arch, "name": get("general.name"), "size_bytes": os.path.getsize(path),
        "ctx_max": of("context_length"), "quantization": quantization,
        "parameter_count": sum(share["elements"] for share in types.values()) or None,
        "layers": of("block_count"), "heads": heads, "kv_heads": kv_heads if kv_heads is not None else heads,
        "embedding_length": width, "tokenizer_model": get("tokenizer.ggml.model"),
        "vocab_size": of("vocab_size") or (len(tokens) if tokens is not None else None),
        "tokenizer_pre": get("tokenizer.ggml.pre"), "license": get("general.license"), "shards": 1,
        "has_chat_template": any(name.startswith("tokenizer.chat_template") for name in fields),
        "key_length": of("attention.key_length") or per_head,
        "value_length": of("attention.value_length") or per_head,
        "sliding_window": of("attention.sliding_window") or None,
        "experts": of("expert_count") or None, "experts_used": of("expert_used_count") or None,
        "rope_scaling": scaling, "special_tokens": special, "base_models": bases, "tensor_types": types,
    }
    return {key: value for key, value in found.items() if value is not None and value != {} and value != []}


if __name__ == "__main__":
    json.dump({os.path.basename(path): facts(path) for path in sys.argv[1:]}, sys.stdout, indent=1, sort_keys=True)
    print()
