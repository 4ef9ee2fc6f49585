//! Changes of the spec, with each of their effects.

use chaos::checker::{Rule, Verdict};
use chaos::history::MemberId;
use chaos::record::{ConditionSample, ConditionStatus, Proof};

use super::super::model::MEMBERS;
use super::tale::{BEGIN, Member, Moments, OTHERS, ROUND, Tale};
use super::{Case, SEEN, case};

const RESTARTED: &str = "kind: change, spec: {etcd: {snapshotCount: 5000}}, effect: restarted";
const REPLACED: &str = "kind: change, spec: {storage: {storageClassName: fast}}, effect: replaced";
const NONE: &str = "kind: change, spec: {service: {annotations: {note: x}}}, effect: none";
const REFUSED: &str =
    "kind: change, spec: {image: {repository: registry.invalid/etcd}}, effect: refused, for: 1s";
const NO_VERSION: &str = "kind: change, spec: {version: 3.8.0}, effect: refused, for: 1s";
/// The first round after the change.
const FIRST: u64 = 23_500;

pub(super) const CASES: &[Case] = &[
    case("Every member restarted, one after the other.", RESTARTED, Verdict::Pass, &[], |tale| {
        declared(tale, 2);
        all_restart(tale);
        tale.proof(SEEN, None, Proof::RestartsSeen { members: 3 });
    }),
    case("The change is not in the record.", RESTARTED, Verdict::Invalid, &[Rule::FaultProved], |tale| {
        tale.injected(None, 0);
        all_restart(tale);
        tale.proof(SEEN, None, Proof::RestartsSeen { members: 3 });
    }),
    case("The patch changed nothing.", RESTARTED, Verdict::Invalid, &[Rule::FaultProved], |tale| {
        declared(tale, 1);
        all_restart(tale);
        tale.proof(SEEN, None, Proof::RestartsSeen { members: 3 });
    }),
    case("Nobody restarted.", RESTARTED, Verdict::Fail, &[Rule::ChangeCarriedOut], |tale| declared(tale, 2)),
    case("Only two members restarted.", RESTARTED, Verdict::Fail, &[Rule::ChangeCarriedOut], |tale| {
        declared(tale, 2);
        tale.restarts(FIRST, MEMBERS[0]);
        tale.restarts(24_100, MEMBERS[2]);
        tale.proof(SEEN, None, Proof::RestartsSeen { members: 2 });
    }),
    case("Two restarted at once.", RESTARTED, Verdict::Fail, &[Rule::OneAtATime], |tale| {
        declared(tale, 2);
        tale.leads(24_500, MEMBERS[0], 4);
        tale.restarts(FIRST, MEMBERS[0]);
        tale.restarts(FIRST + 50, MEMBERS[2]);
        tale.restarts(24_700, MEMBERS[1]);
        tale.proof(SEEN, None, Proof::RestartsSeen { members: 3 });
    }),
    case(
        "The leader restarted as the leader.",
        RESTARTED,
        Verdict::Fail,
        &[Rule::LeaderMovedFirst],
        |tale| {
            declared(tale, 2);
            tale.restarts(FIRST, MEMBERS[1]);
            tale.proof(SEEN, None, Proof::RestartsSeen { members: 3 });
        },
    ),
    case("One restarted again later.", RESTARTED, Verdict::Fail, &[Rule::RestartsExplained], |tale| {
        declared(tale, 2);
        all_restart(tale);
        tale.proof(SEEN, None, Proof::RestartsSeen { members: 3 });
        tale.restarts(25_600, MEMBERS[2]);
    }),
    case("A member was replaced instead.", RESTARTED, Verdict::Fail, &[Rule::HealthyVotersKept], |tale| {
        declared(tale, 2);
        tale.replaced(MEMBERS[0], OTHERS[0], added_first(FIRST));
        tale.proof(SEEN, None, Proof::RestartsSeen { members: 3 });
    }),
    case("Nobody was touched, and the operator saw the change.", NONE, Verdict::Pass, &[], |tale| {
        declared(tale, 2);
        tale.proof(SEEN, None, Proof::ChangeObserved { generation: 2 });
    }),
    case("The operator never looked.", NONE, Verdict::Fail, &[Rule::ChangeCarriedOut], |tale| {
        declared(tale, 2)
    }),
    case("The operator looked at an old spec.", NONE, Verdict::Fail, &[Rule::ChangeCarriedOut], |tale| {
        declared(tale, 2);
        tale.proof(SEEN, None, Proof::ChangeObserved { generation: 1 });
    }),
    case("A member restarted for nothing.", NONE, Verdict::Fail, &[Rule::RestartsExplained], |tale| {
        declared(tale, 2);
        tale.restarts(FIRST, MEMBERS[0]);
        tale.proof(SEEN, None, Proof::ChangeObserved { generation: 2 });
    }),
    case("A member was replaced for nothing.", NONE, Verdict::Fail, &[Rule::HealthyVotersKept], |tale| {
        declared(tale, 2);
        tale.replaced(MEMBERS[0], OTHERS[0], added_first(FIRST));
        tale.proof(SEEN, None, Proof::ChangeObserved { generation: 2 });
    }),
    case("One member was tried, and is as before.", REFUSED, Verdict::Pass, &[], |tale| {
        refused(tale);
        tried(tale, MEMBERS[0]);
        as_before(tale, &MEMBERS);
    }),
    case("Nobody was even tried.", REFUSED, Verdict::Pass, &[], |tale| {
        refused(tale);
        as_before(tale, &MEMBERS);
    }),
    case("The member that was tried started again and again.", REFUSED, Verdict::Pass, &[], |tale| {
        refused(tale);
        tried(tale, MEMBERS[0]);
        for process in 0..3 {
            tale.runs(23_700 + u64::from(process) * 100, MEMBERS[0], "tried", process);
        }
        as_before(tale, &MEMBERS);
    }),
    case(
        "Another member started again meanwhile.",
        REFUSED,
        Verdict::Fail,
        &[Rule::RestartsExplained],
        |tale| {
            refused(tale);
            tried(tale, MEMBERS[0]);
            tale.runs(23_900, MEMBERS[2], "", 1);
            as_before(tale, &MEMBERS);
        },
    ),
    case(
        "A second member was taken down.",
        REFUSED,
        Verdict::Fail,
        &[Rule::RestartsExplained, Rule::OneAtATime],
        |tale| {
            refused(tale);
            tried(tale, MEMBERS[0]);
            tale.restarts(24_000, MEMBERS[2]);
            as_before(tale, &MEMBERS);
        },
    ),
    case("The quorum was lost meanwhile.", REFUSED, Verdict::Fail, &[Rule::OutageBounded], |tale| {
        refused(tale);
        tried(tale, MEMBERS[0]);
        as_before(tale, &MEMBERS);
        tale.no_quorum(23_600, 28_400);
    }),
    case("A version was refused, and nobody was touched.", NO_VERSION, Verdict::Pass, &[], |tale| {
        refused(tale);
        as_before(tale, &MEMBERS);
    }),
    case(
        "One member was tried with a version that was refused.",
        NO_VERSION,
        Verdict::Fail,
        &[Rule::RestartsExplained],
        |tale| {
            refused(tale);
            tried(tale, MEMBERS[0]);
            as_before(tale, &MEMBERS);
        },
    ),
    case("The status said nothing.", REFUSED, Verdict::Fail, &[Rule::ChangeCarriedOut], |tale| {
        tale.injected(None, 1_000);
        told(tale, 2);
        taken_back(tale);
        as_before(tale, &MEMBERS);
    }),
    case("The status said Ready.", REFUSED, Verdict::Fail, &[Rule::ChangeCarriedOut], |tale| {
        tale.injected(None, 1_000);
        told(tale, 2);
        said(tale, ConditionStatus::True);
        taken_back(tale);
        as_before(tale, &MEMBERS);
    }),
    case("The change was never taken back.", REFUSED, Verdict::Invalid, &[Rule::FaultEnded], |tale| {
        tale.injected(None, 1_000);
        told(tale, 2);
        said(tale, ConditionStatus::False);
        as_before(tale, &MEMBERS);
    }),
    case("The members did not come back.", REFUSED, Verdict::Fail, &[Rule::ChangeCarriedOut], refused),
    case("Other members came back.", REFUSED, Verdict::Fail, &[Rule::ChangeCarriedOut], |tale| {
        refused(tale);
        as_before(tale, &[MEMBERS[0], MEMBERS[1], OTHERS[0]]);
    }),
    case("Every member was replaced, each by one added first.", REPLACED, Verdict::Pass, &[], |tale| {
        declared(tale, 2);
        all_replaced(tale);
        seen_replaced(tale, &MEMBERS, &OTHERS[..3]);
    }),
    case("One was promoted and one removed between two rounds.", REPLACED, Verdict::Pass, &[], |tale| {
        all_replaced_the_last(tale, Moments { added: 24_500, promoted: 24_750, removed: 24_750 });
    }),
    case(
        "One was removed before another was added.",
        REPLACED,
        Verdict::Fail,
        &[Rule::HealthyVotersKept],
        |tale| {
            all_replaced_the_last(tale, Moments { removed: 24_500, added: 24_750, promoted: 25_000 });
        },
    ),
    case(
        "One was removed before another was promoted.",
        REPLACED,
        Verdict::Fail,
        &[Rule::HealthyVotersKept],
        |tale| {
            all_replaced_the_last(tale, Moments { added: 24_500, removed: 24_750, promoted: 25_000 });
        },
    ),
    case("Nobody saw the members replaced.", REPLACED, Verdict::Fail, &[Rule::ChangeCarriedOut], |tale| {
        declared(tale, 2);
        all_replaced(tale);
    }),
    case("One member stayed.", REPLACED, Verdict::Fail, &[Rule::ChangeCarriedOut], |tale| {
        declared(tale, 2);
        two_replaced(tale);
        seen_replaced(tale, &MEMBERS, &OTHERS[..3]);
    }),
    case("Of one nobody said that it went.", REPLACED, Verdict::Fail, &[Rule::ChangeCarriedOut], |tale| {
        declared(tale, 2);
        all_replaced(tale);
        seen_replaced(tale, &MEMBERS[..2], &OTHERS[..2]);
    }),
    case(
        "One that had just come was replaced too.",
        REPLACED,
        Verdict::Fail,
        &[Rule::HealthyVotersKept],
        |tale| {
            declared(tale, 2);
            all_replaced(tale);
            tale.replaced(OTHERS[2], OTHERS[3], added_first(25_000));
            seen_replaced(tale, &MEMBERS, &[OTHERS[0], OTHERS[1], OTHERS[3]]);
        },
    ),
    case("A member restarted as well.", REPLACED, Verdict::Fail, &[Rule::RestartsExplained], |tale| {
        declared(tale, 2);
        tale.restarts(FIRST, MEMBERS[0]);
        seen_replaced(tale, &MEMBERS, &OTHERS[..3]);
    }),
];

