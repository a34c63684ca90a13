//! Groups, as Alertmanager formed them.

use serde_json::{Map, Value, json};

use super::object;
use crate::clock::Nanos;
use crate::index::severity_name;
use crate::store::sql::{Connection, Row, StoreError, args};

/// One group as it is shown.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) id: i64,
    pub(crate) receiver: String,
    pub(crate) key: String,
    pub(crate) labels: Map<String, Value>,
    pub(crate) common_labels: Map<String, Value>,
    pub(crate) common_annotations: Map<String, Value>,
    pub(crate) external_url: String,
    pub(crate) firing: i64,
    pub(crate) stale: i64,
    pub(crate) severity: i64,
    pub(crate) truncated: i64,
    pub(crate) round: i64,
    pub(crate) since: Nanos,
    pub(crate) changed: Nanos,
    pub(crate) last: Nanos,
    pub(crate) last_delivery: i64,
}

const COLUMNS: &str =
    "g.id, g.name, g.group_key, g.labels, g.common_labels, g.common_annotations, g.external_url, g.firing,
  g.stale, g.severity, g.truncated, g.round, g.since_ns, g.changed_ns, g.last_ns, g.last_delivery FROM groups g";

fn make(row: &dyn Row) -> Result<Group, StoreError> {
    Ok(Group {
        id: row.int(0)?,
        receiver: row.text(1)?,
        key: row.text(2)?,
        labels: object(&row.text(3)?),
        common_labels: object(&row.text(4)?),
        common_annotations: object(&row.text(5)?),
        external_url: row.text(6)?,
        firing: row.int(7)?,
        stale: row.int(8)?,
        severity: row.int(9)?,
        truncated: row.int(10)?,
        round: row.int(11)?,
        since: Nanos(row.int(12)?),
        changed: Nanos(row.int(13)?),
        last: Nanos(row.int(14)?),
        last_delivery: row.int(15)?,
    })
}

/// Groups with something firing or stale, worst and newest first; with `all`, the quiet ones too, newest first.
pub(crate) fn list(db: &mut dyn Connection, all: bool, limit: i64, offset: i64) -> Result<Vec<Group>, StoreError> {
    let sql = if all {
        format!("SELECT {COLUMNS} ORDER BY g.changed_ns DESC LIMIT ?1 OFFSET ?2")
    } else {
        format!(
            "SELECT {COLUMNS} WHERE g.firing > 0 OR g.stale > 0
             ORDER BY CASE WHEN g.firing > 0 THEN 1 ELSE 0 END DESC, g.severity DESC, g.changed_ns DESC LIMIT ?1 OFFSET ?2"
        )
    };
    db.all(&sql, args![limit, offset], make)
}

impl Group {
    pub(crate) fn json(&self) -> Value {
        json!({
            "id": self.id, "receiver": self.receiver, "group_key": self.key, "labels": self.labels,
            "common_labels": self.common_labels, "common_annotations": self.common_annotations,
            "external_url": self.external_url, "firing": self.firing, "stale": self.stale,
            "severity": severity_name(self.severity), "truncated": self.truncated, "round": self.round,
            "since": self.since.rfc3339(), "changed": self.changed.rfc3339(), "last_received": self.last.rfc3339(),
            "last_delivery": self.last_delivery,
        })
    }
}
