//! The `sandbox-container` process: enters the pod's namespaces, starts one program in a container and reports how it
//! ended. It runs one thread, holds nothing that outlives it, and takes the container with it when it dies.

use super::root;
use super::spec::{NewContainer, Place, ProcessEvent, ProcessSpec};
use crate::sys::{capability, mount, namespace, process};
use anyhow::{Context as _, Result, bail};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Gid, Pid, Uid};
use std::ffi::CString;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Runs the role: the specification comes as one line on descriptor 0, events go back on it.
pub(crate) fn run() -> Result<()> {
    let socket =
        UnixStream::from(process::inherited_descriptor(0).context("failed to take the control socket")?);
    let control = socket.try_clone().context("failed to move the control socket out of the way")?;
    let spec = read_spec(&control)?;
    let null =
        File::options().read(true).write(true).open("/dev/null").context("failed to open /dev/null")?;
    nix::unistd::dup2_stdin(input(&spec, &null)?).context("failed to give the program its input")?;
    std::mem::forget(socket);
    let outcome = start(&spec);
    nix::unistd::dup2_stdin(&null).context("failed to let go of the program's input")?;
    nix::unistd::dup2_stdout(&null).context("failed to let go of the program's output")?;
    nix::unistd::dup2_stderr(&null).context("failed to let go of the program's errors")?;
    match outcome {
        Err(error) => report(&control, &ProcessEvent::Failed { message: format!("{error:#}") }),
        Ok(child) => {
            report(&control, &ProcessEvent::Started { process: child.as_raw() })?;
            let exit = process::wait_for(child).context("failed to wait for the program")?;
            report(&control, &ProcessEvent::Exited(exit))
        }
    }
}

/// The program's input: what the node holds open for it, or nothing.
fn input(spec: &ProcessSpec, null: &File) -> Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let Some(path) = &spec.stdin else {
        return null.try_clone().context("failed to give the program an empty input");
    };
    let mut options = File::options();
    // A terminal is for the program, not for us.
    options.read(true).write(spec.terminal).custom_flags(nix::libc::O_NOCTTY);
    options.open(path).with_context(|| format!("failed to open the program's input {}", path.display()))
}

fn read_spec(control: &UnixStream) -> Result<ProcessSpec> {
    let mut line = String::new();
    BufReader::new(control).read_line(&mut line).context("failed to read the container's specification")?;
    serde_json::from_str(&line).context("failed to parse the container's specification")
}

fn report(mut control: &UnixStream, event: &ProcessEvent) -> Result<()> {
    let mut line = serde_json::to_string(event).context("failed to write an event")?;
    line.push('\n');
    control.write_all(line.as_bytes()).context("failed to report to the node")
}

/// Forks the program's process and returns once the program has replaced it.
fn start(spec: &ProcessSpec) -> Result<Pid> {
    enter_namespaces(&spec.place)?;
    let (mut failure, failed) = std::io::pipe().context("failed to make a pipe for failures")?;
    match process::fork_single_threaded().context("forking")? {
        process::Fork::Child => {
            drop(failure);
            let Err(error) = become_program(spec);
            let mut failed = failed;
            // The parent sees a closed pipe without a message if even this fails.
            let _ = failed.write_all(format!("{error:#}").as_bytes());
            std::process::exit(127)
        }
        process::Fork::Parent(child) => {
            drop(failed);
            let mut message = String::new();
            failure.read_to_string(&mut message).context("failed to wait for the program to start")?;
            if message.is_empty() {
                return Ok(child);
            }
            process::wait_for(child).context("failed to reap a program that did not start")?;
            bail!(message)
        }
    }
}

/// Enters or makes the namespaces that must exist before the fork.
fn enter_namespaces(place: &Place) -> Result<()> {
    match place {
        Place::New(container) => enter_pod(container),
        Place::Existing { process } => {
            for (name, kind) in [
                ("net", CloneFlags::CLONE_NEWNET),
                ("uts", CloneFlags::CLONE_NEWUTS),
                ("ipc", CloneFlags::CLONE_NEWIPC),
                ("pid", CloneFlags::CLONE_NEWPID),
                ("mnt", CloneFlags::CLONE_NEWNS),
            ] {
                let path = process.join("ns").join(name);
                namespace::enter(&path, kind)
                    .with_context(|| format!("failed to enter {}", path.display()))?;
            }
            Ok(())
        }
    }
}

