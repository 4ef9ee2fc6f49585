//! Whether etcd cannot start from a member's data, by its last words. They are those of real etcd on data that was damaged on purpose.
//! Never decides what becomes of the member: words alone are no proof, and others must vouch for the data.

use super::Member;
use super::trouble;
use crate::pods::trouble::last_terminated;

/// What etcd 3.5 to 3.7 say when they end because of their data, and what that is. The kubelet keeps the last 2,048 bytes, and a
/// crash leaves the frames of its stack there.
const SIGNS: [(&str, &str); 5] = [
    // `server/etcdserver/corrupt.go`, InitialCheck.
    ("found data inconsistency with peers", "its data differs from the others'"),
    // `server/storage/wal/walpb` and `server/etcdserver/api/snap`.
    ("crc mismatch", "its log or a snapshot is damaged"),
    // `bbolt/errors`, ErrInvalid.
    ("invalid database", "its database is damaged"),
    // `raft/log.go`, commitTo.
    ("Was the raft log corrupted, truncated, or lost?", "a part of its log is missing"),
    // A page that is not what it must be, or the end of the file where there must be more.
    ("go.etcd.io/bbolt.(", "reading its database crashes etcd"),
];
/// Once may be an accident, such as a read error.
const ENDS: i32 = 2;

impl Member<'_> {
    /// What is wrong with its data, if etcd has ended in its present pod again and again and said so the last time. Nothing of one that
    /// runs: it may come up.
    pub fn broken_data(&self) -> Option<&'static str> {
        let status = trouble::etcd_status(self.pod).filter(|_| !self.answers())?;
        if status.state.as_ref().is_some_and(|state| state.running.is_some())
            || status.restart_count + 1 < ENDS
        {
            return None;
        }
        let words = last_terminated(status)?.message.as_deref()?;
        SIGNS.iter().find(|(sign, _)| words.contains(sign)).map(|(_, what)| *what)
    }
}