fn declared(tale: &mut Tale, generation: i64) {
    tale.injected(None, 0);
    told(tale, generation);
}

fn told(tale: &mut Tale, generation: i64) {
    let declared = Proof::ChangeDeclared { before: 1, generation, resource_version: "170".to_owned() };
    tale.proof(BEGIN + 40, None, declared);
}

/// The leader last, once another one leads.
pub(super) fn all_restart(tale: &mut Tale) {
    tale.leads(24_500, MEMBERS[0], 4);
    tale.restarts(FIRST, MEMBERS[0]);
    tale.restarts(24_100, MEMBERS[2]);
    tale.restarts(24_700, MEMBERS[1]);
}

fn refused(tale: &mut Tale) {
    tale.injected(None, 1_000);
    told(tale, 2);
    said(tale, ConditionStatus::False);
    taken_back(tale);
}

fn said(tale: &mut Tale, status: ConditionStatus) {
    let condition = ConditionSample {
        kind: "Ready".to_owned(),
        status,
        reason: "ImageCannotBePulled".to_owned(),
        message: "no image of model-aaaaa".to_owned(),
    };
    tale.proof(24_400, None, Proof::ChangeRefused { generation: 2, condition });
}

fn taken_back(tale: &mut Tale) {
    let back = Proof::ChangeTakenBack { generation: 3, resource_version: "180".to_owned() };
    tale.proof(24_440, None, back);
}

