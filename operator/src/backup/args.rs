//! Command line of what is done with backups: names, help and defaults. It reads nothing but arguments, environment and the files that
//! they name.

use super::keys::Keys;
use super::store::Options;
use super::tools::Tools;
use crate::etcd::{Access, Identity, Pem, Secret, User};
use anyhow::{Context as _, bail};
use clap::{ArgGroup, Args, ValueEnum};
use etcd_operator_core::backup::inventory::Wanted;
use etcd_operator_core::backup::location::Location;
use etcd_operator_core::backup::name::BackupName;
use etcd_operator_core::backup::restoring::REVISION_BUMP;
use etcd_operator_core::backup::retention::{Retention, time_zone};
use etcd_operator_core::names::{ClusterId, ENCRYPTION_KEY_VARIABLE, Endpoint, Scheme};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::env::VarError;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Which store, and how it is reached.
#[derive(Debug, Clone, Args)]
pub struct StoreArguments {
    /// Where backups are: s3://BUCKET/FOLDER, gs://BUCKET/FOLDER, az://CONTAINER/FOLDER or file:///FOLDER. Credentials come
    /// from the environment, as the store's own tools take them: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY,
    /// GOOGLE_APPLICATION_CREDENTIALS, AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, or the workload's identity
    #[arg(long, env = "BACKUP_STORE", value_name = "URL", value_parser = parse_location)]
    pub store: Location,
    /// Where a service answers that speaks the store's language, for example https://minio.example.com:9000
    #[arg(long, env = "BACKUP_STORE_ENDPOINT", value_name = "URL")]
    pub store_endpoint: Option<String>,
    /// The region of the bucket
    #[arg(long, env = "BACKUP_STORE_REGION", value_name = "REGION")]
    pub store_region: Option<String>,
    /// Put the bucket into the path of addresses instead of the host's name, as most services beside Amazon's want it
    #[arg(long, env = "BACKUP_STORE_PATH_STYLE")]
    pub store_path_style: bool,
    /// Certificates, as PEM, of the authorities that the store is trusted by, in addition to the machine's
    #[arg(long, env = "BACKUP_STORE_AUTHORITY", value_name = "FILE")]
    pub store_authority: Option<PathBuf>,
    /// Keys that snapshots are encrypted with: a file with secret keys of age, one in a line, as age-keygen writes it. A backup is
    /// encrypted for the first; each opens the backups that were encrypted for it. The same text may stand in the environment, as
    /// BACKUP_ENCRYPTION_KEY. Whoever loses the keys loses the backups
    #[arg(long, value_name = "FILE")]
    pub encryption_key: Option<PathBuf>,
}

impl StoreArguments {
    /// The keys, from the file or else from the environment.
    pub fn keys(&self) -> anyhow::Result<Keys> {
        if let Some(file) = &self.encryption_key {
            let place = file.display().to_string();
            let text = String::from_utf8(read_file(file)?).with_context(|| format!("{place} is no text"))?;
            return Ok(Keys::parse(&text, &place)?);
        }
        match std::env::var(ENCRYPTION_KEY_VARIABLE) {
            Ok(text) => Ok(Keys::parse(&text, ENCRYPTION_KEY_VARIABLE)?),
            Err(VarError::NotPresent) => Ok(Keys::default()),
            Err(VarError::NotUnicode(_)) => bail!("{ENCRYPTION_KEY_VARIABLE} is no text"),
        }
    }

    /// The options, with the files read.
    pub fn options(&self) -> anyhow::Result<Options> {
        Ok(Options {
            endpoint: self.store_endpoint.clone(),
            region: self.store_region.clone(),
            path_style: self.store_path_style,
            authorities: self.store_authority.as_deref().map(read_file).transpose()?.unwrap_or_default(),
        })
    }
}

