//! Other versions of etcd: which members may run when, and in which steps they come to them.

use chaos::checker::{Rule, Verdict};
use chaos::record::Proof;
use chaos::scenario::EtcdVersion;

use super::super::model::MEMBERS;
use super::changes::{added_first, all_restart};
use super::tale::{BEGIN, Member, OTHERS, Tale};
use super::{Case, SEEN};

const UPGRADE: &str = "kind: upgrade, version: 3.7.3";
/// Before the first member restarts.
const BEFORE: u64 = BEGIN;
const END: u64 = u64::MAX;

const fn case(story: &'static str, verdict: Verdict, broken: &'static [Rule], tell: fn(&mut Tale)) -> Case {
    Case { story, fault: UPGRADE, verdict, broken, tell }
}

pub(super) const CASES: &[Case] = &[
    case("Every member came to the new version, one after the other.", Verdict::Pass, &[], |tale| {
        declared(tale, "3.6.16", "3.7.3");
        all_restart(tale);
        all_upgraded(tale);
        reached(tale, 3);
    }),
    case("The declaration is not in the record.", Verdict::Invalid, &[Rule::FaultProved], |tale| {
        tale.injected(None, 0);
        all_restart(tale);
        all_upgraded(tale);
        reached(tale, 3);
    }),
    case("The version was declared already.", Verdict::Invalid, &[Rule::FaultProved], |tale| {
        declared(tale, "3.7.3", "3.7.3");
        all_restart(tale);
        all_upgraded(tale);
        reached(tale, 3);
    }),
    case("Another version was declared.", Verdict::Invalid, &[Rule::FaultProved], |tale| {
        declared(tale, "3.6.16", "3.7.2");
        all_restart(tale);
        all_upgraded(tale);
        reached(tale, 3);
    }),
    case("Nobody saw it through.", Verdict::Fail, &[Rule::ChangeCarriedOut], |tale| {
        declared(tale, "3.6.16", "3.7.3");
        all_restart(tale);
        all_upgraded(tale);
    }),
    case("Only two members came to it.", Verdict::Fail, &[Rule::ChangeCarriedOut], |tale| {
        declared(tale, "3.6.16", "3.7.3");
        all_restart(tale);
        all_upgraded(tale);
        reached(tale, 2);
    }),
    case("One stayed behind, whatever was measured.", Verdict::Fail, &[Rule::VersionAsDeclared], |tale| {
        declared(tale, "3.6.16", "3.7.3");
        all_restart(tale);
        tale.answers_as(MEMBERS[0], 23_800, END, "3.7.3");
        tale.answers_as(MEMBERS[2], 24_400, END, "3.7.3");
        reached(tale, 3);
    }),
    case("One ran it before it was declared.", Verdict::Fail, &[Rule::VersionAsDeclared], |tale| {
        declared(tale, "3.6.16", "3.7.3");
        all_restart(tale);
        all_upgraded(tale);
        tale.answers_as(MEMBERS[0], 22_000, BEFORE, "3.7.3");
        reached(tale, 3);
    }),
    case("One ran a version that nobody declared.", Verdict::Fail, &[Rule::VersionAsDeclared], |tale| {
        declared(tale, "3.6.16", "3.7.3");
        all_restart(tale);
        all_upgraded(tale);
        tale.answers_as(MEMBERS[0], 23_800, 24_100, "3.7.2");
        reached(tale, 3);
    }),
    case(
        "Members were two minors apart.",
        Verdict::Fail,
        &[Rule::VersionAsDeclared, Rule::UpgradeInSteps],
        |tale| {
            declared(tale, "3.6.16", "3.7.3");
            all_restart(tale);
            all_upgraded(tale);
            tale.answers_as(MEMBERS[1], 24_400, 24_700, "3.5.35");
            reached(tale, 3);
        },
    ),
    case("Two restarted at once.", Verdict::Fail, &[Rule::OneAtATime, Rule::UpgradeInSteps], |tale| {
        declared(tale, "3.6.16", "3.7.3");
        tale.leads(24_500, MEMBERS[0], 4);
        tale.restarts(23_500, MEMBERS[0]);
        tale.restarts(23_550, MEMBERS[2]);
        tale.restarts(24_700, MEMBERS[1]);
        all_upgraded(tale);
        reached(tale, 3);
    }),
    case(
        "The next one restarted while another was not well.",
        Verdict::Fail,
        &[Rule::UpgradeInSteps],
        |tale| {
            declared(tale, "3.6.16", "3.7.3");
            all_restart(tale);
            all_upgraded(tale);
            tale.silent(MEMBERS[1], 23_750, 24_250);
            reached(tale, 3);
        },
    ),
    case("Each proved itself for the time that was declared.", Verdict::Pass, &[], |tale| {
        tale.soaks("1s");
        declared(tale, "3.6.16", "3.7.3");
        all_restart(tale);
        all_upgraded(tale);
        reached(tale, 3);
    }),
    case("The next one did not wait for that time.", Verdict::Fail, &[Rule::UpgradeInSteps], |tale| {
        tale.soaks("3s");
        declared(tale, "3.6.16", "3.7.3");
        all_restart(tale);
        all_upgraded(tale);
        reached(tale, 3);
    }),
    case("One was restarted twice at once, and no other before it was well.", Verdict::Pass, &[], |tale| {
        tale.soaks("1s");
        declared(tale, "3.6.16", "3.7.3");
        all_restart(tale);
        tale.restarts(24_900, MEMBERS[1]);
        all_upgraded(tale);
        reached(tale, 3);
    }),
    case("The leader restarted as the leader.", Verdict::Fail, &[Rule::LeaderMovedFirst], |tale| {
        declared(tale, "3.6.16", "3.7.3");
        tale.restarts(23_500, MEMBERS[1]);
        tale.restarts(24_100, MEMBERS[0]);
        tale.restarts(24_700, MEMBERS[2]);
        all_upgraded(tale);
        reached(tale, 3);
    }),
    // Nothing had happened to the one that left, which is another rule's business.
    case(
        "One joined meanwhile with the minor that others still ran.",
        Verdict::Fail,
        &[Rule::HealthyVotersKept],
        |tale| one_joins(tale, "3.6.16"),
    ),
    case(
        "One joined meanwhile with the minor that others only came to.",
        Verdict::Fail,
        &[Rule::HealthyVotersKept, Rule::UpgradeInSteps],
        |tale| one_joins(tale, "3.7.3"),
    ),
    case("One restarted again later.", Verdict::Fail, &[Rule::RestartsExplained], |tale| {
        declared(tale, "3.6.16", "3.7.3");
        all_restart(tale);
        all_upgraded(tale);
        reached(tale, 3);
        tale.restarts(25_600, MEMBERS[2]);
    }),
    case("It was superseded, and by nothing.", Verdict::Fail, &[Rule::ChangeCarriedOut], |tale| {
        declared(tale, "3.6.16", "3.7.3");
        tale.proof(SEEN, None, Proof::VersionSuperseded { by: version("3.6.16") });
    }),
];

