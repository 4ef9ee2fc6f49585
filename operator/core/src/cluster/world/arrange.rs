//! Collects the traces of each member, and leaves out what is another object's. Never judges what they say.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt;

use super::{ClaimFacts, Keeper, Member, Ownership, is_fresh};
use crate::cluster::observed::{AlarmKind, Answer, KnownMembers, ListedMember, Observed};
use crate::cluster::target::told_of_tls;
use crate::names::{ClusterIdentity, MemberName};

/// What was found.
#[derive(Default)]
pub(super) struct Arranged<'a> {
    pub(super) members: BTreeMap<MemberName, Member<'a>>,
    pub(super) strangers: Vec<&'a ListedMember>,
    pub(super) claims_of_others: Vec<&'a PersistentVolumeClaim>,
    pub(super) taken: BTreeSet<MemberName>,
}

/// Collects the traces of each member.
pub(super) fn arrange<'a>(
    observed: &'a Observed,
    cluster: &ClusterIdentity,
    list: Option<&'a KnownMembers>,
) -> Arranged<'a> {
    let mut arranged = Arranged::default();
    arranged.add_listed(cluster, list);
    arranged.add_objects(observed, cluster);
    for (name, member) in &mut arranged.members {
        member.facts = member.keeper().map(ClaimFacts::read);
        member.silent_for = observed.silence.get(name).copied();
        member.told = member.live_pod().and_then(|pod| told_of_tls(pod.spec.as_ref()?));
    }
    arranged.taken.extend(arranged.members.keys().cloned());
    arranged
}

impl<'a> Arranged<'a> {
    fn entry(&mut self, name: MemberName) -> &mut Member<'a> {
        self.members.entry(name.clone()).or_insert_with(|| Member::new(name))
    }

    fn add_listed(&mut self, cluster: &ClusterIdentity, list: Option<&'a KnownMembers>) {
        let Some(list) = list else { return };
        for listed in &list.members {
            match listed.peer_urls.iter().find_map(|url| cluster.member_of_peer_url(url)) {
                Some((name, _)) => {
                    let member = self.entry(name);
                    member.listed = Some(listed);
                    member.is_corrupt = list
                        .alarms
                        .iter()
                        .any(|alarm| alarm.member_id == listed.id && alarm.kind == AlarmKind::Corrupt);
                }
                None => self.strangers.push(listed),
            }
        }
    }

    fn add_objects(&mut self, observed: &'a Observed, cluster: &ClusterIdentity) {
        let ownership = Ownership::read(cluster, &observed.stateful_sets, &observed.claims);
        for object in &observed.stateful_sets {
            let Some(name) = MemberName::parse(cluster, &object.name_any()) else { continue };
            self.taken.insert(name.clone());
            if ownership.has_stateful_set(object) {
                self.entry(name).stateful_set = Some(object);
            }
        }
        for object in &observed.claims {
            let Some(name) = MemberName::of_claim(cluster, &object.name_any()) else { continue };
            self.taken.insert(name.clone());
            // A listed member's claim is never taken for another's, whatever somebody wrote on it: it would look lost.
            let known = self.members.get(&name);
            let is_listed = known.is_some_and(|member| member.listed.is_some());
            // Who has data in memory needs none: a claim that is recorded for nobody of ours would turn it into a member on a disk.
            let is_needless = known.is_some_and(Member::is_in_memory)
                && !ClaimFacts::read(Keeper::Claim(object)).is_of(cluster);
            if !is_needless && (is_listed || ownership.has_claim(cluster, object)) {
                self.entry(name).claim = Some(object);
            } else {
                self.claims_of_others.push(object);
            }
        }
        for object in &observed.pods {
            let Some(name) = MemberName::of_pod(cluster, &object.name_any()) else { continue };
            self.taken.insert(name.clone());
            if ownership.has_pod(cluster, object) {
                let member = self.entry(name);
                member.answer = fresh_answer(observed, object.metadata.uid.as_deref());
                member.pod = Some(object);
            }
        }
    }
}

/// The pod's answer, unless it is too old, or a gate's answer for another pod.
fn fresh_answer<'a>(observed: &'a Observed, pod_uid: Option<&str>) -> Option<&'a Answer> {
    let probe = observed.probes.get(pod_uid?)?;
    let is_for_pod = match &probe.answer {
        Answer::Gate(report) => Some(report.pod_uid.as_str()) == pod_uid,
        Answer::Etcd(_) | Answer::Refused(_) | Answer::Silent(_) => true,
    };
    (is_for_pod && is_fresh(observed.as_of, probe.at)).then_some(&probe.answer)
}
