//! What is asserted: each rule's word for reports and CI systems, what it asserts, and what is wrong if it does not hold. Data only.

use serde::{Serialize, Serializer};

/// What is asserted. Rules stand in the order of their weight: lost data before lost time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Each acknowledged write is in the committed log with its key, value and revision.
    AcknowledgedWritesKept,
    /// No write that was refused is in the committed log.
    RefusedWritesAbsent,
    /// Each change in the committed log is a write of the load, made once.
    LogExplained,
    /// No read is older than what was acknowledged before it began.
    ReadsNotStale,
    /// No read shows a value that was never written.
    ReadsNotInvented,
    /// Each read shows what the committed log held at the read's revision.
    ReadsMatchLog,
    /// Whatever began after something else had ended has a later revision.
    RevisionsMonotone,
    /// No linearizable read of the probe is older than one that was answered before it began.
    ProbeReadsFresh,
    /// Each transaction did what its comparisons demand, wholly or not at all.
    TransactionsConsistent,
    /// A cluster that began with a backup has what was committed up to the backup's revision, and nothing else; and whatever was
    /// acknowledged before the backup was asked for is no later than that.
    BackupHoldsData,
    /// Every member says the same about all data at one revision.
    MembersAgree,
    /// All members and all answers name one and the same cluster ID.
    OneCluster,
    /// No member goes back, under its identity, behind the revision, raft index or term that it had said it reached.
    MembersNeverGoBack,
    /// All members name one leader in one term.
    OneLeaderPerTerm,
    /// A member whose data was destroyed leaves the list and never answers again: another one takes its place.
    LostMembersReplaced,
    /// No healthy voter left the member list while as many as were listed were declared.
    HealthyVotersKept,
    /// No healthy member's pod was ended for good while it was still in the member list.
    MembersLeaveFirst,
    /// After a fault's end a quorum answers steadily within the bound.
    QuorumBack,
    /// After the last fault's end all members are healthy voters within the bound, and stay so.
    Recovered,
    /// A quorum served all the time but for pauses within the bound, faults or not.
    OutageBounded,
    /// Each voter that no fault is aimed at answered all the time but for pauses within the bound.
    MembersServe,
    /// At the end the member list is what the spec declares.
    MembersMatchSpec,
    /// No member reports an alarm.
    NoAlarms,
    /// Every member runs the version of etcd that the spec declares.
    VersionAsDeclared,
    /// No process of etcd, and none of the operator more than once, ended without a fault that explains it.
    RestartsExplained,
    /// No pod was ended without a fault while its member led.
    LeaderMovedFirst,
    /// No pod was ended without a fault while another one that was ended so was still away.
    OneAtATime,
    /// Between two restarts for another version all members were healthy, the one restarted first for the soak that is declared, and no
    /// two of them were more than one minor apart. A member that joined meanwhile came with the minor of the lowest.
    UpgradeInSteps,
    /// Each member that served all the time answered calls through the Service.
    ServiceReachesAll,
    /// The operator put back what was changed, deleted or added.
    DriftRepaired,
    /// A change of what is declared was carried out.
    ChangeCarriedOut,
    /// The status did not say Ready, Available or healthy for longer than the bound while the probes saw otherwise.
    StatusHonest,
    /// At the end the status says that the cluster is ready.
    StatusReadyAtEnd,
    /// The fault was injected and its effect measured.
    FaultProved,
    /// The fault ended and its end was measured.
    FaultEnded,
    /// The fault hit whom it was to hit, in the way and for the time that was planned.
    FaultAsPlanned,
    /// Calls were tried at the target and elsewhere while the fault was in force, and enough writes were acknowledged around it.
    LoadDuringFault,
    /// There was enough load at all.
    LoadEnough,
    /// The schedule is what scenario and seed give, and nothing else was done.
    ScheduleKept,
    /// The probe asked members all the time, and no round of it is missing.
    ProbeKeptWatch,
    /// The clocks of load and probe were read, agree with themselves, and lie beside the harness's.
    ClocksKnown,
    /// The run came to its end.
    RunComplete,
    /// The record is whole.
    RecordWhole,
}

