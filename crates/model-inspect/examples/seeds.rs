//! Writes the inputs that the fuzzer begins with: `seeds fuzz/corpus` makes a folder for each target.

use std::{io, path::PathBuf};

use testkit::{FakeModel, GgufWriter};

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
    write(
        "config",
        "index",
        br#"2{"metadata":{"total_size":22},"weight_map":{"a":"model.safetensors","b":"model.safetensors"}}"#,
    )
}
