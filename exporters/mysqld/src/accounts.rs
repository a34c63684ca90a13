//! The accounts of one configuration: the sections of the my.cnf file, completed by flags and environment.

use crate::account::{Account, Address, Secret, Tls, TlsMode};
use crate::dsn;
use crate::my_cnf::{self, FileError, Section, Sections};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Where accounts come from.
#[derive(Clone, Debug)]
pub(crate) struct AccountSource {
    pub(crate) file: PathBuf,
    /// `--mysqld.address`.
    pub(crate) address: String,
    /// `--mysqld.username`.
    pub(crate) user: String,
    /// `--tls.insecure-skip-verify`.
    pub(crate) skip_verify: bool,
    /// `MYSQLD_EXPORTER_PASSWORD`.
    pub(crate) password: Option<Secret>,
    /// `DATA_SOURCE_NAME`.
    pub(crate) data_source_name: Option<Secret>,
}

/// Why there is no usable account.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccountError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("DATA_SOURCE_NAME: {0}")]
    Dsn(#[from] dsn::DsnError),
    #[error("--mysqld.address={0:?} is neither host:port nor unix:///path")]
    Address(String),
    #[error(
        "no user to connect as: set user in section [client] of {0} (--config.my-cnf), --mysqld.username, or \
         DATA_SOURCE_NAME"
    )]
    Nobody(PathBuf),
}

/// Accounts by the name of their section.
pub(crate) type Accounts = BTreeMap<String, Account>;

impl AccountSource {
    /// Reads the file and completes its sections.
    pub(crate) fn load(&self, env: &dyn Fn(&str) -> Option<String>) -> Result<Accounts, AccountError> {
        let sections = my_cnf::read(&self.file, env)?;
        self.complete(&sections)
    }

    fn complete(&self, sections: &Sections) -> Result<Accounts, AccountError> {
        let default = Address::parse(&self.address).ok_or_else(|| AccountError::Address(self.address.clone()))?;
        let mut accounts = Accounts::new();
        let client = sections.get(CLIENT).cloned().unwrap_or_default();
        let names = sections.keys().map(String::as_str).chain((!sections.contains_key(CLIENT)).then_some(CLIENT));
        for name in names {
            let section = sections.get(name).unwrap_or(&client);
            // Flags and environment complete [client], and through it what inherits from it.
            let family = name == CLIENT || name.starts_with("client.");
            let filled = |given: &str| Some(given.to_owned()).filter(|u| family && !u.is_empty());
            let user = section.get("user").filter(|u| !u.is_empty()).map(str::to_owned).or_else(|| filled(&self.user));
            let Some(user) = user else {
                if name != CLIENT {
                    tracing::debug!(section = name, "section of the my.cnf file has no user, left out");
                }
                continue;
            };
            let password = section.get("password").map(|p| Secret(p.to_owned()));
            let password = password.or_else(|| self.password.clone().filter(|_| family)).unwrap_or_default();
            let fault =
                |(key, fault)| FileError::Value { path: self.file.clone(), section: name.to_owned(), key, fault };
            let account = Account {
                user,
                password,
                address: section.address().map_err(fault)?.unwrap_or_else(|| default.clone()),
                tls: self.tls(section).map_err(fault)?,
                cleartext: section.on("enable-cleartext-plugin"),
                session: Vec::new(),
                connect_timeout: None,
            };
            accounts.insert(name.to_owned(), account);
        }
        if let (false, Some(Secret(text))) = (accounts.contains_key(CLIENT), &self.data_source_name) {
            let mut account = dsn::parse(text)?;
            if self.skip_verify && account.tls.mode == TlsMode::Verify {
                account.tls.mode = TlsMode::SkipVerify;
            }
            accounts.insert(CLIENT.to_owned(), account);
        }
        if accounts.is_empty() { Err(AccountError::Nobody(self.file.clone())) } else { Ok(accounts) }
    }