/// The words for one rule.
struct Words {
    rule: Rule,
    id: &'static str,
    complaint: &'static str,
    statement: &'static str,
}

const fn words(rule: Rule, id: &'static str, statement: &'static str, complaint: &'static str) -> Words {
    Words { rule, id, complaint, statement }
}

/// One row for each rule, in the order of [`Rule::ALL`]: its word, what it asserts, what is wrong if it does not hold.
const WORDS: [Words; Rule::ALL.len()] = [
    words(
        Rule::AcknowledgedWritesKept,
        "acknowledged-writes-kept",
        "Every acknowledged write is there, with its revision",
        "An acknowledged write was lost or changed",
    ),
    words(
        Rule::RefusedWritesAbsent,
        "refused-writes-absent",
        "No refused write took effect",
        "A refused write took effect",
    ),
    words(
        Rule::LogExplained,
        "log-explained",
        "Every committed change is a write of the load, made once",
        "The committed log has changes that no client made, or lacks some",
    ),
    words(
        Rule::ReadsNotStale,
        "reads-not-stale",
        "No read is older than a write acknowledged before it",
        "A read was stale",
    ),
    words(
        Rule::ReadsNotInvented,
        "reads-not-invented",
        "No read shows a value that was never written",
        "A read showed a value that was never written",
    ),
    words(
        Rule::ReadsMatchLog,
        "reads-match-log",
        "Every read shows the committed state at its revision",
        "A read showed what was never committed at its revision",
    ),
    words(
        Rule::RevisionsMonotone,
        "revisions-monotone",
        "Revisions follow real time",
        "Revisions went backwards in real time",
    ),
    words(
        Rule::ProbeReadsFresh,
        "probe-reads-fresh",
        "No linearizable read of the probe is older than one before it",
        "A linearizable read of the probe was stale",
    ),
    words(
        Rule::TransactionsConsistent,
        "transactions-consistent",
        "Transactions are consistent with the committed log",
        "A transaction did not do what its comparisons demand",
    ),
    words(
        Rule::BackupHoldsData,
        "backup-holds-data",
        "A backup brings back all that was committed until then, and nothing else",
        "A backup lacked or changed what was committed",
    ),
    words(
        Rule::MembersAgree,
        "members-agree",
        "All members hold the same data",
        "Members hold different data",
    ),
    words(
        Rule::OneCluster,
        "one-cluster",
        "There was one cluster ID throughout",
        "There was more than one cluster",
    ),
    words(
        Rule::MembersNeverGoBack,
        "members-never-go-back",
        "No member's revision, index or term goes back",
        "A member's revision, index or term went back",
    ),
    words(
        Rule::OneLeaderPerTerm,
        "one-leader-per-term",
        "Every term has one leader",
        "A term had more than one leader",
    ),
    words(
        Rule::LostMembersReplaced,
        "lost-members-replaced",
        "A member that lost its data is replaced, never revived",
        "A member that lost its data was not replaced",
    ),
    words(
        Rule::HealthyVotersKept,
        "healthy-voters-kept",
        "No healthy voter was removed without need",
        "A healthy voter was removed without need",
    ),
    words(
        Rule::MembersLeaveFirst,
        "members-leave-first",
        "Members leave the list before their pods go",
        "A member's pod was removed for good while the member still had a vote",
    ),
    words(Rule::QuorumBack, "quorum-back", "Quorum was back in time", "Quorum was not back in time"),
    words(
        Rule::Recovered,
        "recovered",
        "All members were healthy again in time",
        "The members were not all healthy again in time",
    ),
    words(
        Rule::OutageBounded,
        "outage-bounded",
        "A quorum served all the time, but for an election",
        "There was no quorum for too long",
    ),
    words(
        Rule::MembersServe,
        "members-serve",
        "Every voter that no fault targeted kept answering",
        "A member that no fault targeted did not answer for too long",
    ),
    words(
        Rule::MembersMatchSpec,
        "members-match-spec",
        "The member list equals the spec",
        "The member list is not what the spec declares",
    ),
    words(Rule::NoAlarms, "no-alarms", "No member reports an alarm", "A member reported an alarm"),
    words(
        Rule::VersionAsDeclared,
        "version-as-declared",
        "Every member runs the declared version",
        "A member runs another version than declared",
    ),
    words(
        Rule::RestartsExplained,
        "restarts-explained",
        "Every restart has a fault that explains it",
        "A process ended that no fault explains",
    ),
    words(
        Rule::LeaderMovedFirst,
        "leader-moved-first",
        "Leadership moves before a leader is restarted on purpose",
        "A leader was restarted on purpose without moving its leadership",
    ),
    words(
        Rule::OneAtATime,
        "one-at-a-time",
        "Members are restarted on purpose one at a time",
        "Two members were restarted on purpose at once",
    ),
    words(
        Rule::UpgradeInSteps,
        "upgrade-in-steps",
        "Between two steps of an upgrade all members are healthy, for as long as the soak",
        "An upgrade went on too early, or too far",
    ),
    words(
        Rule::ServiceReachesAll,
        "service-reaches-all",
        "The Service reaches every member that serves",
        "The Service reached only some members",
    ),
    words(
        Rule::DriftRepaired,
        "drift-repaired",
        "The operator repaired what was broken",
        "The operator did not repair what was broken",
    ),
    words(
        Rule::ChangeCarriedOut,
        "change-carried-out",
        "The operator carried out what was declared",
        "The operator did not carry out what was declared",
    ),
    words(
        Rule::StatusHonest,
        "status-honest",
        "The status never lied for long",
        "The operator's status lied",
    ),
    words(
        Rule::StatusReadyAtEnd,
        "status-ready-at-end",
        "The status says ready at the end",
        "The operator's status is not ready at the end",
    ),
    words(Rule::FaultProved, "fault-proved", "The fault took effect", "A fault had no measured effect"),
    words(Rule::FaultEnded, "fault-ended", "The fault ended", "A fault was not seen to end"),
    words(
        Rule::FaultAsPlanned,
        "fault-as-planned",
        "The fault was the one that was planned",
        "A fault was not the one that was planned",
    ),
    words(
        Rule::LoadDuringFault,
        "load-during-fault",
        "Clients called the target and others during the fault",
        "There was too little load during a fault",
    ),
    words(Rule::LoadEnough, "load-enough", "There was enough load", "There was too little load"),
    words(
        Rule::ScheduleKept,
        "schedule-kept",
        "The faults are those of the scenario",
        "The faults are not those of the scenario",
    ),
    words(
        Rule::ProbeKeptWatch,
        "probe-kept-watch",
        "The probe watched all the time",
        "The probe did not watch all the time",
    ),
    words(
        Rule::ClocksKnown,
        "clocks-known",
        "The clocks of load and probe are known",
        "A clock cannot be trusted",
    ),
    words(Rule::RunComplete, "run-complete", "The run came to its end", "The run did not come to its end"),
    words(Rule::RecordWhole, "record-whole", "The record is whole", "The record is not whole"),
];

