//! Calls of the programs `kind` and of its container engine: whether they are there, and what went wrong when one fails.
//! Knows no cluster.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Output, Stdio};

use anyhow::{Context as _, Result, bail};
use tokio::process::Command;

/// The version that the hosted workflow uses, named where it has to be installed.
const VERSION: &str = "v0.33.0";
/// kind's own variable for an engine that is not Docker.
const PROVIDER_VARIABLE: &str = "KIND_EXPERIMENTAL_PROVIDER";
/// How kind begins the line that says what went wrong; stack traces and the output of commands in nodes surround it.
const ERROR_MARK: &str = "ERROR: ";

/// Whether kind is installed and an engine answers.
pub(in crate::cluster) fn check() -> Result<()> {
    if let Err(error) = run_now("kind", ["version"]) {
        bail!(
            "`kind` is not there ({error:#}): install it with `go install sigs.k8s.io/kind@{VERSION}` or from \
             https://kind.sigs.k8s.io, or use --cluster sandbox or --cluster bare, which need neither kind nor Docker"
        );
    }
    let engine = engine();
    if let Err(error) = run_now(&engine, ["version"]) {
        bail!(
            "no container engine answers: `{engine} version` failed ({error:#}); start {engine}, name another engine in \
             {PROVIDER_VARIABLE}, or use --cluster sandbox or --cluster bare, which need none"
        );
    }
    Ok(())
}

/// The engine's program, by the names that kind gives its providers.
fn engine() -> String {
    std::env::var(PROVIDER_VARIABLE)
        .ok()
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "docker".to_owned())
}

/// Whether kind lists a cluster of this name: it does as long as the engine has a container of it.
pub(super) fn lists(name: &str) -> Result<bool> {
    let known =
        run_now("kind", ["get", "clusters", "--quiet"]).context("failed to ask kind for its clusters")?;
    Ok(known.lines().any(|line| line.trim() == name))
}

/// A call of kind in a process group of its own: Ctrl-C is ours to act on.
pub(super) fn kind<'a>(words: impl IntoIterator<Item = &'a str>) -> Command {
    call("kind", words)
}

/// The same of kind's container engine.
pub(super) fn engine_call<'a>(words: impl IntoIterator<Item = &'a str>) -> Command {
    call(&engine(), words)
}

fn call<'a>(program: &str, words: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0).kill_on_drop(true);
    command
}

/// Runs a short call to its end and gives what it printed.
pub(super) fn run_now(program: &str, words: impl IntoIterator<Item = impl Into<OsString>>) -> Result<String> {
    let words: Vec<OsString> = words.into_iter().map(Into::into).collect();
    let output = std::process::Command::new(program).args(words).stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("failed to start {program}"))?;
    succeeded(program, &output)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// An error with what it complained about, unless it succeeded.
pub(super) fn succeeded(program: &str, output: &Output) -> Result<()> {
    if output.status.success() {
        return Ok(());
    }
    bail!("{program}: {}: {}", output.status, complaint(&String::from_utf8_lossy(&output.stderr)))
}

/// The same, and all that it said is kept in `log`, which the error names.
pub(super) fn succeeded_or_logged(program: &str, output: &Output, log: &Path) -> Result<()> {
    let Err(error) = succeeded(program, output) else { return Ok(()) };
    std::fs::write(log, &output.stderr).with_context(|| format!("failed to write {}", log.display()))?;
    Err(error).with_context(|| format!("all that it said is in {}", log.display()))
}

/// The line that says what went wrong: the last one that kind marks, or the last one of all.
fn complaint(said: &str) -> &str {
    let lines = || said.lines().map(str::trim).filter(|line| !line.is_empty());
    let marked = lines().rfind(|line| line.starts_with(ERROR_MARK));
    marked
        .or_else(|| lines().next_back())
        .map_or("it said nothing", |line| line.strip_prefix(ERROR_MARK).unwrap_or(line))
}

#[cfg(test)]
mod tests {
    use super::complaint;

    #[test]
    fn a_failure_is_told_in_the_line_that_kind_marks_and_not_in_its_stack_trace() {
        let said = "Creating cluster \"chaos\" ...\n • Preparing nodes 📦 ...\n ✗ Preparing nodes 📦\n\
                    Deleted nodes: [\"chaos-worker\"]\n\
                    ERROR: failed to create cluster: command \"docker run --name chaos-worker\" failed with error: \
                    exit status 125\n\nCommand Output: docker: no space left on device.\n\nStack Trace: \n\
                    sigs.k8s.io/kind/pkg/errors.WithStack\n\tsigs.k8s.io/kind/pkg/errors/errors.go:59\n\
                    runtime.goexit\n\truntime/asm_amd64.s:1700\n";
        assert_eq!(
            complaint(said),
            "failed to create cluster: command \"docker run --name chaos-worker\" failed with error: exit status 125"
        );
        assert_eq!(complaint("Cannot connect to the Docker daemon\n"), "Cannot connect to the Docker daemon");
        assert_eq!(complaint("\n"), "it said nothing");
    }
}
