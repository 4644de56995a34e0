//! Headers of models: sound ones, hostile ones, and how much of them is read.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod card;
mod fixture;
mod gguf;
mod hostile;
mod index;
mod memory;
mod reading;
mod repository;
mod shards;
mod structure;
