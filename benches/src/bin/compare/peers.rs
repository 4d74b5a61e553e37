//! The programs that contenders run in: this one, this one over another switch, those in other
//! languages, built on the spot, and those of `--contender NAME=COMMAND`.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::children::{Program, Workloads};
use crate::options::Options;
use crate::workload::{CONTENDERS, ON_ALL_CORES, Workload};

const BENCHES: &str = env!("CARGO_MANIFEST_DIR");

/// The contenders that can run here, and those that cannot, with the reason.
#[derive(Debug, Default)]
pub(crate) struct Programs {
    pub(crate) there: Vec<Program>,
    pub(crate) skipped: Vec<(&'static str, String)>,
    /// What there is, with its version.
    pub(crate) versions: Vec<String>,
}

impl Programs {
    /// Builds what the options and the workloads need.
    pub(crate) fn build(options: &Options, workloads: &[&Workload]) -> Programs {
        let mut programs = Programs { versions: own_versions(), ..Programs::default() };
        let wanted = |name: &str| options.wants(name);
        let own = env::current_exe().expect("a program knows where it is");
        for contender in CONTENDERS {
            if workloads.iter().any(|workload| workload.own().contains(contender)) && wanted(contender) {
                programs.add(contender, Ok(own.clone()), &["--run", contender], &[]);
            }
        }
        // Beside the programs of this build, where cargo puts nothing.
        let folder = own.ancestors().nth(2).expect("cargo has folders for it").join("compare-peers");
        let has_peer = |names: &[&str]| {
            names
                .iter()
                .any(|name| wanted(name) && workloads.iter().any(|workload| workload.peers.contains(name)))
        };
        let built = |build: fn(&Path) -> Result<PathBuf, String>| {
            if options.build { build(&folder) } else { Err("not built, as was asked for".to_owned()) }
        };
        if wanted("ramie-corosensei") && knows_other_fiber() {
            programs.add("ramie-corosensei", built(other_fiber), &["--run", "ramie"], &[]);
        }
        if has_peer(&["go", "go-1"]) {
            let go = built(go);
            programs.add_version("Go", &go, &["version"]);
            if wanted("go") {
                programs.add("go", go.clone(), &[], &[]);
            }
            if wanted("go-1") {
                programs.add("go-1", go, &[], &[("GOMAXPROCS", "1")]);
            }
        }
        if has_peer(&["gevent"]) {
            let python = gevent();
            programs.add_version("gevent", &python, &["-c", PYTHON_VERSIONS]);
            programs.add("gevent", python, &[&format!("{BENCHES}/peers/gevent/peer.py")], &[]);
        }
        if has_peer(&["boost"]) {
            let boost = built(boost);
            programs.add_version("Boost", &boost, &["version"]);
            programs.add("boost", boost, &[], &[]);
        }
        for guest in &options.guests {
            // The shell becomes the program, so that the program can be ended.
            let script = format!("exec {} \"$@\"", guest.command);
            programs.add(guest.name, Ok("/bin/sh".into()), &["-c", &script, guest.name], &[]);
        }
        programs
    }

    /// Asks a peer for its version.
    fn add_version(&mut self, name: &str, path: &Result<PathBuf, String>, arguments: &[&str]) {
        let Ok(path) = path else { return };
        if let Ok(output) = Command::new(path).args(arguments).output() {
            self.versions.push(format!("{name} {}", String::from_utf8_lossy(&output.stdout).trim()));
        }
    }

