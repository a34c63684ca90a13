//! What systemd says of itself.

use super::SERVICE;
use crate::dbus::{Call, Connection, DbusError, Reader};

/// The manager's properties, with what stands for those that it does not have.
pub(super) struct Manager {
    /// As it calls itself: `252.38-1~deb12u1`.
    pub(super) version: String,
    /// Its number, 252.38.
    pub(super) number: f64,
    /// `none` on bare metal.
    pub(super) virtualization: String,
    /// `running`, `degraded`, …
    pub(super) system_state: Option<String>,
}

const PATH: &str = "/org/freedesktop/systemd1";
const INTERFACE: &str = "org.freedesktop.systemd1.Manager";
/// Neither `SystemState` nor the time of a timer's last run are in older ones.
const FIRST_WITH_STATE: f64 = 212.0;

impl Manager {
    pub(super) fn has_timers(&self) -> bool {
        self.number >= FIRST_WITH_STATE
    }
}

pub(super) fn ask(connection: &mut Connection) -> Result<Manager, DbusError> {
    let mut text = |property: &str| {
        let arguments = [INTERFACE, property];
        let call = Call::property(SERVICE, PATH, &arguments);
        match connection.call(&call, string) {
            Ok(text) => Ok(Some(text)),
            Err(DbusError::Reply { .. } | DbusError::Malformed("a reply's body")) => Ok(None),
            Err(e) => Err(e),
        }
    };
    let version = text("Version")?.unwrap_or_default();
    let number = number(&version);
    let virtualization = text("Virtualization")?;
    let system_state = if number.unwrap_or(0.0) >= FIRST_WITH_STATE { text("SystemState")? } else { None };
    Ok(Manager {
        version: if number.is_some() { version } else { String::new() },
        number: number.unwrap_or(0.0),
        virtualization: match virtualization {
            None => "unknown".into(),
            Some(none) if none.is_empty() => "none".into(),
            Some(technology) => technology,
        },
        system_state,
    })
}

fn string(body: &mut Reader<'_>) -> Option<String> {
    Some(body.variant(b"s")?.string()?.to_owned())
}

/// The first number of three digits or more: `systemd 252.38-1` is 252.38.
fn number(version: &str) -> Option<f64> {
    let mut rest = version;
    loop {
        let start = rest.find(|c: char| c.is_ascii_digit())?;
        let text = &rest[start..];
        let whole = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        if whole >= 3 {
            let fraction =
                text[whole..].strip_prefix('.').map_or(0, |f| f.find(|c: char| !c.is_ascii_digit()).unwrap_or(f.len()));
            return text[..whole + if fraction > 0 { 1 + fraction } else { 0 }].parse().ok();
        }
        rest = &text[whole..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn versions() {
        for (version, expected) in [
            ("252.38-1~deb12u1", Some(252.38)),
            ("229", Some(229.0)),
            ("v249-rc2-1.fc37", Some(249.0)),
            ("systemd 256.7", Some(256.7)),
            ("249.", Some(249.0)),
            ("12.34", None),
            ("", None),
        ] {
            assert_eq!(number(version), expected, "{version}");
        }
    }

    proptest! {
        #[test]
        fn any_version_is_survived(version: String) {
            number(&version);
        }
    }
}
