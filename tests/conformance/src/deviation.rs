//! The intended differences: what `deviations.json` says about each that the Python side applies.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::gevent::HOME;

/// One intended difference.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deviation {
    /// The name under which it is counted.
    pub name: String,
    /// The hazard in the reference of gevent's behaviour, if it is one of those.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hazard: Option<u32>,
    /// The difference.
    pub what: String,
    /// Why that is wanted.
    pub why: String,
    /// The way in which it is applied: `shim` continues to compare, `cut` ends the comparison
    /// there.
    pub how: How,
}

/// The way in which a deviation is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// gevent is made to behave like ramie at that point.
    Shim,
    /// Steps after it are not compared.
    Cut,
}

/// The number of times that each deviation was used.
pub type Counts = BTreeMap<String, usize>;

/// All of them.
///
/// # Panics
///
/// When the file is not there or is not what it should be.
pub fn all() -> Vec<Deviation> {
    let path = Path::new(HOME).join("deviations.json");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Names that were counted and have no entry.
pub fn unknown(counts: &Counts) -> Vec<String> {
    let known = all();
    counts.keys().filter(|name| known.iter().all(|known| known.name != **name)).cloned().collect()
}