/// A member's pod makes room for one that cannot run, and that one for another as before.
fn tried(tale: &mut Tale, member: Member) {
    tale.ends(FIRST, member, "");
    tale.pod(23_650, member, |sample| {
        "tried".clone_into(&mut sample.uid);
        (sample.ready, sample.address) = (false, None);
    });
    tale.ends(24_500, member, "tried");
    tale.runs(24_700, member, "as-before", 0);
    tale.silent(member, FIRST, 24_900);
}

fn as_before(tale: &mut Tale, members: &[Member]) {
    let members = members.iter().map(|member| MemberId(member.1)).collect();
    tale.proof(SEEN, None, Proof::MembersAsBefore { members });
}

pub(super) fn added_first(added: u64) -> Moments {
    Moments { added, promoted: added + ROUND, removed: added + 2 * ROUND }
}

fn two_replaced(tale: &mut Tale) {
    tale.leads(24_250, MEMBERS[2], 4);
    tale.replaced(MEMBERS[0], OTHERS[0], added_first(FIRST));
    tale.replaced(MEMBERS[1], OTHERS[1], added_first(24_000));
}

fn all_replaced(tale: &mut Tale) {
    two_replaced(tale);
    tale.leads(24_750, OTHERS[0], 5);
    tale.replaced(MEMBERS[2], OTHERS[2], added_first(24_500));
}

/// The whole tale of a replacement of all, with the moments of the last one.
fn all_replaced_the_last(tale: &mut Tale, last: Moments) {
    declared(tale, 2);
    two_replaced(tale);
    tale.replaced(MEMBERS[2], OTHERS[2], last);
    seen_replaced(tale, &MEMBERS, &OTHERS[..3]);
}

fn seen_replaced(tale: &mut Tale, before: &[Member], after: &[Member]) {
    let ids = |members: &[Member]| members.iter().map(|member| MemberId(member.1)).collect();
    tale.proof(SEEN + 100, None, Proof::MembersReplaced { before: ids(before), after: ids(after) });
}
