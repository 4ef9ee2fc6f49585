//! etcd in the model: a member list, who runs, and how far each has come. It refuses what real etcd could not refuse and
//! must never be asked: an empty disk under an identity that has started before.

use std::collections::{BTreeMap, BTreeSet};

use etcd_operator_core::cluster::desired::{EtcdVersion, Line};
use etcd_operator_core::cluster::observed::{
    Alarm, Answer, EtcdAnswer, KnownMembers, LinearizableRead, ListedMember, MemberList, Probe,
};
use etcd_operator_core::cluster::plan::DowngradeRequest;
use etcd_operator_core::cluster::world::Ownership;
use etcd_operator_core::gate::{FORMAT, GateHoldReason, GateReport, GateState, InitialMember};
use etcd_operator_core::names::{ClusterId, MemberId, MemberName, Scheme};
use etcd_operator_core::quorum::quorum;

use super::Model;

/// After so many rounds the cluster has a version; nobody can join it before.
const ROUNDS_TO_A_VERSION: u32 = 6;

/// What a cluster counts as until its members have agreed on more.
const FIRST_LINE: Line = Line { major: 3, minor: 0 };

/// A cluster that has been named by at least one first start.
#[derive(Clone, Debug)]
pub(crate) struct Etcd {
    pub(crate) cluster_id: ClusterId,
    pub(crate) members: Vec<EtcdMember>,
    pub(crate) leader: Option<MemberId>,
    pub(crate) has_formed: bool,
    /// For how many rounds it has had a quorum: the leader decides the cluster's version only after some.
    rounds: u32,
    pub(crate) index: u64,
    pub(crate) alarms: Vec<Alarm>,
    /// The minor that the cluster counts as.
    pub(crate) line: Line,
    /// For how many rounds all members have run more than that.
    rounds_above: u32,
    /// The oldest minor that any member ever ran.
    oldest: Option<Line>,
    /// The minor that it is being brought down to.
    pub(crate) downgrade: Option<Line>,
    /// Members that started on an empty disk, ever.
    started: BTreeSet<MemberName>,
}

/// One member.
#[derive(Clone, Debug)]
pub(crate) struct EtcdMember {
    pub(crate) listed: ListedMember,
    pub(crate) applied: u64,
    /// The oldest minor of which it has entries that no snapshot covers.
    pub(crate) oldest_entry: Option<Line>,
    /// What its data is.
    pub(crate) data: u32,
}

impl super::Process {
    /// etcd says something of minors from 3.6 on.
    fn tells_of_lines(&self) -> bool {
        self.version.is_some_and(|version| version.line() >= Line { major: 3, minor: 6 })
    }
}

impl Etcd {
    fn ids(&self) -> Vec<MemberId> {
        let mut ids: Vec<MemberId> = self.members.iter().map(|member| member.listed.id).collect();
        ids.sort();
        ids
    }

    /// Whoever runs writes entries as its minor does, into all logs. Whoever has none yet may get all that was ever written: the leader
    /// keeps entries from before its own snapshots.
    fn append(&mut self, lines: &[Option<Line>]) {
        let Some(written) = lines.iter().copied().flatten().min() else { return };
        let oldest = self.oldest.map_or(written, |oldest| oldest.min(written));
        self.oldest = Some(oldest);
        for (member, line) in self.members.iter_mut().zip(lines) {
            if line.is_some() {
                member.oldest_entry = Some(member.oldest_entry.unwrap_or(oldest).min(written));
            }
        }
    }

    /// The cluster rises to what all its members run; while it is brought down it counts as that minor at once, and the end of that is
    /// noticed when all run it.
    fn agree_on_a_line(&mut self, lines: &[Option<Line>]) {
        let all: Option<Vec<Line>> = lines.iter().copied().collect();
        let lowest = all.and_then(|all| all.into_iter().min());
        match (self.downgrade, lowest) {
            (Some(line), _) if self.line > line => {
                self.line = line;
                // Who learns of it writes a snapshot.
                for (member, line) in self.members.iter_mut().zip(lines) {
                    member.oldest_entry = line.or(member.oldest_entry);
                }
            }
            (Some(line), Some(_)) if lines.iter().all(|one| *one == Some(line)) => self.downgrade = None,
            (None, Some(lowest)) if lowest > self.line => {
                self.rounds_above += 1;
                if self.rounds_above > ROUNDS_TO_A_VERSION {
                    (self.line, self.rounds_above) = (lowest, 0);
                }
            }
            (Some(_) | None, _) => {}
        }
    }
}

