//! The object that keeps a member's record: its claim, or, where its data is in the memory of its pod, its StatefulSet. Never reads what
//! is recorded.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{EmptyDirVolumeSource, PersistentVolumeClaim, PodSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{Member, VolumeRequest};
use crate::names::{ANNOTATION_RECORDED_TARGET, ANNOTATION_TARGET, DATA_VOLUME};

/// The object on which a member's record is.
#[derive(Clone, Copy, Debug)]
pub enum Keeper<'a> {
    /// Of a member on a disk.
    Claim(&'a PersistentVolumeClaim),
    /// Of a member whose data is in its pod's memory.
    StatefulSet(&'a StatefulSet),
}

impl<'a> Keeper<'a> {
    /// Its metadata.
    pub fn metadata(self) -> &'a ObjectMeta {
        match self {
            Keeper::Claim(claim) => &claim.metadata,
            Keeper::StatefulSet(live) => &live.metadata,
        }
    }

    /// The annotation that holds what the member should run. A StatefulSet bears the digest of its template's target under the
    /// name that a claim has for it.
    pub fn target_key(self) -> &'static str {
        match self {
            Keeper::Claim(_) => ANNOTATION_TARGET,
            Keeper::StatefulSet(_) => ANNOTATION_RECORDED_TARGET,
        }
    }

    /// Whether it is there to stay.
    fn is_live(self) -> bool {
        self.metadata().deletion_timestamp.is_none()
    }
}

/// The memory that holds the data of pods of this spec, if it is in memory.
pub(super) fn memory_of(pod: &PodSpec) -> Option<&EmptyDirVolumeSource> {
    let mut volumes = pod.volumes.iter().flatten();
    volumes.find(|volume| volume.name == DATA_VOLUME)?.empty_dir.as_ref()
}

/// The memory that the pods of a StatefulSet hold their data in.
pub(super) fn memory_of_template(live: &StatefulSet) -> Option<&EmptyDirVolumeSource> {
    memory_of(live.spec.as_ref()?.template.spec.as_ref()?)
}

impl<'a> Member<'a> {
    /// The object that keeps its record.
    pub fn keeper(&self) -> Option<Keeper<'a>> {
        match (self.claim, self.stateful_set) {
            (Some(claim), _) => Some(Keeper::Claim(claim)),
            (None, Some(live)) if self.is_in_memory() => Some(Keeper::StatefulSet(live)),
            (None, _) => None,
        }
    }

    /// The object that keeps its record, if it is there to stay.
    pub fn live_keeper(&self) -> Option<Keeper<'a>> {
        self.keeper().filter(|keeper| keeper.is_live())
    }

    /// When that object was made.
    pub fn recorded_since(&self) -> Option<Timestamp> {
        self.keeper()?.metadata().creation_timestamp.as_ref().map(|created| created.0)
    }

    /// Whether its data is in its pod's memory. Of a StatefulSet its record says so, or else its template.
    pub fn is_in_memory(&self) -> bool {
        let is_so = match (self.stateful_set, self.pod) {
            (Some(live), _) => VolumeRequest::of_stateful_set(live).is_some(),
            (None, Some(pod)) => pod.spec.as_ref().and_then(memory_of).is_some(),
            (None, None) => false,
        };
        self.claim.is_none() && is_so
    }

    /// How much memory its data may take, if it is in memory.
    pub fn memory_size(&self) -> Option<&str> {
        let volume = self.facts.as_ref()?.volume.as_ref()?;
        self.is_in_memory().then_some(volume.size.as_str())
    }

    /// Whether what its data is on is there to stay: its claim, or the StatefulSet of a member in memory. A StatefulSet whose record
    /// is gone counts only for a member that has started, which needs no permit: nobody knows whether another one had its own.
    pub fn has_storage(&self) -> bool {
        match self.live_keeper() {
            Some(Keeper::Claim(_)) => true,
            Some(Keeper::StatefulSet(_)) => {
                let is_recorded = self.facts.as_ref().is_some_and(|facts| facts.origin.is_some());
                self.has_started() || is_recorded
            }
            None => false,
        }
    }

    /// Whether another pod would be a lost member: its data is in its pod's memory, and there may be some.
    pub fn is_lost_with_its_pod(&self) -> bool {
        let is_unused = self.facts.as_ref().is_some_and(super::ClaimFacts::is_unused);
        self.is_in_memory() && (self.has_started() || !is_unused)
    }

    /// Whether the pod is gone whose memory its data was in: its permit was for another one than there is.
    pub fn is_memory_gone(&self) -> bool {
        let issued_to = self.facts.as_ref().and_then(|facts| facts.issued.pod_uid());
        self.is_in_memory() && issued_to.is_some_and(|uid| Some(uid) != self.pod_uid())
    }
}
