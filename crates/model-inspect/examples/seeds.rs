//! Writes the inputs that the fuzzer begins with: `seeds fuzz/corpus` makes a folder for each target.

use std::{io, path::PathBuf};

use testkit::{FakeModel, GgufWriter, ZipWriter, tar};

fn main() -> io::Result<()> {
    let corpus = PathBuf::from(std::env::args_os().nth(1).ok_or(io::ErrorKind::InvalidInput)?);
    let write = |target: &str, name: &str, bytes: &[u8]| {
        let folder = corpus.join(target);
        fs_err::create_dir_all(&folder)?;
        fs_err::write(folder.join(name), bytes)
    };
    let mut small = GgufWriter::default();
    small.string("general.architecture", "llama").u32("llama.context_length", 64).u32("llama.block_count", 2);
    small.u32("llama.embedding_length", 32).u32("llama.attention.head_count", 2);
    small.i32s("llama.attention.head_count_kv", &[1, 2]).u32("llama.attention.sliding_window", 16);
    small
        .u32("llama.attention.sliding_window_pattern", 2)
        .strings("tokenizer.ggml.tokens", &["a".into(), "b".into()]);
    small.tensor_f32("a", &[2, 2], &[1.0; 4]).tensor_f16("b", &[3], &[1.0; 3]);
    write("gguf", "small", &small.to_bytes())?;
    write("gguf", "model", FakeModel::gguf().to_bytes().get(..8192).unwrap_or_default())?;
    let header = br#"{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},"b":{"dtype":"BF16","shape":[3],"data_offsets":[16,22]}}"#;
    let mut safetensors = (header.len() as u64).to_le_bytes().to_vec();
    safetensors.extend(header);
    safetensors.extend([0; 22]);
    write("safetensors", "small", &safetensors)?;
    let config = br#" {"architectures":["LlamaForCausalLM"],"model_type":"llama","hidden_size":64,"num_hidden_layers":2,"num_attention_heads":4,"num_key_value_heads":2,"max_position_embeddings":2048,"sliding_window":64,"layer_types":["full_attention","sliding_attention"],"rope_scaling":{"rope_type":"yarn","factor":4.0,"original_max_position_embeddings":512},"quantization_config":{"quant_method":"gptq","bits":4},"auto_map":{"AutoModel":"a.B"},"eos_token_id":[1,2],"x":NaN,"text_config":{"head_dim":16}}"#;
    write("config", "config", config)?;
    formats(&write)?;
    write(
        "config",
        "index",
        br#"2{"metadata":{"total_size":22},"weight_map":{"a":"model.safetensors","b":"model.safetensors"}}"#,
    )
}

/// Writes an input of a target under a name.
type Write<'a> = dyn Fn(&str, &str, &[u8]) -> io::Result<()> + 'a;

/// Writes files whose format is to be told. The first byte of each chooses its name.
fn formats(write: &Write<'_>) -> io::Result<()> {
    let array = b"\x93NUMPY\x01\0\x10\0{'descr': '<f4'}\0\0".as_slice();
    let zip = ZipWriter::of(&[("a.npy", array), ("b/config.json", b"{}"), ("c.txt", b"text")]);
    let members: &[(&str, &[u8])] = &[("a.txt", b"text"), ("inner", &zip.to_bytes()), ("b", array)];
    let seeds: [(&str, &[u8]); 7] = [
        ("zip", &zip.to_bytes()),
        ("zip64", &zip.clone().zip64().behind(b"prefix").commented(b"comment").to_bytes()),
        ("tar", &tar(members)),
        ("pickle-0", b"(dp0\nVa\np1\n(lp2\nI1\naI2\nasVb\np3\n(NVx\np4\ntp5\ns."),
        ("pickle-4", b"\x80\x04\x95\x0b\0\0\0\0\0\0\0]\x94(K\x01\x8c\x01b\x94e."),
        ("gzip", b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x4b\x4c\x4a\x4e\x49\x4b\xcf\xc8\x2c\x2a\x2e\x29\x2d\x2b\xaf\x48\x04\0"),
        ("onnx", b"\x08\x08\x12\x07pytorch\x3a\x04\x0a\x02\x0a\0"),
    ];
    for (name, bytes) in seeds {
        write("formats", name, &[&[0], bytes].concat())?;
    }
    Ok(())
}
