//! Processes: forking a single-threaded process, waiting, reaping, dying with one's parent. Never called from a
//! process that runs threads, except for `signal`.

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Exit {
    /// It returned this status.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

impl Exit {
    /// The status a shell, and so the kubelet, would show: 128 + n for signal n.
    pub fn status(self) -> i32 {
        match self {
            Exit::Code(code) => code,
            Exit::Signal(signal) => 128 + signal,
        }
    }
}

/// The two sides of a fork.
pub enum Fork {
    /// We are the parent of this child.
    Parent(Pid),
    /// We are the child.
    Child,
}

/// Forks a process that has one thread only. With threads, the child could inherit a locked allocator.
pub fn fork_single_threaded() -> nix::Result<Fork> {
    let threads = std::fs::read_dir("/proc/self/task").map(Iterator::count).unwrap_or(1);
    assert!(threads <= 1, "a process with {threads} threads must not be forked");
    // SAFETY: the process has a single thread (checked above), so every lock is free in the child.
    match unsafe { nix::unistd::fork() }? {
        nix::unistd::ForkResult::Parent { child } => Ok(Fork::Parent(child)),
        nix::unistd::ForkResult::Child => Ok(Fork::Child),
    }
}

/// Takes ownership of a descriptor which the process inherited by number.
///
/// Call it at most once for each number, right after the start of the process.
pub fn inherited_descriptor(number: RawFd) -> nix::Result<OwnedFd> {
    // SAFETY: fcntl(F_GETFD) only looks whether the number is open.
    Errno::result(unsafe { nix::libc::fcntl(number, nix::libc::F_GETFD) })?;
    // SAFETY: it is open (checked above), and the caller promises to take it once.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// The command will be the first of a session of its own: no terminal's signals reach it.
pub fn in_own_session(command: &mut tokio::process::Command) {
    // SAFETY: setsid(2) may be called between fork and exec: it is async-signal-safe and touches no memory.
    unsafe { command.pre_exec(|| nix::unistd::setsid().map(drop).map_err(std::io::Error::from)) };
}

/// Asks the kernel to kill this process when its parent's thread ends.
pub fn die_with_parent() -> nix::Result<()> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)
}

/// Makes the terminal behind the input the one of this session, so that it can interrupt its programs.
pub(crate) fn take_terminal() -> nix::Result<()> {
    // SAFETY: TIOCSCTTY takes a number; descriptor 0 is only looked at.
    Errno::result(unsafe { nix::libc::ioctl(0, nix::libc::TIOCSCTTY, 0) }).map(drop)
}

/// Waits until this child has ended.
pub fn wait_for(child: Pid) -> nix::Result<Exit> {
    loop {
        match waitpid(child, None) {
            Ok(WaitStatus::Exited(_, code)) => return Ok(Exit::Code(code)),
            Ok(WaitStatus::Signaled(_, signal, _)) => return Ok(Exit::Signal(signal as i32)),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Reaps every process that ends, as a PID 1 must, until `child` itself has ended.
pub fn reap_until(child: Pid) -> nix::Result<Exit> {
    loop {
        match waitpid(None, Some(WaitPidFlag::__WALL)) {
            Ok(WaitStatus::Exited(pid, code)) if pid == child => return Ok(Exit::Code(code)),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == child => {
                return Ok(Exit::Signal(signal as i32));
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Sends a signal; a process that is gone already counts as success.
pub fn signal(pid: Pid, signal: Signal) -> nix::Result<()> {
    match nix::sys::signal::kill(pid, signal) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Opens a descriptor that stands for this very process, however numbers are reused later.
pub fn open_process(pid: Pid) -> nix::Result<OwnedFd> {
    // SAFETY: pidfd_open takes a number and flags and returns a new descriptor or an error.
    let descriptor =
        Errno::result(unsafe { nix::libc::syscall(nix::libc::SYS_pidfd_open, pid.as_raw(), 0) })?;
    // SAFETY: the kernel has just given us this descriptor; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(RawFd::try_from(descriptor).expect("descriptors are small numbers")) })
}

/// Waits until the process behind a descriptor has ended: it becomes readable then, see pidfd_open(2).
pub async fn wait_for_end(process: OwnedFd) -> std::io::Result<()> {
    // SAFETY: we own the descriptor and hand it over; it stays open as long as the registration lives.
    let process =
        unsafe { tokio::io::unix::AsyncFd::register_with_interest(process, tokio::io::Interest::READABLE) }?;
    process.readable().await.map(drop)
}

/// Resets every signal to its default and unblocks it: a program expects that from whoever starts it.
pub fn reset_signals() -> nix::Result<()> {
    use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, sigprocmask};
    for one in Signal::iterator().filter(|one| !matches!(one, Signal::SIGKILL | Signal::SIGSTOP)) {
        // SAFETY: the default disposition runs no code of ours.
        unsafe { nix::sys::signal::signal(one, SigHandler::SigDfl) }?;
    }
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)
}

/// One very process, to be signalled without hitting another that got its number.
#[derive(Debug)]
pub struct ProcessHandle(OwnedFd);

impl ProcessHandle {
    /// Nothing if the process has ended and been reaped already.
    pub fn open(process: i32) -> nix::Result<Option<ProcessHandle>> {
        match open_process(Pid::from_raw(process)) {
            Ok(descriptor) => Ok(Some(ProcessHandle(descriptor))),
            Err(Errno::ESRCH) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sends a signal; a process that is gone already counts as success.
    pub fn signal(&self, signal: Signal) -> nix::Result<()> {
        use std::os::fd::AsRawFd as _;
        let nothing = std::ptr::null::<nix::libc::siginfo_t>();
        // SAFETY: the descriptor is open as long as self lives; a null information pointer is allowed.
        let result = unsafe {
            nix::libc::syscall(
                nix::libc::SYS_pidfd_send_signal,
                self.0.as_raw_fd(),
                signal as i32,
                nothing,
                0,
            )
        };
        match Errno::result(result) {
            Ok(_) | Err(Errno::ESRCH) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
