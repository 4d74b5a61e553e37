//! postgres: its blocking client on threads of the pool, by `ramie::blocking`.

use std::time::Duration;

use postgres::{Client, NoTls};
use ramie::{blocking, sleep, spawn, with_timeout};

use crate::databases::Cluster;
use crate::programs::with;
use crate::witness::{in_greenlets, while_others_run};

const GREENLETS: usize = 20;

fn connect(cluster: &Cluster) -> Client {
    let settings = format!("host=127.0.0.1 port={} user=ramie dbname=postgres", cluster.server.port);
    blocking(|| Client::connect(&settings, NoTls)).unwrap()
}

/// Returns the one number of the one row.
fn number(client: &mut Client, query: &str) -> i64 {
    blocking(|| client.query_one(query, &[])).unwrap().get(0)
}

fn execute(client: &mut Client, sql: &str) {
    blocking(|| client.batch_execute(sql)).unwrap();
}

#[test]
fn greenlets_query_postgresql() {
    with(&[], |programs| {
        let Some(cluster) = Cluster::start(programs) else { return };
        let mut watch = connect(&cluster);
        each_greenlet_has_a_connection(&cluster);
        others_run_during_a_query(&cluster);
        a_timeout_waits_for_the_query(&cluster);
        a_kill_rolls_a_transaction_back(&cluster, &mut watch);
        close(watch);
    });
}

/// The drop of a client blocks until its connection is closed.
fn close(client: Client) {
    blocking(|| client.close()).unwrap();
}

fn each_greenlet_has_a_connection(cluster: &Cluster) {
    let numbers = in_greenlets(GREENLETS, |number| {
        let mut client = connect(cluster);
        move || {
            let own = i64::try_from(number).unwrap();
            let row = blocking(|| client.query_one("select $1::int8 + 1", &[&own])).unwrap();
            close(client);
            row.get::<_, i64>(0)
        }
    });
    assert_eq!(numbers, (1..).take(GREENLETS).collect::<Vec<i64>>());
}

fn others_run_during_a_query(cluster: &Cluster) {
    let (mut one, mut other) = (connect(cluster), connect(cluster));
    execute(&mut other, "select pg_advisory_lock(1)");
    while_others_run(
        move || execute(&mut one, "select pg_advisory_lock(1)"),
        move || execute(&mut other, "select pg_advisory_unlock(1)"),
    );
}

/// The frame of the caller is in use until the query is over: a limit of the server's ends it.
fn a_timeout_waits_for_the_query(cluster: &Cluster) {
    let mut client = connect(cluster);
    execute(&mut client, "set statement_timeout = '200ms'");
    let late = with_timeout(Duration::from_millis(20), || execute(&mut client, "select pg_sleep(0.1)"));
    assert!(late.is_err());
    let late = blocking(|| client.batch_execute("select pg_sleep(3600)")).unwrap_err();
    assert_eq!(late.code(), Some(&postgres::error::SqlState::QUERY_CANCELED));
    assert_eq!(number(&mut client, "select 7::int8"), 7);
    close(client);
}

/// A request to cancel, from another greenlet, ends a query in the middle.
fn a_kill_rolls_a_transaction_back(cluster: &Cluster, watch: &mut Client) {
    execute(watch, "create table rows (number int8)");
    let mut client = connect(cluster);
    let cancel = client.cancel_token();
    let worker = spawn(move || {
        blocking(|| {
            let mut transaction = client.transaction()?;
            transaction.batch_execute("insert into rows values (1); select pg_sleep(3600)")?;
            transaction.commit()
        })
        .unwrap();
    });
    let sleeping = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'";
    while number(watch, sleeping) == 0 {
        sleep(Duration::from_millis(1));
    }
    worker.kill_nowait();
    blocking(|| cancel.cancel_query(NoTls)).unwrap();
    worker.join();
    assert_eq!(number(watch, "select count(*) from rows"), 0);
}
