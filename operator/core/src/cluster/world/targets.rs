//! What each member should run now, by its own record; and what a member that is added gets. Never compares with the spec: that
//! is the rollout's to do.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Member, VolumeRequest, World, most_frequent};
use crate::cluster::desired::EtcdVersion;
use crate::cluster::target::Target;

impl World<'_> {
    /// Finds every member's target: as its claim records it; where an earlier operator recorded none, as its template shows it.
    pub(super) fn resolve_targets(&mut self) {
        let targets: BTreeMap<_, _> = self
            .members
            .iter()
            .filter_map(|(name, member)| self.recorded_target(member).map(|target| (name.clone(), target)))
            .collect();
        for (name, target) in targets {
            if let Some(member) = self.members.get_mut(&name) {
                member.target = Some(target);
            }
        }
    }

    fn recorded_target(&self, member: &Member<'_>) -> Option<Target> {
        let facts = member.facts.as_ref();
        let recorded = facts.and_then(|facts| facts.target.clone());
        let target = recorded.or_else(|| {
            let shown = Target::of_template(member.stateful_set?)?;
            let version = facts.and_then(|facts| facts.version).unwrap_or(shown.version);
            Some(Target { version, ..shown })
        })?;
        Some(Target { version: self.plausible_version(member, target.version), ..target })
    }

    /// A version on record that nothing else speaks for was written by somebody else: a member that was restarted with it might
    /// never start again. The spec, most members' records, and every member's answer each speak for one: who joins in the middle of an
    /// upgrade gets what others still run, though they may be on record with the next version already.
    fn plausible_version(&self, member: &Member<'_>, recorded: EtcdVersion) -> EtcdVersion {
        let answer = |member: &Member<'_>| EtcdVersion::parse(&member.etcd()?.version);
        let answered = answer(member);
        let wanted = EtcdVersion::parse(&self.observed.cluster.spec.version);
        let is_run = self.listed().filter_map(answer).any(|runs| runs == recorded);
        let is_plausible = is_run || [answered, wanted, self.version].contains(&Some(recorded));
        if is_plausible { recorded } else { answered.or(self.version).unwrap_or(recorded) }
    }

    /// The target of a member that is added: the one that most members have; of several the one that has run for longest. A
    /// change of the spec is never tried first on a repair, since what the spec asks for may be what cannot run.
    ///
    /// While members run different minors it is one of the lowest: etcd lets nobody join who is below the cluster, which counts as of
    /// its lowest minor, and a repair must not be what raises it.
    pub fn common_target(&self) -> Option<Target> {
        common_target(self.listed())
    }

    /// The target that most voters have.
    pub fn common_target_of_voters(&self) -> Option<Target> {
        common_target(self.voters())
    }

    /// The volume of a member that is added as a repair: as most members have it.
    pub fn common_volume(&self) -> Option<VolumeRequest> {
        most_frequent(self.listed().filter_map(|member| self.own_volume(member)))
    }

    /// The volume that most voters have.
    pub fn common_volume_of_voters(&self) -> Option<VolumeRequest> {
        most_frequent(self.voters().filter_map(|member| self.own_volume(member)))
    }

    fn own_volume(&self, member: &Member<'_>) -> Option<VolumeRequest> {
        let facts = member.facts.as_ref().filter(|facts| facts.is_of(&self.cluster))?;
        facts.volume.clone()
    }

    /// The largest database that any member has answered with, in bytes.
    pub fn largest_database_bytes(&self) -> u64 {
        let sizes = self.members.values().filter_map(Member::etcd).map(|etcd| etcd.database_size);
        sizes.filter_map(|size| u64::try_from(size).ok()).max().unwrap_or(0)
    }
}

fn common_target<'m, 'a: 'm>(members: impl Iterator<Item = &'m Member<'a>> + Clone) -> Option<Target> {
    let lowest = members.clone().filter_map(|member| Some(member.target.as_ref()?.version.line())).min();
    let mut targets: BTreeMap<String, (usize, Option<Timestamp>, Target)> = BTreeMap::new();
    for member in members {
        let Some(target) = member.target.as_ref().filter(|target| Some(target.version.line()) == lowest)
        else {
            continue;
        };
        let entry = targets.entry(target.digest()).or_insert_with(|| (0, None, target.clone()));
        entry.0 += 1;
        entry.1 = entry.1.into_iter().chain(member.container_started_at()).min();
    }
    let ranked = targets.into_values().max_by_key(|(count, since, _)| {
        // Who does not run has proved nothing.
        (*count, since.is_some(), Reverse(*since))
    });
    ranked.map(|(_, _, target)| target)
}
