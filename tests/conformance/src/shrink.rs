//! Reduces a program that shows something to a small one that still does.

use crate::program::{Program, Step};

/// Makes a program smaller as long as `shows` holds for it.
///
/// Each round tries, in order: to leave out steps, to replace a block by its steps, to leave out
/// arguments, to leave out objects at the end. It ends when a whole round has changed nothing.
pub fn shrink(program: &Program, mut shows: impl FnMut(&Program) -> bool) -> Program {
    let mut best = program.clone();
    loop {
        let before = best.clone();
        without_steps(&mut best, &mut shows);
        flattened(&mut best, &mut shows);
        simplified(&mut best, &mut shows);
        without_bodies_and_objects(&mut best, &mut shows);
        if best == before {
            return best;
        }
    }
}

fn adopt(best: &mut Program, candidate: Program, shows: &mut impl FnMut(&Program) -> bool) -> bool {
    let better = candidate != *best && shows(&candidate);
    if better {
        *best = candidate;
    }
    better
}

/// Calls `f` with the list that holds step number `at`, in the order of [`Program::for_each`], and
/// its place there.
fn edit<R>(program: &mut Program, at: usize, f: impl FnOnce(&mut Vec<Step>, usize) -> R) -> Option<R> {
    fn walk<R, F: FnOnce(&mut Vec<Step>, usize) -> R>(
        steps: &mut Vec<Step>,
        left: &mut usize,
        f: &mut Option<F>,
    ) -> Option<R> {
        for place in 0..steps.len() {
            if *left == 0 {
                return f.take().map(|f| f(steps, place));
            }
            *left -= 1;
            let step = &mut steps[place];
            for block in [&mut step.steps, &mut step.handler, &mut step.finally] {
                let found = walk(block, left, f);
                if found.is_some() {
                    return found;
                }
            }
        }
        None
    }
    let (mut left, mut f) = (at, Some(f));
    program.bodies.iter_mut().find_map(|body| walk(body, &mut left, &mut f))
}

fn without_steps(best: &mut Program, shows: &mut impl FnMut(&Program) -> bool) {
    // From the end: what comes later usually matters less, and the numbers before it stay.
    for at in (0..best.len()).rev() {
        let mut candidate = best.clone();
        edit(&mut candidate, at, |steps, place| steps.remove(place));
        adopt(best, candidate, shows);
    }
}

fn flattened(best: &mut Program, shows: &mut impl FnMut(&Program) -> bool) {
    for at in (0..best.len()).rev() {
        let mut candidate = best.clone();
        edit(&mut candidate, at, |steps, place| {
            let step = &mut steps[place];
            let mut inner = std::mem::take(&mut step.steps);
            inner.append(&mut step.handler);
            inner.append(&mut step.finally);
            if !inner.is_empty() {
                steps.splice(place..=place, inner);
            }
        });
        adopt(best, candidate, shows);
    }
}

fn simplified(best: &mut Program, shows: &mut impl FnMut(&Program) -> bool) {
    let edits: [fn(&mut Step); 14] = [
        |step| step.t = None,
        |step| step.exc = None,
        |step| step.catch = None,
        |step| step.v = None,
        |step| step.n = None,
        |step| step.cb = None,
        |step| step.fail = None,
        |step| step.slow = false,
        |step| step.nowait = false,
        |step| step.raising = false,
        |step| step.silent = false,
        |step| step.immediate = false,
        |step| {
            step.gs.pop();
        },
        |step| {
            step.os.pop();
        },
    ];
    for at in 0..best.len() {
        for change in edits {
            let mut candidate = best.clone();
            edit(&mut candidate, at, |steps, place| change(&mut steps[place]));
            adopt(best, candidate, shows);
        }
    }
}

fn without_bodies_and_objects(best: &mut Program, shows: &mut impl FnMut(&Program) -> bool) {
    loop {
        let mut candidate = best.clone();
        if candidate.bodies.len() < 2 || candidate.bodies.pop().is_none() || !adopt(best, candidate, shows) {
            break;
        }
    }
    loop {
        let mut candidate = best.clone();
        if candidate.objects.pop().is_none() || !adopt(best, candidate, shows) {
            break;
        }
    }
}
