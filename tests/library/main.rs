//! Whole journeys through the library, on local models.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod attest;
mod cache;
mod concurrency;
mod content;
mod documents;
mod examples;
mod facts;
mod fixture;
mod formats;
mod lifecycle;
mod local_code;
mod pages;
mod policy;
mod policy_rules;
mod presence;
mod provenance;
mod provision;
mod references;
mod signatures;
mod structure;
mod surface;
mod verification;
