//! rusqlite: SQLite on threads of the pool, by `ramie::blocking`.

use std::time::Duration;

use ramie::sync::Mutex;
use ramie::{Greenlet, blocking, sleep, spawn, with_timeout, yield_now};
use rusqlite::{Connection, ErrorCode, InterruptHandle, params};

use crate::util::folder::Folder;
use crate::util::within;
use crate::witness::{LIMIT, in_greenlets, while_others_run};

const GREENLETS: usize = 20;
/// A query that does not end by itself.
const ENDLESS: &str =
    "with recursive n(x) as (select 1 union all select x + 1 from n) select count(*) from n where x < 0";

fn open(folder: &Folder) -> Connection {
    let path = folder.join("data.sqlite");
    blocking(|| {
        let connection = Connection::open(&path).unwrap();
        connection.busy_timeout(LIMIT).unwrap();
        connection.execute_batch("create table if not exists rows (number integer)").unwrap();
        connection
    })
}

/// Lends a connection to a thread. A connection is `Send` and not `Sync`: the thread gets the
/// exclusive reference itself.
fn on<T: Send>(connection: &mut Connection, f: impl FnOnce(&mut Connection) -> T + Send) -> T {
    blocking(move || f(connection))
}

/// Returns the one number of the one row.
fn number(connection: &mut Connection, sql: &str) -> rusqlite::Result<i64> {
    on(connection, |connection| connection.query_row(sql, [], |row| row.get(0)))
}

fn count(connection: &mut Connection) -> i64 {
    number(connection, "select count(*) from rows").unwrap()
}

fn execute(connection: &mut Connection, sql: &str) {
    on(connection, |connection| connection.execute_batch(sql)).unwrap();
}

/// A transaction in one call of `blocking`, which borrows the connection.
fn insert(connection: &mut Connection, number: usize) -> rusqlite::Result<()> {
    on(connection, |connection| {
        let transaction = connection.transaction()?;
        transaction.execute("insert into rows values (?1)", params![number as i64])?;
        transaction.commit()
    })
}

#[test]
fn each_greenlet_has_a_connection() {
    within(LIMIT, || {
        let folder = Folder::new();
        let mut connection = open(&folder);
        in_greenlets(GREENLETS, |number| {
            let mut own = open(&folder);
            move || insert(&mut own, number).unwrap()
        });
        assert_eq!(count(&mut connection), 20);
    });
}

/// The mutex of ramie lets other greenlets run, also where the guard is held across `blocking`.
#[test]
fn greenlets_share_a_connection_under_a_mutex() {
    within(LIMIT, || {
        let folder = Folder::new();
        let connection = std::rc::Rc::new(Mutex::new(open(&folder)));
        in_greenlets(GREENLETS, |number| {
            let connection = connection.clone();
            move || insert(&mut connection.lock(), number).unwrap()
        });
        assert_eq!(count(&mut connection.lock()), 20);
    });
}

#[test]
fn others_run_during_a_transaction() {
    within(LIMIT, || {
        let folder = Folder::new();
        let (mut waiting, mut holder) = (open(&folder), open(&folder));
        execute(&mut holder, "begin immediate");
        while_others_run(move || insert(&mut waiting, 1).unwrap(), move || execute(&mut holder, "commit"));
        assert_eq!(count(&mut open(&folder)), 1);
    });
}

/// Interrupts a connection again and again: an interrupt ends a statement that has begun.
fn interrupts(interrupt: InterruptHandle) -> Greenlet<()> {
    spawn(move || {
        loop {
            sleep(Duration::from_millis(20));
            interrupt.interrupt();
        }
    })
}

/// A call of `blocking` ends with its statement, which another greenlet interrupts.
#[test]
fn an_interrupt_ends_a_statement() {
    within(LIMIT, || {
        let folder = Folder::new();
        let mut connection = open(&folder);
        let interrupt = connection.get_interrupt_handle();
        let ended = while_others_run(
            move || number(&mut connection, ENDLESS).unwrap_err(),
            move || drop(interrupts(interrupt)),
        );
        assert_eq!(ended.sqlite_error_code(), Some(ErrorCode::OperationInterrupted));
    });
}

#[test]
fn a_timeout_and_a_kill_wait_for_the_statement() {
    within(LIMIT, || {
        let folder = Folder::new();
        let mut connection = open(&folder);
        let mut watch = interrupts(connection.get_interrupt_handle());
        let late = with_timeout(Duration::from_millis(5), || number(&mut connection, ENDLESS).is_ok());
        assert!(late.is_err());
        watch.kill();
        insert(&mut connection, 1).unwrap();

        watch = interrupts(connection.get_interrupt_handle());
        let worker = spawn(move || number(&mut connection, ENDLESS).is_ok());
        yield_now();
        worker.kill();
        assert!(worker.dead());
        watch.kill();
        let mut connection = open(&folder);
        insert(&mut connection, 2).unwrap();
        assert_eq!(count(&mut connection), 2);
    });
}
