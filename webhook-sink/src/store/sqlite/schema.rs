//! The tables in SQLite.

/// Times are nanoseconds since 1970 (`_ns`). The body stands last in its row: lists never touch its pages.
pub(in crate::store) const STEPS: &[&str] = &["
CREATE TABLE deliveries (
  id INTEGER PRIMARY KEY AUTOINCREMENT, received_ns BIGINT NOT NULL, kind TEXT NOT NULL, source TEXT NOT NULL, query TEXT NOT NULL,
  remote TEXT NOT NULL, agent TEXT NOT NULL, size BIGINT NOT NULL, body BLOB NOT NULL);
CREATE TABLE invalid (
  id INTEGER PRIMARY KEY AUTOINCREMENT, received_ns BIGINT NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL, path TEXT NOT NULL,
  remote TEXT NOT NULL, agent TEXT NOT NULL, size BIGINT NOT NULL, body BLOB NOT NULL);
CREATE TABLE messages (
  delivery_id BIGINT PRIMARY KEY, group_id BIGINT NOT NULL, kind TEXT NOT NULL, status TEXT NOT NULL,
  firing BIGINT NOT NULL, resolved BIGINT NOT NULL, truncated BIGINT NOT NULL, reason TEXT NOT NULL,
  external_url TEXT NOT NULL, state_hash BIGINT NOT NULL, received_ns BIGINT NOT NULL);
CREATE INDEX messages_by_group ON messages (group_id, delivery_id);
CREATE TABLE groups (
  id INTEGER PRIMARY KEY AUTOINCREMENT, receiver TEXT NOT NULL, group_key TEXT NOT NULL, name TEXT NOT NULL, labels TEXT NOT NULL,
  common_labels TEXT NOT NULL, common_annotations TEXT NOT NULL, external_url TEXT NOT NULL,
  firing BIGINT NOT NULL, stale BIGINT NOT NULL, severity BIGINT NOT NULL, truncated BIGINT NOT NULL,
  round BIGINT NOT NULL, since_ns BIGINT NOT NULL, changed_ns BIGINT NOT NULL, last_ns BIGINT NOT NULL,
  last_delivery BIGINT NOT NULL, UNIQUE (receiver, group_key));
CREATE INDEX groups_by_change ON groups (changed_ns);
CREATE TABLE episodes (
  id INTEGER PRIMARY KEY AUTOINCREMENT, fingerprint TEXT NOT NULL, starts_ns BIGINT NOT NULL, starts_raw TEXT NOT NULL, ends_ns BIGINT,
  state BIGINT NOT NULL, severity BIGINT NOT NULL, alertname TEXT NOT NULL, labels TEXT NOT NULL,
  annotations TEXT NOT NULL, generator_url TEXT NOT NULL, first_ns BIGINT NOT NULL, last_ns BIGINT NOT NULL,
  changed_ns BIGINT NOT NULL, first_delivery BIGINT NOT NULL, last_delivery BIGINT NOT NULL, external_url TEXT NOT NULL,
  UNIQUE (fingerprint, starts_ns));
CREATE INDEX episodes_by_state ON episodes (state, id);
CREATE INDEX episodes_by_time ON episodes (first_ns);
CREATE TABLE members (
  group_id BIGINT NOT NULL, episode_id BIGINT NOT NULL, present BIGINT NOT NULL, PRIMARY KEY (group_id, episode_id));
CREATE INDEX members_present ON members (group_id, present);
CREATE INDEX members_by_episode ON members (episode_id);
CREATE TABLE touches (
  episode_id BIGINT NOT NULL, delivery_id BIGINT NOT NULL, status BIGINT NOT NULL, PRIMARY KEY (episode_id, delivery_id));
CREATE INDEX touches_by_delivery ON touches (delivery_id);
CREATE TABLE label_values (
  name TEXT NOT NULL, value TEXT NOT NULL, last_ns BIGINT NOT NULL, PRIMARY KEY (name, value));
CREATE TABLE counts (
  slot_ns BIGINT NOT NULL, what TEXT NOT NULL, n BIGINT NOT NULL, PRIMARY KEY (slot_ns, what));
CREATE TABLE outbox (
  id INTEGER PRIMARY KEY AUTOINCREMENT, target TEXT NOT NULL, group_id BIGINT NOT NULL, round BIGINT NOT NULL, delivery_id BIGINT NOT NULL,
  why TEXT NOT NULL, state TEXT NOT NULL, attempts BIGINT NOT NULL, created_ns BIGINT NOT NULL, next_ns BIGINT NOT NULL,
  lease_ns BIGINT NOT NULL, done_ns BIGINT, answer TEXT NOT NULL, note TEXT NOT NULL,
  UNIQUE (target, group_id, delivery_id, why));
CREATE INDEX outbox_by_due ON outbox (state, target, next_ns);
CREATE INDEX outbox_by_group ON outbox (group_id, target);
CREATE TABLE attempts (
  id INTEGER PRIMARY KEY AUTOINCREMENT, outbox_id BIGINT NOT NULL, at_ns BIGINT NOT NULL, took_ns BIGINT NOT NULL, outcome TEXT NOT NULL,
  answer TEXT NOT NULL);
CREATE INDEX attempts_by_outbox ON attempts (outbox_id);
CREATE TABLE threads (
  target TEXT NOT NULL, group_id BIGINT NOT NULL, round BIGINT NOT NULL, reference TEXT NOT NULL, at_ns BIGINT NOT NULL,
  PRIMARY KEY (target, group_id, round));
CREATE TABLE audit (
  id INTEGER PRIMARY KEY AUTOINCREMENT, at_ns BIGINT NOT NULL, remote TEXT NOT NULL, action TEXT NOT NULL, detail TEXT NOT NULL);
CREATE VIRTUAL TABLE search USING fts5 (words, content='', contentless_delete=1, prefix='2 3', tokenize='unicode61');
",
"
-- What Alertmanager's API said of an episode last.
CREATE TABLE checks (
  episode_id BIGINT PRIMARY KEY, verdict TEXT NOT NULL, by_what TEXT NOT NULL, at_ns BIGINT NOT NULL);
",
"
-- What Alertmanager's event recorder told of an alert.
CREATE TABLE events (
  id INTEGER PRIMARY KEY AUTOINCREMENT, fingerprint TEXT NOT NULL, kind TEXT NOT NULL, by_what TEXT NOT NULL, detail TEXT NOT NULL,
  first_ns BIGINT NOT NULL, last_ns BIGINT NOT NULL, times BIGINT NOT NULL, last_delivery BIGINT NOT NULL);
CREATE INDEX events_by_alert ON events (fingerprint, id);
CREATE INDEX events_by_delivery ON events (last_delivery);
",
"
-- Words in parts, see `index::search`; nothing but which episodes they stand in.
DROP TABLE search;
CREATE VIRTUAL TABLE search USING fts5 (words, content='', contentless_delete=1, detail=none, tokenize='unicode61');
",
"
-- One kind of delivery must be found among any number of another.
CREATE INDEX deliveries_by_kind ON deliveries (kind, id);
"];
