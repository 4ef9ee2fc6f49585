//! Backups that were asked for: one that holds what was committed passes, and whatever it lacks, changes or invents fails.

use std::collections::BTreeMap;

use chaos::checker::{Rule, Verdict};
use chaos::history::{CommittedChange, CommittedEvent, Key, Outcome, Revision, Value};
use chaos::record::{ObjectIdentity, Proof};

use super::super::model::MILLISECOND;
use super::tale::{BEGIN, Tale};
use super::{Case, SEEN, case};

const BACKUP: &str = "kind: backup";

/// One whose backup does not hold what it should.
const fn wrong(story: &'static str, tell: fn(&mut Tale)) -> Case {
    case(story, BACKUP, Verdict::Fail, &[Rule::BackupHoldsData], tell)
}

pub(super) const CASES: &[Case] = &[
    case("The backup held what was committed.", BACKUP, Verdict::Pass, &[], |tale| {
        let (revision, entries) = good(tale);
        told(tale, revision, entries);
    }),
    wrong("Revisions were seen again after the restore.", |tale| {
        let (revision, entries) = good(tale);
        asked(tale);
        stored(tale, revision);
        tale.proof(SEEN, None, Proof::BackupRestored { revision, entries });
    }),
    case("The backup was never proved.", BACKUP, Verdict::Fail, &[Rule::ChangeCarriedOut], |tale| {
        asked(tale)
    }),
    case("No cluster began with the backup.", BACKUP, Verdict::Fail, &[Rule::ChangeCarriedOut], |tale| {
        asked(tale);
        stored(tale, good(tale).0);
    }),
    case("No backup was asked for.", BACKUP, Verdict::Invalid, &[Rule::FaultProved], |tale| {
        let (revision, entries) = good(tale);
        tale.injected(None, 0);
        stored(tale, revision);
        restored(tale, entries);
    }),
    wrong("The backup lacked a key.", |tale| {
        let (revision, mut entries) = good(tale);
        entries.pop();
        told(tale, revision, entries);
    }),
    wrong("The backup had an older value of a key.", |tale| {
        let (revision, mut entries) = good(tale);
        let last = entries.iter_mut().max_by_key(|entry| entry.revision).unwrap();
        let mut earlier = tale.record.committed.iter().filter(|event| event.key == last.key);
        *last = earlier.rfind(|event| event.revision < last.revision).unwrap().clone();
        told(tale, revision, entries);
    }),
    wrong("The backup had another value of a key.", |tale| {
        let (revision, mut entries) = good(tale);
        entries[0].change = CommittedChange::Put { value: Value("torn".to_owned()), version: 1 };
        told(tale, revision, entries);
    }),
    wrong("The backup had a key that nobody wrote.", |tale| {
        let (revision, mut entries) = good(tale);
        entries.push(CommittedEvent { key: Key("load/phantom".to_owned()), ..entries[0].clone() });
        told(tale, revision, entries);
    }),
    wrong("The backup had a write that was made after its end.", |tale| {
        let (revision, mut entries) = good(tale);
        let later = tale.record.committed.iter().find(|event| event.revision > revision).unwrap().clone();
        entries.retain(|entry| entry.key != later.key);
        entries.push(later);
        told(tale, revision, entries);
    }),
    wrong("The backup ended before what was acknowledged when it was asked for.", |tale| {
        let earlier = Revision(good(tale).0.0 / 2);
        let entries = at(tale, earlier);
        told(tale, earlier, entries);
    }),
    wrong("The cluster that began with the backup had nothing.", |tale| {
        let (revision, mut entries) = good(tale);
        entries.clear();
        told(tale, revision, entries);
    }),
];

fn told(tale: &mut Tale, revision: Revision, entries: Vec<CommittedEvent>) {
    asked(tale);
    stored(tale, revision);
    restored(tale, entries);
}

fn asked(tale: &mut Tale) {
    tale.injected(None, 0);
    let identity = ObjectIdentity { name: "model-abcde".to_owned(), uid: "backup-uid".to_owned() };
    tale.proof(BEGIN + 40, None, Proof::BackupAsked { identity });
}

fn stored(tale: &mut Tale, revision: Revision) {
    let backup = "20261101t120023z-abcde".to_owned();
    tale.proof(BEGIN + 500, None, Proof::BackupStored { backup, revision });
}

fn restored(tale: &mut Tale, entries: Vec<CommittedEvent>) {
    tale.proof(SEEN, None, Proof::BackupRestored { revision: Revision(1_000_000_000), entries });
}

/// The revision that had been reached a moment after the backup was asked for, and what was there then.
fn good(tale: &Tale) -> (Revision, Vec<CommittedEvent>) {
    let before = (BEGIN + 200) * MILLISECOND;
    let answers = tale.record.load.operations.iter().filter(|one| one.end.0 < before);
    let revisions = answers.filter_map(|one| match &one.outcome {
        Outcome::Acknowledged(answer) => Some(answer.revision),
        _ => None,
    });
    let revision = revisions.max().unwrap();
    (revision, at(tale, revision))
}

/// The last change of each key up to a revision.
fn at(tale: &Tale, revision: Revision) -> Vec<CommittedEvent> {
    let committed = tale.record.committed.iter().filter(|event| event.revision <= revision);
    let last: BTreeMap<&Key, &CommittedEvent> = committed.map(|event| (&event.key, event)).collect();
    last.into_values().cloned().collect()
}
