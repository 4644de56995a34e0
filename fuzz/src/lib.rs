//! A model in memory, for the fuzz targets.

use std::{hint::black_box, io};

use model_inspect::{ByteSource, KvType, MemoryRequest, Inspection, ListedFile, ModelSource, inspect_model};
use provisioner_core::RelativePath;

/// Files in memory, as one model.
pub struct InMemory<'a> {
    files: Vec<ListedFile>,
    bytes: Vec<&'a [u8]>,
}

impl<'a> InMemory<'a> {
    /// A model of some files, sorted by name.
    pub fn new(files: &[(&str, &'a [u8])]) -> Self {
        let listed = files.iter().filter_map(|(name, bytes)| {
            let path = RelativePath::new(*name).ok()?;
            Some(ListedFile { path, size_bytes: bytes.len() as u64, format: None })
        });
        Self { files: listed.collect(), bytes: files.iter().map(|(_, bytes)| *bytes).collect() }
    }

    /// Inspects the model, and asks what fits, with a kind of cache that the inputs' size chooses.
    pub fn exercise(&self) {
        let Ok(found) = inspect_model(self) else { return };
        let size: usize = self.bytes.iter().map(|bytes| bytes.len()).sum();
        ask(&found, KvType::ALL[size % KvType::ALL.len()]);
        black_box(found);
    }
}

/// What is said to fit does.
fn ask(found: &Inspection, kv_type: KvType) {
    let vram_bytes = 24 << 30;
    let fit = found.memory.fit(&MemoryRequest { parallel: 3, kv_type, vram_bytes: Some(vram_bytes), ..MemoryRequest::default() });
    if let Some(largest) = fit.largest_ctx.filter(|ctx| *ctx > 0) {
        let request = MemoryRequest {
            ctx: Some(largest),
            parallel: 3,
            kv_type,
            vram_bytes: Some(vram_bytes),
            ..MemoryRequest::default()
        };
        let needed = found.memory.fit(&request);
        assert!(needed.fits == Some(true) && needed.total_bytes <= needed.usable_bytes);
    }
}

impl ModelSource for InMemory<'_> {
    fn files(&self) -> &[ListedFile] {
        &self.files
    }

    fn open(&self, path: &RelativePath) -> io::Result<Box<dyn ByteSource + '_>> {
        let found = self.files.iter().position(|file| file.path == *path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(self.bytes[found]))
    }
}