/// Which etcd, and who we are to it.
#[derive(Debug, Clone, Args)]
pub struct EtcdArguments {
    /// Client addresses of members of one cluster. The snapshot is taken from one that answers a linearizable read, a follower if
    /// there is one
    #[arg(long, value_delimiter = ',', default_value = "http://127.0.0.1:2379", value_name = "URL",
        value_parser = parse_endpoint)]
    pub endpoints: Vec<Endpoint>,
    /// Certificates, as PEM, of the authorities that members are trusted by; without it, the machine's
    #[arg(long, value_name = "FILE")]
    pub cacert: Option<PathBuf>,
    /// The certificate to show to members, as PEM
    #[arg(long, value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,
    /// The certificate's key, as PEM
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// User of etcd, where users are in force: it needs the role `root`. Its password comes from the environment, as
    /// ETCD_PASSWORD, or from a file
    #[arg(long, env = "ETCD_USER", value_name = "NAME")]
    pub user: Option<String>,
    /// File with the user's password
    #[arg(long, value_name = "FILE", requires = "user")]
    pub password_file: Option<PathBuf>,
}

impl EtcdArguments {
    /// How members are reached, with the files read.
    pub fn access(&self) -> anyhow::Result<Access> {
        let identity = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => {
                Some(Identity { certificate: Pem(read_file(cert)?), key: Secret(read_file(key)?) })
            }
            _ => None,
        };
        let scheme = self.endpoints.first().map_or(Scheme::Http, |endpoint| endpoint.scheme);
        let authority = self.cacert.as_deref().map(read_file).transpose()?.map(Pem);
        Ok(Access { scheme, authority, identity, user: self.user()?, ..Access::default() })
    }

    /// The user, with its password.
    pub fn user(&self) -> anyhow::Result<Option<User>> {
        let Some(name) = self.user.clone() else { return Ok(None) };
        let password = match &self.password_file {
            Some(file) => String::from_utf8(read_file(file)?)
                .with_context(|| format!("{}: the password is no text", file.display()))?
                .trim_end_matches(['\r', '\n'])
                .to_owned(),
            None => std::env::var("ETCD_PASSWORD").with_context(|| {
                format!("no password for the user {name}: set ETCD_PASSWORD, or give --password-file")
            })?,
        };
        Ok(Some(User { name, password: Secret(password) }))
    }
}

/// Which backup is meant.
#[derive(Debug, Clone, Args)]
#[command(group = ArgGroup::new("which").args(["backup", "before"]))]
pub struct WhichArguments {
    /// The backup of this name; without it, the newest one that was proved
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    pub backup: Option<BackupName>,
    /// The newest one that was asked for before this moment, for example 2026-11-30T12:00:00Z
    #[arg(long, value_name = "TIME")]
    pub before: Option<Timestamp>,
    /// Take the newest one even if it was never proved by restoring it
    #[arg(long, conflicts_with = "backup")]
    pub unproved: bool,
    /// etcd's ID of the cluster that it is of, in hexadecimal; needed where a store has backups of several
    #[arg(long, value_name = "ID", value_parser = parse_cluster)]
    pub cluster: Option<ClusterId>,
}

impl WhichArguments {
    /// The same as a type.
    pub fn wanted(&self) -> Wanted {
        match &self.backup {
            Some(name) => Wanted::Named(name.clone()),
            None => Wanted::Newest { before: self.before, unproved: self.unproved },
        }
    }
}

/// Back up a cluster, and prove the backup.
#[derive(Debug, Clone, Args)]
pub struct BackupArguments {
    /// The cluster
    #[command(flatten)]
    pub etcd: EtcdArguments,
    /// The store
    #[command(flatten)]
    pub store: StoreArguments,
    /// Do not restore the backup to prove it: it stays a hope until `verify` does
    #[arg(long)]
    pub no_proof: bool,
    /// Give up after this time, for example 30m or 6h
    #[arg(long, default_value = "6h", value_name = "DURATION", value_parser = parse_limit)]
    pub within: Duration,
    /// Also write what came of it to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub result: Option<PathBuf>,
    /// What all attempts of the same work have in common: what an earlier one stored and could not prove is removed
    #[arg(long, env = "BACKUP_RUN", value_name = "ID", hide = true)]
    pub run: Option<String>,
    /// Mark the backup as one of this schedule. Rules about what is kept are about backups of the same schedule and cluster
    #[arg(long, value_name = "NAME")]
    pub schedule: Option<String>,
    /// What of the schedule's backups is kept
    #[command(flatten)]
    pub keep: KeepArguments,
    /// How it is restored
    #[command(flatten)]
    pub proof: ProofArguments,
}

