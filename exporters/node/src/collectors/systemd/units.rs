//! Units, and the properties that are asked of each.

use super::{Extras, SERVICE, STATES};
use crate::dbus::{Call, Connection, DbusError, Reader};
use exporter::{Desc, Part};

/// One unit of `ListUnits`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) name: String,
    pub(super) load_state: String,
    pub(super) active_state: String,
    path: String,
}

const UNIT_STATE: Desc = Desc::gauge("node_systemd_unit_state", "Systemd unit");
const START_TIME: Desc =
    Desc::gauge("node_systemd_unit_start_time_seconds", "Start time of the unit since unix epoch in seconds.");
const TASKS_CURRENT: Desc = Desc::gauge("node_systemd_unit_tasks_current", "Current number of tasks per Systemd unit");
const TASKS_MAX: Desc = Desc::gauge("node_systemd_unit_tasks_max", "Maximum number of tasks per Systemd unit");
const RESTARTS: Desc = Desc::counter("node_systemd_service_restart_total", "Service unit count of Restart triggers");
const LAST_TRIGGER: Desc =
    Desc::gauge("node_systemd_timer_last_trigger_seconds", "Seconds since epoch of last trigger.");
const ACCEPTED: Desc =
    Desc::counter("node_systemd_socket_accepted_connections_total", "Total number of accepted socket connections");
const CURRENT: Desc = Desc::gauge("node_systemd_socket_current_connections", "Current number of socket connections");
/// A gauge for upstream as well.
const REFUSED: Desc =
    Desc::gauge("node_systemd_socket_refused_connections_total", "Total number of refused socket connections");

/// A property of one kind of unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Property {
    ServiceType,
    MountType,
    /// Since systemd 235.
    Restarts,
    TasksCurrent,
    TasksMax,
    Accepted,
    Connections,
    /// Since systemd 239.
    Refused,
    LastTrigger,
    ActiveEnter,
}

impl Property {
    /// Interface and property.
    const fn names(self) -> [&'static str; 2] {
        const SERVICE: &str = "org.freedesktop.systemd1.Service";
        const SOCKET: &str = "org.freedesktop.systemd1.Socket";
        match self {
            Self::ServiceType => [SERVICE, "Type"],
            Self::MountType => ["org.freedesktop.systemd1.Mount", "Type"],
            Self::Restarts => [SERVICE, "NRestarts"],
            Self::TasksCurrent => [SERVICE, "TasksCurrent"],
            Self::TasksMax => [SERVICE, "TasksMax"],
            Self::Accepted => [SOCKET, "NAccepted"],
            Self::Connections => [SOCKET, "NConnections"],
            Self::Refused => [SOCKET, "NRefused"],
            Self::LastTrigger => ["org.freedesktop.systemd1.Timer", "LastTriggerUSec"],
            Self::ActiveEnter => ["org.freedesktop.systemd1.Unit", "ActiveEnterTimestamp"],
        }
    }

    fn number(self, body: &mut Reader<'_>) -> Option<u64> {
        match self {
            Self::ServiceType | Self::MountType => None,
            Self::Restarts | Self::Accepted | Self::Connections | Self::Refused => {
                body.variant(b"u")?.u32().map(u64::from)
            }
            Self::TasksCurrent | Self::TasksMax | Self::LastTrigger | Self::ActiveEnter => body.variant(b"t")?.u64(),
        }
    }
}

/// All units that systemd has in memory.
pub(super) fn list(connection: &mut Connection) -> Result<Vec<Unit>, DbusError> {
    let call = Call {
        destination: SERVICE,
        path: "/org/freedesktop/systemd1",
        interface: "org.freedesktop.systemd1.Manager",
        member: "ListUnits",
        arguments: &[],
    };
    connection.call(&call, parse)
}

