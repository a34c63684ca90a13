//! One connection. The sink's code for databases is synchronous and runs on threads that may wait; the client is
//! asynchronous and is driven by the service's runtime.

use std::borrow::Cow;
use std::collections::HashMap;
use std::error::Error as _;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use bytes::BytesMut;
use futures_util::TryStreamExt;
use tokio::runtime::Handle;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Error, Statement};

use crate::clock::Nanos;
use crate::store::Delivery;
use crate::store::sql::{Arg, Connection, Dialect, Each, Lock, Row, StoreError};

/// A connection to the server.
pub(crate) struct Pg {
    client: Client,
    runtime: Handle,
    statements: HashMap<String, Statement>,
    /// It cannot be used any more: the server is gone, or an answer may still come.
    broken: bool,
    /// A statement of this transaction failed; PostgreSQL would take a commit for a rollback and say nothing.
    failed: bool,
}

impl Pg {
    pub(super) fn new(client: Client, runtime: Handle) -> Self {
        Self { client, runtime, statements: HashMap::new(), broken: false, failed: false }
    }

    pub(super) fn broken(&self) -> bool {
        self.broken || self.client.is_closed()
    }

    /// Waits for an answer, but not for ever.
    fn wait<T>(
        runtime: &Handle,
        broken: &mut bool,
        answer: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let waited = runtime.block_on(async { tokio::time::timeout(ANSWER, answer).await });
        let done = waited.unwrap_or_else(|_| Err(StoreError::Away("no answer in time".into())));
        *broken |= matches!(done, Err(StoreError::Away(_)));
        done
    }

    /// The statement, prepared on first use. The types of its arguments are those given, not what the server would guess.
    fn prepare(&mut self, sql: &str, args: &[Arg<'_>]) -> Result<Statement, StoreError> {
        if let Some(known) = self.statements.get(sql) {
            return Ok(known.clone());
        }
        if self.statements.len() >= STATEMENTS {
            self.statements.clear();
        }
        let types: Vec<Type> = args.iter().map(type_of).collect();
        let text = numbered(sql);
        let client = &self.client;
        let made = Self::wait(&self.runtime, &mut self.broken, async {
            client.prepare_typed(&text, &types).await.map_err(|e| explain(&e))
        });
        let made = self.note(made)?;
        self.statements.insert(sql.to_owned(), made.clone());
        Ok(made)
    }

    fn note<T>(&mut self, done: Result<T, StoreError>) -> Result<T, StoreError> {
        self.failed |= done.is_err();
        done
    }

    /// Stores deliveries in one statement that is a transaction of its own, and answers their ids in their order. One at a
    /// time among all replicas: whoever reads on from an id must not find a smaller one later.
    pub(super) fn insert(&mut self, batch: &[&Delivery]) -> Result<Vec<i64>, StoreError> {
        const SQL: &str = "
            WITH turn AS MATERIALIZED (SELECT pg_advisory_xact_lock($9, $10)),
            fresh AS (
              INSERT INTO deliveries (received_ns, kind, source, query, remote, agent, size, body)
              SELECT n.a, n.b, n.c, n.d, n.e, n.f, n.g, n.h FROM turn,
                unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::bytea[])
                WITH ORDINALITY AS n(a, b, c, d, e, f, g, h, at) ORDER BY n.at
              RETURNING id)
            SELECT array_agg(id ORDER BY id), pg_notify('webhook_sink', 'stored ' || max(id)) FROM fresh";
        let received: Vec<i64> = batch.iter().map(|d| d.received.0).collect();
        let kinds: Vec<&str> = batch.iter().map(|d| d.kind.name()).collect();
        let sources: Vec<Cow<'_, str>> = batch.iter().map(|d| clean(&d.source)).collect();
        let queries: Vec<Cow<'_, str>> = batch.iter().map(|d| clean(&d.query)).collect();
        let remotes: Vec<&str> = batch.iter().map(|d| d.remote.as_str()).collect();
        let agents: Vec<Cow<'_, str>> = batch.iter().map(|d| clean(&d.agent)).collect();
        let sizes: Vec<i64> = batch.iter().map(|d| d.body.len() as i64).collect();
        let bodies: Vec<&[u8]> = batch.iter().map(|d| &d.body[..]).collect();
        let statement = if let Some(known) = self.statements.get(SQL) {
            known.clone()
        } else {
            let client = &self.client;
            let made = Self::wait(&self.runtime, &mut self.broken, async {
                client.prepare(SQL).await.map_err(|e| explain(&e))
            })?;
            self.statements.insert(SQL.to_owned(), made.clone());
            made
        };
        let client = &self.client;
        let ids: Vec<i64> = Self::wait(&self.runtime, &mut self.broken, async {
            let args: [&(dyn ToSql + Sync); 10] =
                [&received, &kinds, &sources, &queries, &remotes, &agents, &sizes, &bodies, &LOCKS, &LOCK_INSERT];
            let row = client.query_one(&statement, &args).await.map_err(|e| explain(&e))?;
            row.try_get(0).map_err(|e| explain(&e))
        })?;
        if ids.len() == batch.len() {
            Ok(ids)
        } else {
            Err(StoreError::Database(format!("{} of {} deliveries were inserted", ids.len(), batch.len())))
        }
    }