impl Model {
    /// A member starts on an empty disk for the first time. Says whether it could: one that joins ends where nobody tells it the
    /// cluster's version.
    pub(super) fn first_start(
        &mut self,
        member: &MemberName,
        is_new: bool,
        initial: &[InitialMember],
    ) -> bool {
        if is_new && self.etcd.as_ref().is_none_or(|etcd| !etcd.has_formed) {
            self.name_cluster(initial);
        }
        let etcd = self.etcd.as_mut().expect("a member joins what is there");
        // Nobody joins a cluster that is being brought down, whatever it runs.
        if !is_new && (etcd.rounds < ROUNDS_TO_A_VERSION || etcd.downgrade.is_some()) {
            return false;
        }
        let is_second = !etcd.started.insert(member.clone());
        assert!(!(is_second && self.is_strict), "{member} started twice on an empty disk");
        let name = member.to_string();
        if let Some(listed) = etcd.members.iter_mut().find(|one| one.listed.peer_urls[0].contains(&name)) {
            listed.applied = 0;
        }
        true
    }

    /// The first members know each other from the list before any of them runs.
    pub(super) fn name_cluster(&mut self, initial: &[InitialMember]) {
        let names: BTreeSet<String> = initial.iter().map(|one| one.peer_url.clone()).collect();
        let is_same = self.etcd.as_ref().is_some_and(|etcd| {
            etcd.members.iter().map(|member| member.listed.peer_urls[0].clone()).collect::<BTreeSet<_>>()
                == names
        });
        if is_same {
            return;
        }
        let members = initial.iter().map(|one| EtcdMember {
            listed: ListedMember {
                id: MemberId(0xa000 + self.next()),
                name: one.name.to_string(),
                peer_urls: vec![one.peer_url.clone()],
                client_urls: Vec::new(),
                is_learner: false,
            },
            applied: 0,
            oldest_entry: None,
            data: super::data::RIGHT,
        });
        let members = members.collect();
        self.etcd = Some(Etcd {
            cluster_id: ClusterId(0xc1),
            members,
            leader: None,
            has_formed: false,
            rounds: 0,
            index: 100,
            alarms: Vec::new(),
            line: FIRST_LINE,
            rounds_above: 0,
            oldest: None,
            downgrade: None,
            started: BTreeSet::new(),
        });
    }

    pub(crate) fn runs(&self, listed: &ListedMember) -> bool {
        let member = self.member_of(&listed.peer_urls[0]);
        member
            .is_some_and(|member| self.runs_etcd(&member.pod()) && !self.unreachable.contains(&member.pod()))
    }

    /// Whether a majority of the voters runs and can be reached.
    pub(crate) fn has_quorum(&self) -> bool {
        let Some(etcd) = &self.etcd else { return false };
        let voters = etcd.members.iter().filter(|member| !member.listed.is_learner).count();
        let running = self.running_voters();
        // Whoever leads must be understood by so many.
        let followers = |leader: &MemberName| {
            running.iter().filter(|other| self.understand_each_other(leader, other)).count()
        };
        voters > 0 && running.iter().map(followers).max().unwrap_or(0) >= quorum(voters)
    }

