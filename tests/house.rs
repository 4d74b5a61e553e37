//! The rules of the house that no compiler checks, read from the files of the workspace.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const CRATES: [&str; 3] = ["hub", "pool", "runtime"];
const LONGEST_FILE: usize = 800;
/// The number of names at the root of `ramie`: what fits on one page of a reader's screen.
const ROOT_NAMES: usize = 48;
/// Which dependency may be named where: in a file, or in a folder with all that is in it.
const SEAMS: [(&str, &[&str]); 2] = [
    ("corosensei", &["hub/src/fiber/"]),
    (
        "mio",
        &[
            "hub/src/reactor/",
            "hub/src/inbox/hub_inbox.rs",
            "hub/src/io/",
            "runtime/src/net/",
            "runtime/src/io/pipe.rs",
        ],
    ),
];
/// The parts below the hub's scheduler: files, and folders with all that is in them.
const BELOW_THE_SCHEDULER: [&str; 12] = [
    "hub/src/bound.rs",
    "hub/src/by_ref.rs",
    "hub/src/error.rs",
    "hub/src/exception.rs",
    "hub/src/fiber/",
    "hub/src/inbox/",
    "hub/src/loom.rs",
    "hub/src/reactor/",
    "hub/src/stack/",
    "hub/src/stderr.rs",
    "hub/src/task/",
    "hub/src/timers/",
];
/// The folders of the hub that know the scheduler.
const ABOVE: [&str; 10] = [
    "crate::borrow",
    "crate::future",
    "crate::greenlet",
    "crate::hub",
    "crate::io",
    "crate::remote",
    "crate::scheduler",
    "crate::shared",
    "crate::sync",
    "crate::wait",
];
/// The folders of the hub that are built on the scheduler, in order: each names none below it.
const BUILT_ON_THE_SCHEDULER: [&str; 9] =
    ["wait", "greenlet", "remote", "shared", "sync", "future", "borrow", "io", "hub"];