    fn tls(&self, section: &Section) -> Result<Tls, my_cnf::Fault> {
        let path = |key: &str| section.get(key).filter(|v| !v.is_empty()).map(PathBuf::from);
        let ca = path("ssl-ca");
        let mode = section.tls()?;
        let skip = self.skip_verify || section.on("ssl-skip-verfication") || section.on("ssl-skip-verification");
        let mode = match (mode, ca.is_some()) {
            (Some(TlsMode::Verify), _) | (None | Some(TlsMode::Off), true) => {
                if skip {
                    TlsMode::SkipVerify
                } else {
                    TlsMode::Verify
                }
            }
            (Some(mode), _) => mode,
            (None, false) => TlsMode::Off,
        };
        let identity = ca.is_some().then(|| path("ssl-cert").zip(path("ssl-key"))).flatten();
        let version = |key: &'static str| match section.get(key).map(str::to_ascii_lowercase).as_deref() {
            None | Some("") => Ok(None),
            Some("tlsv1.0" | "tlsv1") => Ok(Some(0)),
            Some("tlsv1.1") => Ok(Some(1)),
            Some("tlsv1.2") => Ok(Some(2)),
            Some("tlsv1.3") => Ok(Some(3)),
            Some(_) => Err((key, "is none of TLSv1.0, TLSv1.1, TLSv1.2, TLSv1.3")),
        };
        let (min, max) = (version("tls-min-version")?, version("tls-max-version")?);
        match max {
            Some(0 | 1) => return Err(("tls-max-version", "is older than TLSv1.2, the oldest that is spoken here")),
            Some(2) if min == Some(3) => return Err(("tls-max-version", "is older than tls-min-version")),
            Some(2) => return Err(("tls-max-version", "cannot be TLSv1.2: TLSv1.3 is always offered; leave it out")),
            _ => {}
        }
        let server_name = section.get("tls-server-name").filter(|n| !n.is_empty()).map(str::to_owned);
        Ok(Tls { mode, ca, identity, server_name, only_1_3: min == Some(3) })
    }
}

/// The section that `/metrics` uses.
pub(crate) const CLIENT: &str = "client";

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> AccountSource {
        AccountSource {
            file: PathBuf::from("x.cnf"),
            address: "localhost:3306".to_owned(),
            user: String::new(),
            skip_verify: false,
            password: None,
            data_source_name: None,
        }
    }

    fn load(source: &AccountSource, text: &str) -> Result<Accounts, AccountError> {
        source.complete(&my_cnf::parse(text.as_bytes(), &|_| None).unwrap())
    }

    #[test]
    fn flags_and_environment_fill_what_the_file_lacks() {
        let mut source = source();
        source.user = "flag".to_owned();
        source.password = Some(Secret("env".to_owned()));
        source.data_source_name = Some(Secret("dsn:x@/".to_owned()));
        let accounts = load(&source, "[client]\nhost=h\n[client.b]\nuser=b\n[mysqld]\nport=1\n").unwrap();
        assert_eq!(accounts.keys().collect::<Vec<_>>(), ["client", "client.b"]);
        let client = &accounts["client"];
        assert_eq!((client.user.as_str(), client.password.0.as_str()), ("flag", "env"));
        assert_eq!(client.address.to_string(), "h:3306");
        assert_eq!(accounts["client.b"].password.0, "env");
        let accounts = load(&source, "[client]\nuser=file\npassword=p\n").unwrap();
        let client = &accounts["client"];
        assert_eq!((client.user.as_str(), client.password.0.as_str()), ("file", "p"));
        assert_eq!(client.address.to_string(), "localhost:3306");
    }

    #[test]
    fn the_data_source_name_stands_in_for_an_unnamed_user() {
        let mut source = source();
        source.data_source_name = Some(Secret("wpuser:pw@(db:3306)/".to_owned()));
        let accounts = load(&source, "[client]\npassword=other\n").unwrap();
        assert_eq!((accounts["client"].user.as_str(), accounts["client"].password.0.as_str()), ("wpuser", "pw"));
        source.data_source_name = None;
        assert!(matches!(load(&source, ""), Err(AccountError::Nobody(_))));
    }

    #[test]
    fn tls_settings() {
        let source = source();
        let tls = |text: &str| load(&source, &format!("[client]\nuser=u\n{text}")).map(|a| a["client"].tls.clone());
        assert_eq!(tls("").unwrap(), Tls::default());
        let custom = tls("ssl-ca=/ca\nssl-cert=/c\nssl-key=/k\ntls-server-name=n\ntls-min-version=TLSv1.3").unwrap();
        assert_eq!(custom.mode, TlsMode::Verify);
        assert_eq!(custom.identity, Some(("/c".into(), "/k".into())));
        assert!(custom.only_1_3 && custom.server_name.as_deref() == Some("n"));
        assert_eq!(tls("ssl-cert=/c\nssl-key=/k").unwrap(), Tls::default());
        assert_eq!(tls("ssl-ca=/ca\nssl-skip-verfication").unwrap().mode, TlsMode::SkipVerify);
        assert_eq!(tls("tls=preferred").unwrap().mode, TlsMode::Preferred);
        for bad in ["tls=maybe", "tls-max-version=TLSv1.1", "tls-min-version=SSLv3", "tls-max-version=TLSv1.2"] {
            assert!(tls(bad).is_err(), "{bad}");
        }
    }
}