    /// Elections, replication and the publishing of names.
    pub(super) fn run_etcd(&mut self) {
        let has_quorum = self.has_quorum();
        let identity = self.identity();
        let running: BTreeSet<MemberId> = match &self.etcd {
            Some(etcd) => {
                etcd.members.iter().filter(|one| self.runs(&one.listed)).map(|one| one.listed.id).collect()
            }
            None => return,
        };
        let lines = self.lines();
        let Some(etcd) = &mut self.etcd else { return };
        if !has_quorum {
            etcd.leader = None;
            return;
        }
        etcd.agree_on_a_line(&lines);
        etcd.append(&lines);
        etcd.rounds += 1;
        etcd.has_formed = true;
        etcd.index += 10;
        let voters = etcd.members.iter().filter(|one| !one.listed.is_learner).map(|one| one.listed.id);
        let first = voters.filter(|id| running.contains(id)).min();
        etcd.leader = etcd.leader.filter(|leader| running.contains(leader)).or(first);
        etcd.give_data_of_the_leader();
        for member in etcd.members.iter_mut().filter(|one| running.contains(&one.listed.id)) {
            let gap = etcd.index.saturating_sub(member.applied);
            member.applied = (member.applied + (gap / 2).max(90)).min(etcd.index);
            let (name, _) = identity.member_of_peer_url(&member.listed.peer_urls[0]).expect("only ours run");
            member.listed.name = name.to_string();
            member.listed.client_urls = vec![identity.client_url(Scheme::Http, &name)];
        }
    }

    pub(super) fn member_list(&self) -> MemberList {
        match &self.etcd {
            Some(_) if self.operator_is_cut_off => MemberList::Unknown("nobody answered".to_owned()),
            Some(_) if self.asks_for_credentials => {
                MemberList::Unknown("etcdserver: user name is empty".to_owned())
            }
            Some(etcd) if self.has_quorum() && etcd.has_formed => MemberList::Known(KnownMembers {
                at: self.now,
                cluster_id: etcd.cluster_id,
                members: etcd.members.iter().map(|member| member.listed.clone()).collect(),
                alarms: etcd.alarms.clone(),
            }),
            Some(_) | None => MemberList::Unknown("no member answered a linearizable read".to_owned()),
        }
    }

    pub(super) fn probes(&self) -> BTreeMap<String, Probe> {
        let probe = |answer| Probe { at: self.now, answer };
        let identity = self.identity();
        let sets: Vec<_> = self.stateful_sets.values().cloned().collect();
        let claims: Vec<_> = self.claims.values().cloned().collect();
        let ownership = Ownership::read(&identity, &sets, &claims);
        self.pods
            .iter()
            .filter(|(_, pod)| self.is_running(pod) && ownership.has_pod(&identity, pod))
            .map(|(name, pod)| (pod.metadata.uid.clone().expect("a UID"), probe(self.answer(name))))
            .collect()
    }

    fn answer(&self, pod_name: &str) -> Answer {
        let silent = || Answer::Silent("connection refused".to_owned());
        if self.unreachable.contains(pod_name) || self.operator_is_cut_off {
            return silent();
        }
        let pod_uid = self.pods[pod_name].metadata.uid.clone().expect("a UID");
        let process = &self.processes[&pod_uid];
        if let Some(reason) = process.holding {
            return Answer::Gate(self.report(pod_name, pod_uid.clone(), reason));
        }
        let member = self.etcd.as_ref().and_then(|etcd| {
            let found = etcd.members.iter().find(|one| self.pod_of(&one.listed).as_deref() == Some(pod_name));
            found.map(|found| (etcd, found))
        });
        match member {
            Some((etcd, _)) if process.runs_etcd && self.asks_for_credentials => {
                Answer::Refused(if etcd.leader.is_some() {
                    LinearizableRead::Refused("etcdserver: user name is empty".to_owned())
                } else {
                    LinearizableRead::Failed("etcdserver: no leader".to_owned())
                })
            }
            Some((etcd, member)) if process.runs_etcd => Answer::Etcd(EtcdAnswer {
                cluster_id: etcd.cluster_id,
                member_id: member.listed.id,
                version: process.version.expect("a version").to_string(),
                storage_line: process.tells_of_lines().then_some(etcd.line),
                downgrade: etcd.downgrade.filter(|_| process.tells_of_lines()),
                members: Some(etcd.ids()),
                leader: etcd.leader,
                raft_term: 2,
                raft_index: etcd.index,
                raft_applied_index: member.applied,
                revision: i64::try_from(etcd.index).expect("a small number"),
                database_size: self.database_bytes,
                is_learner: member.listed.is_learner,
                // etcd tells of all alarms wherever it is asked.
                errors: etcd.alarms.iter().map(|alarm| format!("alarm:{}", alarm.kind.as_str())).collect(),
                read: if member.listed.is_learner {
                    LinearizableRead::NotTried
                } else if etcd.leader.is_some() {
                    LinearizableRead::Served
                } else {
                    LinearizableRead::Failed("etcdserver: no leader".to_owned())
                },
            }),
            Some(_) | None => silent(),
        }
    }

