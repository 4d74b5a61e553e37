//! tokio-postgres: queries of many greenlets over one connection, by `ramie::tokio::block_on`.

use std::rc::Rc;
use std::time::Duration;

use ramie::tokio::{block_on, block_on_timeout};
use ramie::{spawn, with_timeout};
use tokio_postgres::{Client, NoTls};

use crate::databases::Cluster;
use crate::programs::with;
use crate::util::eventually::until;
use crate::witness::{cut_calls_at_random, in_greenlets, on_this_thread, while_others_run};

const GREENLETS: usize = 20;

fn connect(cluster: &Cluster) -> Client {
    let settings = format!("host=127.0.0.1 port={} user=ramie dbname=postgres", cluster.server.port);
    block_on(async {
        let (client, connection) = tokio_postgres::connect(&settings, NoTls).await.unwrap();
        // Moves the bytes, also while the greenlet does something else.
        tokio::spawn(connection);
        client
    })
}

/// Returns the one number of the one row.
fn number(client: &Client, query: &str) -> i64 {
    block_on(client.query_one(query, &[])).unwrap().get(0)
}

/// Lets others run until a session sleeps in `pg_sleep`, or none does.
fn until_sleeping(client: &Client, expected: i64) {
    let sleeping = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'";
    until(|| number(client, sleeping) == expected);
}

#[test]
fn greenlets_query_postgresql() {
    with(&[], |programs| {
        let Some(cluster) = Cluster::start(programs) else { return };
        queries(&cluster);
        on_this_thread(|| queries(&cluster));
    });
}

fn queries(cluster: &Cluster) {
    let client = Rc::new(connect(cluster));
    many_greenlets_share_a_connection(&client);
    others_run_during_a_query(cluster);
    a_timeout_leaves_the_query_to_the_server(cluster, &client);
    a_kill_rolls_a_transaction_back(cluster, &client);
    random_cuts_mix_no_answers_up(&client);
}

fn many_greenlets_share_a_connection(client: &Rc<Client>) {
    let numbers = in_greenlets(GREENLETS, |number| {
        let client = client.clone();
        move || {
            let own = i64::try_from(number).unwrap();
            let statement = block_on(client.prepare("select $1::int8 + 1")).unwrap();
            block_on(client.query_one(&statement, &[&own])).unwrap().get::<_, i64>(0)
        }
    });
    assert_eq!(numbers, (1..).take(GREENLETS).collect::<Vec<i64>>());
}

fn others_run_during_a_query(cluster: &Cluster) {
    let (one, other) = (connect(cluster), connect(cluster));
    block_on(other.batch_execute("select pg_advisory_lock(1)")).unwrap();
    while_others_run(
        move || block_on(one.batch_execute("select pg_advisory_lock(1)")).unwrap(),
        move || block_on(other.batch_execute("select pg_advisory_unlock(1)")).unwrap(),
    );
}

/// The drop of a query does not reach the server: a request to cancel does.
fn a_timeout_leaves_the_query_to_the_server(cluster: &Cluster, watch: &Client) {
    let client = connect(cluster);
    let query = client.batch_execute("select pg_sleep(3600)");
    assert!(block_on_timeout(query, Duration::from_millis(50)).is_err());
    until_sleeping(watch, 1);
    block_on(client.cancel_token().cancel_query(NoTls)).unwrap();
    until_sleeping(watch, 0);
    assert_eq!(number(&client, "select 7::int8"), 7);

    // A query that is over soon only delays the next one on its connection.
    let late =
        with_timeout(Duration::from_millis(5), || block_on(client.batch_execute("select pg_sleep(0.2)")));
    assert!(late.is_err());
    assert_eq!(number(&client, "select 8::int8"), 8);
}

fn a_kill_rolls_a_transaction_back(cluster: &Cluster, watch: &Rc<Client>) {
    block_on(watch.batch_execute("drop table if exists rows; create table rows (number int8)")).unwrap();
    let (mut client, seen) = (connect(cluster), connect(cluster));
    let worker = spawn(move || {
        let transaction = block_on(client.transaction()).unwrap();
        block_on(transaction.batch_execute("insert into rows values (1); select pg_advisory_lock(2)"))
            .unwrap();
        block_on(seen.batch_execute("select pg_advisory_lock(2)")).unwrap();
        block_on(transaction.commit()).unwrap();
    });
    let waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted";
    until(|| number(watch, waiting) == 1);
    worker.kill();
    assert!(worker.dead());
    // Its connections are closed, and with the first one goes what it had inserted.
    let sessions = "select count(*) from pg_stat_activity where backend_type = 'client backend'";
    until(|| number(watch, sessions) == 1);
    assert_eq!(number(watch, "select count(*) from rows"), 0);
}

fn random_cuts_mix_no_answers_up(client: &Rc<Client>) {
    let client = client.clone();
    cut_calls_at_random(move |own| {
        let answer = number(&client, &format!("select {own}::int8"));
        assert_eq!(answer, i64::try_from(own).unwrap());
    });
}
