//! Wrong operators that trust data that nobody vouches for.

use etcd_operator_core::cluster::observed::{AlarmKind, Answer, MemberList, Observed};
use etcd_operator_core::cluster::plan::{Action, Concern, Plan, Planned};

/// Ends etcd's own refusal of writes.
pub(crate) fn disarm_at_once(observed: &Observed, mut plan: Plan) -> Plan {
    let MemberList::Known(list) = &observed.member_list else { return plan };
    let corrupt = list.alarms.iter().filter(|alarm| alarm.kind == AlarmKind::Corrupt);
    let disarm = corrupt.map(|alarm| Planned {
        concern: Concern::Alarms,
        action: Action::DisarmAlarm { member_id: alarm.member_id, alarm: alarm.kind },
    });
    plan.actions.splice(0..0, disarm);
    plan
}

/// Has somebody else agree with the leader.
pub(crate) fn with_a_majority_for_the_leader(mut observed: Observed) -> Observed {
    let mut answers = observed.probes.values().filter_map(|probe| match &probe.answer {
        Answer::Etcd(etcd) => Some(etcd),
        Answer::Gate(_) | Answer::Refused(_) | Answer::Silent(_) => None,
    });
    let leader = answers.find_map(|etcd| etcd.leader);
    let Some((leader, hash)) = leader.and_then(|leader| Some((leader, *observed.hashes.get(&leader)?)))
    else {
        return observed;
    };
    if let Some((_, other)) = observed.hashes.iter_mut().find(|(member, _)| **member != leader) {
        *other = hash;
    }
    observed
}
