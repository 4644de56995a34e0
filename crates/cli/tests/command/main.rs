//! These tests run the command as a process.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod adoption;
mod attest;
mod completions;
mod contention;
mod digests;
mod durability;
mod engine;
mod exchange;
mod exit_codes;
mod fit;
mod fixture;
mod foresight;
mod gc;
mod hf_command;
mod hub;
mod hub_facts;
mod hub_failures;
mod hub_kills;
mod hub_space;
mod inspect;
mod isolation;
mod kills;
mod lock;
mod mounts;
mod neighbours;
mod next_steps;
mod output;
mod policy;
mod power;
mod processes;
mod provenance;
mod python_engines;
mod readme;
mod refusals;
mod run;
mod schemas;
mod secrets;
mod signatures;
mod storm;
mod unfinished;
mod unread;
mod via_hf;
mod via_hf_real;
