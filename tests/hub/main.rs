//! Whole journeys of `hf:` models, against a hub on loopback that deals faults.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod adoption;
mod alongside;
mod choice;
mod command;
mod content;
mod eviction;
mod facts;
mod faults;
mod fixture;
mod formats;
mod inspection;
mod journeys;
mod locked;
mod locked_by_mirrors;
mod locking;
mod mirrors;
mod neighbours;
mod offline;
mod policy;
mod repair;
mod rewriters;
mod signatures;
mod small;
mod tls;
mod verdicts;
mod xet;
mod xet_server;
