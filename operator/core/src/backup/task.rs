//! What the container of a Job does with a store, as its program is told it: it takes a backup, or deletes one. Never a pod.

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::{EnvVar, EnvVarSource, ObjectFieldSelector};

use super::retention::Retention;
use super::work::RESULT_PATH;
use crate::names::{
    CERTIFICATES_DIRECTORY, CLIENT_PORT, ETCD_PROGRAMS, LABEL_CONTROLLER_UID, Scheme, secrets,
};
use crate::pods::parts::of_secret;

/// The variable that says what all attempts have in common.
pub(super) const RUN_VARIABLE: &str = "BACKUP_RUN";
/// Where it restores what it has taken.
pub(super) const SCRATCH_PATH: &str = "/scratch";

/// A schedule that a backup is taken by.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    /// Its namespace and name, with a slash between.
    pub schedule: String,
    /// What of its backups is kept.
    pub retention: Retention,
    /// The time zone of hours, days, weeks, months and years.
    pub time_zone: String,
}

/// A backup that is to be taken.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Taking {
    /// The cluster, by its client Service.
    pub(super) cluster: String,
    /// The Secret with a certificate to show to members, where they serve TLS.
    pub(super) certificate_secret: Option<String>,
    /// Whether it is proved.
    pub(super) prove: bool,
    /// The Secret with a user of etcd.
    pub(super) user_secret: Option<String>,
    /// When it is given up, in seconds.
    pub(super) deadline_seconds: i64,
    /// What all attempts have in common; the Job's own UID if absent.
    pub(super) run: Option<String>,
    /// Whose it is, if a schedule's.
    pub(super) origin: Option<Origin>,
}

/// A backup that is to be deleted. Where it is not there, nothing is.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Deleting {
    /// Its name in the store and etcd's ID of the cluster, where they are known.
    pub(super) stored: Option<(String, String)>,
    /// What all attempts to take it had in common: whatever they have left is deleted.
    pub(super) run: String,
}

/// What a container does.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Task {
    Take(Taking),
    Delete(Deleting),
}

impl Task {
    /// The command of the program.
    pub(super) fn command(&self) -> &'static str {
        match self {
            Task::Take(_) => "backup",
            Task::Delete(_) => "delete",
        }
    }

    /// What the command is told, beside the store.
    pub(super) fn arguments(&self) -> Vec<String> {
        let mut arguments = match self {
            Task::Take(taking) => taking.arguments(),
            Task::Delete(Deleting { stored, run }) => {
                let stored = stored
                    .iter()
                    .flat_map(|(name, cluster)| [format!("--backup={name}"), format!("--cluster={cluster}")]);
                stored.chain([format!("--run={run}")]).collect()
            }
        };
        arguments.push(format!("--result={RESULT_PATH}"));
        arguments
    }

    /// Whether it needs the keys that snapshots are encrypted with. What is to be deleted must not wait for a key that is lost.
    pub(super) fn reads_snapshots(&self) -> bool {
        match self {
            Task::Take(_) => true,
            Task::Delete(_) => false,
        }
    }

    /// The Secret by whose certificate it asks members, if it needs one.
    pub(super) fn certificate_secret(&self) -> Option<&String> {
        match self {
            Task::Take(taking) => taking.certificate_secret.as_ref(),
            Task::Delete(_) => None,
        }
    }

    /// What it finds in its environment, beside the store's credentials.
    pub(super) fn variables(&self) -> Vec<EnvVar> {
        match self {
            Task::Take(taking) => taking.variables(),
            Task::Delete(_) => Vec::new(),
        }
    }
}

impl Taking {
    fn scheme(&self) -> Scheme {
        if self.certificate_secret.is_some() { Scheme::Https } else { Scheme::Http }
    }

    fn arguments(&self) -> Vec<String> {
        let mut arguments = vec![
            format!("--endpoints={}://{}:{CLIENT_PORT}", self.scheme(), self.cluster),
            format!("--scratch={SCRATCH_PATH}"),
            format!("--within={}s", self.deadline_seconds),
            format!("--etcd={ETCD_PROGRAMS}/etcd"),
            format!("--etcdutl={ETCD_PROGRAMS}/etcdutl"),
        ];
        if self.certificate_secret.is_some() {
            let options = [
                ("cacert", secrets::TRUSTED_ENTRY),
                ("cert", secrets::OWN.certificate),
                ("key", secrets::OWN.key),
            ];
            arguments.extend(
                options.map(|(option, entry)| format!("--{option}={CERTIFICATES_DIRECTORY}/{entry}")),
            );
        }
        if !self.prove {
            arguments.push("--no-proof".to_owned());
        }
        arguments.extend(self.origin.iter().flat_map(origin_arguments));
        arguments
    }

    fn variables(&self) -> Vec<EnvVar> {
        let user = self.user_secret.iter().flat_map(|secret| {
            [("ETCD_USER", "username"), ("ETCD_PASSWORD", "password")]
                .map(|(variable, key)| of_secret(variable, secret, key))
        });
        user.chain([self.run_variable()]).collect()
    }

    /// What all attempts have in common, so that each knows what the one before it has left.
    fn run_variable(&self) -> EnvVar {
        let of_job = || EnvVarSource {
            field_ref: Some(ObjectFieldSelector {
                field_path: format!("metadata.labels['{LABEL_CONTROLLER_UID}']"),
                ..ObjectFieldSelector::default()
            }),
            ..EnvVarSource::default()
        };
        EnvVar {
            name: RUN_VARIABLE.to_owned(),
            value: self.run.clone(),
            value_from: self.run.is_none().then(of_job),
        }
    }
}

/// Whose backup it is, and what of the earlier ones is kept.
fn origin_arguments(origin: &Origin) -> Vec<String> {
    let Origin { schedule, retention, time_zone } = origin;
    let mut arguments = vec![format!("--schedule={schedule}")];
    if retention.is_without_rules() {
        return arguments;
    }
    arguments.push(format!("--time-zone={time_zone}"));
    // Destructured without `..`, so that a new rule cannot be forgotten here.
    let Retention { last, within, hourly, daily, weekly, monthly, yearly } = retention;
    arguments.extend(within.map(|within: SignedDuration| format!("--keep-within={}s", within.as_secs())));
    for (name, count) in [
        ("last", last),
        ("hourly", hourly),
        ("daily", daily),
        ("weekly", weekly),
        ("monthly", monthly),
        ("yearly", yearly),
    ] {
        arguments.extend(count.map(|count| format!("--keep-{name}={count}")));
    }
    arguments
}
