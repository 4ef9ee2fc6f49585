//! The planted defects: each breaks one rule of Kubernetes, so that the conformance suite can be shown to notice.
//!
//! A build without the feature `defects` has none. One is chosen for the whole process, by [`plant`]; nothing reads the
//! environment here.

use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};

/// One broken rule, written from the rule's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Defect {
    /// A write with an old resourceVersion is accepted.
    OldVersionAccepted,
    /// A write that changes nothing raises the version.
    NoOpRaisesVersion,
    /// A deletion does not look at the uid it is to hit.
    DeletionIgnoresUid,
    /// A deletion does not look at the version it is to hit.
    DeletionIgnoresVersion,
    /// A dry run is stored.
    DryRunStored,
    /// An apply takes what others own.
    ConflictsIgnored,
    /// What an applier no longer sends stays.
    GivenUpFieldsStay,
    /// A finalizer does not hold an object.
    FinalizersIgnored,
    /// Finalizers can be added to an object that is being deleted.
    FinalizersAddedLate,
    /// A change of the spec leaves the generation.
    GenerationStays,
    /// A change of status raises the generation.
    StatusRaisesGeneration,
    /// The main path writes status.
    StatusWrittenByMainPath,
    /// A watch leaves out deletions.
    WatchMissesDeletions,
    /// An object that leaves a watch's selection is shown as modified.
    WatchKeepsLeavers,
    /// A forgotten version is watched from now on instead of being refused.
    ExpiryIgnored,
    /// Unknown fields of custom resources are kept.
    NothingPruned,
    /// Schema defaults are not set.
    NothingDefaulted,
    /// CEL rules that compare with the old object are not evaluated.
    TransitionRulesSkipped,
    /// Dependents of a deleted object stay.
    DependentsStay,
    /// A pod on a node is gone at once when it is deleted.
    GraceIgnored,
}

impl Defect {
    /// All of them.
    pub const ALL: [Defect; 20] = [
        Defect::OldVersionAccepted,
        Defect::NoOpRaisesVersion,
        Defect::DeletionIgnoresUid,
        Defect::DeletionIgnoresVersion,
        Defect::DryRunStored,
        Defect::ConflictsIgnored,
        Defect::GivenUpFieldsStay,
        Defect::FinalizersIgnored,
        Defect::FinalizersAddedLate,
        Defect::GenerationStays,
        Defect::StatusRaisesGeneration,
        Defect::StatusWrittenByMainPath,
        Defect::WatchMissesDeletions,
        Defect::WatchKeepsLeavers,
        Defect::ExpiryIgnored,
        Defect::NothingPruned,
        Defect::NothingDefaulted,
        Defect::TransitionRulesSkipped,
        Defect::DependentsStay,
        Defect::GraceIgnored,
    ];

    /// How it is called where one is chosen.
    pub fn name(self) -> &'static str {
        match self {
            Defect::OldVersionAccepted => "old-version-accepted",
            Defect::NoOpRaisesVersion => "no-op-raises-version",
            Defect::DeletionIgnoresUid => "deletion-ignores-uid",
            Defect::DeletionIgnoresVersion => "deletion-ignores-version",
            Defect::DryRunStored => "dry-run-stored",
            Defect::ConflictsIgnored => "conflicts-ignored",
            Defect::GivenUpFieldsStay => "given-up-fields-stay",
            Defect::FinalizersIgnored => "finalizers-ignored",
            Defect::FinalizersAddedLate => "finalizers-added-late",
            Defect::GenerationStays => "generation-stays",
            Defect::StatusRaisesGeneration => "status-raises-generation",
            Defect::StatusWrittenByMainPath => "status-written-by-main-path",
            Defect::WatchMissesDeletions => "watch-misses-deletions",
            Defect::WatchKeepsLeavers => "watch-keeps-leavers",
            Defect::ExpiryIgnored => "expiry-ignored",
            Defect::NothingPruned => "nothing-pruned",
            Defect::NothingDefaulted => "nothing-defaulted",
            Defect::TransitionRulesSkipped => "transition-rules-skipped",
            Defect::DependentsStay => "dependents-stay",
            Defect::GraceIgnored => "grace-ignored",
        }
    }

    /// Whether this process has it. Never, without the feature.
    pub(crate) fn is_planted(self) -> bool {
        cfg!(feature = "defects") && PLANTED.load(Ordering::Relaxed) == self as usize + 1
    }
}

/// Zero for none, else the defect's place in [`Defect::ALL`], counted from one.
static PLANTED: AtomicUsize = AtomicUsize::new(0);

/// The name is none of [`Defect::ALL`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("no defect is called {0:?}; known are {known}", known = Defect::ALL.map(Defect::name).join(", "))]
pub struct UnknownDefect(String);

impl FromStr for Defect {
    type Err = UnknownDefect;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Defect::ALL.into_iter().find(|defect| defect.name() == text);
        found.ok_or_else(|| UnknownDefect(text.to_owned()))
    }
}

/// Chooses the defect of all API servers in this process, or none.
#[cfg(feature = "defects")]
pub fn plant(defect: Option<Defect>) {
    PLANTED.store(defect.map_or(0, |defect| defect as usize + 1), Ordering::Relaxed);
}
