//! Holds a process with ptrace: all its threads stand still until the hold is released or its holder dies. Signals do not do
//! here, because PID 1 of a pid namespace ignores those that come from inside.
//!
//! Every call must come from the thread that seized the process, because the kernel ties a tracee to a thread; so a
//! [`Hold`] is neither `Send` nor `Sync`.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::proc_files::{process_state, thread_ids};

/// How long threads may take to stand still. One in an uninterruptible call to a disk may take a while.
const STOP_LIMIT: Duration = Duration::from_secs(10);
const STOP_INTERVAL: Duration = Duration::from_millis(2);

/// Ties a process's life to this thread's: the kernel kills it when the thread ends. The process is not stopped for it, so that
/// one that waits for a disk can be killed too.
pub(super) fn doom(process_id: i32) -> anyhow::Result<()> {
    ptrace::seize(Pid::from_raw(process_id), Options::PTRACE_O_EXITKILL)
        .with_context(|| format!("failed to seize process {process_id} (needs CAP_SYS_PTRACE)"))
}

/// What becomes of the process when its holder dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HolderDeath {
    /// It runs on.
    Releases,
    /// The kernel kills it.
    Kills,
}

/// A process whose threads all stand still.
pub(super) struct Hold {
    process_id: i32,
    threads: BTreeMap<i32, Thread>,
    options: Options,
    /// Pointers are neither `Send` nor `Sync`.
    bound_to_thread: PhantomData<*const ()>,
}

/// A thread that we trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Thread {
    /// It was told to stop.
    Running,
    /// It stands still; a signal that was on its way to it must be handed on when it continues.
    Stopped(Option<Signal>),
}

impl Hold {
    /// Stops every thread of a process, those included that it makes meanwhile.
    pub(super) fn take(process_id: i32, death: HolderDeath) -> anyhow::Result<Hold> {
        let options = match death {
            HolderDeath::Releases => Options::PTRACE_O_TRACECLONE,
            HolderDeath::Kills => Options::PTRACE_O_TRACECLONE | Options::PTRACE_O_EXITKILL,
        };
        let mut hold = Hold { process_id, threads: BTreeMap::new(), options, bound_to_thread: PhantomData };
        let limit = Instant::now() + STOP_LIMIT;
        loop {
            hold.seize_new_threads()?;
            hold.collect_stops()?;
            if hold.all_stopped()? {
                return Ok(hold);
            }
            if Instant::now() >= limit {
                bail!("process {process_id} did not stand still within {} s", STOP_LIMIT.as_secs());
            }
            sleep(STOP_INTERVAL);
        }
    }

    /// Lets all threads continue.
    pub(super) fn release(self) -> anyhow::Result<()> {
        for (id, thread) in &self.threads {
            let signal = match thread {
                Thread::Running => None,
                Thread::Stopped(signal) => *signal,
            };
            match ptrace::detach(Pid::from_raw(*id), signal) {
                // A thread may have been killed from outside while it stood still.
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(error) => return Err(error).with_context(|| format!("failed to release thread {id}")),
            }
        }
        Ok(())
    }

    fn seize_new_threads(&mut self) -> anyhow::Result<()> {
        for id in thread_ids(self.process_id)? {
            if self.threads.contains_key(&id) {
                continue;
            }
            match ptrace::seize(Pid::from_raw(id), self.options) {
                Ok(()) => interrupt(id)?,
                // It ended since we looked.
                Err(Errno::ESRCH) => continue,
                // A thread that a seized thread has made is ours already, and starts by standing still.
                Err(Errno::EPERM) if self.is_traced_by_us(id) => {}
                Err(error) => {
                    return Err(error)
                        .with_context(|| format!("failed to seize thread {id} (needs CAP_SYS_PTRACE)"));
                }
            }
            self.threads.insert(id, Thread::Running);
        }
        Ok(())
    }

    /// Whether the kernel names us as the tracer of a thread.
    fn is_traced_by_us(&self, id: i32) -> bool {
        let path = format!("/proc/{}/task/{id}/status", self.process_id);
        let status = std::fs::read_to_string(path).unwrap_or_default();
        let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:"));
        // The kernel names the tracing thread's process here by the thread's own number.
        let ours = nix::unistd::gettid().as_raw();
        tracer.and_then(|tracer| tracer.trim().parse::<i32>().ok()) == Some(ours)
    }

    fn collect_stops(&mut self) -> anyhow::Result<()> {
        let mut ended = Vec::new();
        for (id, thread) in &mut self.threads {
            if *thread != Thread::Running {
                continue;
            }
            match waitpid(Pid::from_raw(*id), Some(WaitPidFlag::__WALL | WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) => {}
                Ok(WaitStatus::Stopped(_, signal)) => *thread = Thread::Stopped(Some(signal)),
                Ok(WaitStatus::PtraceEvent(..) | WaitStatus::PtraceSyscall(_)) | Err(Errno::EINVAL) => {
                    // `EINVAL` is a real-time signal, which nix cannot name; etcd and Go send none.
                    *thread = Thread::Stopped(None);
                }
                Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) | Err(Errno::ECHILD) => ended.push(*id),
                Ok(WaitStatus::Continued(_)) => {}
                Err(error) => {
                    return Err(error).with_context(|| format!("failed to wait for thread {id} to stop"));
                }
            }
        }
        for id in ended {
            self.threads.remove(&id);
        }
        Ok(())
    }

    /// The kernel's own word counts, not ours: every thread that `/proc` lists must be in a tracing stop.
    fn all_stopped(&self) -> anyhow::Result<bool> {
        let state = process_state(self.process_id)?;
        let Some(state) = state else { bail!("there is no process {}", self.process_id) };
        let ours = self.threads.values().all(|thread| matches!(thread, Thread::Stopped(_)));
        let listed = thread_ids(self.process_id)?;
        Ok(ours && state.is_stopped() && listed.iter().all(|id| self.threads.contains_key(id)))
    }
}

fn interrupt(id: i32) -> anyhow::Result<()> {
    match ptrace::interrupt(Pid::from_raw(id)) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("failed to interrupt thread {id}")),
    }
}
