//! How etcd's servers are dialed: in plain text, by TLS, or by the one of the two that they speak at the moment. It alone makes clients.
//! It keeps no file's contents, shows none, and sends no call.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use etcd_client::{Certificate, Client, ConnectOptions, Error, Identity, TlsOptions};
use serde::{Deserialize, Serialize};

/// The authorities that servers are verified against.
const AUTHORITIES: &str = "ca.crt";
/// The certificate that is shown to servers.
const CERTIFICATE: &str = "tls.crt";
/// The key of that certificate.
const KEY: &str = "tls.key";

/// TLS, in the configuration of whoever dials. As JSON in arguments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tls {
    /// The directory of `ca.crt`, `tls.crt` and `tls.key`. They are read anew for each connection, because they are renewed meanwhile.
    pub directory: PathBuf,
    /// The name that a server's certificate must hold, whatever address is dialed.
    pub server_name: String,
    /// Whether plain text is spoken as well.
    #[serde(default)]
    pub mode: TlsMode,
}

/// Whether plain text is spoken as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsMode {
    /// Never.
    #[default]
    Always,
    /// As long as there is no certificate, and where TLS was of no use: for servers that change from one to the other meanwhile.
    Follow,
}

impl FromStr for Tls {
    type Err = serde_json::Error;

    fn from_str(text: &str) -> Result<Tls, serde_json::Error> {
        serde_json::from_str(text)
    }
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// A file of TLS cannot be read.
    #[error("failed to read {}: {cause}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The address, or what the files hold, cannot be used.
    #[error(transparent)]
    Unusable(#[from] Error),
}

/// What is spoken on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spoken {
    PlainText,
    Tls,
}

impl Spoken {
    /// What is spoken next: what was spoken before, unless that has failed since; and without a certificate only plain text.
    fn next(before: Option<Attempt>, has_certificate: bool) -> Spoken {
        if !has_certificate {
            return Spoken::PlainText;
        }
        match before {
            None => Spoken::Tls,
            Some(Attempt { spoken, failed: false }) => spoken,
            Some(Attempt { spoken: Spoken::PlainText, failed: true }) => Spoken::Tls,
            Some(Attempt { spoken: Spoken::Tls, failed: true }) => Spoken::PlainText,
        }
    }
}

impl fmt::Display for Spoken {
    /// As the scheme of an address.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Spoken::PlainText => "http",
            Spoken::Tls => "https",
        })
    }
}

/// The last connection to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Attempt {
    spoken: Spoken,
    failed: bool,
}

/// Dials servers. What one of them speaks says nothing of another.
#[derive(Debug, Default)]
pub struct Dialer {
    tls: Option<Tls>,
    attempts: Mutex<BTreeMap<String, Attempt>>,
}

impl Dialer {
    /// Without TLS it speaks plain text to everybody.
    #[must_use]
    pub fn new(tls: Option<Tls>) -> Dialer {
        Dialer { tls, attempts: Mutex::default() }
    }

    /// A client for a host and port. It connects with its first call.
    ///
    /// # Errors
    /// A file of TLS cannot be read or used, or the address is none. Nothing was sent then.
    pub async fn client(&self, address: &str, options: ConnectOptions) -> Result<Client, DialError> {
        let (spoken, options) = match &self.tls {
            None => (Spoken::PlainText, options),
            Some(tls) => {
                let spoken = self.choose(tls, address).await;
                match spoken {
                    Spoken::PlainText => (spoken, options),
                    Spoken::Tls => (spoken, options.with_tls(tls.options().await?)),
                }
            }
        };
        Ok(Client::connect([format!("{spoken}://{address}")], Some(options)).await?)
    }

    /// A connection to an address, or a call on it, has failed. Not every failure is about what is spoken; where both would do, nothing is
    /// lost, and where one does, the connection after the next is right again.
    pub fn failed(&self, address: &str) {
        if let Some(attempt) = self.attempts().get_mut(address) {
            attempt.failed = true;
        }
    }

    /// Forgets what was spoken with all others: at their addresses there may be somebody else later.
    pub fn retain(&self, stays: impl Fn(&str) -> bool) {
        self.attempts().retain(|address, _| stays(address));
    }

    async fn choose(&self, tls: &Tls, address: &str) -> Spoken {
        match tls.mode {
            TlsMode::Always => Spoken::Tls,
            TlsMode::Follow => {
                let certificate = tls.directory.join(CERTIFICATE);
                let has_certificate = tokio::fs::try_exists(certificate).await.unwrap_or(false);
                let mut attempts = self.attempts();
                let spoken = Spoken::next(attempts.get(address).copied(), has_certificate);
                attempts.insert(address.to_owned(), Attempt { spoken, failed: false });
                spoken
            }
        }
    }