    /// Takes the lock of the index for this transaction, if nobody else holds it.
    pub(super) fn try_index(&mut self) -> Result<bool, StoreError> {
        let db: &mut dyn Connection = self;
        let got = db.int(&format!("SELECT pg_try_advisory_xact_lock({LOCKS}, {LOCK_INDEX})"), &[])?;
        Ok(got == Some(1))
    }
}

impl Connection for Pg {
    fn execute(&mut self, sql: &str, args: &[Arg<'_>]) -> Result<u64, StoreError> {
        let statement = self.prepare(sql, args)?;
        let client = &self.client;
        let done = Self::wait(&self.runtime, &mut self.broken, async {
            client.execute_raw(&statement, args.iter()).await.map_err(|e| explain(&e))
        });
        self.note(done)
    }

    fn query(&mut self, sql: &str, args: &[Arg<'_>], each: Each<'_>) -> Result<(), StoreError> {
        let statement = self.prepare(sql, args)?;
        let client = &self.client;
        let done = Self::wait(&self.runtime, &mut self.broken, async {
            let rows = client.query_raw(&statement, args.iter()).await.map_err(|e| explain(&e))?;
            let mut rows = pin!(rows);
            while let Some(row) = rows.try_next().await.map_err(|e| explain(&e))? {
                each(&PgRow(&row))?;
            }
            Ok(())
        });
        self.note(done)
    }

    fn script(&mut self, sql: &str) -> Result<(), StoreError> {
        let client = &self.client;
        let done = Self::wait(&self.runtime, &mut self.broken, async {
            client.batch_execute(sql).await.map_err(|e| explain(&e))
        });
        self.note(done)
    }

    fn begin(&mut self, durable: bool) -> Result<(), StoreError> {
        self.failed = false;
        // What is not durable is lost in order: never without what was written after it.
        self.script(if durable { "BEGIN" } else { "BEGIN; SET LOCAL synchronous_commit = off" })
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        if self.failed {
            return Err(StoreError::Database("a statement of the transaction failed".into()));
        }
        self.script("COMMIT")
    }

    fn rollback(&mut self) {
        if !self.broken() {
            let _ = self.script("ROLLBACK");
        }
    }

    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    fn lock(&mut self, lock: Lock) -> Result<(), StoreError> {
        let which = match lock {
            Lock::Schema => LOCK_SCHEMA,
            Lock::Index => LOCK_INDEX,
        };
        self.script(&format!("SELECT pg_advisory_xact_lock({LOCKS}, {which})"))
    }

    fn clock(&mut self) -> Result<Nanos, StoreError> {
        let db: &mut dyn Connection = self;
        let micros = db.int("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)", &[])?;
        Ok(Nanos(micros.unwrap_or(0).saturating_mul(1000)))
    }

    /// The bodies alone: files of the server do not shrink when rows go, and counting those would forget everything.
    fn used(&mut self) -> Result<u64, StoreError> {
        let db: &mut dyn Connection = self;
        Ok(db.int("SELECT CAST(sum(size) AS BIGINT) FROM deliveries", &[])?.unwrap_or(0).unsigned_abs())
    }
}

struct PgRow<'a>(&'a tokio_postgres::Row);

impl PgRow<'_> {
    fn type_at(&self, column: usize) -> Type {
        self.0.columns().get(column).map_or(Type::UNKNOWN, |c| c.type_().clone())
    }
}

