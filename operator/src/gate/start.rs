//! Becoming etcd: first everything that must be on disk, in the order that makes a crash in between harmless, then the
//! exec. It does exactly what the decision says.

use super::paths::Paths;
use super::volume::{spend, write_durably, write_if_changed};
use super::{boot_counter, private};
use anyhow::Context as _;
use etcd_operator_core::cluster::render::etcd_configuration;
use etcd_operator_core::gate::{GateConfiguration, ListenFamily, StampWrite, Start};
use etcd_operator_core::tls::Pem;
use nix::fcntl::{FcntlArg, FdFlag, Flock, fcntl};
use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

/// Writes stamp, boot counter, spent permit and etcd's configuration, as far as there is something to write, and closes
/// etcd's data to others.
///
/// A crash after the stamp leaves an empty disk with an unspent permit, which may start once more. A crash after the
/// permit is spent leaves a member that never ran: it is lost and will be replaced. No crash leaves a disk on which
/// etcd could run twice as new.
///
/// A restart needs no room on the volume: a disk that etcd filled must not keep etcd from coming back, to be compacted
/// and defragmented.
pub(super) fn prepare(
    configuration: &GateConfiguration,
    paths: &Paths,
    start: &Start,
    listen: &ListenFamily,
) -> anyhow::Result<()> {
    write_stamp(paths, start)?;
    if let Err(error) = boot_counter::write(&paths.boot_counter, start.stamp.boot_counter) {
        tracing::warn!(path = %paths.boot_counter.display(), %error, "failed to write the boot counter");
    }
    if let Some(permit) = &start.spend {
        spend(&paths.spent_permits, permit)?;
    }
    private::close_to_others(&paths.data);
    if let Some(tls) = &configuration.tls {
        write_authorities(&paths.peer_authorities, &tls.authorities.peers)?;
        write_authorities(&paths.client_authorities, &tls.authorities.clients)?;
    }
    write_if_changed(&paths.etcd_configuration, &etcd_configuration(configuration, &start.initial, listen))
}

/// Whom etcd trusts, for as long as it runs: it reads this once.
fn write_authorities(path: &Path, authorities: &[Pem]) -> anyhow::Result<()> {
    let text: String = authorities.iter().map(|authority| authority.0.as_str()).collect();
    std::fs::write(path, text).with_context(|| format!("failed to write {}", path.display()))
}

fn write_stamp(paths: &Paths, start: &Start) -> anyhow::Result<()> {
    match start.write_stamp {
        StampWrite::Required => write_durably(&paths.stamp, &start.stamp),
        StampWrite::Wanted => {
            if let Err(error) = write_durably(&paths.stamp, &start.stamp) {
                tracing::warn!(error = %format!("{error:#}"), "the stamp stays as it was, which is true as well");
            }
            Ok(())
        }
        StampWrite::Unneeded => Ok(()),
    }
}

/// Replaces this process by etcd. Returns only if that failed.
///
/// The volume's lock goes with it, so that no gate starts a second etcd on the same volume as long as this one runs.
pub(super) fn become_etcd(paths: &Paths, lock: Flock<File>) -> anyhow::Result<()> {
    fcntl(&*lock, FcntlArg::F_SETFD(FdFlag::empty())).context("failed to keep the volume's lock for etcd")?;
    let error = command(paths, std::env::vars_os().map(|(name, _)| name)).exec();
    Err(error).with_context(|| format!("failed to start {}", paths.etcd.display()))
}

/// etcd reads `ETCD_*` variables as settings, for example those that Kubernetes injects for a Service named `etcd`; its
/// configuration file must be all it reads.
fn command(paths: &Paths, variables: impl Iterator<Item = std::ffi::OsString>) -> Command {
    let mut command = Command::new(&paths.etcd);
    command.arg("--config-file").arg(&paths.etcd_configuration);
    for name in variables.filter(|name| name.to_string_lossy().starts_with("ETCD_")) {
        command.env_remove(name);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::{OsStr, OsString};

    #[test]
    fn etcd_gets_its_configuration_file_and_no_variable_of_its_own() {
        let paths = Paths::in_pod();
        let variables = ["PATH", "ETCD_FORCE_NEW_CLUSTER", "ETCD_PORT"].map(OsString::from);
        let command = command(&paths, variables.into_iter());
        assert_eq!(command.get_program(), "/usr/local/bin/etcd");
        assert_eq!(command.get_args().collect::<Vec<_>>(), ["--config-file", "/gate/etcd.yaml"]);
        let changed: Vec<_> = command.get_envs().collect();
        assert_eq!(changed, [(OsStr::new("ETCD_FORCE_NEW_CLUSTER"), None), (OsStr::new("ETCD_PORT"), None)]);
    }
}