    /// Each change is made as a whole, so a panic elsewhere spoils nothing.
    fn attempts(&self) -> MutexGuard<'_, BTreeMap<String, Attempt>> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tls {
    async fn options(&self) -> Result<TlsOptions, DialError> {
        let authorities = read(&self.directory, AUTHORITIES).await?;
        let certificate = read(&self.directory, CERTIFICATE).await?;
        let key = read(&self.directory, KEY).await?;
        Ok(TlsOptions::new()
            .domain_name(self.server_name.as_str())
            .ca_certificate(Certificate::from_pem(authorities))
            .identity(Identity::from_pem(certificate, key)))
    }
}

async fn read(directory: &Path, name: &str) -> Result<Vec<u8>, DialError> {
    let path = directory.join(name);
    tokio::fs::read(&path).await.map_err(|cause| DialError::File { path, cause })
}

#[cfg(test)]
mod tests {
    use assert_matches::assert_matches;

    use super::*;

    fn tls(directory: &Path, mode: TlsMode) -> Tls {
        Tls { directory: directory.to_owned(), server_name: "demo.namespace.svc".to_owned(), mode }
    }

    fn attempt(spoken: Spoken, failed: bool) -> Option<Attempt> {
        Some(Attempt { spoken, failed })
    }

    #[test]
    fn what_works_is_kept_and_what_fails_is_followed_by_the_other() {
        assert_eq!(Spoken::next(None, true), Spoken::Tls);
        for (before, after) in [(Spoken::PlainText, Spoken::Tls), (Spoken::Tls, Spoken::PlainText)] {
            assert_eq!(Spoken::next(attempt(before, false), true), before);
            assert_eq!(Spoken::next(attempt(before, true), true), after);
        }
    }

    #[test]
    fn without_a_certificate_only_plain_text_is_spoken() {
        assert_eq!(Spoken::next(None, false), Spoken::PlainText);
        for spoken in [Spoken::PlainText, Spoken::Tls] {
            assert_eq!(Spoken::next(attempt(spoken, false), false), Spoken::PlainText);
            assert_eq!(Spoken::next(attempt(spoken, true), false), Spoken::PlainText);
        }
    }

    #[test_log::test(tokio::test)]
    async fn what_one_server_speaks_says_nothing_of_another() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(CERTIFICATE), "").unwrap();
        let tls = tls(directory.path(), TlsMode::Follow);
        let dialer = Dialer::new(Some(tls.clone()));
        assert_eq!(dialer.choose(&tls, "a:1").await, Spoken::Tls);
        assert_eq!(dialer.choose(&tls, "b:1").await, Spoken::Tls);
        dialer.failed("a:1");
        assert_eq!(dialer.choose(&tls, "a:1").await, Spoken::PlainText);
        assert_eq!(dialer.choose(&tls, "a:1").await, Spoken::PlainText, "it is not known to have failed");
        assert_eq!(dialer.choose(&tls, "b:1").await, Spoken::Tls);
        dialer.retain(|address| address == "b:1");
        assert_eq!(dialer.choose(&tls, "a:1").await, Spoken::Tls);
    }

    #[test_log::test(tokio::test)]
    async fn who_always_speaks_tls_does_so_after_a_failure_too() {
        let directory = tempfile::tempdir().unwrap();
        let tls = tls(directory.path(), TlsMode::Always);
        let dialer = Dialer::new(Some(tls.clone()));
        assert_eq!(dialer.choose(&tls, "a:1").await, Spoken::Tls);
        dialer.failed("a:1");
        assert_eq!(dialer.choose(&tls, "a:1").await, Spoken::Tls);
    }

    #[test_log::test(tokio::test)]
    async fn a_missing_file_is_named_by_its_path_and_no_content_is_shown() {
        let directory = tempfile::tempdir().unwrap();
        let dialer = Dialer::new(Some(tls(directory.path(), TlsMode::Always)));
        let refused = async || {
            let refused = dialer.client("127.0.0.1:1", ConnectOptions::new()).await;
            refused.err().expect("TLS without its files")
        };
        for name in [AUTHORITIES, CERTIFICATE, KEY] {
            let missing = refused().await;
            let DialError::File { path, .. } = &missing else { panic!("{missing}") };
            assert_eq!(*path, directory.path().join(name));
            assert!(missing.to_string().contains(name), "{missing}");
            std::fs::write(directory.path().join(name), "only-the-owner-knows").unwrap();
        }
        let unusable = refused().await;
        assert_matches!(&unusable, DialError::Unusable(_));
        assert!(!format!("{unusable} {unusable:?}").contains("only-the-owner-knows"), "{unusable:?}");
    }

    #[test]
    fn a_configuration_without_a_mode_speaks_tls_alone() {
        let read: Tls = r#"{"directory":"/tls","serverName":"demo.namespace.svc"}"#.parse().unwrap();
        assert_eq!(read, tls(Path::new("/tls"), TlsMode::Always));
        let followed: Tls = r#"{"directory":"/tls","serverName":"x","mode":"follow"}"#.parse().unwrap();
        assert_eq!(followed.mode, TlsMode::Follow);
        assert!(r#"{"directory":"/tls","serverName":"x","key":"y"}"#.parse::<Tls>().is_err());
    }
}
