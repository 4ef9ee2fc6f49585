//! The deliberately wrong operators. Each breaks one rule, so that tests and scenarios can be shown to notice. They distort what
//! the right operator sees, plans or says, from outside: nothing that decides knows of them. Never part of a release: the operator
//! is built with this crate only by its feature `mutants`.

mod backups;
mod data;
mod plan;
mod status;
mod timing;
mod tls;
mod upgrades;
mod world;

use std::str::FromStr;

use etcd_operator_core::api::EtcdClusterStatus;
use etcd_operator_core::cluster::observed::Observed;
use etcd_operator_core::cluster::plan::Plan;

/// One broken rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mutant {
    /// Gives a second permit to an incarnation whose disk is lost.
    SecondPermit,
    /// On a lost disk removes a healthy voter first.
    RemovesHealthyFirst,
    /// Never repairs the Service.
    IgnoresService,
    /// Reports Ready without looking at any member.
    ReadyWithoutLooking,
    /// Shrinks by deleting pods before the members are removed from etcd.
    ShrinkPodsFirst,
    /// Waits for minutes before it replaces a member whose disk is lost.
    HealsLate,
    /// Restarts the leader without moving its leadership first.
    MovesNoLeader,
    /// Restarts two members at once.
    RestartsTwo,
    /// Restarts a healthy follower now and then.
    Restless,
    /// Leads clients to one member only.
    OneEndpoint,
    /// At an upgrade restarts the leader first, without moving its leadership.
    LeaderFirst,
    /// At an upgrade changes the next member without waiting for the one before it.
    TwoAtOnce,
    /// Has a member run a version two minors above its own.
    SkipsAMinor,
    /// Changes the next member as soon as the one before it runs.
    NoSoak,
    /// Adds a member, in the middle of an upgrade, with the version that the others only come to.
    HealsAtNewVersion,
    /// Goes on with an upgrade while a member is not healthy.
    IgnoresUnhealthy,
    /// Has members run 3.7 on logs that hold entries of 3.5.
    UpgradesBeforeSnapshots,
    /// Has members run an earlier minor without telling etcd.
    ForgetsDowngrade,
    /// Disarms the alarm that data differs before it is the same.
    DisarmsCorrupt,
    /// Takes the leader's data for right where no majority has the same.
    TrustsTheLeader,
    /// Changes versions without the backup that the spec asks for.
    UpgradesWithoutBackup,
    /// Starts the first member before its volume has been restored.
    StartsUnrestored,
    /// Takes a snapshot from a member that did not answer a linearizable read.
    LaggingSource,
    /// Calls every backup proved, whatever the hash of its data.
    NoHashCheck,
    /// Restores without raising revisions.
    NoBump,
    /// Deletes backups in the order of their names.
    RetentionByName,
    /// Deletes the newest proved backup where a rule does not keep it.
    DropsNewestProved,
    /// Leaves what killed backups have begun.
    ForgetsUploads,
    /// Never renews a certificate.
    RenewsNever,
    /// Takes an authority out of what is trusted before nobody shows what it signed.
    ForgetsOldAuthority,
    /// Gives applications no time in a rotation.
    HurriesClients,
    /// Makes an authority in the place of one whose Secret is gone.
    ReplacesLostAuthority,
    /// Has members serve TLS alone at once.
    SkipsBoth,
    /// Changes peer URLs before every member serves TLS.
    MovesPeersEarly,
    /// Has members serve TLS alone while their peers reach them in plain text.
    DropsPlainTextEarly,
}

/// The name is none of [`Mutant::ALL`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("no mutant is called {0:?}; known are {known}", known = Mutant::ALL.map(Mutant::name).join(", "))]
pub struct UnknownMutant(pub String);

impl Mutant {
    /// Every mutant, in the order of their names in the documentation.
    pub const ALL: [Mutant; 35] = [
        Mutant::SecondPermit,
        Mutant::RemovesHealthyFirst,
        Mutant::IgnoresService,
        Mutant::ReadyWithoutLooking,
        Mutant::ShrinkPodsFirst,
        Mutant::HealsLate,
        Mutant::MovesNoLeader,
        Mutant::RestartsTwo,
        Mutant::Restless,
        Mutant::OneEndpoint,
        Mutant::LeaderFirst,
        Mutant::TwoAtOnce,
        Mutant::SkipsAMinor,
        Mutant::NoSoak,
        Mutant::HealsAtNewVersion,
        Mutant::IgnoresUnhealthy,
        Mutant::UpgradesBeforeSnapshots,
        Mutant::ForgetsDowngrade,
        Mutant::DisarmsCorrupt,
        Mutant::TrustsTheLeader,
        Mutant::UpgradesWithoutBackup,
        Mutant::StartsUnrestored,
        Mutant::LaggingSource,
        Mutant::NoHashCheck,
        Mutant::NoBump,
        Mutant::RetentionByName,
        Mutant::DropsNewestProved,
        Mutant::ForgetsUploads,
        Mutant::RenewsNever,
        Mutant::ForgetsOldAuthority,
        Mutant::HurriesClients,
        Mutant::ReplacesLostAuthority,
        Mutant::SkipsBoth,
        Mutant::MovesPeersEarly,
        Mutant::DropsPlainTextEarly,
    ];

