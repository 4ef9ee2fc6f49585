//! A modelled run in which one more thing is declared or asked for at its end, told step by step. Times are milliseconds of the run.

use std::collections::BTreeMap;

use chaos::history::{Elapsed, ListedMember, MemberId, Observation, Outcome, ProbedMember};
use chaos::record::{
    Event, EventLine, PodSample, ProcessIdentity, Proof, RunRecord, TargetRole, TargetedPod,
};
use chaos::scenario::{FaultName, Seed, parse, schedule};

use super::super::model::{MEMBERS, MILLISECOND, USUAL, ZERO, run};

const SEED: u64 = 7;
/// The probe of the model asks so often.
pub(super) const ROUND: u64 = 250;
/// When the last fault of the model has been repaired for a while.
pub(super) const BEGIN: u64 = 23_400;

/// A member: a name, an identity, an address.
pub(super) type Member = (&'static str, u64, &'static str);
/// Members that come when others go.
pub(super) const OTHERS: [Member; 4] = [
    ("model-ddddd", 0x20, "10.244.0.20"),
    ("model-eeeee", 0x21, "10.244.0.21"),
    ("model-fffff", 0x22, "10.244.0.22"),
    ("model-ggggg", 0x23, "10.244.0.23"),
];

/// The record while it is being told.
pub(super) struct Tale {
    pub(super) record: RunRecord,
    fault: FaultName,
    /// The uid of the pod that each member runs in, where it is not the one that the member's name gives.
    pods: BTreeMap<&'static str, String>,
}

impl Tale {
    /// The model's run with one more fault, given by its fields in a scenario.
    pub(super) fn of(fields: &str) -> Tale {
        // The first fault of the model killed a pod.
        let pods = [(MEMBERS[0].0, format!("uid-{}-second", MEMBERS[0].0))].into();
        let mut tale = Tale { record: run(SEED, USUAL), fault: "asked".parse().expect("a name"), pods };
        // Only where TLS is spoken there are certificates to damage.
        if fields.contains("kind: certificate") {
            tale.rewrite_scenario("{size: 3}", "{size: 3, tls: {}}");
        }
        let line = format!("  - {{name: asked, at: 23s, jitter: 0s, {fields}}}\nexpect:");
        tale.rewrite_scenario("expect:", &line);
        tale
    }

    /// The cluster declares for how long a changed member must be healthy before the next is changed.
    pub(super) fn soaks(&mut self, soak: &str) {
        self.rewrite_scenario("{size: 3}", &format!("{{size: 3, soak: {soak}}}"));
    }

