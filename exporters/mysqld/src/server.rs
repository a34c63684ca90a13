//! What is asked: flavour and version of a server, from its own words.

/// A server as its version texts describe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    /// `@@version`, as it is.
    pub(crate) version: String,
    /// `@@version_comment`, as it is.
    pub(crate) comment: String,
    /// Whether it is a MariaDB; everything else speaks MySQL's dialect.
    pub(crate) mariadb: bool,
    /// Major, minor and patch number.
    pub(crate) number: (u32, u32, u32),
}

impl Server {
    /// Reads the version texts. A version that cannot be read counts as 0.0.0.
    pub(crate) fn new(version: &str, comment: &str) -> Self {
        let mut parts = version.split(|c: char| !c.is_ascii_digit()).map(|p| p.parse().unwrap_or(0));
        let mut next = || parts.next().unwrap_or(0);
        let number = (next(), next(), next());
        let says = |text: &str| text.to_ascii_lowercase().contains("mariadb");
        Self {
            version: version.to_owned(),
            comment: comment.to_owned(),
            mariadb: says(version) || says(comment),
            number,
        }
    }

    /// Whether the version is at least this one, whatever the flavour.
    pub(crate) fn at_least(&self, major: u32, minor: u32, patch: u32) -> bool {
        self.number >= (major, minor, patch)
    }

    /// Whether a collector with this minimum runs: MAJOR.MINOR compared as a decimal number, as upstream does.
    pub(crate) fn meets(&self, min: f64) -> bool {
        let (major, minor, _) = self.number;
        format!("{major}.{minor}").parse::<f64>().is_ok_and(|v| v >= min)
    }

    /// Whether statements that only Percona Server has are worth asking.
    pub(crate) fn percona(&self) -> bool {
        self.comment.to_ascii_lowercase().contains("percona")
    }

    /// `MariaDB` or `MySQL`, for people.
    pub(crate) fn flavour(&self) -> &'static str {
        if self.mariadb { "MariaDB" } else { "MySQL" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        let maria = Server::new("10.11.19-MariaDB-0+deb12u1-log", "Debian 12");
        assert!(maria.mariadb && maria.number == (10, 11, 19));
        assert!(maria.meets(8.0) && maria.at_least(10, 5, 0) && !maria.at_least(11, 0, 0));
        let mysql = Server::new("9.7.4-2", "(Debian)");
        assert!(!mysql.mariadb && mysql.at_least(8, 4, 0) && mysql.number == (9, 7, 4));
        let old = Server::new("5.5.62", "");
        assert!(old.meets(5.5) && !old.meets(5.6));
        assert_eq!(Server::new("", "").number, (0, 0, 0));
        assert_eq!(Server::new("99999999999.x", "").number, (0, 0, 0));
    }
}