/// Which backups are kept: what any of the rules keeps. Without a rule all are.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Which backups of the schedule are kept")]
pub struct KeepArguments {
    /// The newest of all, so many; the newest that was proved is kept whatever is said here
    #[arg(long, value_name = "COUNT", requires = "schedule", value_parser = at_least_one())]
    pub keep_last: Option<u32>,
    /// All that were asked for within this time, for example 720h
    #[arg(long, value_name = "DURATION", requires = "schedule", value_parser = parse_limit)]
    pub keep_within: Option<Duration>,
    /// The newest of each hour, so many
    #[arg(long, value_name = "COUNT", requires = "schedule", value_parser = at_least_one())]
    pub keep_hourly: Option<u32>,
    /// The newest of each day, so many
    #[arg(long, value_name = "COUNT", requires = "schedule", value_parser = at_least_one())]
    pub keep_daily: Option<u32>,
    /// The newest of each week, so many
    #[arg(long, value_name = "COUNT", requires = "schedule", value_parser = at_least_one())]
    pub keep_weekly: Option<u32>,
    /// The newest of each month, so many
    #[arg(long, value_name = "COUNT", requires = "schedule", value_parser = at_least_one())]
    pub keep_monthly: Option<u32>,
    /// The newest of each year, so many
    #[arg(long, value_name = "COUNT", requires = "schedule", value_parser = at_least_one())]
    pub keep_yearly: Option<u32>,
    /// The time zone of hours, days, weeks, months and years
    #[arg(long, value_name = "ZONE", default_value = "Etc/UTC", value_parser = parse_zone)]
    pub time_zone: TimeZone,
}

impl KeepArguments {
    /// The same as a type.
    pub fn retention(&self) -> Retention {
        let within =
            self.keep_within.map(|within| SignedDuration::try_from(within).unwrap_or(SignedDuration::MAX));
        Retention {
            last: self.keep_last,
            within,
            hourly: self.keep_hourly,
            daily: self.keep_daily,
            weekly: self.keep_weekly,
            monthly: self.keep_monthly,
            yearly: self.keep_yearly,
        }
    }
}

/// How a backup is restored to prove it.
#[derive(Debug, Clone, Args)]
pub struct ProofArguments {
    /// etcd's programs
    #[command(flatten)]
    pub tools: Tools,
    /// Restore in this folder, which needs room for the database twice; without it, the machine's folder for temporary files
    #[arg(long, value_name = "FOLDER")]
    pub scratch: Option<PathBuf>,
}

impl ProofArguments {
    /// The folder.
    pub fn scratch(&self) -> PathBuf {
        self.scratch.clone().unwrap_or_else(std::env::temp_dir)
    }
}

/// List backups.
#[derive(Debug, Clone, Args)]
pub struct ListArguments {
    /// The store
    #[command(flatten)]
    pub store: StoreArguments,
    /// As a table for people, or as JSON for programs
    #[arg(long, short, value_enum, default_value_t = Output::Table)]
    pub output: Output,
}

/// How something is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// Prove a backup.
#[derive(Debug, Clone, Args)]
pub struct VerifyArguments {
    /// The store
    #[command(flatten)]
    pub store: StoreArguments,
    /// The backup
    #[command(flatten)]
    pub which: WhichArguments,
    /// How it is restored
    #[command(flatten)]
    pub proof: ProofArguments,
}

