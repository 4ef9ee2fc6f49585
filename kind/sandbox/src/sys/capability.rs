//! Linux capabilities as sets, and giving up those outside a set. capabilities(7) is the source of the numbers.

use nix::errno::Errno;
use serde::{Deserialize, Serialize};

/// A set of capabilities: bit n stands for capability n.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CapabilitySet(u64);

/// In the order of the kernel's numbers.
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// What containerd gives to a container that asks for nothing.
const DEFAULT: [&str; 14] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FSETID",
    "FOWNER",
    "MKNOD",
    "NET_RAW",
    "SETGID",
    "SETUID",
    "SETFCAP",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "KILL",
    "AUDIT_WRITE",
];

impl CapabilitySet {
    /// Every capability the kernel may know.
    pub(crate) const ALL: CapabilitySet = CapabilitySet((1 << NAMES.len()) - 1);

    /// The set for a container: the run-time's default, without `drop`, with `add` (names with or without `CAP_`).
    ///
    /// # Errors
    /// The first name that is no capability.
    pub(crate) fn of_container(add: &[String], drop: &[String]) -> Result<CapabilitySet, String> {
        let mut set = CapabilitySet::named(&DEFAULT.map(str::to_owned))?;
        let dropped = CapabilitySet::named(drop)?;
        set.0 &= !dropped.0;
        set.0 |= CapabilitySet::named(add)?.0;
        Ok(set)
    }

    fn named(names: &[String]) -> Result<CapabilitySet, String> {
        let mut set = CapabilitySet(0);
        for name in names {
            let upper = name.to_uppercase();
            let short = upper.strip_prefix("CAP_").unwrap_or(&upper);
            if short == "ALL" {
                return Ok(CapabilitySet::ALL);
            }
            let number = NAMES.iter().position(|known| *known == short).ok_or_else(|| name.clone())?;
            set.0 |= 1 << number;
        }
        Ok(set)
    }

    fn contains(self, number: usize) -> bool {
        self.0 & (1 << number) != 0
    }
}

/// Removes from the bounding set everything outside `set`, so that no later exec can bring it back.
pub(crate) fn limit_bounding_set(set: CapabilitySet) -> nix::Result<()> {
    for number in (0..NAMES.len()).filter(|number| !set.contains(*number)) {
        // SAFETY: PR_CAPBSET_DROP takes a number and touches no memory of ours.
        let result = unsafe { nix::libc::prctl(nix::libc::PR_CAPBSET_DROP, number, 0, 0, 0) };
        match Errno::result(result) {
            // An older kernel does not know the newest capabilities.
            Ok(_) | Err(Errno::EINVAL) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[repr(C)]
struct Header {
    version: u32,
    process: i32,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Words {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Sets the permitted and effective sets of this thread to `set`, as far as it has them; the inheritable set to none.
pub(crate) fn keep_only(set: CapabilitySet) -> nix::Result<()> {
    const VERSION_3: u32 = 0x2008_0522;
    let mut header = Header { version: VERSION_3, process: 0 };
    let mut words = [Words { effective: 0, permitted: 0, inheritable: 0 }; 2];
    // SAFETY: version 3 reads one header and fills two words structures; both live until the call returns.
    Errno::result(unsafe { nix::libc::syscall(nix::libc::SYS_capget, &raw mut header, words.as_mut_ptr()) })?;
    let halves = [(set.0 & 0xffff_ffff) as u32, (set.0 >> 32) as u32];
    for (word, half) in words.iter_mut().zip(halves) {
        word.permitted &= half;
        word.effective = word.permitted;
        word.inheritable = 0;
    }
    header.version = VERSION_3;
    // SAFETY: version 3 reads one header and two words structures; both live until the call returns.
    Errno::result(unsafe { nix::libc::syscall(nix::libc::SYS_capset, &raw mut header, words.as_ptr()) })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_that_drops_all_and_adds_one_has_that_one() {
        let set = CapabilitySet::of_container(&["NET_ADMIN".into()], &["ALL".into()]).unwrap();
        assert_eq!(set, CapabilitySet(1 << 12));
    }

    #[test]
    fn the_prefix_and_the_case_of_a_capability_do_not_matter() {
        let plain = CapabilitySet::of_container(&["SYS_PTRACE".into()], &[]).unwrap();
        assert_eq!(plain, CapabilitySet::of_container(&["cap_sys_ptrace".into()], &[]).unwrap());
    }

    #[test]
    fn an_unknown_capability_is_named_in_the_error() {
        assert_eq!(CapabilitySet::of_container(&["FLY".into()], &[]).unwrap_err(), "FLY");
    }
}