impl Rule {
    /// Every rule, in order.
    pub const ALL: [Rule; 43] = [
        Rule::AcknowledgedWritesKept,
        Rule::RefusedWritesAbsent,
        Rule::LogExplained,
        Rule::ReadsNotStale,
        Rule::ReadsNotInvented,
        Rule::ReadsMatchLog,
        Rule::RevisionsMonotone,
        Rule::ProbeReadsFresh,
        Rule::TransactionsConsistent,
        Rule::BackupHoldsData,
        Rule::MembersAgree,
        Rule::OneCluster,
        Rule::MembersNeverGoBack,
        Rule::OneLeaderPerTerm,
        Rule::LostMembersReplaced,
        Rule::HealthyVotersKept,
        Rule::MembersLeaveFirst,
        Rule::QuorumBack,
        Rule::Recovered,
        Rule::OutageBounded,
        Rule::MembersServe,
        Rule::MembersMatchSpec,
        Rule::NoAlarms,
        Rule::VersionAsDeclared,
        Rule::RestartsExplained,
        Rule::LeaderMovedFirst,
        Rule::OneAtATime,
        Rule::UpgradeInSteps,
        Rule::ServiceReachesAll,
        Rule::DriftRepaired,
        Rule::ChangeCarriedOut,
        Rule::StatusHonest,
        Rule::StatusReadyAtEnd,
        Rule::FaultProved,
        Rule::FaultEnded,
        Rule::FaultAsPlanned,
        Rule::LoadDuringFault,
        Rule::LoadEnough,
        Rule::ScheduleKept,
        Rule::ProbeKeptWatch,
        Rule::ClocksKnown,
        Rule::RunComplete,
        Rule::RecordWhole,
    ];

