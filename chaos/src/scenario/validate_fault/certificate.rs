//! What a `certificate` says: the damage, and how long the operator stands still; and that it needs a cluster that speaks TLS all the
//! time. Pure.

use super::OneFault;
use crate::scenario::encryption::{Encryption, encryption};
use crate::scenario::error::ScenarioError;
use crate::scenario::fields::Fields;
use crate::scenario::raw::RawScenario;
use crate::scenario::{Fault, Period, PlannedFault, Subject};

/// How long the operator stands still if the scenario does not say.
const DEFAULT_DAMAGE: Period = Period::from_seconds(20);
/// Why a cluster is not fit.
const NO_TLS: &str = "`certificate` needs a cluster that speaks TLS all the time: write `subject.cluster.tls`, and no `change` that \
                      brings TLS or takes it away";

impl OneFault<'_> {
    /// The damage that the fields describe.
    pub(super) fn certificate(&self) -> Result<Fault, ScenarioError> {
        let damage = self.raw.damage.as_ref().ok_or_else(|| self.missing("damage"))?.value;
        let lasting = if self.raw.lasting.is_some() { self.lasting()? } else { DEFAULT_DAMAGE };
        Ok(Fault::Certificate { damage, lasting })
    }
}

/// Refuses damaged certificates where there are none, or not all the time.
pub(super) fn has_certificates(
    fields: &Fields<'_>,
    raw: &RawScenario,
    subject: &Subject,
    planned: &[PlannedFault],
) -> Result<(), ScenarioError> {
    if encryption(subject, planned.iter().map(|one| &one.fault)) == Encryption::Always {
        return Ok(());
    }
    let damaged = planned.iter().position(|one| matches!(one.fault, Fault::Certificate { .. }));
    damaged.map_or(Ok(()), |index| {
        let at = &raw.faults.value[index].kind;
        Err(fields.error(&format!("faults[{index}].kind"), at, NO_TLS))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::kinds::ONE_CERTIFICATE;
    use crate::scenario::{CertificateDamage, Scenario, Target, parse};

    fn read(cluster: &str, faults: &[&str]) -> Result<Scenario, ScenarioError> {
        let faults = faults.iter().enumerate();
        let faults: String =
            faults.map(|(index, fault)| format!("  - {{at: {index}m, {fault}}}\n")).collect();
        let text = format!("name: x\nsubject:\n  cluster: {{size: 3{cluster}}}\nfaults:\n{faults}");
        parse("x.yaml", text.as_bytes())
    }

    fn refused(cluster: &str, faults: &[&str]) -> String {
        read(cluster, faults).expect_err("it is wrong").to_string()
    }

    const EXPIRED: &str = "kind: certificate, damage: expired, target: follower";

    #[test]
    fn a_certificate_is_damaged_for_a_while_in_one_member() {
        let scenario = read(", tls: {}", &[EXPIRED, &format!("{EXPIRED}, for: 9s")]).unwrap();
        let fault = |lasting| Fault::Certificate { damage: CertificateDamage::Expired, lasting };
        assert_eq!(scenario.faults[0].fault, fault(DEFAULT_DAMAGE));
        assert_eq!(scenario.faults[1].fault, fault(Period::from_seconds(9)));
        assert_eq!(scenario.faults[0].target, Target::Follower);
    }

    #[test]
    fn where_nobody_else_is_nothing_is_swapped() {
        let swapped = "  - {at: 1s, kind: certificate, damage: swapped, target: leader}\n";
        let text = format!("name: x\nsubject:\n  cluster: {{size: 1, tls: {{}}}}\nfaults:\n{swapped}");
        let error = parse("x.yaml", text.as_bytes()).expect_err("it is wrong").to_string();
        assert!(error.contains("no other certificates to be swapped"), "{error}");
    }

    #[test]
    fn without_tls_all_the_time_there_are_no_certificates_to_damage() {
        assert!(refused("", &[EXPIRED]).contains(NO_TLS));
        let off = "kind: change, spec: {tls: null}, effect: carried-out";
        assert!(refused(", tls: {}", &[EXPIRED, off]).contains(NO_TLS));
        let on = "kind: change, spec: {tls: {}}, effect: carried-out";
        assert!(refused("", &[on, EXPIRED]).contains(NO_TLS));
    }

    #[test]
    fn a_damage_is_named_and_hits_one_member() {
        let tls = ", tls: {}";
        assert!(refused(tls, &["kind: certificate, target: leader"]).contains("needs the field `damage`"));
        assert!(refused(tls, &["kind: certificate, damage: rusty, target: leader"]).contains("rusty"));
        for target in ["all", "minority"] {
            let fault = format!("kind: certificate, damage: deleted, target: {target}");
            assert!(refused(tls, &[&fault]).contains(ONE_CERTIFICATE), "{target}");
        }
        let same = "kind: certificate, damage: deleted, sameTargetAs: pod-kill-1";
        assert!(refused(tls, &["kind: pod-kill, target: leader", same]).contains(ONE_CERTIFICATE));
        assert!(
            refused(tls, &["kind: pod-kill, target: leader, damage: deleted"]).contains("no field `damage`")
        );
    }
}