/// Delete a backup.
#[derive(Debug, Clone, Args)]
#[command(group = ArgGroup::new("whose").args(["backup", "run"]).multiple(true).required(true))]
pub struct DeleteArguments {
    /// The store
    #[command(flatten)]
    pub store: StoreArguments,
    /// The backup of this name, proved or not
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    pub backup: Option<BackupName>,
    /// etcd's ID of the cluster that it is of, in hexadecimal; needed where a store has backups of several
    #[arg(long, value_name = "ID", value_parser = parse_cluster, requires = "backup")]
    pub cluster: Option<ClusterId>,
    /// All that attempts of this work have stored. What is not there any more is no error then
    #[arg(long, value_name = "ID", hide = true)]
    pub run: Option<String>,
    /// Also write what came of it to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub result: Option<PathBuf>,
}

/// Restore a backup.
#[derive(Debug, Clone, Args)]
pub struct RestoreArguments {
    /// The store
    #[command(flatten)]
    pub store: StoreArguments,
    /// The backup
    #[command(flatten)]
    pub which: WhichArguments,
    /// etcd's programs
    #[command(flatten)]
    pub tools: Tools,
    /// Folder to make the data directory in; it must not be there yet
    #[arg(long, value_name = "FOLDER")]
    pub data_dir: PathBuf,
    /// Name of the member, as its etcd has it
    #[arg(long, default_value = "default", value_name = "NAME")]
    pub name: String,
    /// All first members of the new cluster: NAME=PEER-URL, separated by commas. Each is restored from the same backup
    #[arg(long, default_value = "default=http://localhost:2380", value_name = "MEMBERS")]
    pub initial_cluster: String,
    /// A token that no cluster has had, so that no former member finds its way into the new cluster
    #[arg(long, value_name = "TOKEN")]
    pub initial_cluster_token: String,
    /// Peer URLs of the member, separated by commas
    #[arg(long, default_value = "http://localhost:2380", value_name = "URLS")]
    pub initial_advertise_peer_urls: String,
    /// Raise the revision by so much and mark what was before as compacted, so that whoever watches notices and reads anew.
    /// 0 keeps revisions: clients would see them go back
    #[arg(long, default_value_t = REVISION_BUMP, value_name = "REVISIONS")]
    pub bump_revision: u64,
    /// Restore a member of the EtcdCluster with this UID: beside the data directory goes the stamp by which the start gate knows whose it
    /// is. Where the same member was restored before, nothing is done
    #[arg(long, value_name = "UID", hide = true)]
    pub stamp_for: Option<String>,
    /// Also write what came of it to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub result: Option<PathBuf>,
}

fn read_file(file: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("failed to read {}", file.display()))
}

fn parse_location(text: &str) -> Result<Location, String> {
    Location::parse(text).map_err(|error| error.to_string())
}

fn parse_endpoint(text: &str) -> Result<Endpoint, String> {
    Endpoint::parse(text).ok_or_else(|| "it is no URL like https://10.0.0.1:2379".to_owned())
}

fn parse_name(text: &str) -> Result<BackupName, String> {
    BackupName::parse(text).map_err(|error| error.to_string())
}

fn parse_cluster(text: &str) -> Result<ClusterId, String> {
    ClusterId::parse(text).ok_or_else(|| "it is no hexadecimal 64-bit number".to_owned())
}

fn at_least_one() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..)
}

fn parse_zone(text: &str) -> Result<TimeZone, String> {
    time_zone(text)
        .ok_or_else(|| "there is no such time zone; one is called Europe/Berlin, for example".to_owned())
}

/// A time of at least a second, in the words of Go and Kubernetes.
pub fn parse_limit(text: &str) -> Result<Duration, String> {
    let duration: SignedDuration = text.parse().map_err(|error: jiff::Error| error.to_string())?;
    let duration = Duration::try_from(duration).map_err(|_| "it is negative".to_owned())?;
    if duration < Duration::from_secs(1) { Err("it is below one second".to_owned()) } else { Ok(duration) }
}
