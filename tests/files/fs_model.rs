//! Random operations on files, through `ramie::fs` in one folder and through std in another: both
//! must say and leave the same.

use std::fmt::Debug;
use std::fs as std_fs;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_oneof};
use proptest::test_runner::{Config, TestRunner};

use crate::util::folder::Folder;
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(120);
const CASES: u32 = 100;
/// Few names, so that operations meet; one lies in a folder that may be missing.
const NAMES: [&str; 5] = ["one", "two", "three", "one/below", "one/below/deep"];
/// The number of files that are open at a time.
const OPEN: usize = 3;

/// An operation; numbers choose names and open files.
#[derive(Clone, Debug)]
enum Op {
    Open { at: usize, name: usize, settings: u8 },
    CloneOf { at: usize, from: usize },
    Close { at: usize },
    Read { at: usize, count: usize },
    ReadExact { at: usize, count: usize },
    ReadToEnd { at: usize },
    ReadToString { at: usize },
    Write { at: usize, data: Vec<u8> },
    WriteAll { at: usize, data: Vec<u8> },
    Seek { at: usize, to: SeekFrom },
    SetLen { at: usize, length: u64 },
    Length { at: usize },
    ReadPath { name: usize },
    WritePath { name: usize, data: Vec<u8> },
    Copy { from: usize, to: usize },
    Rename { from: usize, to: usize },
    HardLink { from: usize, to: usize },
    CreateDir { name: usize, all: bool },
    Remove { name: usize, what: usize },
    Ask { name: usize },
    Canonicalize { name: usize },
}

fn operations() -> impl Strategy<Value = Vec<Op>> {
    let at = || 0..OPEN;
    let name = || 0..NAMES.len();
    let data = || vec(any::<u8>(), 0..40);
    let to = prop_oneof![
        (0..60_u64).prop_map(SeekFrom::Start),
        (-30..30_i64).prop_map(SeekFrom::Current),
        (-30..30_i64).prop_map(SeekFrom::End),
    ];
    let of_files = prop_oneof![
        4 => (at(), name(), any::<u8>()).prop_map(|(at, name, settings)| Op::Open { at, name, settings }),
        1 => (at(), at()).prop_map(|(at, from)| Op::CloneOf { at, from }),
        1 => at().prop_map(|at| Op::Close { at }),
        2 => (at(), 0..50_usize).prop_map(|(at, count)| Op::Read { at, count }),
        1 => (at(), 0..50_usize).prop_map(|(at, count)| Op::ReadExact { at, count }),
        1 => at().prop_map(|at| Op::ReadToEnd { at }),
        1 => at().prop_map(|at| Op::ReadToString { at }),
        2 => (at(), data()).prop_map(|(at, data)| Op::Write { at, data }),
        2 => (at(), data()).prop_map(|(at, data)| Op::WriteAll { at, data }),
        3 => (at(), to).prop_map(|(at, to)| Op::Seek { at, to }),
        1 => (at(), 0..60_u64).prop_map(|(at, length)| Op::SetLen { at, length }),
        1 => at().prop_map(|at| Op::Length { at }),
    ];
    let of_paths = prop_oneof![
        2 => name().prop_map(|name| Op::ReadPath { name }),
        2 => (name(), data()).prop_map(|(name, data)| Op::WritePath { name, data }),
        1 => (name(), name()).prop_map(|(from, to)| Op::Copy { from, to }),
        1 => (name(), name()).prop_map(|(from, to)| Op::Rename { from, to }),
        1 => (name(), name()).prop_map(|(from, to)| Op::HardLink { from, to }),
        2 => (name(), any::<bool>()).prop_map(|(name, all)| Op::CreateDir { name, all }),
        2 => (name(), 0..3_usize).prop_map(|(name, what)| Op::Remove { name, what }),
        1 => name().prop_map(|name| Op::Ask { name }),
        1 => name().prop_map(|name| Op::Canonicalize { name }),
    ];
    vec(prop_oneof![3 => of_files, 1 => of_paths], 1..60)
}

/// The result of an operation, in words that do not name the folder.
fn said<T: Debug>(result: io::Result<T>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(error) => format!("{:?}: {:?}", error.kind(), error.raw_os_error()),
    }
}

