//! Reads the storage's answer about a range of a file.
//!
//! # Model
//! The storage keeps files as chunks, and gathers up to 64 MiB of chunks in a xorb. Its answer about a range has two parts (Xet's
//! specification, "File reconstruction"). The terms, in the order of the file, each name chunks of a xorb that follow each
//! other. The sections say where chunks of a xorb are: an address, mostly a signed one of a CDN, and the range of bytes for which
//! it is signed. A section may have the chunks of several terms.

use std::{collections::HashMap, ops::Range, sync::Arc};

use serde::Deserialize;
use source_http::Url;

use super::address::storage_address;

/// How many terms, and how many sections, an answer has at the most: the bytes that it is about have some four thousand chunks.
const MOST: usize = 4096;

/// Names chunks of a section that follow each other, and what of their bytes belongs to a range.
#[derive(Debug)]
pub(super) struct Term {
    pub(super) section: Arc<Section>,
    /// The numbers of the chunks in their xorb.
    pub(super) chunks: Range<u32>,
    /// How many of the first bytes are before the range.
    pub(super) before: u64,
    /// How many bytes belong to the range.
    pub(super) bytes: u64,
}

/// Says where chunks of a xorb are that follow each other.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) url: Url,
    /// Where they are there, in bytes.
    pub(super) range: Range<u64>,
    /// The number of its first chunk in the xorb.
    pub(super) first_chunk: u32,
}

#[derive(Deserialize)]
struct ReconstructionJson {
    offset_into_first_range: u64,
    terms: Vec<TermJson>,
    /// The sections of each xorb, by the hash of the xorb.
    fetch_info: HashMap<String, Vec<SectionJson>>,
}

#[derive(Deserialize)]
struct TermJson {
    /// The hash of the xorb.
    hash: String,
    unpacked_length: u64,
    range: Range<u32>,
}

#[derive(Deserialize)]
struct SectionJson {
    range: Range<u32>,
    url: String,
    url_range: LastIncluded,
}

/// A range as HTTP writes it: the last byte belongs to it.
#[derive(Deserialize)]
struct LastIncluded {
    start: u64,
    end: u64,
}

/// Reads an answer about a range of so many bytes. The storage is at this address.
pub(super) fn read(answer: &[u8], length: u64, storage: &Url) -> Result<Vec<Term>, &'static str> {
    let read = serde_json::from_slice(answer).map_err(|_| "its answer is not a reconstruction")?;
    terms_of(read, length, storage)
}

/// Returns where in the file xorbs begin behind the first of these terms, which begin here.
pub(super) fn boundaries(terms: &[Term], start: u64) -> impl Iterator<Item = u64> {
    let ends = terms.iter().scan(start, |end, term| {
        *end += term.bytes;
        Some(*end)
    });
    let pairs = ends.zip(terms.iter().zip(terms.iter().skip(1)));
    pairs.filter(|(_, (term, next))| !Arc::ptr_eq(&term.section, &next.section)).map(|(end, _)| end)
}

impl Section {
    /// Returns how many bytes come for it.
    pub(super) fn len(&self) -> u64 {
        self.range.end - self.range.start
    }
}

/// Returns the terms of a range of so many bytes.
fn terms_of(read: ReconstructionJson, length: u64, storage: &Url) -> Result<Vec<Term>, &'static str> {
    let listed: usize = read.fetch_info.values().map(Vec::len).sum();
    if read.terms.len().max(read.fetch_info.len()).max(listed) > MOST {
        return Err("its answer names too many chunks");
    }
    let mut sections = HashMap::new();
    for (hash, listed) in read.fetch_info {
        let listed: Result<Vec<_>, _> =
            listed.into_iter().map(|section| section_of(section, storage)).collect();
        sections.insert(hash, listed?);
    }
    let (mut before, mut left) = (read.offset_into_first_range, length);
    let terms = read.terms.into_iter().map(|term| {
        let holds = |(_, chunks): &&(Arc<Section>, Range<u32>)| {
            chunks.start <= term.range.start && term.range.end <= chunks.end
        };
        let (section, _) = sections
            .get(&term.hash)
            .and_then(|listed| listed.iter().find(holds))
            .ok_or("it does not say where a term is")?;
        let bytes =
            term.unpacked_length.checked_sub(before).ok_or("its first term ends before the range")?.min(left);
        left -= bytes;
        Ok(Term {
            section: Arc::clone(section),
            chunks: term.range,
            before: std::mem::take(&mut before),
            bytes,
        })
    });
    terms.collect()
}

/// Reads where chunks are, and returns that with their numbers. The address is as secure as the storage's own.
fn section_of(read: SectionJson, storage: &Url) -> Result<(Arc<Section>, Range<u32>), &'static str> {
    let url = storage_address(storage, &read.url)?;
    let LastIncluded { start, end } = read.url_range;
    let end = end.checked_add(1).filter(|end| start < *end).ok_or("a section has no bytes")?;
    let section = Section { url, range: start..end, first_chunk: read.range.start };
    Ok((Arc::new(section), read.range))
}

#[cfg(test)]
mod tests;
