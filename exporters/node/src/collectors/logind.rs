//! Sessions that logind knows, by seat, type and class, over D-Bus (org.freedesktop.login1(5)).

use crate::dbus::{self, Call, Connection, DbusError, Reader};
use exporter::{CollectError, Collector, Cx, Default, Desc, Entry, Part};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Registers the collector.
pub(crate) const LOGIND: Entry = Entry {
    name: "logind",
    default: Default::Off,
    about: "sessions by seat, type and class, from logind over D-Bus",
    flags: &[],
    build: |_, sources| {
        let address = std::env::var("DBUS_SYSTEM_BUS_ADDRESS").ok();
        Ok(Box::new(Logind { buses: dbus::system_bus(sources, address.as_deref()) }))
    },
};

const SESSIONS: Desc = Desc::gauge("node_logind_sessions", "Number of sessions registered in logind.");

const SERVICE: &str = "org.freedesktop.login1";
const TYPES: [&str; 7] = ["mir", "other", "tty", "unspecified", "wayland", "web", "x11"];
const CLASSES: [&str; 5] = ["background", "greeter", "lock-screen", "other", "user"];

struct Logind {
    buses: Vec<PathBuf>,
}

impl Collector for Logind {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let failed = |e: DbusError| CollectError::Failed(Box::new(e));
        let mut opened = Err(DbusError::Malformed("DBUS_SYSTEM_BUS_ADDRESS"));
        for bus in &self.buses {
            opened = Connection::bus(bus, cx.wait_until());
            if opened.is_ok() {
                break;
            }
        }
        let mut connection = opened.map_err(failed)?;
        let mut seats = connection.call(&manager("ListSeats"), parse_seats).map_err(failed)?;
        // Remote sessions have no seat.
        seats.push(String::new());
        let listed = connection.call(&manager("ListSessions"), parse_sessions).map_err(failed)?;
        let counts = count(&mut connection, &listed).map_err(failed)?;
        for seat in &seats {
            for remote in [false, true] {
                for kind in TYPES {
                    for class in CLASSES {
                        let key = (seat.clone(), remote, kind, class);
                        let labels: [(&str, &[u8]); 4] = [
                            ("class", class.as_bytes()),
                            ("remote", if remote { b"true" } else { b"false" }),
                            ("seat", seat.as_bytes()),
                            ("type", kind.as_bytes()),
                        ];
                        out.family(&SESSIONS).sample(&labels, counts.get(&key).copied().unwrap_or(0));
                    }
                }
            }
        }
        Ok(())
    }
}

fn manager(member: &'static str) -> Call<'static> {
    Call {
        destination: SERVICE,
        path: "/org/freedesktop/login1",
        interface: "org.freedesktop.login1.Manager",
        member,
        arguments: &[],
    }
}

type Counts = BTreeMap<(String, bool, &'static str, &'static str), u64>;

/// Three properties a session; one that ends meanwhile is not counted.
fn count(connection: &mut Connection, sessions: &[Session]) -> Result<Counts, DbusError> {
    const INTERFACE: &str = "org.freedesktop.login1.Session";
    const PROPERTIES: [[&str; 2]; 3] = [[INTERFACE, "Remote"], [INTERFACE, "Type"], [INTERFACE, "Class"]];
    let mut remotes = vec![None; sessions.len()];
    let mut kinds = vec![None; sessions.len()];
    let mut classes = vec![None; sessions.len()];
    connection.call_all(
        3 * sessions.len(),
        |n| Call::property(SERVICE, &sessions[n / 3].path, &PROPERTIES[n % 3]),
        |n, body| {
            let Ok(mut body) = body else { return };
            match n % 3 {
                0 => remotes[n / 3] = body.variant(b"b").and_then(Reader::u32).map(|b| b != 0),
                1 => kinds[n / 3] = known(&mut body, &TYPES),
                _ => classes[n / 3] = known(&mut body, &CLASSES),
            }
        },
    )?;
    let mut counts = Counts::new();
    for (at, session) in sessions.iter().enumerate() {
        if let (Some(remote), Some(kind), Some(class)) = (remotes[at], kinds[at], classes[at]) {
            *counts.entry((session.seat.clone(), remote, kind, class)).or_default() += 1;
        }
    }
    Ok(counts)
}

/// One of the words, or `other`.
fn known(body: &mut Reader<'_>, words: &[&'static str]) -> Option<&'static str> {
    let word = body.variant(b"s")?.string()?;
    Some(words.iter().copied().find(|w| *w == word).unwrap_or("other"))
}

#[derive(Debug, PartialEq, Eq)]
struct Session {
    seat: String,
    path: String,
}

/// `a(so)`: the seats' names and paths.
fn parse_seats(body: &mut Reader<'_>) -> Option<Vec<String>> {
    let mut seats = Vec::new();
    let mut elements = body.array(8)?;
    while !elements.is_at_end() {
        elements.align(8)?;
        seats.push(elements.string()?.to_owned());
        elements.string()?;
    }
    Some(seats)
}

/// `a(susso)`: session, user's number and name, seat, path.
fn parse_sessions(body: &mut Reader<'_>) -> Option<Vec<Session>> {
    let mut sessions = Vec::new();
    let mut elements = body.array(8)?;
    while !elements.is_at_end() {
        elements.align(8)?;
        let (_id, _uid, _user) = (elements.string()?, elements.u32()?, elements.string()?);
        sessions.push(Session { seat: elements.string()?.to_owned(), path: elements.string()?.to_owned() });
    }
    Some(sessions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_reply_is_survived(bytes: Vec<u8>, big_endian: bool) {
            let body = || Reader::new(&bytes, big_endian);
            parse_seats(&mut body());
            parse_sessions(&mut body());
            known(&mut body(), &TYPES);
        }
    }
}