/// Runs operations, through `ramie::fs` or through std, which have the same names.
macro_rules! world {
    ($name:ident, $fs:ident) => {
        fn $name(folder: &Path, operations: &[Op]) -> Vec<String> {
            use $fs::fs::{self, File};

            let mut open: [Option<File>; OPEN] = Default::default();
            let path = |name: &usize| folder.join(NAMES[*name]);
            let inside = |found: PathBuf| {
                let folder = std_fs::canonicalize(folder).unwrap();
                found.strip_prefix(folder).map(Path::to_owned).unwrap()
            };
            let mut run = |operation: &Op| match operation {
                Op::Open { at, name, settings } => {
                    let is = |bit: u8| settings & 1 << bit != 0;
                    let opened = fs::OpenOptions::new()
                        .read(is(0))
                        .write(is(1))
                        .append(is(2))
                        .truncate(is(3))
                        .create(is(4) || is(5))
                        .create_new(is(6) && is(7))
                        .open(path(name));
                    said(opened.map(|file| open[*at] = Some(file)))
                }
                Op::CloneOf { at, from } => {
                    open[*at] = open[*from].as_ref().map(|file| file.try_clone().unwrap());
                    String::new()
                }
                Op::Close { at } => format!("{}", open[*at].take().is_some()),
                Op::Read { at, count } => on(&mut open[*at], |file| {
                    let mut buffer = vec![0; *count];
                    file.read(&mut buffer).map(|read| (read, buffer))
                }),
                Op::ReadExact { at, count } => on(&mut open[*at], |file| {
                    let mut buffer = vec![0; *count];
                    let read = file.read_exact(&mut buffer);
                    Ok((said(read), buffer))
                }),
                Op::ReadToEnd { at } => on(&mut open[*at], |file| {
                    let mut buffer = vec![1, 2, 3];
                    file.read_to_end(&mut buffer).map(|read| (read, buffer))
                }),
                Op::ReadToString { at } => on(&mut open[*at], |file| {
                    let mut text = String::from("before ");
                    file.read_to_string(&mut text).map(|read| (read, text))
                }),
                Op::Write { at, data } => on(&mut open[*at], |file| file.write(data)),
                Op::WriteAll { at, data } => on(&mut open[*at], |file| {
                    file.write_all(data)?;
                    writeln!(file, "{}", data.len())
                }),
                Op::Seek { at, to } => on(&mut open[*at], |file| file.seek(*to)),
                Op::SetLen { at, length } => on(&mut open[*at], |file| file.set_len(*length)),
                Op::Length { at } => on(&mut open[*at], |file| file.metadata().map(|found| found.len())),
                Op::ReadPath { name } => said(fs::read(path(name))) + &said(fs::read_to_string(path(name))),
                Op::WritePath { name, data } => said(fs::write(path(name), data)),
                Op::Copy { from, to } => said(fs::copy(path(from), path(to))),
                Op::Rename { from, to } => said(fs::rename(path(from), path(to))),
                Op::HardLink { from, to } => said(fs::hard_link(path(from), path(to))),
                Op::CreateDir { name, all: true } => said(fs::create_dir_all(path(name))),
                Op::CreateDir { name, all: false } => said(fs::create_dir(path(name))),
                Op::Remove { name, what: 0 } => said(fs::remove_file(path(name))),
                Op::Remove { name, what: 1 } => said(fs::remove_dir(path(name))),
                Op::Remove { name, what: _ } => said(fs::remove_dir_all(path(name))),
                Op::Ask { name } => {
                    let there = said(fs::exists(path(name)));
                    let about = |found: std_fs::Metadata| (found.file_type().is_dir(), found.is_file());
                    there
                        + &said(fs::metadata(path(name)).map(about))
                        + &said(fs::symlink_metadata(path(name)).map(about))
                }
                Op::Canonicalize { name } => said(fs::canonicalize(path(name)).map(inside)),
            };
            let said_by_all = operations.iter().map(&mut run).collect();
            drop(open);
            said_by_all
        }
    };
}

/// An operation on a file, if it is open.
fn on<F, T: Debug>(file: &mut Option<F>, op: impl FnOnce(&mut F) -> io::Result<T>) -> String {
    file.as_mut().map_or_else(String::new, |file| said(op(file)))
}

world!(with_ramie, ramie);
world!(with_std, std);

/// Everything in a folder: paths, and contents of files.
fn tree(folder: &Path) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    fn add(below: &Path, folder: &Path, found: &mut Vec<(PathBuf, Option<Vec<u8>>)>) {
        for entry in ramie::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let name = below.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                add(&name, &entry.path(), found);
                found.push((name, None));
            } else {
                found.push((name, Some(std_fs::read(entry.path()).unwrap())));
            }
        }
    }
    let mut found = Vec::new();
    add(Path::new(""), folder, &mut found);
    found.sort();
    found
}

#[test]
fn random_operations_do_what_they_do_with_std() {
    within(LIMIT, || {
        let mut runner =
            TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() });
        let result = runner.run(&operations(), |operations| {
            let (here, there) = (Folder::new(), Folder::new());
            assert_eq!(with_ramie(&here, &operations), with_std(&there, &operations));
            assert_eq!(tree(&here), tree(&there));
            Ok(())
        });
        result.unwrap_or_else(|error| panic!("{error}"));
    });
}