impl Row for PgRow<'_> {
    fn int(&self, column: usize) -> Result<i64, StoreError> {
        Ok(self.opt_int(column)?.unwrap_or_default())
    }

    fn opt_int(&self, column: usize) -> Result<Option<i64>, StoreError> {
        let found = match self.type_at(column) {
            Type::INT4 => self.0.try_get::<_, Option<i32>>(column).map(|n| n.map(i64::from)),
            Type::BOOL => self.0.try_get::<_, Option<bool>>(column).map(|n| n.map(i64::from)),
            _ => self.0.try_get(column),
        };
        found.map_err(|e| explain(&e))
    }

    fn text(&self, column: usize) -> Result<String, StoreError> {
        self.0.try_get::<_, Option<String>>(column).map(Option::unwrap_or_default).map_err(|e| explain(&e))
    }

    fn blob(&self, column: usize, look: &mut dyn FnMut(&[u8])) -> Result<(), StoreError> {
        look(self.0.try_get::<_, Option<&[u8]>>(column).map_err(|e| explain(&e))?.unwrap_or_default());
        Ok(())
    }
}

impl ToSql for Arg<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match *self {
            Arg::Null => Ok(IsNull::Yes),
            Arg::Int(n) => n.to_sql(ty, out),
            Arg::Text(t) => clean(t).as_ref().to_sql(ty, out),
            Arg::Blob(b) => b.to_sql(ty, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

fn type_of(arg: &Arg<'_>) -> Type {
    match arg {
        Arg::Null | Arg::Int(_) => Type::INT8,
        Arg::Text(_) => Type::TEXT,
        Arg::Blob(_) => Type::BYTEA,
    }
}

/// PostgreSQL's texts cannot hold NUL, alerts can. The raw body keeps it.
fn clean(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}

/// `?1` as PostgreSQL writes it: `$1`.
fn numbered(sql: &str) -> String {
    sql.replace('?', "$")
}

pub(super) fn explain(e: &Error) -> StoreError {
    let Some(said) = e.as_db_error() else {
        let cause = e.source().map(|s| format!(": {s}")).unwrap_or_default();
        return StoreError::Away(format!("{e}{cause}"));
    };
    let code = said.code();
    let text = said.message().to_owned();
    if *code == SqlState::DISK_FULL {
        return StoreError::Full(PathBuf::from("the database server"));
    }
    if *code == SqlState::T_R_DEADLOCK_DETECTED
        || *code == SqlState::T_R_SERIALIZATION_FAILURE
        || *code == SqlState::LOCK_NOT_AVAILABLE
        || *code == SqlState::QUERY_CANCELED
    {
        return StoreError::Busy;
    }
    // Classes 08 (connection), 28 (authorization), 3D (no such database), 53 (resources), 57 (operator), 58 (system), and
    // a server that only reads.
    if ["08", "28", "3D", "53", "57", "58"].contains(&&code.code()[..2]) || *code == SqlState::READ_ONLY_SQL_TRANSACTION
    {
        return StoreError::Away(text);
    }
    StoreError::Database(text)
}

/// The sink's advisory locks.
const LOCKS: i32 = 0x626f_6e67;
const LOCK_SCHEMA: i32 = 1;
const LOCK_INSERT: i32 = 2;
const LOCK_INDEX: i32 = 3;
/// Longer than the server's own limit for a statement: then it is not the statement that hangs.
const ANSWER: Duration = Duration::from_secs(40);
/// Prepared statements kept.
const STATEMENTS: usize = 200;
