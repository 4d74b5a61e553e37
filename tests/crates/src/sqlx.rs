//! sqlx: a pool of connections to PostgreSQL that many greenlets share.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use ramie::tokio::{block_on, block_on_timeout, handle};
use ramie::{killall, sleep, spawn, with_timeout};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};

use crate::databases::Cluster;
use crate::programs::with;
use crate::util::eventually::until;
use crate::witness::{cut_calls_at_random, in_greenlets, on_this_thread, while_others_run};

const GREENLETS: usize = 20;
const CONNECTIONS: u32 = 4;

fn connect(cluster: &Cluster) -> PgPool {
    let options = PgConnectOptions::new().host("127.0.0.1").port(cluster.server.port);
    let options = options.username("ramie").database("postgres");
    block_on(PgPoolOptions::new().max_connections(CONNECTIONS).connect_with(options)).unwrap()
}

/// Returns the one number of the one row.
fn number(pool: &PgPool, query: &str) -> i64 {
    block_on(sqlx::query_scalar(query).fetch_one(pool)).unwrap()
}

#[test]
fn greenlets_share_a_pool() {
    with(&[], |programs| {
        let Some(cluster) = Cluster::start(programs) else { return };
        queries(&cluster);
        on_this_thread(|| queries(&cluster));
        a_connection_is_dropped_in_the_context(&connect(&cluster), connect(&cluster));
    });
}

fn queries(cluster: &Cluster) {
    let pool = connect(cluster);
    more_greenlets_than_connections(&pool);
    others_run_during_a_query(&pool);
    a_timeout_cuts_a_query(&pool);
    a_kill_rolls_a_transaction_back(&pool);
    random_cuts_mix_no_answers_up(&pool);
    block_on(pool.close());
}

fn more_greenlets_than_connections(pool: &PgPool) {
    block_on(sqlx::query("drop table if exists rows").execute(pool)).unwrap();
    block_on(sqlx::query("create table rows (number int8)").execute(pool)).unwrap();
    let counts = in_greenlets(GREENLETS, |number| {
        let pool = pool.clone();
        move || {
            let own = i64::try_from(number).unwrap();
            block_on(async {
                let mut transaction = pool.begin().await?;
                sqlx::query("insert into rows values ($1)").bind(own).execute(&mut *transaction).await?;
                let found = sqlx::query_scalar::<_, i64>("select count(*) from rows where number = $1");
                let found = found.bind(own).fetch_one(&mut *transaction).await?;
                transaction.commit().await?;
                Ok::<_, sqlx::Error>(found)
            })
            .unwrap()
        }
    });
    assert_eq!(counts, [1; GREENLETS]);
    assert!(pool.size() <= CONNECTIONS);
    let sum = number(pool, "select sum(number)::int8 from rows");
    assert_eq!(sum, (0..20).sum::<i64>());
}

fn others_run_during_a_query(pool: &PgPool) {
    let waiting = pool.clone();
    let mut holder = block_on(pool.acquire()).unwrap();
    block_on(sqlx::query("select pg_advisory_lock(1)").execute(&mut *holder)).unwrap();
    while_others_run(
        move || {
            let locked = async {
                let mut transaction = waiting.begin().await?;
                sqlx::query("select pg_advisory_xact_lock(1)").execute(&mut *transaction).await?;
                transaction.commit().await
            };
            block_on(locked).unwrap();
        },
        move || {
            block_on(async move {
                sqlx::query("select pg_advisory_unlock(1)").execute(&mut *holder).await.unwrap();
                // A connection goes back to its pool by a task of tokio: it is dropped in here.
                drop(holder);
            });
        },
    );
}

/// The pool gives a connection to the next greenlet only when the server has answered it.
fn a_timeout_cuts_a_query(pool: &PgPool) {
    let slow = sqlx::query("select pg_sleep(0.2)").execute(pool);
    assert!(block_on_timeout(slow, Duration::from_millis(20)).is_err());
    let late = with_timeout(Duration::from_millis(20), || {
        block_on(sqlx::query("select pg_sleep(0.2)").execute(pool)).is_ok()
    });
    assert!(late.is_err());
    let sevens = in_greenlets(GREENLETS, |_| {
        let pool = pool.clone();
        move || number(&pool, "select 7::int8")
    });
    assert_eq!(sevens, [7; GREENLETS]);
}

fn a_kill_rolls_a_transaction_back(pool: &PgPool) {
    let mut holder = block_on(pool.acquire()).unwrap();
    block_on(sqlx::query("select pg_advisory_lock(2)").execute(&mut *holder)).unwrap();
    let own = pool.clone();
    let worker = spawn(move || {
        block_on(async {
            let mut transaction = own.begin().await.unwrap();
            sqlx::query("delete from rows").execute(&mut *transaction).await.unwrap();
            sqlx::query("select pg_advisory_lock(2)").execute(&mut *transaction).await.unwrap();
            transaction.commit().await.unwrap();
        });
    });
    let waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted";
    until(|| number(pool, waiting) == 1);
    worker.kill();
    assert!(worker.dead());
    block_on(async move {
        sqlx::query("select pg_advisory_unlock(2)").execute(&mut *holder).await.unwrap();
        drop(holder);
    });
    // The rows are locked until the transaction has ended, and still there.
    let rows = "select count(*) from (select * from rows for update) as locked";
    assert_eq!(number(pool, rows), 20);
}

fn random_cuts_mix_no_answers_up(pool: &PgPool) {
    let own = pool.clone();
    cut_calls_at_random(move |number| {
        let expected = i64::try_from(number).unwrap();
        let query = sqlx::query_scalar::<_, i64>("select $1::int8").bind(expected);
        assert_eq!(block_on(query.fetch_one(&own)).unwrap(), expected);
    });
    assert!(pool.size() <= CONNECTIONS);
}

/// A connection gives itself back by a task of tokio, so its drop needs the context. The context
/// may be entered for a whole thread, by the main greenlet.
fn a_connection_is_dropped_in_the_context(pool: &PgPool, other: PgPool) {
    let outside = spawn(move || {
        let connection = block_on(other.acquire()).unwrap();
        drop(connection);
    });
    let failure = outside.get().unwrap_err().to_string();
    assert!(failure.contains("requires a Tokio context"), "{failure}");

    let _context = handle().enter();
    let acquired = Rc::new(Cell::new(0));
    let holders = (0..CONNECTIONS).map(|_| {
        let (own, acquired) = (pool.clone(), acquired.clone());
        spawn(move || {
            let _connection = block_on(own.acquire()).unwrap();
            acquired.set(acquired.get() + 1);
            sleep(Duration::from_secs(3600));
        })
    });
    let holders = holders.collect::<Vec<_>>();
    until(|| acquired.get() == CONNECTIONS);
    killall(&holders);
    assert_eq!(number(pool, "select 7::int8"), 7);
}