    /// The minor of every member, `None` for each that does not run.
    fn lines(&self) -> Vec<Option<Line>> {
        let listed = self.etcd.iter().flat_map(|etcd| &etcd.members);
        listed.map(|member| self.line_of(&member.listed)).collect()
    }

    pub(super) fn line_of(&self, listed: &ListedMember) -> Option<Line> {
        let pod = self.pods.get(&self.pod_of(listed)?)?;
        let process = self.processes.get(pod.metadata.uid.as_ref()?).filter(|process| process.runs_etcd)?;
        process.version.map(EtcdVersion::line)
    }

    /// etcd ends at once where its version is below its cluster's, or more than one minor above it.
    pub(super) fn refuse_to_start_what_does_not_fit(&self, member: &MemberName, version: EtcdVersion) {
        let Some(etcd) = self.etcd.as_ref().filter(|etcd| etcd.line != FIRST_LINE) else { return };
        let line = version.line();
        let fits = line == etcd.line || (line.major == etcd.line.major && line.minor == etcd.line.minor + 1);
        assert!(fits || !self.is_strict, "{member} would start {version} in a cluster of {}", etcd.line);
        let listed =
            etcd.members.iter().find(|one| self.member_of(&one.listed.peer_urls[0]).as_ref() == Some(member));
        let oldest = listed.and_then(|listed| listed.oldest_entry);
        let can_read = line < Line { major: 3, minor: 7 } || oldest.is_none_or(|oldest| oldest.minor >= 6);
        assert!(can_read || !self.is_strict, "{member} would start {version} on entries of {oldest:?}");
    }

    /// Tells etcd to be brought down, or not any more; refused as etcd does.
    pub(super) fn downgrade(&mut self, request: DowngradeRequest) -> Result<(), String> {
        let etcd = self.etcd.as_mut().ok_or("no etcd")?;
        match request {
            DowngradeRequest::Enable(_) if etcd.downgrade.is_some() => {
                Err("etcdserver: cluster has a downgrade job in progress".to_owned())
            }
            DowngradeRequest::Enable(line) if line.minor + 1 != etcd.line.minor => {
                Err("etcdserver: invalid downgrade target version".to_owned())
            }
            DowngradeRequest::Enable(line) => {
                etcd.downgrade = Some(line);
                Ok(())
            }
            DowngradeRequest::Cancel => {
                etcd.downgrade.take().map(drop).ok_or("etcdserver: no inflight downgrade".to_owned())
            }
        }
    }

    fn pod_of(&self, listed: &ListedMember) -> Option<String> {
        self.member_of(&listed.peer_urls[0]).map(|member| member.pod())
    }

    fn report(&self, pod_name: &str, pod_uid: String, reason: GateHoldReason) -> GateReport {
        let disk = self.disk_of(pod_name).and_then(|disk| self.disks.get(&disk));
        let stamp = disk.and_then(|disk| disk.stamp.clone());
        let spent_permits = self.processes[&pod_uid].spent.iter().cloned().collect();
        GateReport {
            format: FORMAT,
            state: GateState::Holding,
            reason,
            pod_uid,
            boot_counter: stamp.as_ref().map_or(0, |stamp| stamp.boot_counter),
            stamp,
            spent_permits,
        }
    }
}
