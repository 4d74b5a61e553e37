//! Servers of databases for a test: PostgreSQL and Redis, each with data that goes with it.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use rustix::process::{Signal, geteuid};

use crate::programs::{Programs, Server, command, find};
use crate::util::folder::Folder;

/// A server with its data, which is new and goes with it.
pub(crate) struct Cluster {
    pub(crate) server: Server,
    pub(crate) folder: Folder,
}

impl Cluster {
    /// Makes a cluster that trusts every user. Prints why and returns `None` where none can run.
    pub(crate) fn start(programs: &Programs) -> Option<Self> {
        let Some(initdb) = tool("initdb").filter(|_| tool("postgres").is_some()) else {
            println!("skipped: no postgres here");
            return None;
        };
        // It refuses to be started by root.
        let user = if geteuid().is_root() { Some(unprivileged()?) } else { None };
        let by_user = |program: PathBuf| {
            let mut command = command(program);
            if let Some((uid, gid)) = user {
                command.uid(uid).gid(gid);
            }
            command
        };
        let folder = Folder::new();
        if let Some((uid, gid)) = user {
            chown(&*folder, Some(uid), Some(gid)).unwrap();
        }
        let data = folder.join("data");
        let mut making = by_user(initdb);
        making.current_dir(&*folder).args(["--auth", "trust", "--username", "ramie", "--no-sync"]);
        making.args(["--encoding", "UTF8", "--no-locale", "--pgdata"]).arg(&data);
        programs.run(&mut making).text();
        let ready = "database system is ready to accept connections";
        let server = programs.serve(ready, Signal::QUIT, |port| {
            let mut server = by_user(tool("postgres").unwrap());
            server.current_dir(&*folder).arg("-D").arg(&data).arg("-k").arg(&*folder);
            server.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-F", "-N", "100"]);
            server
        });
        Some(Cluster { server, folder })
    }
}

/// A program of PostgreSQL's, which Debian does not put where others are.
pub(crate) fn tool(name: &str) -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut files = versions.map(|version| version.path().join("bin").join(name));
    files.find(|file| Path::new(file).is_file()).or_else(|| find(name))
}

/// The numbers of a user that owns nothing of importance.
fn unprivileged() -> Option<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let user = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut numbers = line.split(':').skip(2).map(str::parse);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    };
    let found = user("postgres").or_else(|| user("nobody"));
    if found.is_none() {
        println!("skipped: no user here that postgres could be started by");
    }
    found
}

/// A server that keeps nothing, and the folder that it does not use.
pub(crate) fn redis(programs: &Programs) -> (Folder, Server) {
    let folder = Folder::new();
    let server = programs.serve("Ready to accept connections", Signal::TERM, |port| {
        let mut server = command("redis-server");
        server.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--appendonly", "no"]);
        server.args(["--daemonize", "no", "--save", "", "--dir"]).arg(&*folder);
        server
    });
    (folder, server)
}