/// `a(ssssssouso)`: name, description, load, active and sub state, followed unit, path, and a job's id, type and path.
fn parse(body: &mut Reader<'_>) -> Option<Vec<Unit>> {
    let mut units = Vec::new();
    let mut elements = body.array(8)?;
    while !elements.is_at_end() {
        elements.align(8)?;
        let name = elements.string()?.to_owned();
        let _description = elements.string()?;
        let load_state = elements.string()?.to_owned();
        let active_state = elements.string()?.to_owned();
        let (_sub_state, _followed) = (elements.string()?, elements.string()?);
        let path = elements.string()?.to_owned();
        let (_id, _type, _path) = (elements.u32()?, elements.string()?, elements.string()?);
        units.push(Unit { name, load_state, active_state, path });
    }
    Some(units)
}

/// Asks what is to be known of each unit and emits it. A unit that goes meanwhile costs only its own samples.
pub(super) fn emit(
    connection: &mut Connection,
    units: &[Unit],
    extras: Extras,
    timers: bool,
    out: &mut Part,
) -> Result<(), DbusError> {
    let mut wanted: Vec<(usize, Property)> = Vec::new();
    for (at, unit) in units.iter().enumerate() {
        let mut want = |property| wanted.push((at, property));
        match unit.name.rsplit('.').next().unwrap_or_default() {
            "service" => {
                want(Property::ServiceType);
                if extras.restarts {
                    want(Property::Restarts);
                }
                if extras.tasks {
                    want(Property::TasksCurrent);
                    want(Property::TasksMax);
                }
            }
            "mount" => want(Property::MountType),
            "socket" => {
                want(Property::Accepted);
                want(Property::Connections);
                want(Property::Refused);
            }
            "timer" if timers => want(Property::LastTrigger),
            _ => {}
        }
        if extras.start_time {
            if unit.active_state == "active" {
                want(Property::ActiveEnter);
            } else {
                out.family(&START_TIME).sample(&[("name", unit.name.as_bytes())], 0u64);
            }
        }
    }
    let names: Vec<[&str; 2]> = wanted.iter().map(|(_, property)| property.names()).collect();
    let mut types = vec![String::new(); units.len()];
    let asked = connection.call_all(
        wanted.len(),
        |n| Call::property(SERVICE, &units[wanted[n].0].path, &names[n]),
        |n, body| {
            let (at, property) = wanted[n];
            let Ok(mut body) = body else { return };
            if matches!(property, Property::ServiceType | Property::MountType) {
                body.variant(b"s").and_then(Reader::string).unwrap_or_default().clone_into(&mut types[at]);
            } else if let Some(number) = property.number(&mut body) {
                emit_number(&units[at], property, number, out);
            }
        },
    );
    for (unit, kind) in units.iter().zip(&types) {
        for state in STATES {
            let labels = [("name", unit.name.as_bytes()), ("state", state.as_bytes()), ("type", kind.as_bytes())];
            out.family(&UNIT_STATE).sample(&labels, unit.active_state == state);
        }
    }
    asked
}

fn emit_number(unit: &Unit, property: Property, number: u64, out: &mut Part) {
    let name: [(&str, &[u8]); 1] = [("name", unit.name.as_bytes())];
    let seconds = number as f64 / 1e6;
    match property {
        Property::ServiceType | Property::MountType => {}
        Property::Restarts => drop(out.family(&RESTARTS).sample(&name, number)),
        // The largest number means that there is no limit, or no count.
        Property::TasksCurrent | Property::TasksMax if number == u64::MAX => {}
        Property::TasksCurrent => drop(out.family(&TASKS_CURRENT).sample(&name, number)),
        Property::TasksMax => drop(out.family(&TASKS_MAX).sample(&name, number)),
        Property::Accepted => drop(out.family(&ACCEPTED).sample(&name, number)),
        Property::Connections => drop(out.family(&CURRENT).sample(&name, number)),
        Property::Refused => drop(out.family(&REFUSED).sample(&name, number)),
        Property::LastTrigger => drop(out.family(&LAST_TRIGGER).sample(&name, seconds)),
        Property::ActiveEnter => drop(out.family(&START_TIME).sample(&name, seconds)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_reply_is_survived(bytes: Vec<u8>, big_endian: bool) {
            parse(&mut Reader::new(&bytes, big_endian));
            for property in [Property::Restarts, Property::TasksMax, Property::ServiceType] {
                property.number(&mut Reader::new(&bytes, big_endian));
            }
        }
    }
}
