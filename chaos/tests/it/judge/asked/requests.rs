//! Requests, with each thing that can be asked for.

use chaos::checker::{Rule, Verdict};
use chaos::history::MemberId;
use chaos::record::Proof;

use super::super::model::MEMBERS;
use super::changes::{added_first, all_restart};
use super::tale::{BEGIN, Member, OTHERS, Tale};
use super::{Case, SEEN, case};

const RESTART: &str = "kind: request, ask: restart";
const REPLACE: &str = "kind: request, ask: replace, target: follower";
const MOVE_LEADER: &str = "kind: request, ask: move-leader, target: follower";
/// A follower while the model's run comes to its end.
const TARGET: Member = MEMBERS[2];

pub(super) const CASES: &[Case] = &[
    case("Every member restarted as asked.", RESTART, Verdict::Pass, &[], |tale| {
        asked(tale, "restart", None, "asked-0123456");
        all_restart(tale);
        tale.proof(SEEN, None, Proof::RestartsSeen { members: 3 });
        done(tale, None);
    }),
    case(
        "The operator never said that it was done.",
        RESTART,
        Verdict::Fail,
        &[Rule::ChangeCarriedOut],
        |tale| {
            asked(tale, "restart", None, "asked-0123456");
            all_restart(tale);
            tale.proof(SEEN, None, Proof::RestartsSeen { members: 3 });
        },
    ),
    case(
        "The operator said that it was done, and nobody restarted.",
        RESTART,
        Verdict::Fail,
        &[Rule::ChangeCarriedOut],
        |tale| {
            asked(tale, "restart", None, "asked-0123456");
            done(tale, None);
        },
    ),
    case("Nothing was asked for.", RESTART, Verdict::Invalid, &[Rule::FaultProved], |tale| {
        tale.injected(None, 0);
        all_restart(tale);
        tale.proof(SEEN, None, Proof::RestartsSeen { members: 3 });
        done(tale, None);
    }),
    case("The named member was replaced by one added first.", REPLACE, Verdict::Pass, &[], |tale| {
        asked(tale, "replace", Some(TARGET), TARGET.0);
        tale.replaced(TARGET, OTHERS[0], added_first(23_500));
        seen_replaced(tale, TARGET);
        done(tale, Some(TARGET));
    }),
    case("The named member was removed first.", REPLACE, Verdict::Fail, &[Rule::HealthyVotersKept], |tale| {
        asked(tale, "replace", Some(TARGET), TARGET.0);
        let moments = super::tale::Moments { removed: 23_500, added: 23_750, promoted: 24_000 };
        tale.replaced(TARGET, OTHERS[0], moments);
        seen_replaced(tale, TARGET);
        done(tale, Some(TARGET));
    }),
    case(
        "Another member was replaced than the named one.",
        REPLACE,
        Verdict::Fail,
        &[Rule::HealthyVotersKept, Rule::ChangeCarriedOut],
        |tale| {
            asked(tale, "replace", Some(TARGET), TARGET.0);
            tale.replaced(MEMBERS[0], OTHERS[0], added_first(23_500));
            seen_replaced(tale, MEMBERS[0]);
            done(tale, Some(TARGET));
        },
    ),
    case("The named member restarted instead.", REPLACE, Verdict::Fail, &[Rule::RestartsExplained], |tale| {
        asked(tale, "replace", Some(TARGET), TARGET.0);
        tale.restarts(23_500, TARGET);
        done(tale, Some(TARGET));
    }),
    case("The named member's process ended.", REPLACE, Verdict::Fail, &[Rule::RestartsExplained], |tale| {
        asked(tale, "replace", Some(TARGET), TARGET.0);
        tale.runs(23_500, TARGET, "", 1);
        tale.replaced(TARGET, OTHERS[0], added_first(24_500));
        seen_replaced(tale, TARGET);
        done(tale, Some(TARGET));
    }),
    case("The annotation named somebody else.", REPLACE, Verdict::Invalid, &[Rule::FaultAsPlanned], |tale| {
        asked(tale, "replace", Some(TARGET), MEMBERS[0].0);
        tale.replaced(TARGET, OTHERS[0], added_first(23_500));
        seen_replaced(tale, TARGET);
        done(tale, Some(TARGET));
    }),
    case("Another annotation was set.", REPLACE, Verdict::Invalid, &[Rule::FaultProved], |tale| {
        asked(tale, "restart", Some(TARGET), TARGET.0);
        tale.replaced(TARGET, OTHERS[0], added_first(23_500));
        seen_replaced(tale, TARGET);
        done(tale, Some(TARGET));
    }),
    case("The named member leads.", MOVE_LEADER, Verdict::Pass, &[], |tale| {
        asked(tale, "move-leader", Some(TARGET), TARGET.0);
        tale.leads(23_750, TARGET, 4);
        led(tale, TARGET);
        done(tale, Some(TARGET));
    }),
    case("Another member leads.", MOVE_LEADER, Verdict::Fail, &[Rule::ChangeCarriedOut], |tale| {
        asked(tale, "move-leader", Some(TARGET), TARGET.0);
        tale.leads(23_750, MEMBERS[0], 4);
        led(tale, MEMBERS[0]);
        done(tale, Some(TARGET));
    }),
    case("No member named the new leader.", MOVE_LEADER, Verdict::Fail, &[Rule::ChangeCarriedOut], |tale| {
        asked(tale, "move-leader", Some(TARGET), TARGET.0);
        led(tale, TARGET);
        done(tale, Some(TARGET));
    }),
    case("The leadership stayed.", MOVE_LEADER, Verdict::Fail, &[Rule::ChangeCarriedOut], |tale| {
        asked(tale, "move-leader", Some(TARGET), TARGET.0);
        done(tale, Some(TARGET));
    }),
    case(
        "The old leader was restarted as well.",
        MOVE_LEADER,
        Verdict::Fail,
        &[Rule::RestartsExplained],
        |tale| {
            asked(tale, "move-leader", Some(TARGET), TARGET.0);
            tale.leads(23_500, TARGET, 4);
            tale.restarts(23_800, MEMBERS[1]);
            led(tale, TARGET);
            done(tale, Some(TARGET));
        },
    ),
];

fn asked(tale: &mut Tale, ask: &str, target: Option<Member>, value: &str) {
    tale.injected(target, 0);
    let made = Proof::RequestMade {
        annotation: format!("etcd.operators.rs/{ask}"),
        value: value.to_owned(),
        resource_version: "170".to_owned(),
    };
    tale.proof(BEGIN + 40, target, made);
}

fn done(tale: &mut Tale, target: Option<Member>) {
    tale.proof(SEEN + 150, target, Proof::RequestDone { resource_version: "190".to_owned() });
}

fn seen_replaced(tale: &mut Tale, member: Member) {
    let (before, after) = (vec![MemberId(member.1)], vec![MemberId(OTHERS[0].1)]);
    tale.proof(SEEN, Some(TARGET), Proof::MembersReplaced { before, after });
}

fn led(tale: &mut Tale, member: Member) {
    tale.proof(24_000, Some(TARGET), Proof::LeadershipMoved { to: MemberId(member.1) });
}