/// Another member takes the place of the first one, whose process runs the version at first.
fn one_joins(tale: &mut Tale, version: &str) {
    declared(tale, "3.6.16", "3.7.3");
    tale.replaced(MEMBERS[0], OTHERS[0], added_first(23_500));
    tale.answers_as(OTHERS[0], 23_500, 24_000, version);
    tale.answers_as(OTHERS[0], 24_000, END, "3.7.3");
    tale.answers_as(MEMBERS[2], 24_100, END, "3.7.3");
    tale.answers_as(MEMBERS[1], 24_700, END, "3.7.3");
    reached(tale, 3);
}

fn version(text: &str) -> EtcdVersion {
    text.parse().expect("a version")
}

fn declared(tale: &mut Tale, from: &str, to: &str) {
    tale.injected(None, 0);
    let (from, to) = (version(from), version(to));
    let resource_version = "170".to_owned();
    tale.proof(BEGIN + 40, None, Proof::VersionDeclared { from, to, generation: 2, resource_version });
}

fn reached(tale: &mut Tale, members: u64) {
    tale.proof(SEEN, None, Proof::VersionReached { version: version("3.7.3"), members });
}

/// Each answers with the new version from its restart on.
fn all_upgraded(tale: &mut Tale) {
    let restarts: [(Member, u64); 3] = [(MEMBERS[0], 23_500), (MEMBERS[2], 24_100), (MEMBERS[1], 24_700)];
    for (member, from) in restarts {
        tale.answers_as(member, from, END, "3.7.3");
    }
}
