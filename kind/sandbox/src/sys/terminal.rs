//! Terminals for programs that somebody talks to.

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;

/// The two ends of a terminal.
#[derive(Debug)]
pub(crate) struct Terminal {
    /// Ours; reading never blocks.
    pub(crate) ours: OwnedFd,
    /// The program's.
    pub(crate) theirs: OwnedFd,
}

impl Terminal {
    /// Makes a terminal that no other program inherits.
    pub(crate) fn open() -> std::io::Result<Terminal> {
        let ours = nix::pty::posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC)?;
        nix::pty::grantpt(&ours)?;
        nix::pty::unlockpt(&ours)?;
        let path = nix::pty::ptsname_r(&ours)?;
        let theirs =
            File::options().read(true).write(true).custom_flags(nix::libc::O_NOCTTY).open(path)?.into();
        let ours = ours.as_fd().try_clone_to_owned()?;
        fcntl(&ours, FcntlArg::F_SETFL(OFlag::O_RDWR | OFlag::O_NONBLOCK))?;
        Ok(Terminal { ours, theirs })
    }
}

/// Tells a terminal, and the program behind it, its size in characters.
pub(crate) fn resize(terminal: &OwnedFd, width: u16, height: u16) -> nix::Result<()> {
    let size = nix::libc::winsize { ws_row: height, ws_col: width, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the descriptor is open as long as it is borrowed, and the size outlives the call.
    Errno::result(unsafe { nix::libc::ioctl(terminal.as_raw_fd(), nix::libc::TIOCSWINSZ, &size) }).map(drop)
}