/// The beginnings of paths on a developer's machine; in halves, so that this file passes its own
/// test.
const MACHINES: [&str; 4] =
    [concat!("/ho", "me/"), concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/Us", "ers/")];

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every file under `folder` with a name that ends in one of `ends`, by its path from the root; no
/// build output.
fn files(folder: &str, ends: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let entries = fs::read_dir(Path::new(ROOT).join(folder)).into_iter().flatten();
    for entry in entries.map(|entry| entry.expect("a folder of the workspace can be read")) {
        let name = entry.file_name().into_string().expect("file names here are UTF-8");
        let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        match entry.file_type().expect("the kind of a file is known") {
            kind if kind.is_dir() && name != "target" && name != ".git" => found.extend(files(&path, ends)),
            kind if kind.is_file() && ends.iter().any(|end| name.ends_with(end)) => found.push(path),
            _ => {}
        }
    }
    found
}

fn sources() -> impl Iterator<Item = String> {
    CRATES.iter().flat_map(|folder| files(&format!("{folder}/src"), &[".rs"]))
}

/// The sources, the tests and the examples: the files with comments under the rules of English.
fn prose() -> impl Iterator<Item = String> {
    sources().chain(["tests", "examples"].into_iter().flat_map(|folder| files(folder, &[".rs"])))
}

/// The sources at a place: a file, or a folder with all that is in it.
fn files_at(place: &str) -> Vec<String> {
    sources().filter(|path| path.starts_with(place)).collect()
}

/// The lines of a file that are not comments.
fn code(path: &str) -> String {
    read(path).lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Returns `true` if `text` has `word` as a word of its own, directly before one of `nexts`.
fn has(text: &str, word: &str, nexts: &[&str]) -> bool {
    text.match_indices(word).any(|(at, _)| {
        !text[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_')
            && nexts.iter().any(|next| text[at + word.len()..].starts_with(next))
    })
}

/// Returns `true` if a table under `header` of a manifest has all of `lines`.
fn has_table(manifest: &str, header: &str, lines: &[&str]) -> bool {
    let mut tables = manifest.split("\n[").filter_map(|table| table.strip_prefix(header));
    tables.any(|table| lines.iter().all(|line| table.lines().any(|own| own == *line)))
}

#[track_caller]
fn none<T: AsRef<str>>(offenders: impl IntoIterator<Item = T>, rule: &str) {
    let offenders = offenders.into_iter().map(|path| path.as_ref().to_owned()).collect::<Vec<_>>();
    assert!(offenders.is_empty(), "{rule}: {offenders:#?}");
}

#[test]
fn every_bench_is_listed_without_the_harness() {
    let manifest = read("benches/Cargo.toml");
    let mut benches = files("benches/benches", &[".rs"]);
    benches.retain(|bench| {
        let name = bench.trim_start_matches("benches/").trim_end_matches(".rs");
        !has_table(&manifest, "[bench]]\n", &[&format!("name = \"{name}\""), "harness = false"])
    });
    none(benches, "not listed in benches/Cargo.toml with harness = false");
}

#[test]
fn no_library_is_a_bench() {
    let mut folders = [&CRATES[..], &["benches"]].concat();
    folders.retain(|folder| !has_table(&read(&format!("{folder}/Cargo.toml")), "lib]\n", &["bench = false"]));
    none(folders, "bench = false is missing in the manifest's [lib]");
}

#[test]
fn each_seam_alone_names_its_dependency() {
    for (dependency, allowed) in SEAMS {
        let elsewhere = sources().filter(|path| !allowed.iter().any(|place| path.starts_with(place)));
        let naming = elsewhere.filter(|path| has(&code(path), dependency, &["::", ";", " as "]));
        none(naming, &format!("{dependency} may be named in {allowed:?} only"));
    }
}

#[test]
fn nothing_below_the_scheduler_names_it() {
    none(BELOW_THE_SCHEDULER.into_iter().filter(|place| files_at(place).is_empty()), "not there");
    let below = BELOW_THE_SCHEDULER.into_iter().flat_map(files_at);
    none(
        below.filter(|path| ABOVE.iter().any(|name| has(&code(path), name, &["::", ";"]))),
        "names a folder above",
    );
}

#[test]
fn folders_on_the_scheduler_name_only_those_above_them() {
    let mut upward = Vec::new();
    for (at, folder) in BUILT_ON_THE_SCHEDULER.into_iter().enumerate() {
        let paths = files_at(&format!("hub/src/{folder}/"));
        assert!(!paths.is_empty(), "{folder} is not there");
        for path in paths {
            // The modules of tests stand last in a file, and may use the whole crate.
            let code = code(&path);
            let code = code.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
            let below = &BUILT_ON_THE_SCHEDULER[at + 1..];
            let names = below.iter().filter(|below| has(code, &format!("crate::{below}"), &["::", ";"]));
            upward.extend(names.map(|below| format!("{path} names {below}")));
        }
    }
    none(upward, "a folder names one that is built on it");
}

/// The fields of the structs in a source that other modules see, each with its struct.
fn visible_fields(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("struct ") {
        if code[..at].ends_with(|before: char| !before.is_whitespace()) {
            continue;
        }
        let rest = &code[at + "struct ".len()..];
        let name = rest.split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap_or_default();
        // The body: up to the bracket that closes the first one, which may be a tuple's.
        let Some(open) = rest.find(['{', '(', ';']).filter(|open| !rest[*open..].starts_with(';')) else {
            continue;
        };
        let mut depth = 0;
        let body = rest[open..].chars().take_while(|letter| {
            depth += i32::from("{([".contains(*letter)) - i32::from("})]".contains(*letter));
            depth > 0
        });
        let body = body.collect::<String>();
        let visible = body.match_indices("pub").filter(|(at, _)| {
            body[..*at].ends_with(|before: char| !(before.is_alphanumeric() || before == '_'))
                && body[at + "pub".len()..].starts_with(['(', ' '])
        });
        found.extend(visible.map(|(at, _)| {
            let field = body[at..].lines().next().unwrap_or_default();
            format!("{name}: {field}")
        }));
    }
    found
}

/// Another folder calls a method, which returns no borrow.
#[test]
fn no_field_of_the_scheduler_is_visible_outside_it() {
    let own = "struct Own {\n    a: u8,\n    pub(super) b: (u8, u8),\n}\npub struct Pair(u8, pub u8);\nstruct Unit;";
    assert_eq!(visible_fields(own), ["Own: pub(super) b: (u8, u8),", "Pair: pub u8"]);
    let hub = code("hub/src/scheduler/mod.rs");
    assert!(hub.contains("struct Core {"), "the struct of the hub is not found");
    none(visible_fields(&hub), "a field of the hub's struct is visible");
    let wide = files_at("hub/src/scheduler/").into_iter().flat_map(|path| {
        let fields = visible_fields(&code(&path)).into_iter();
        fields.filter(|field| !field.contains("pub(super)")).map(move |field| format!("{path}: {field}"))
    });
    none(wide, "a field is visible outside the folder");
}

#[test]
fn unsafe_code_is_asked_for_at_the_door() {
    let nexts = [" {", " fn", " impl", " trait", " extern", "("];
    let using = sources().filter(|path| has(&code(path), "unsafe", &nexts));
    none(using.filter(|path| !code(path).contains("expect(unsafe_code")), "no expect(unsafe_code, reason)");
}

/// The landing pad of a function accepts a jump by x16 or x17 only, where branch targets are
/// enforced.
#[test]
fn jumps_between_stacks_go_by_x16_on_aarch64() {
    let source = code("hub/src/fiber/aarch64.rs");
    let jumps: Vec<&str> = source.matches("\"br x").collect();
    assert_eq!(jumps.len(), 2, "a switch and a leave");
    assert_eq!(source.matches("\"br x16\"").count(), jumps.len());
}

/// The bodies of the destructors in a source: from `Drop for` to the brace that closes it.
fn destructors(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices(" Drop for ") {
        let mut depth = 0;
        let body = code[at..].chars().take_while(|letter| {
            depth += i32::from(*letter == '{') - i32::from(*letter == '}');
            depth > 0 || *letter != '}'
        });
        found.push(body.collect());
    }
    found
}

/// A value may be dropped when its thread has no hub any more.
#[test]
fn no_destructor_makes_a_hub() {
    let makes = ["current::core()", "get_hub()", "getcurrent()", "spawn("];
    let count = sources().map(|path| destructors(&code(&path)).len()).sum::<usize>();
    assert!(count > 50, "destructors are not found: {count}");
    let making = |path: &String| {
        destructors(&code(path)).iter().any(|body| makes.iter().any(|call| body.contains(call)))
    };
    none(sources().filter(making), "a destructor asks for a hub: use `try_core` or `has_hub`");
}

#[test]
fn no_file_is_too_long() {
    let all = files("", &[".rs"]).into_iter();
    none(all.filter(|path| read(path).lines().count() > LONGEST_FILE), "look for the second noun");
}

/// A reader opens `mod.rs` for the subject of a folder, not for a part of it.
#[test]
fn a_mod_file_only_introduces() {
    // The struct of the hub: its fields are the other files of its folder.
    const WORKS: [&str; 1] = ["hub/src/scheduler/mod.rs"];
    let kinds =
        ["fn ", "struct ", "enum ", "union ", "trait ", "impl", "type ", "const ", "static ", "macro_rules!"];
    let items = |path: &str| {
        let code = code(path);
        let lines = code.lines().map(|line| match line.strip_prefix("pub") {
            // `pub(crate) fn` defines as much as `fn`.
            Some(rest) => rest.split_once(' ').map_or("", |(_, item)| item).to_owned(),
            None => line.to_owned(),
        });
        lines.filter(|line| kinds.iter().any(|kind| line.starts_with(kind))).count()
    };
    let introductions = sources().filter(|path| path.ends_with("/mod.rs")).collect::<Vec<_>>();
    assert!(introductions.len() > 20, "the folders are not found: {introductions:?}");
    let working = introductions.iter().filter(|path| items(path) > 0 && !WORKS.contains(&path.as_str()));
    none(working, "a mod.rs declares, re-exports and documents; it defines nothing");
    none(WORKS.iter().filter(|path| items(path) == 0), "it only introduces: take it from the list");
}

#[test]
fn nothing_names_a_machine() {
    let all = files("", &[".rs", ".toml", ".md", ".yml", "run"]).into_iter();
    none(
        all.filter(|path| MACHINES.iter().any(|start| read(path).contains(start))),
        "a path of a developer's machine",
    );
}

#[test]
fn each_example_says_whether_it_ends() {
    let says = |path: &str| read(path).lines().any(|line| line.starts_with("//! Ends by itself: "));
    // An example is a file, or a folder whose main.rs has the header; the folder's modules are not
    // examples.
    let is_example = |path: &String| path.matches('/').count() == 1 || path.ends_with("/main.rs");
    let silent = files("examples", &[".rs"]).into_iter().filter(is_example).filter(|path| !says(path));
    none(silent, "`//! Ends by itself: yes`, or `no`, is missing; .ci/run reads it");
}

#[test]
fn the_map_names_the_folders_there_are() {
    let map = read("arch-notes.md");
    let folders =
        sources().map(|path| path[..=path.rfind('/').expect("a source lies in a folder")].to_owned());
    let there = folders.collect::<BTreeSet<_>>();
    let of_crates = |word: &&str| CRATES.iter().any(|folder| word.starts_with(&format!("{folder}/src/")));
    let words = map.split(|c: char| !(c.is_alphanumeric() || "/._-".contains(c))).filter(of_crates);
    let named = words.map(str::to_owned).collect::<BTreeSet<_>>();
    let root = |path: &&String| *path == "hub/src/";
    none(there.difference(&named).filter(|path| !root(path)), "not in arch-notes.md");
    let gone = |path: &&String| !Path::new(ROOT).join(path.trim_end_matches('.')).exists();
    none(named.iter().filter(gone), "in arch-notes.md only");
}

#[test]
fn every_file_of_a_test_folder_is_a_module() {
    let lost = files("tests", &[".rs"]).into_iter().filter(|path| {
        let (folder, name) = path.rsplit_once('/').expect("a test lies in a folder");
        let main = format!("{folder}/main.rs");
        if folder.matches('/').count() != 1 || name == "main.rs" || !Path::new(ROOT).join(&main).exists() {
            return false;
        }
        let main = read(&main);
        !main.contains(&format!("mod {};", name.trim_end_matches(".rs")))
            && !main.contains(&format!("\"{name}\""))
    });
    none(lost, "not a module of its folder's main.rs, so never compiled");
}

/// The comments of a file, each with the number of its line.
fn comments(path: &str) -> Vec<(usize, String)> {
    let text = read(path);
    let lines = text.lines().enumerate();
    lines.filter_map(|(at, line)| Some((at + 1, line[line.find("//")?..].to_owned()))).collect()
}

/// Plain English names the thing that acts: thread, greenlet, waiter, caller.
#[test]
fn comments_name_the_thing() {
    const PRONOUNS: [&str; 7] = ["who", "whoever", "whom", "whose", "somebody", "nobody", "anybody"];
    let offenders = prose().flat_map(|path| {
        let vague = |text: &str| {
            let words = text.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase);
            words.into_iter().any(|word| PRONOUNS.contains(&&*word))
        };
        comments(&path)
            .into_iter()
            .filter(|(_, text)| vague(text))
            .map(|(at, _)| format!("{path}:{at}"))
            .collect::<Vec<_>>()
    });
    let offenders = offenders.collect::<Vec<_>>();
    assert!(offenders.len() <= 20, "name the thread, greenlet, waiter or caller: {offenders:#?}");
}

/// A reader of an example depends on `ramie` alone.
#[test]
fn examples_of_the_documentation_use_the_facade() {
    let offenders = sources().filter(|path| {
        let inner = |line: &&str| line.contains("use ramie_hub::") || line.contains("use ramie_pool::");
        read(path).lines().map(str::trim_start).filter(|line| line.starts_with("//")).any(|line| inner(&line))
    });
    none(offenders, "an example names a crate below the facade");
    let guides = ["pool/src/guide.md", "runtime/src/guide.md", "runtime/src/using_crates.md"];
    none(
        guides.into_iter().filter(|path| read(path).contains("use ramie_")),
        "an example names a crate below the facade",
    );
}

/// A summary opens with a verb, or with a noun phrase of the field.
#[test]
fn summaries_say_what_a_thing_is_or_does() {
    const CLAUSES: [&str; 12] = [
        "What", "Who", "Whose", "Where", "Whether", "How", "Those", "Somebody", "It", "Of", "Once", "Whoever",
    ];
    let offenders = prose().flat_map(|path| {
        let text = read(&path);
        let lines = text.lines().map(str::trim_start).collect::<Vec<_>>();
        let opens = |at: &usize| {
            let doc = |line: &str| line.starts_with("///") || line.starts_with("//!");
            let first = doc(lines[*at]) && (*at == 0 || !doc(lines[*at - 1]));
            let word = lines[*at].get(3..).and_then(|line| line.split_whitespace().next());
            first && word.is_some_and(|word| CLAUSES.contains(&word))
        };
        (0..lines.len()).filter(opens).map(|at| format!("{path}:{}", at + 1)).collect::<Vec<_>>()
    });
    none(offenders, "a summary opens with a verb or a noun phrase");
}

/// The names of the `pub use` statements of a source, each with the path that it comes from.
/// Re-exports that the documentation hides do not count.
fn reexports(path: &str) -> Vec<(String, String)> {
    /// The leaves of a tree of imports.
    fn leaves(prefix: &str, tree: &str, found: &mut Vec<(String, String)>) {
        let tree = tree.trim();
        if let Some((head, list)) = tree.strip_suffix('}').and_then(|tree| tree.split_once('{')) {
            assert!(!list.contains('{'), "a list in a list: {tree}");
            let list = list.split(',').map(str::trim).filter(|leaf| !leaf.is_empty());
            list.for_each(|leaf| leaves(&format!("{prefix}{head}"), leaf, found));
        } else {
            let (origin, name) = tree.split_once(" as ").unwrap_or((tree, tree));
            let name = name.rsplit("::").next().expect("a split has a part");
            found.push((name.to_owned(), format!("{prefix}{origin}")));
        }
    }
    let code = code(path);
    let mut found = Vec::new();
    for (at, _) in code.match_indices("pub use ") {
        if code[..at].trim_end().ends_with("#[doc(hidden)]") || !code[..at].ends_with('\n') {
            continue;
        }
        let statement = &code[at + "pub use ".len()..];
        leaves("", statement.split(';').next().expect("a split has a part"), &mut found);
    }
    found
}

/// The names of the public items that a source defines outside of any block.
fn definitions(path: &str) -> Vec<String> {
    let kinds = ["fn ", "struct ", "enum ", "trait ", "type ", "const ", "mod "];
    let code = code(path);
    let items = code.lines().filter_map(|line| line.strip_prefix("pub "));
    let names = items.filter_map(|item| kinds.iter().find_map(|kind| item.strip_prefix(kind)));
    names.map(|name| name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()).collect()
}

/// A reader finds the names that most programs use on one page; the others are in modules.
#[test]
fn the_root_has_the_names_that_programs_use() {
    let root = reexports("runtime/src/lib.rs").into_iter().map(|(name, _)| name).collect::<BTreeSet<_>>();
    none(root.iter().filter(|name| *name == "*"), "the root lists its names");
    for name in ["spawn", "sleep", "Greenlet", "joinall", "with_timeout", "Pool", "run"] {
        assert!(root.contains(name), "{name} is not found at the root");
    }
    assert!(root.len() <= ROOT_NAMES, "{} names at the root; use a module: {root:#?}", root.len());
}

/// One home for each name: a reader of a program looks it up in one place.
#[test]
fn each_public_name_has_one_home() {
    // The channels between threads fail with the errors of those of one thread.
    const SHARED_ERRORS: &str = "runtime/src/shared/channel.rs";
    let mut homes = BTreeMap::<String, Vec<String>>::new();
    for path in files("runtime/src", &[".rs"]) {
        for (name, origin) in reexports(&path) {
            if !origin.starts_with("self::") && path != SHARED_ERRORS {
                homes.entry(origin).or_default().push(format!("{path}: {name}"));
            }
        }
    }
    none(homes.values().filter(|homes| homes.len() > 1).map(|homes| homes.join(", ")), "two homes");
    for (library, source) in [("ramie_hub", "hub/src/lib.rs"), ("ramie_pool", "pool/src/lib.rs")] {
        let names = reexports(source).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert!(names.len() > 10, "the names of {source} are not found: {names:?}");
        let homeless = names.iter().filter(|name| {
            // A module is re-exported with all its names.
            let [one, all] = [format!("{library}::{name}"), format!("{library}::{name}::*")];
            !homes.contains_key(&one) && !homes.contains_key(&all)
        });
        none(homeless, "a public name of the hub or the pool that ramie does not have");
    }
    let root = reexports("runtime/src/lib.rs").into_iter().map(|(name, _)| name).collect::<BTreeSet<_>>();
    let modules = files("runtime/src", &[".rs"]).into_iter().filter(|path| {
        // The root's own items are defined in `run.rs`, and modules of the root have names of their
        // own. The functions for tokio are those of the root, for another runtime.
        !["runtime/src/lib.rs", "runtime/src/run.rs"].contains(&path.as_str())
            && !path.starts_with("runtime/src/tokio/")
    });
    let doubles = modules.flat_map(|path| {
        let names = reexports(&path).into_iter().map(|(name, _)| name).chain(definitions(&path));
        let doubles = names.filter(|name| root.contains(name)).map(|name| format!("{path}: {name}"));
        doubles.collect::<Vec<_>>()
    });
    none(doubles, "a name of the root is in a module too");
}

#[test]
fn the_changelog_is_open() {
    assert!(read("CHANGELOG.md").lines().any(|line| line == "## [Unreleased]"));
}
