//! What must hold when a member's version changes: the others run, those before it have proved themselves, and the leader goes last.
//! Only looks; it panics where the operator breaks one of these rules.

use std::collections::BTreeMap;

use etcd_operator_core::cluster::desired::{EtcdVersion, Line};
use etcd_operator_core::cluster::observed::ListedMember;
use etcd_operator_core::cluster::plan::{Evict, Kind, Patch, PatchOperation, PatchPurpose};
use etcd_operator_core::cluster::target::Target;
use etcd_operator_core::names::{ANNOTATION_PREVIOUS_TARGET, ANNOTATION_TARGET, MemberName};
use jiff::SignedDuration;

use super::Model;
use super::memory::is_in_memory;

/// Whoever ran so long with something has proved itself, however long the spec asks to wait.
const PROVEN_AFTER: SignedDuration = SignedDuration::from_mins(10);

/// For how long each member has run at a stretch what it should run, at most: by its name and the target's digest.
pub(crate) type LongestRuns = BTreeMap<(String, String), SignedDuration>;

impl Model {
    /// The version of one member changes while it runs: all others run, and those that were changed to the same before it have done
    /// so for as long as the spec asks for. Going back waits for nobody, and without a quorum or with an alarm nobody can be well.
    pub(super) fn refuse_to_change_too_early(&self, patch: &Patch) {
        let is_change = matches!(patch.purpose, PatchPurpose::SetTarget { .. });
        let can_wait = self.has_quorum() && self.etcd.as_ref().is_some_and(|etcd| etcd.alarms.is_empty());
        if !is_change || !can_wait || !self.is_strict || patch.target.kind != Kind::PersistentVolumeClaim {
            return;
        }
        let claim = &patch.target.name;
        let (Some(wanted), Some(present)) = (target_in(patch), self.recorded(claim)) else { return };
        let previous = self.annotation(claim, ANNOTATION_PREVIOUS_TARGET);
        let goes_back = previous.is_some_and(|previous| *previous == wanted.digest());
        let listed = || self.etcd.iter().flat_map(|etcd| &etcd.members).map(|member| &member.listed);
        let is_own = |one: &ListedMember| self.name_of(one).is_some_and(|name| name.claim() == *claim);
        let runs = listed().any(|one| is_own(one) && self.runs(one));
        if wanted.version == present.version || goes_back || !runs {
            return;
        }
        for other in listed().filter(|one| !is_own(one)) {
            assert!(
                self.runs(other),
                "{claim} would change to {} while {} is not well",
                wanted.version,
                other.name
            );
            self.refuse_to_overtake(claim, &wanted, other);
        }
    }

    /// Who was changed to the same runs it, and has for long enough.
    fn refuse_to_overtake(&self, claim: &str, wanted: &Target, other: &ListedMember) {
        let Some(name) = self.name_of(other) else { return };
        let Some(target) = self.recorded(&name.claim()) else { return };
        // Whoever was changed to something else since is behind again itself.
        if !wanted.is_same_as(&target) {
            return;
        }
        let pod = self.pods.get(&name.pod()).and_then(|pod| pod.metadata.uid.as_ref());
        let version = pod.and_then(|uid| self.processes.get(uid)).and_then(|process| process.version);
        assert_eq!(version, Some(target.version), "{claim} would change before {name} has");
        let needed = SignedDuration::from_secs(self.cluster.spec.rollout.soak_seconds);
        let ran = self.longest_runs.get(&(name.to_string(), target.digest())).copied().unwrap_or_default();
        assert!(
            ran >= needed.min(PROVEN_AFTER),
            "{claim} would change when {name} has run {} for {ran} only",
            target.version
        );
    }

    /// A leader is told to end only once another one leads.
    pub(super) fn refuse_to_restart_the_leader(&self, evict: &Evict) {
        let Some(etcd) = &self.etcd else { return };
        let voters = etcd.members.iter().map(|member| &member.listed).filter(|one| !one.is_learner);
        let (own, others): (Vec<_>, Vec<_>) =
            voters.partition(|one| self.name_of(one).is_some_and(|name| name.pod() == evict.target.name));
        let leads = own.iter().any(|one| etcd.leader == Some(one.id));
        let could_move = others.iter().any(|one| self.runs(one));
        assert!(
            !(leads && could_move && self.is_strict),
            "{} would restart while it leads",
            evict.target.name
        );
    }

    /// Whoever joins runs no later minor than any that is there: the cluster could not go back, and what it gets of the log is older. Where
    /// members are in memory, they come to another version in no other way.
    pub(super) fn refuse_to_join_ahead(&self, member: &MemberName, line: Line) {
        let listed = self.etcd.iter().flat_map(|etcd| &etcd.members).map(|one| &one.listed);
        let others = listed.filter(|one| self.name_of(one).as_ref() != Some(member));
        let lowest = others.filter_map(|one| self.line_of(one)).min();
        let is_behind = lowest.is_none_or(|lowest| line <= lowest);
        let is_in_memory = self.pods.values().any(is_in_memory);
        assert!(
            is_behind || is_in_memory || !self.is_strict,
            "{member} would join with {line} while others run {lowest:?}"
        );
    }

    /// Notes for how long members have run what they should run.
    pub(super) fn note_runs(&mut self) {
        for (name, pod) in &self.pods {
            let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
            let state = statuses.and_then(|statuses| statuses.first()?.state.as_ref()?.running.as_ref());
            let since = state.and_then(|running| running.started_at.as_ref());
            let member = name.trim_end_matches("-0").to_owned();
            let target = self.recorded(&format!("data-{member}"));
            if let (Some(since), Some(target), true) = (since, target, self.runs_etcd(name)) {
                let longest = self.longest_runs.entry((member, target.digest())).or_default();
                *longest = (*longest).max(self.now.duration_since(since.0));
            }
        }
    }

    fn name_of(&self, listed: &ListedMember) -> Option<MemberName> {
        self.member_of(&listed.peer_urls[0])
    }

    fn annotation(&self, claim: &str, key: &str) -> Option<&String> {
        self.claims.get(claim)?.metadata.annotations.as_ref()?.get(key)
    }

    /// Whether a member's record says that it is to run this version.
    pub(crate) fn is_any_told(&self, version: &str) -> bool {
        let version = EtcdVersion::parse(version).expect("a version");
        let claims = self.claims.keys();
        claims.filter_map(|claim| self.recorded(claim)).any(|target| target.version == version)
    }

    fn recorded(&self, claim: &str) -> Option<Target> {
        serde_json::from_str(self.annotation(claim, ANNOTATION_TARGET)?).ok()
    }
}

fn target_in(patch: &Patch) -> Option<Target> {
    let suffix = ANNOTATION_TARGET.replace('/', "~1");
    patch.operations.iter().find_map(|operation| match operation {
        PatchOperation::Add { path, value } if path.ends_with(&suffix) => {
            serde_json::from_str(value.as_str()?).ok()
        }
        PatchOperation::Add { .. } | PatchOperation::Test { .. } | PatchOperation::Remove { .. } => None,
    })
}