    /// The word that reports and CI systems know the rule by.
    pub fn id(self) -> &'static str {
        self.words().id
    }

    /// What is wrong if the rule does not hold, as the beginning of a sentence.
    pub fn complaint(self) -> &'static str {
        self.words().complaint
    }

    /// What is asserted, for people.
    pub fn statement(self) -> &'static str {
        self.words().statement
    }

    fn words(self) -> &'static Words {
        let row = &WORDS[self as usize];
        debug_assert_eq!(row.rule, self, "rows stand in the order of the rules");
        row
    }

    /// What to do if it could not be checked.
    pub fn remedy(self) -> &'static str {
        match self {
            Rule::AcknowledgedWritesKept
            | Rule::RefusedWritesAbsent
            | Rule::LogExplained
            | Rule::ReadsNotStale
            | Rule::ReadsNotInvented
            | Rule::ReadsMatchLog
            | Rule::RevisionsMonotone
            | Rule::TransactionsConsistent
            | Rule::LoadEnough
            | Rule::LoadDuringFault => {
                "run again, and see in logs/ why the load pod did not answer, or ended before the final read"
            }
            Rule::BackupHoldsData => {
                "read why no cluster began with the backup: the events of the run say what was waited for"
            }
            Rule::ProbeReadsFresh
            | Rule::MembersNeverGoBack
            | Rule::OneLeaderPerTerm
            | Rule::NoAlarms
            | Rule::VersionAsDeclared
            | Rule::MembersAgree
            | Rule::OneCluster
            | Rule::QuorumBack
            | Rule::OutageBounded
            | Rule::MembersServe
            | Rule::Recovered
            | Rule::MembersMatchSpec
            | Rule::HealthyVotersKept
            | Rule::LostMembersReplaced
            | Rule::ProbeKeptWatch => {
                "run again, and see in logs/ why the probe pod did not answer, or could not resolve the members' names"
            }
            Rule::MembersLeaveFirst
            | Rule::RestartsExplained
            | Rule::ServiceReachesAll
            | Rule::LeaderMovedFirst
            | Rule::OneAtATime
            | Rule::UpgradeInSteps
            | Rule::StatusHonest
            | Rule::StatusReadyAtEnd
            | Rule::ChangeCarriedOut
            | Rule::DriftRepaired => {
                "run again, and see whether the API server could be watched from where chaos ran; `chaos doctor` names missing rights"
            }
            Rule::FaultProved | Rule::FaultEnded | Rule::FaultAsPlanned => {
                "read why the fault was not injected: its trigger may need a longer `within`, or its target another moment"
            }
            Rule::ScheduleKept | Rule::RecordWhole | Rule::RunComplete => {
                "run again with this build: this record is not whole, or was made by an earlier one"
            }
            Rule::ClocksKnown => {
                "run again where clocks are kept by NTP, and where the API server answers within half a second"
            }
        }
    }
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_rule_has_its_own_row_and_its_own_word() {
        for (index, rule) in Rule::ALL.into_iter().enumerate() {
            assert_eq!(rule.words().rule, rule);
            assert_eq!(WORDS[index].rule, rule);
        }
        let ids: BTreeSet<&str> = Rule::ALL.iter().map(|rule| rule.id()).collect();
        assert_eq!(ids.len(), Rule::ALL.len());
    }
}