    /// The value of `ETCD_OPERATOR_MUTANT` that chooses it.
    pub fn name(self) -> &'static str {
        match self {
            Mutant::SecondPermit => "second-permit",
            Mutant::RemovesHealthyFirst => "removes-healthy-first",
            Mutant::IgnoresService => "ignores-service",
            Mutant::ReadyWithoutLooking => "ready-without-looking",
            Mutant::ShrinkPodsFirst => "shrink-pods-first",
            Mutant::HealsLate => "heals-late",
            Mutant::MovesNoLeader => "moves-no-leader",
            Mutant::RestartsTwo => "restarts-two",
            Mutant::Restless => "restless",
            Mutant::OneEndpoint => "one-endpoint",
            Mutant::LeaderFirst => "leader-first",
            Mutant::TwoAtOnce => "two-at-once",
            Mutant::SkipsAMinor => "skips-a-minor",
            Mutant::NoSoak => "no-soak",
            Mutant::HealsAtNewVersion => "heals-at-new-version",
            Mutant::IgnoresUnhealthy => "ignores-unhealthy",
            Mutant::UpgradesBeforeSnapshots => "upgrades-before-snapshots",
            Mutant::ForgetsDowngrade => "forgets-downgrade",
            Mutant::DisarmsCorrupt => "disarms-corrupt",
            Mutant::TrustsTheLeader => "trusts-the-leader",
            Mutant::UpgradesWithoutBackup => "upgrades-without-backup",
            Mutant::StartsUnrestored => "starts-unrestored",
            Mutant::LaggingSource => "lagging-source",
            Mutant::NoHashCheck => "no-hash-check",
            Mutant::NoBump => "no-bump",
            Mutant::RetentionByName => "retention-by-name",
            Mutant::DropsNewestProved => "drops-newest-proved",
            Mutant::ForgetsUploads => "forgets-uploads",
            Mutant::RenewsNever => "renews-never",
            Mutant::ForgetsOldAuthority => "forgets-old-authority",
            Mutant::HurriesClients => "hurries-clients",
            Mutant::ReplacesLostAuthority => "replaces-lost-authority",
            Mutant::SkipsBoth => "skips-both",
            Mutant::MovesPeersEarly => "moves-peers-early",
            Mutant::DropsPlainTextEarly => "drops-plain-text-early",
        }
    }

    /// What the wrong operator sees.
    pub fn distort_observed(self, observed: Observed) -> Observed {
        match self {
            Mutant::SecondPermit => world::forget_permits_of_lost_disks(observed),
            Mutant::NoSoak => upgrades::without_soak(observed),
            Mutant::UpgradesBeforeSnapshots => upgrades::with_readable_logs(observed),
            Mutant::TrustsTheLeader => data::with_a_majority_for_the_leader(observed),
            Mutant::UpgradesWithoutBackup => backups::without_a_store(observed),
            Mutant::StartsUnrestored => backups::with_restores_that_succeeded(observed),
            Mutant::HurriesClients => tls::without_trust_period(observed),
            Mutant::RemovesHealthyFirst
            | Mutant::IgnoresService
            | Mutant::ReadyWithoutLooking
            | Mutant::ShrinkPodsFirst
            | Mutant::HealsLate
            | Mutant::MovesNoLeader
            | Mutant::RestartsTwo
            | Mutant::Restless
            | Mutant::OneEndpoint
            | Mutant::LeaderFirst
            | Mutant::TwoAtOnce
            | Mutant::SkipsAMinor
            | Mutant::HealsAtNewVersion
            | Mutant::IgnoresUnhealthy
            | Mutant::ForgetsDowngrade
            | Mutant::DisarmsCorrupt
            | Mutant::LaggingSource
            | Mutant::NoHashCheck
            | Mutant::NoBump
            | Mutant::RetentionByName
            | Mutant::DropsNewestProved
            | Mutant::ForgetsUploads
            | Mutant::RenewsNever
            | Mutant::ForgetsOldAuthority
            | Mutant::ReplacesLostAuthority
            | Mutant::SkipsBoth
            | Mutant::MovesPeersEarly
            | Mutant::DropsPlainTextEarly => observed,
        }
    }

    /// What the wrong operator plans.
    pub fn distort_plan(self, observed: &Observed, plan: Plan) -> Plan {
        match self {
            Mutant::RemovesHealthyFirst => plan::remove_a_healthy_voter_instead(observed, plan),
            Mutant::IgnoresService => plan::without_repairs_of_services(plan),
            Mutant::ShrinkPodsFirst => plan::delete_objects_instead_of_removing(observed, plan),
            Mutant::HealsLate => timing::wait_before_healing(observed, plan),
            Mutant::MovesNoLeader => timing::restart_instead_of_moving(observed, plan),
            Mutant::RestartsTwo => timing::restart_two(observed, plan),
            Mutant::Restless => timing::restart_for_no_reason(observed, plan),
            Mutant::OneEndpoint => timing::lead_to_one_member(observed, plan),
            Mutant::LeaderFirst => upgrades::leader_first(observed, plan),
            Mutant::TwoAtOnce => {
                upgrades::restart_all_changed(observed, upgrades::two_at_once(observed, plan))
            }
            Mutant::SkipsAMinor => upgrades::skip_a_minor(observed, plan),
            Mutant::HealsAtNewVersion => upgrades::heal_at_new_version(observed, plan),
            Mutant::IgnoresUnhealthy => upgrades::go_on_while_unhealthy(observed, plan),
            Mutant::ForgetsDowngrade => upgrades::forget_the_downgrade(observed, plan),
            Mutant::DisarmsCorrupt => data::disarm_at_once(observed, plan),
            Mutant::RenewsNever => tls::never_renew(plan),
            Mutant::ForgetsOldAuthority => tls::forget_the_one_before(plan),
            Mutant::ReplacesLostAuthority => tls::replace_what_is_lost(observed, plan),
            Mutant::SkipsBoth => tls::skip_both(plan),
            Mutant::MovesPeersEarly => tls::move_peers_at_once(observed, plan),
            Mutant::DropsPlainTextEarly => tls::drop_plain_text_early(observed, plan),
            Mutant::SecondPermit
            | Mutant::ReadyWithoutLooking
            | Mutant::NoSoak
            | Mutant::UpgradesBeforeSnapshots
            | Mutant::TrustsTheLeader
            | Mutant::UpgradesWithoutBackup
            | Mutant::StartsUnrestored
            | Mutant::LaggingSource
            | Mutant::NoHashCheck
            | Mutant::NoBump
            | Mutant::RetentionByName
            | Mutant::DropsNewestProved
            | Mutant::ForgetsUploads
            | Mutant::HurriesClients => plan,
        }
    }

    /// What the wrong operator says.
    pub fn distort_status(self, status: EtcdClusterStatus) -> EtcdClusterStatus {
        match self {
            Mutant::ReadyWithoutLooking => status::all_is_well(status),
            Mutant::SecondPermit
            | Mutant::RemovesHealthyFirst
            | Mutant::IgnoresService
            | Mutant::ShrinkPodsFirst
            | Mutant::HealsLate
            | Mutant::MovesNoLeader
            | Mutant::RestartsTwo
            | Mutant::Restless
            | Mutant::OneEndpoint
            | Mutant::LeaderFirst
            | Mutant::TwoAtOnce
            | Mutant::SkipsAMinor
            | Mutant::NoSoak
            | Mutant::HealsAtNewVersion
            | Mutant::IgnoresUnhealthy
            | Mutant::UpgradesBeforeSnapshots
            | Mutant::ForgetsDowngrade
            | Mutant::DisarmsCorrupt
            | Mutant::TrustsTheLeader
            | Mutant::UpgradesWithoutBackup
            | Mutant::StartsUnrestored
            | Mutant::LaggingSource
            | Mutant::NoHashCheck
            | Mutant::NoBump
            | Mutant::RetentionByName
            | Mutant::DropsNewestProved
            | Mutant::ForgetsUploads
            | Mutant::RenewsNever
            | Mutant::ForgetsOldAuthority
            | Mutant::HurriesClients
            | Mutant::ReplacesLostAuthority
            | Mutant::SkipsBoth
            | Mutant::MovesPeersEarly
            | Mutant::DropsPlainTextEarly => status,
        }
    }
}

impl FromStr for Mutant {
    type Err = UnknownMutant;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Mutant::ALL.into_iter().find(|mutant| mutant.name() == text);
        found.ok_or_else(|| UnknownMutant(text.to_owned()))
    }
}