    fn add(
        &mut self,
        name: &'static str,
        path: Result<PathBuf, String>,
        arguments: &[&str],
        environment: &[(&'static str, &'static str)],
    ) {
        match path {
            Ok(path) => self.there.push(Program {
                name,
                path,
                arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
                environment: environment.to_vec(),
                workloads: match name {
                    "ramie-corosensei" => Workloads::Of("ramie"),
                    name if CONTENDERS.contains(&name) => Workloads::Listed,
                    _ => Workloads::All,
                },
                on_all_cores: ON_ALL_CORES.contains(&name),
            }),
            Err(reason) => self.skipped.push((name, reason)),
        }
    }
}

const PYTHON_VERSIONS: &str =
    "import gevent, platform as p; print(gevent.__version__, 'on Python', p.python_version())";

/// The name of the profile that cargo has built this program by, which is that of its folder.
pub(crate) fn profile() -> String {
    let own = env::current_exe().expect("a program knows where it is");
    let folder = own.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    if folder == "debug" { "dev".to_owned() } else { folder.into_owned() }
}

/// The commit, the compiler and the crates that are compared.
fn own_versions() -> Vec<String> {
    let mut versions = Vec::new();
    let mut git = Command::new("git");
    git.args(["describe", "--always", "--dirty", "--exclude=*"]).current_dir(BENCHES);
    if let Ok(output) = git.output()
        && output.status.success()
    {
        versions.push(format!("commit {}", String::from_utf8_lossy(&output.stdout).trim()));
    }
    if let Ok(output) = Command::new("rustc").arg("--version").output() {
        let version = String::from_utf8_lossy(&output.stdout).into_owned();
        versions.push(version.split_whitespace().take(2).collect::<Vec<_>>().join(" "));
    }
    let lock = fs::read_to_string(format!("{BENCHES}/../Cargo.lock")).unwrap_or_default();
    let crates = ["corosensei", "may", "may_minihttp", "tokio", "hyper", "smol"];
    let ringed: &[&str] = if cfg!(feature = "io-uring") { &["monoio", "glommio"] } else { &[] };
    for name in crates.iter().chain(ringed) {
        let entry = lock.split_once(&format!("name = \"{name}\"\nversion = \"")).map(|(_, entry)| entry);
        let version = entry.and_then(|entry| entry.split('"').next());
        versions.extend(version.map(|version| format!("{name} {version}")));
    }
    versions
}

/// Whether there is a switch of our own, so that corosensei's is another one.
fn knows_other_fiber() -> bool {
    Path::new(BENCHES).join("../hub/src/fiber/native.rs").exists()
}

fn other_fiber(folder: &Path) -> Result<PathBuf, String> {
    let target = folder.join("fiber-corosensei");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let profile = profile();
    cargo.args(["build", "--profile", &profile, "--package", "ramie-benches", "--bin", "compare"]);
    cargo
        .current_dir(BENCHES)
        .env("RUSTFLAGS", "--cfg ramie_fiber=\"corosensei\"")
        .env("CARGO_TARGET_DIR", &target);
    succeed(cargo)?;
    let built_in = if profile == "dev" { "debug" } else { &profile };
    Ok(target.join(built_in).join("compare"))
}

fn go(folder: &Path) -> Result<PathBuf, String> {
    let program = folder.join("peer-go");
    let mut go = Command::new("go");
    go.args(["build", "-o"]).arg(&program).arg("peer.go").current_dir(format!("{BENCHES}/peers/go"));
    succeed(go)?;
    Ok(program)
}

fn boost(folder: &Path) -> Result<PathBuf, String> {
    let program = folder.join("peer-boost");
    fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    let mut cxx = Command::new(env::var_os("CXX").unwrap_or_else(|| "g++".into()));
    cxx.args(["-std=c++17", "-O3", "-flto", "-DNDEBUG", "-pthread", "-o"]).arg(&program);
    cxx.arg(format!("{BENCHES}/peers/boost/peer.cpp")).args(["-lboost_fiber", "-lboost_context"]);
    succeed(cxx)?;
    Ok(program)
}

/// The interpreter of gevent's contender: `RAMIE_PYTHON`, or python3.
fn gevent() -> Result<PathBuf, String> {
    let python = PathBuf::from(env::var_os("RAMIE_PYTHON").unwrap_or_else(|| "python3".into()));
    let mut import = Command::new(&python);
    import.args(["-c", "import gevent"]);
    succeed(import)?;
    Ok(python)
}

/// Runs it, and returns the last it says if it fails.
fn succeed(mut command: Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let telling = errors.lines().rfind(|line| line.contains("rror")).or_else(|| errors.lines().last());
    Err(format!("{program}: {}", telling.unwrap_or("it fails").trim()))
}