    fn rewrite_scenario(&mut self, old: &str, new: &str) {
        let text = self.record.run.scenario_text.replace(old, new);
        assert_ne!(text, self.record.run.scenario_text, "{old} is in it");
        let scenario = parse("model.yaml", text.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
        self.record.schedule = schedule(&scenario, Seed(SEED));
        self.record.run.scenario_text = text;
    }

    /// Adds an event where it belongs in the order of time.
    pub(super) fn add(&mut self, milliseconds: u64, event: Event) {
        let at = ZERO.plus_nanoseconds(milliseconds * MILLISECOND);
        let events = &mut self.record.events;
        let place = events.partition_point(|line| line.at <= at);
        events.insert(place, EventLine { at, event });
    }

    /// The fault is injected, and over after so long.
    pub(super) fn injected(&mut self, target: Option<Member>, lasting: u64) {
        let fault = self.fault.clone();
        let targets = target.into_iter().map(|(name, id, _)| TargetedPod {
            pod: format!("{name}-0"),
            uid: self.uid(name),
            member: Some(name.to_owned()),
            member_id: Some(MemberId(id)),
            claim: None,
            role: TargetRole::Follower,
        });
        let targets = targets.collect();
        self.add(BEGIN, Event::FaultInjecting { fault: fault.clone(), targets });
        self.add(BEGIN + 50, Event::FaultInjected { fault: fault.clone() });
        self.add(BEGIN + 51 + lasting, Event::FaultHealed { fault });
    }

    /// Something is measured.
    pub(super) fn proof(&mut self, milliseconds: u64, pod: Option<Member>, proof: Proof) {
        let pod = pod.map(|(name, ..)| format!("{name}-0"));
        self.add(milliseconds, Event::FaultProof { fault: self.fault.clone(), pod, proof });
    }

    /// A member's pod is seen.
    pub(super) fn pod(&mut self, milliseconds: u64, member: Member, change: impl FnOnce(&mut PodSample)) {
        let (name, _, address) = member;
        let mut sample = PodSample {
            pod: format!("{name}-0"),
            uid: self.uid(name),
            member: Some(name.to_owned()),
            address: Some(address.to_owned()),
            phase: "Running".to_owned(),
            ready: true,
            deleting: false,
            gone: false,
            process: None,
        };
        change(&mut sample);
        self.add(milliseconds, Event::Pod(sample));
    }

    /// The pod that a member runs in.
    fn uid(&self, member: &str) -> String {
        self.pods.get(member).cloned().unwrap_or_else(|| format!("uid-{member}"))
    }

    /// A member's pod, another one than before unless it has no name, runs a process.
    pub(super) fn runs(&mut self, milliseconds: u64, member: Member, pod: &str, process: u32) {
        if !pod.is_empty() {
            self.pods.insert(member.0, pod.to_owned());
        }
        let of_pod = self.uid(member.0);
        self.pod(milliseconds, member, |sample| {
            sample.process = Some(ProcessIdentity {
                container_id: format!("containerd://{of_pod}-{process}"),
                started_at: "2026-11-01T12:00:25Z".to_owned(),
                restart_count: process,
            });
        });
    }

    /// A pod of a member is told to end and goes.
    pub(super) fn ends(&mut self, milliseconds: u64, member: Member, pod: &str) {
        for (after, gone) in [(0, false), (100, true)] {
            self.pod(milliseconds + after, member, |sample| {
                (sample.deleting, sample.gone, sample.ready) = (true, gone, false);
                if !pod.is_empty() {
                    pod.clone_into(&mut sample.uid);
                }
            });
        }
    }

    /// A member comes to run in another pod; it is away for a round or two.
    pub(super) fn restarts(&mut self, milliseconds: u64, member: Member) {
        self.ends(milliseconds, member, "");
        self.runs(milliseconds + 200, member, &format!("uid-{}-{milliseconds}", member.0), 0);
        self.silent(member, milliseconds, milliseconds + 300);
    }

    /// A member does not answer the probe.
    pub(super) fn silent(&mut self, member: Member, from: u64, until: u64) {
        for probed in self.probed(from, until).filter(|probed| is(probed, member.1)) {
            probed.status = Observation::Failed("connection refused".to_owned());
            probed.read = Observation::Failed("connection refused".to_owned());
            probed.members = Observation::NotAsked;
        }
    }

    /// A member answers with another version of etcd.
    pub(super) fn answers_as(&mut self, member: Member, from: u64, until: u64, version: &str) {
        for probed in self.probed(from, until).filter(|probed| is(probed, member.1)) {
            if let Observation::Answered(status) = &mut probed.status {
                version.clone_into(&mut status.version);
            }
        }
    }

    /// Nobody has a quorum.
    pub(super) fn no_quorum(&mut self, from: u64, until: u64) {
        for probed in self.probed(from, until) {
            probed.read = Observation::Failed("deadline exceeded".to_owned());
            probed.members = Observation::NotAsked;
        }
        for operation in &mut self.record.load.operations {
            let during = from * MILLISECOND <= operation.end.0 && operation.end.0 < until * MILLISECOND;
            if during && matches!(operation.outcome, Outcome::Acknowledged(_)) {
                operation.outcome = Outcome::Unknown { error: "no answer within 2000 ms".to_owned() };
            }
        }
    }

    /// Another member leads from now on.
    pub(super) fn leads(&mut self, milliseconds: u64, member: Member, term: u64) {
        for probed in self.probed(milliseconds, u64::MAX) {
            if let Observation::Answered(status) = &mut probed.status {
                (status.leader, status.term) = (Some(MemberId(member.1)), term);
            }
        }
    }

    /// A member is there from now on as a learner, later as a voter; another one is not listed any more from some moment on.
    pub(super) fn replaced(&mut self, old: Member, new: Member, moments: Moments) {
        let Moments { added, promoted, removed } = moments;
        for (moment, learner) in [(added, true), (promoted, false)] {
            self.lists(moment, |list| {
                list.retain(|listed| listed.member_id.0 != new.1);
                list.push(ListedMember { member_id: MemberId(new.1), name: new.0.to_owned(), learner });
            });
        }
        self.lists(removed, |list| list.retain(|listed| listed.member_id.0 != old.1));
        let elapsed = |milliseconds: u64| Elapsed(milliseconds.saturating_mul(MILLISECOND));
        for round in &mut self.record.probes.rounds {
            let found = round.members.iter().find(|probed| is(probed, old.1)).cloned();
            let Some(found) = found else { continue };
            if round.start >= elapsed(promoted) {
                round.members.push(renamed(found, new));
            }
            if round.start >= elapsed(removed) {
                round.members.retain(|probed| !is(probed, old.1));
            }
        }
        for member in self.record.probes.hashes.iter_mut().flat_map(|round| &mut round.members) {
            if let Observation::Answered(hash) = &mut member.hash
                && hash.member_id.0 == old.1
            {
                (hash.member_id, member.address) = (MemberId(new.1), new.2.to_owned());
            }
        }
        for operation in &mut self.record.load.operations {
            if let Outcome::Acknowledged(answer) = &mut operation.outcome
                && answer.member_id.0 == old.1
                && operation.end >= elapsed(removed)
            {
                answer.member_id = MemberId(new.1);
            }
        }
        self.runs(added - 20, new, "", 0);
        self.ends(removed + ROUND / 2, old, "");
    }

    fn lists(&mut self, from: u64, change: impl Fn(&mut Vec<ListedMember>)) {
        for probed in self.probed(from, u64::MAX) {
            if let Observation::Answered(list) = &mut probed.members {
                change(list);
            }
        }
    }

    /// What the probe saw of members in the rounds that began between two moments.
    fn probed(&mut self, from: u64, until: u64) -> impl Iterator<Item = &mut ProbedMember> {
        let (from, until) = (from * MILLISECOND, until.saturating_mul(MILLISECOND));
        let rounds = self.record.probes.rounds.iter_mut();
        rounds
            .filter(move |round| from <= round.start.0 && round.start.0 < until)
            .flat_map(|round| &mut round.members)
    }
}

/// When a member is added as a learner, when it is promoted, and when the other one is removed: the first rounds that show it.
#[derive(Clone, Copy)]
pub(super) struct Moments {
    pub(super) added: u64,
    pub(super) promoted: u64,
    pub(super) removed: u64,
}

/// Whether the probe asked this member. The model asks each under its own address all the time.
fn is(probed: &ProbedMember, id: u64) -> bool {
    MEMBERS.iter().chain(&OTHERS).any(|member| member.1 == id && member.2 == probed.address)
}

fn renamed(mut probed: ProbedMember, (_, id, address): Member) -> ProbedMember {
    address.clone_into(&mut probed.address);
    if let Observation::Answered(status) = &mut probed.status {
        status.member_id = MemberId(id);
    }
    probed
}
