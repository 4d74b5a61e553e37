//! The C interface of `examples/c`: its program is compiled, linked to the library, and runs.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::util::folder::Folder;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Returns the library for C, which is built with the tests, beside them.
fn library() -> PathBuf {
    let own = env::current_exe().unwrap();
    let folder = own.parent().unwrap();
    let files = folder.read_dir().unwrap().map(|entry| entry.unwrap().path());
    let of_c = files.filter(|path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("libramie_c") && name.ends_with(".a")
    });
    // The one of this build, if there are several.
    of_c.max_by_key(|path| path.metadata().unwrap().modified().unwrap()).expect("the library is built")
}

#[test]
fn a_c_program_drives_a_hub() {
    let folder = Folder::new();
    let program = folder.join("program");
    let compiled = Command::new("cc")
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-D_POSIX_C_SOURCE=200809L", "-o"])
        .arg(&program)
        .arg(Path::new(ROOT).join("examples/c/main.c"))
        .arg(library())
        .args(["-lpthread", "-ldl", "-lm"])
        .output()
        .expect("there is a C compiler, which links Rust programs too");
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    let output = Command::new(&program).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("5 bytes, 3 turns, many iterations"), "{text}");
}
