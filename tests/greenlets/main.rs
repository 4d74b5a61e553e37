//! Greenlets: their states, kills, unwinding, clean-ups, and models of what they do.

mod clean_ups;
mod failures;
mod kills;
mod leftovers;
mod models;
mod regressions;
mod states;
mod unwind;
#[path = "../util/mod.rs"]
mod util;
