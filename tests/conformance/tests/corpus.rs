//! The corpus, without Python: what gevent did is in the files.

use std::time::Duration;

use ramie_conformance::compare::difference;
use ramie_conformance::{corpus, deviation, runner};

/// Long enough for a machine that is busy with other tests.
const TICK: Duration = Duration::from_millis(15);

#[test]
fn ramie_does_what_gevent_did() {
    let mut programs = 0;
    for path in corpus::files().expect("the corpus can be read") {
        let recorded = corpus::read(&path).expect("a file of the corpus");
        for (name, recorded) in recorded {
            assert!(!recorded.gevent.trace.is_empty(), "{name} has no trace: `record` makes them");
            let ramie = runner::run(&recorded.program, TICK).trace;
            let first = difference(&ramie, &recorded.gevent);
            assert_eq!(first, None, "{name}: {ramie:#?} and in gevent {:#?}", recorded.gevent.trace);
            programs += 1;
        }
    }
    assert!(programs > 50, "only {programs} programs");
}

#[test]
fn every_deviation_of_the_corpus_has_an_entry() {
    for path in corpus::files().expect("the corpus can be read") {
        for (name, recorded) in corpus::read(&path).expect("a file of the corpus") {
            let unknown = deviation::unknown(&recorded.gevent.deviations);
            assert!(unknown.is_empty(), "{name}: {unknown:?}");
        }
    }
}

#[test]
fn deviations_have_names_of_their_own() {
    let all = deviation::all();
    let mut names: Vec<_> = all.iter().map(|deviation| &deviation.name).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all.len());
}
