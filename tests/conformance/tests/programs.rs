//! The generator and the shrinker.

use std::time::Duration;

use ramie_conformance::coverage::Coverage;
use ramie_conformance::generate::generate;
use ramie_conformance::program::{Op, Program, Step};
use ramie_conformance::runner;
use ramie_conformance::shrink::shrink;

/// How many programs have to do for a nearly complete coverage; the rest, the `coverage` command shows, is rare.
const PROGRAMS: u64 = 4000;

#[test]
fn a_seed_is_a_program() {
    for seed in 0..200 {
        assert_eq!(generate(seed), generate(seed));
    }
    assert_ne!(generate(1), generate(2));
}

/// Twice a time may be another one: events of real time would then come in any order.
#[test]
fn no_time_is_used_twice() {
    fn blocks(steps: &[Step], repeated: bool, seed: u64) -> usize {
        let mut iterations = 0;
        for step in steps {
            assert!(!repeated || step.t.unwrap_or(0) == 0, "seed {seed} repeats {step:?}");
            iterations += usize::from(step.op == Op::Iwait);
            iterations += blocks(&step.steps, repeated || step.op == Op::Iwait, seed);
        }
        iterations
    }
    let count = |seed| generate(seed).bodies.iter().map(|body| blocks(body, false, seed)).sum::<usize>();
    assert!((0..PROGRAMS).map(count).sum::<usize>() > 100);
}

/// A mapping over no items calls its callback: its body runs, and must not run elsewhere too if it takes real time.
#[test]
fn no_time_is_used_twice_by_a_callback() {
    fn count(steps: &[Step], runs: &mut [usize], timed: &mut bool) {
        for step in steps {
            step.cb
                .iter()
                .chain(step.body.iter().filter(|_| step.n != Some(0)))
                .for_each(|body| runs[*body] += 1);
            *timed |= step.t.is_some_and(|t| t > 0);
            step.blocks().into_iter().for_each(|(_, block)| count(block, runs, timed));
        }
    }
    for seed in (0..PROGRAMS).chain([60_378_894]) {
        let program = generate(seed);
        let mut runs = vec![0; program.bodies.len()];
        // A body runs only later ones.
        let mut timed = vec![false; program.bodies.len()];
        for (body, steps) in program.bodies.iter().enumerate() {
            if body == 0 || runs[body] > 0 {
                count(steps, &mut runs, &mut timed[body]);
            }
        }
        for (body, (runs, timed)) in runs.iter().zip(timed).enumerate() {
            assert!(*runs <= 1 || !timed, "seed {seed}: body {body} has {runs} runs");
        }
    }
}

#[test]
fn a_program_survives_the_format() {
    for seed in 0..200 {
        let program = generate(seed);
        let read: Program = serde_json::from_str(&program.to_line()).expect("what was written can be read");
        assert_eq!(read, program);
    }
}

#[test]
fn a_program_does_the_same_twice() {
    for seed in (0..200).filter(|seed| !generate(*seed).is_timed()) {
        let run = || runner::run(&generate(seed), Duration::from_millis(1)).trace;
        assert_eq!(run(), run(), "seed {seed}");
    }
}

#[test]
fn the_generator_reaches_steps_in_all_states() {
    let mut coverage = Coverage::default();
    for seed in 0..PROGRAMS {
        coverage.add(&runner::run(&generate(seed), Duration::from_micros(100)).coverage);
    }
    let all: usize = Op::ALL.iter().map(|op| Coverage::states(*op).len()).sum();
    let missing = coverage.missing();
    assert!(missing.len() * 20 < all, "{missing:?} of {all}");
    let never: Vec<_> = Op::ALL
        .iter()
        .filter(|op| Coverage::states(**op).iter().all(|state| coverage.count(**op, state) == 0))
        .collect();
    assert!(never.is_empty(), "{never:?}");
}

/// As many steps as there are, of which only two matter: one in a block, and one in a body of its own.
#[test]
fn the_shrinker_leaves_what_matters() {
    let step = |op| Step::new(op);
    let mut outer = Step { n: Some(3), ..step(Op::Try) };
    outer.steps = vec![step(Op::Sleep), Step { t: Some(4), nowait: true, ..step(Op::Kill) }];
    outer.finally = vec![step(Op::Idle)];
    let bodies = vec![
        vec![step(Op::Spawn), outer, step(Op::Sleep)],
        vec![step(Op::Look), step(Op::Set), step(Op::Clear)],
        vec![step(Op::Sleep)],
    ];
    let program = Program { bodies, ..Program::default() };
    let shows = |program: &Program| {
        let mut found = [false; 2];
        program.for_each(&mut |step| {
            found[0] |= step.op == Op::Kill && step.nowait;
            found[1] |= step.op == Op::Set;
        });
        found == [true; 2]
    };
    let small = shrink(&program, shows);
    let kill = Step { nowait: true, ..step(Op::Kill) };
    assert_eq!(small.bodies, [vec![kill], vec![step(Op::Set)]]);
}

#[test]
fn the_shrinker_keeps_what_cannot_be_smaller() {
    let program = Program { bodies: vec![vec![Step::new(Op::Sleep)]], ..Program::default() };
    assert_eq!(shrink(&program, |candidate| candidate.len() == 1), program);
}
