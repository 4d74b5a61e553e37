//! The library side of the benchmarks.
