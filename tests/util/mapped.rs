//! The promises of the mapping functions in any place: tests of pools of greenlets and of threads
//! alike.

use ramie::Mapping;
use ramie::pool::{Call, IMap, Spawn};

/// A function that any place can run.
type Function = fn(u64) -> u64;

pub(crate) fn square(x: u64) -> u64 {
    x * x
}

pub(crate) fn squares(count: u64) -> Vec<u64> {
    (0..count).map(square).collect()
}

pub(crate) fn all<R: 'static>(results: IMap<R>) -> Vec<R> {
    results.map(|result| result.expect("no job fails")).collect()
}

pub(crate) fn sorted(mut results: Vec<u64>) -> Vec<u64> {
    results.sort_unstable();
    results
}

/// Squares come in the order of their inputs, also those of `nap`, which takes different times for
/// them.
pub(crate) fn come_in_order<P>(place: &P, nap: Function)
where
    P: Mapping + Spawn<Call<Function, u64>>,
{
    for count in [0, 10, 1000] {
        assert_eq!(all(place.imap(0..count, square as Function)), squares(count));
    }
    let mut results = place.imap(0..3, square as Function);
    for x in 0..3 {
        assert_eq!(results.next().and_then(Result::ok), Some(square(x)));
    }
    assert!(results.next().is_none() && results.next().is_none());
    assert_eq!(all(place.imap(0..100, nap)), squares(100));
}

/// Squares come, each once, in whatever order.
pub(crate) fn all_come<P>(place: &P, nap: Function)
where
    P: Mapping + Spawn<Call<Function, u64>>,
{
    for count in [0, 10, 1000] {
        assert_eq!(sorted(all(place.imap_unordered(0..count, square as Function))), squares(count));
    }
    assert_eq!(sorted(all(place.imap_unordered(0..100, nap))), squares(100));
}
