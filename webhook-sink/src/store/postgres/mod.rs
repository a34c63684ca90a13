//! PostgreSQL: several replicas of the sink behind one database.
//!
//! - One insert at a time among all replicas (a lock held to the end of the commit), so that ids become visible in their
//!   order and no reader that goes on from an id misses a smaller one.
//! - One indexer at a time: each piece of indexing is a transaction that holds the lock of the index.
//! - The outbox is claimed by rows, see [`super::claims`].
//! - `NOTIFY` tells the other replicas what was stored and indexed; they ask as well, in case they were not connected.

mod connection;
mod engine;
mod follower;
mod receiver;
pub(super) mod schema;
mod server;
mod tls;

pub(super) use engine::open;
pub(crate) use server::Server;
