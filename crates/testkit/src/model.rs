//! Builds models that engines load.

use std::path::{Path, PathBuf};

use crate::GgufWriter;

const WIDTH: usize = 32;
const FEED_FORWARD: usize = 64;
const HEADS: usize = 2;
const KV_HEADS: usize = 1;

/// Builds a tiny llama with random weights, the same for the same seed. llama.cpp loads it and generates with it.
///
/// ```
/// use testkit::FakeModel;
///
/// let dir = std::env::temp_dir().join("testkit-doc");
/// let shards = FakeModel::gguf().shards(3).write_to(&dir, "tiny")?;
/// assert!(shards[2].ends_with("tiny-00003-of-00003.gguf"));
/// # std::fs::remove_dir_all(dir)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct FakeModel {
    name: String,
    seed: u64,
    shards: usize,
    is_exact: bool,
}

/// A tensor: its name, its shape with the fastest dimension first, its values, and whether they are kept in 32 bits.
struct Tensor {
    name: String,
    shape: Vec<u64>,
    values: Vec<f32>,
    is_exact: bool,
}

impl FakeModel {
    /// Begins a model in GGUF, in one file.
    pub fn gguf() -> Self {
        Self { name: "Tiny".to_owned(), seed: 7, shards: 1, is_exact: false }
    }

    /// Sets another name in the header.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Sets the seed of other weights.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Keeps the weights in 32 bits instead of 16: the same model, with more bits for each weight.
    #[must_use]
    pub fn exact(mut self) -> Self {
        self.is_exact = true;
        self
    }

    /// Splits the model into so many files, as `llama-gguf-split` does.
    #[must_use]
    pub fn shards(mut self, shards: usize) -> Self {
        self.shards = shards.max(1);
        self
    }

    /// Returns the bytes of a model in one file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut file = GgufWriter::default();
        self.write_header(&mut file);
        for tensor in self.tensors() {
            tensor.write(&mut file);
        }
        file.to_bytes()
    }

    /// Writes the model's files into a folder, which it creates, and returns their paths in order.
    ///
    /// # Errors
    /// The error of the file system.
    pub fn write_to(&self, folder: &Path, stem: &str) -> std::io::Result<Vec<PathBuf>> {
        fs_err::create_dir_all(folder)?;
        if self.shards == 1 {
            let path = folder.join(format!("{stem}.gguf"));
            fs_err::write(&path, self.to_bytes())?;
            return Ok(vec![path]);
        }
        let tensors = self.tensors();
        let in_each = tensors.len().div_ceil(self.shards);
        let mut paths = Vec::new();
        for (index, part) in tensors.chunks(in_each).enumerate() {
            let mut file = GgufWriter::default();
            if index == 0 {
                self.write_header(&mut file);
            }
            let number = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
            file.u16("split.no", number(index)).u16("split.count", number(self.shards));
            file.i32("split.tensors.count", i32::from(number(tensors.len())));
            for tensor in part {
                tensor.write(&mut file);
            }
            let path = folder.join(format!("{stem}-{:05}-of-{:05}.gguf", index + 1, self.shards));
            fs_err::write(&path, file.to_bytes())?;
            paths.push(path);
        }
        Ok(paths)
    }

    fn write_header(&self, file: &mut GgufWriter) {
        let (tokens, kinds) = vocabulary();
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let scores: Vec<f32> =
            (0..tokens.len()).map(|index| -(f32::from(u16::try_from(index).unwrap_or(0)))).collect();
        file.string("general.architecture", "llama").string("general.name", &self.name);
        file.string("general.license", "cc0-1.0").u32("general.file_type", u32::from(!self.is_exact));
        file.u32("llama.context_length", 256).u32("llama.embedding_length", number(WIDTH));
        file.u32("llama.block_count", 1).u32("llama.feed_forward_length", number(FEED_FORWARD));
        file.u32("llama.attention.head_count", number(HEADS));
        file.u32("llama.attention.head_count_kv", number(KV_HEADS));
        file.f32("llama.attention.layer_norm_rms_epsilon", 1e-5);
        file.u32("llama.rope.dimension_count", number(WIDTH / HEADS));
        file.u32("llama.vocab_size", number(tokens.len()));
        file.string("tokenizer.ggml.model", "llama").string("tokenizer.ggml.pre", "default");
        file.strings("tokenizer.ggml.tokens", &tokens).f32s("tokenizer.ggml.scores", &scores);
        file.i32s("tokenizer.ggml.token_type", &kinds);
        file.u32("tokenizer.ggml.bos_token_id", 1).u32("tokenizer.ggml.eos_token_id", 2);
        file.u32("tokenizer.ggml.unknown_token_id", 0);
        file.string("tokenizer.chat_template", "{% for m in messages %}{{ m['content'] }}\n{% endfor %}");
    }

    fn tensors(&self) -> Vec<Tensor> {
        let vocabulary = vocabulary().0.len();
        let kv_width = WIDTH / HEADS * KV_HEADS;
        let mut random = Random(self.seed);
        let mut matrix = |name: &str, columns: usize, rows: usize| Tensor {
            name: format!("{name}.weight"),
            shape: vec![columns as u64, rows as u64],
            values: (0..columns * rows).map(|_| random.weight()).collect(),
            is_exact: self.is_exact,
        };
        let norm = |name: &str| Tensor {
            name: format!("{name}.weight"),
            shape: vec![WIDTH as u64],
            values: vec![1.0; WIDTH],
            is_exact: true,
        };
        vec![
            matrix("token_embd", WIDTH, vocabulary),
            norm("blk.0.attn_norm"),
            matrix("blk.0.attn_q", WIDTH, WIDTH),
            matrix("blk.0.attn_k", WIDTH, kv_width),
            matrix("blk.0.attn_v", WIDTH, kv_width),
            matrix("blk.0.attn_output", WIDTH, WIDTH),
            norm("blk.0.ffn_norm"),
            matrix("blk.0.ffn_gate", WIDTH, FEED_FORWARD),
            matrix("blk.0.ffn_up", WIDTH, FEED_FORWARD),
            matrix("blk.0.ffn_down", FEED_FORWARD, WIDTH),
            norm("output_norm"),
            matrix("output", WIDTH, vocabulary),
        ]
    }
}

impl Tensor {
    fn write(&self, file: &mut GgufWriter) {
        if self.is_exact {
            file.tensor_f32(&self.name, &self.shape, &self.values);
        } else {
            file.tensor_f16(&self.name, &self.shape, &self.values);
        }
    }
}

/// Lists three specials, every byte, and the printable characters of ASCII; with their types as llama.cpp numbers them.
fn vocabulary() -> (Vec<String>, Vec<i32>) {
    let (normal, unknown, control, byte_kind) = (1, 2, 3, 6);
    let specials = [("<unk>", unknown), ("<s>", control), ("</s>", control)];
    let specials = specials.map(|(text, kind)| (text.to_owned(), kind));
    let bytes = (0..=255u8).map(|byte| (format!("<0x{byte:02X}>"), byte_kind));
    let space = std::iter::once(("\u{2581}".to_owned(), normal));
    let printable = ('!'..='~').map(|c| (c.to_string(), normal));
    specials.into_iter().chain(bytes).chain(space).chain(printable).unzip()
}

/// `SplitMix64`: good enough for weights, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number between -0.25 and 0.25, in steps that 16 bits keep.
    fn weight(&mut self) -> f32 {
        let step = i16::try_from(self.next() % 512).unwrap_or(0) - 256;
        f32::from(step) / 1024.0
    }
}
