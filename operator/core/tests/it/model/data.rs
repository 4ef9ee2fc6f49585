//! Members' data in the model: what it is, who says so, and what must not be done while it is not the same.

use std::collections::{BTreeMap, BTreeSet};

use etcd_operator_core::cluster::observed::{Alarm, AlarmKind, DataHash, Observed};
use etcd_operator_core::cluster::world::{Agreement, World};
use etcd_operator_core::names::{MemberId, MemberName, Scheme};
use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, ContainerStateWaiting};

use super::{Etcd, Model};

/// The data of members that nothing befell.
pub(crate) const RIGHT: u32 = 0;
/// The member of an alarm that etcd can raise for nobody.
const NOBODY: MemberId = MemberId(0);
/// What etcd leaves when a page of its database is not what it must be.
const LAST_WORDS: &str = "panic: assertion failed: Page expected to be: 4, but self identifies as 0\n\ngoroutine 1 [running]:\n\
                          go.etcd.io/bbolt.(*Tx).page(0x1, 0x2)";

impl Etcd {
    fn voters(&self) -> BTreeSet<MemberId> {
        let voters = self.members.iter().filter(|member| !member.listed.is_learner);
        voters.map(|member| member.listed.id).collect()
    }

    /// Whoever has nothing yet gets what the leader has, right or wrong.
    pub(super) fn give_data_of_the_leader(&mut self) {
        let leader = self.members.iter().find(|member| Some(member.listed.id) == self.leader);
        let Some(data) = leader.map(|leader| leader.data) else { return };
        for member in self.members.iter_mut().filter(|member| member.applied == 0) {
            member.data = data;
        }
    }
}

impl Model {
    /// What voters that run say of their data.
    fn hashes(&self) -> BTreeMap<MemberId, DataHash> {
        let Some(etcd) =
            self.etcd.as_ref().filter(|_| !self.operator_is_cut_off && !self.asks_for_credentials)
        else {
            return BTreeMap::new();
        };
        let voters =
            etcd.members.iter().filter(|member| !member.listed.is_learner && self.runs(&member.listed));
        let hash = |data| DataHash { revision: 1, compact_revision: 0, hash: data };
        voters.map(|member| (member.listed.id, hash(member.data))).collect()
    }

    fn agreement(&self) -> Agreement {
        self.etcd.as_ref().map_or(Agreement::Unknown, |etcd| Agreement::of(&etcd.voters(), &self.hashes()))
    }

    /// What is compared at rest is the same, or whoever compares tells.
    pub(super) fn compare_at_rest(&mut self) {
        match self.agreement() {
            Agreement::Majority { differing, agreeing: _ } if differing.is_empty() => {}
            Agreement::Majority { .. } | Agreement::Split => self.memory.note_suspicion(),
            Agreement::Unknown => {}
        }
    }

    /// Adds what the voters' data is, where it may differ.
    pub(super) fn with_hashes(&self, mut observed: Observed) -> Observed {
        let identity = etcd_operator_core::cluster::desired::identity(&self.cluster).expect("an identity");
        if self.memory.suspects_data() || World::read(&observed, identity).may_data_differ() {
            observed.hashes = self.hashes();
        }
        observed
    }

    pub(super) fn note_same_data(&mut self, observed: &Observed) {
        let identity = etcd_operator_core::cluster::desired::identity(&self.cluster).expect("an identity");
        if World::read(observed, identity).has_same_data() {
            self.memory.note_same_data();
        }
    }

    /// A member's data becomes another one.
    pub(crate) fn change_data(&mut self, member: &MemberName) {
        let data = u32::try_from(self.next()).expect("a small number");
        let url = self.identity().peer_url(Scheme::Http, member);
        let etcd = self.etcd.as_mut().expect("etcd");
        let found = etcd.members.iter_mut().find(|one| one.listed.peer_urls[0] == url);
        found.expect("a member").data = data;
    }

    /// A person removes a member with etcdctl.
    pub(crate) fn remove_by_hand(&mut self, member: &MemberName) {
        let url = self.identity().peer_url(Scheme::Http, member);
        let etcd = self.etcd.as_mut().expect("etcd");
        etcd.members.retain(|one| one.listed.peer_urls[0] != url);
    }

    /// etcd has compared the data itself, and says for whom it differs if a majority has the same.
    pub(crate) fn compare_as_etcd_does(&mut self) {
        let alarmed = match self.agreement() {
            Agreement::Majority { differing, agreeing: _ } => differing,
            Agreement::Split => BTreeSet::from([NOBODY]),
            Agreement::Unknown => BTreeSet::new(),
        };
        let etcd = self.etcd.as_mut().expect("etcd");
        etcd.alarms
            .extend(alarmed.into_iter().map(|member_id| Alarm { member_id, kind: AlarmKind::Corrupt }));
    }

    /// A member's data cannot be read any more, and etcd ends.
    pub(crate) fn break_data(&mut self, member: &MemberName) {
        let disk = self.disk_of(&member.pod()).expect("a volume");
        self.disks.get_mut(&disk).expect("a disk").is_broken = true;
        let pod = self.pods[&member.pod()].metadata.uid.clone().expect("a UID");
        self.processes.get_mut(&pod).expect("a process").runs_etcd = false;
    }

    /// etcd has ended twice on what is on the disk.
    pub(super) fn end_on_broken_data(&mut self, pod: &str) {
        let live = self.pods.get_mut(pod).expect("a pod");
        let statuses = live.status.as_mut().and_then(|status| status.container_statuses.as_mut());
        let ended = ContainerStateTerminated {
            exit_code: 2,
            message: Some(LAST_WORDS.to_owned()),
            ..ContainerStateTerminated::default()
        };
        let waits = ContainerStateWaiting { reason: Some("CrashLoopBackOff".to_owned()), message: None };
        for status in statuses.into_iter().flatten() {
            status.restart_count = 1;
            status.state = Some(ContainerState { waiting: Some(waits.clone()), ..ContainerState::default() });
            status.last_state =
                Some(ContainerState { terminated: Some(ended.clone()), ..ContainerState::default() });
        }
    }

    /// While members' data is not the same, nobody goes who runs and whose data may be the right one.
    pub(super) fn refuse_to_remove_right_data(&self, id: MemberId) {
        let etcd = self.etcd.as_ref().expect("a member is removed from something");
        let is_voter = etcd.voters().contains(&id);
        match self.agreement() {
            Agreement::Unknown => {}
            Agreement::Majority { differing, agreeing } => assert!(
                differing.is_empty() || !agreeing.contains(&id) || !self.is_strict,
                "{id} would go, whose data is right"
            ),
            Agreement::Split => {
                assert!(
                    !is_voter || !self.is_strict,
                    "{id} would go, and nobody can tell whose data is right"
                );
            }
        }
    }

    /// etcd refuses writes as long as its data may be wrong, and nobody ends that before it is right.
    pub(super) fn refuse_to_disarm_what_is_true(&self, kind: AlarmKind) {
        let etcd = self.etcd.as_ref().expect("an alarm is of something");
        let is_same = etcd.members.iter().all(|member| member.data == etcd.members[0].data);
        let is_true = kind == AlarmKind::Corrupt && !is_same;
        assert!(!is_true || !self.is_strict, "CORRUPT would be disarmed while the members' data differs");
    }
}