fn enter_pod(container: &NewContainer) -> Result<()> {
    namespace::enter(&container.network, CloneFlags::CLONE_NEWNET)
        .context("failed to enter the pod's network")?;
    namespace::enter(&container.hostname, CloneFlags::CLONE_NEWUTS)
        .context("failed to enter the pod's host name")?;
    namespace::enter(&container.ipc, CloneFlags::CLONE_NEWIPC).context("failed to enter the pod's IPC")?;
    match &container.processes {
        Some(target) => {
            namespace::enter(target, CloneFlags::CLONE_NEWPID)
                .context("failed to enter the target container's processes")?;
        }
        None => unshare(CloneFlags::CLONE_NEWPID).context("failed to make a process namespace")?,
    }
    unshare(CloneFlags::CLONE_NEWNS).context("failed to make a mount namespace")
}

/// In the child: assembles the root, gives up what the container must not have, executes the program.
fn become_program(spec: &ProcessSpec) -> Result<std::convert::Infallible> {
    process::die_with_parent().context("failed to tie the program to its monitor")?;
    nix::unistd::setsid().context("failed to start a session")?;
    if spec.terminal {
        process::take_terminal().context("failed to take the terminal")?;
    }
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    if let Place::New(container) = &spec.place {
        mount::make_everything_private().context("failed to make the mounts private")?;
        root::assemble(&container.root, &spec.working_directory)?;
    }
    take_identity(spec)?;
    nix::unistd::chdir(&spec.working_directory).with_context(|| {
        format!("failed to change to the working directory {}", spec.working_directory.display())
    })?;
    process::reset_signals().context("failed to reset signals")?;
    execute(spec)
}

fn take_identity(spec: &ProcessSpec) -> Result<()> {
    let identity = &spec.identity;
    let (user, group) = (Uid::from_raw(identity.user), Gid::from_raw(identity.group));
    for output in [std::io::stdin().as_fd(), std::io::stdout().as_fd(), std::io::stderr().as_fd()] {
        give_pipe(output, user, group).context("failed to hand its pipes to the program")?;
    }
    capability::limit_bounding_set(identity.capabilities).context("failed to limit capabilities")?;
    let groups: Vec<Gid> = identity.supplementary_groups.iter().copied().map(Gid::from_raw).collect();
    nix::unistd::setgroups(&groups).context("failed to set supplementary groups")?;
    nix::unistd::setresgid(group, group, group).with_context(|| format!("failed to become group {group}"))?;
    nix::unistd::setresuid(user, user, user).with_context(|| format!("failed to become user {user}"))?;
    // Changing the user clears this.
    process::die_with_parent().context("failed to tie the program to its monitor")?;
    capability::keep_only(identity.capabilities).context("failed to give up capabilities")?;
    if identity.no_new_privileges {
        nix::sys::prctl::set_no_new_privs().context("failed to forbid new privileges")?;
    }
    Ok(())
}

/// As the owner of the pipes behind its input and output, the program may also open /dev/stdout. Anything else, such as
/// a device of the host, belongs to somebody.
fn give_pipe(output: BorrowedFd<'_>, user: Uid, group: Gid) -> nix::Result<()> {
    use nix::sys::stat::{SFlag, fstat};
    let kind = SFlag::from_bits_truncate(fstat(output)?.st_mode) & SFlag::S_IFMT;
    if kind == SFlag::S_IFIFO { nix::unistd::fchown(output, Some(user), Some(group)) } else { Ok(()) }
}

fn execute(spec: &ProcessSpec) -> Result<std::convert::Infallible> {
    let text = |value: &str| CString::new(value).with_context(|| format!("{value:?} contains a zero byte"));
    let arguments = spec.command.iter().map(|one| text(one)).collect::<Result<Vec<_>>>()?;
    let variables = spec
        .environment
        .iter()
        .map(|(name, value)| text(&format!("{name}={value}")))
        .collect::<Result<Vec<_>>>()?;
    let program = spec.command.first().context("the command is empty")?;
    let path = find_program(program, spec.environment.get("PATH").map(String::as_str))
        .with_context(|| format!("exec: \"{program}\": executable file not found in $PATH"))?;
    nix::unistd::execve(&text(&path)?, &arguments, &variables).with_context(|| format!("exec {path}"))
}

/// A name with a slash is a path; any other is looked for in `PATH`.
fn find_program(program: &str, search: Option<&str>) -> Option<String> {
    if program.contains('/') {
        return Some(program.to_owned());
    }
    let search = search.unwrap_or("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    let mut candidates = search.split(':').map(|directory| format!("{directory}/{program}"));
    candidates.find(|candidate| Path::new(candidate).is_file())
}
