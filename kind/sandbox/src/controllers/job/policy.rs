//! Rules by which a Job judges its pods: `podFailurePolicy` and `successPolicy`. Pure.

use k8s_openapi::api::batch::v1::{PodFailurePolicyOnExitCodesRequirement, PodFailurePolicyRule};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

use super::View;
use super::indexes::Indexes;

/// What a failed pod means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It counts towards the limit.
    Counts,
    /// It is as if it had never been.
    Ignored,
    /// It ends the Job, for this reason.
    FailsJob(String),
}

impl View<'_> {
    /// What the first matching rule says of a failed pod.
    pub(super) fn judge(&self, pod: &Pod) -> Failure {
        let rules = self.spec.pod_failure_policy.as_ref().map(|policy| policy.rules.as_slice());
        for (number, rule) in rules.unwrap_or_default().iter().enumerate() {
            if let Some(cause) = matches(rule, pod) {
                let message = format!("{cause} matching {} rule at index {number}", rule.action);
                return match rule.action.as_str() {
                    "Ignore" => Failure::Ignored,
                    "FailJob" => Failure::FailsJob(message),
                    // `Count`; and `FailIndex` needs a limit for each index, which is not offered here.
                    _ => Failure::Counts,
                };
            }
        }
        Failure::Counts
    }

    /// What the success policy says, if these completions satisfy it.
    pub(super) fn success_policy(&self, succeeded: &Indexes) -> Option<String> {
        let policy = self.spec.success_policy.as_ref().filter(|_| succeeded.count() > 0)?;
        let satisfied = policy.rules.iter().position(|rule| {
            let enough = |count: usize| {
                rule.succeeded_count
                    .is_some_and(|wanted| i32::try_from(count).is_ok_and(|count| count >= wanted))
            };
            match &rule.succeeded_indexes {
                None => enough(succeeded.count()),
                Some(text) => {
                    let wanted = Indexes::parse(text, self.completions().unwrap_or(0));
                    let shared = wanted.shared(succeeded);
                    wanted.count() > 0 && (shared == wanted.count() || enough(shared))
                }
            }
        });
        satisfied.map(|number| format!("Matched rules at index {number}"))
    }
}

/// What of a pod matches a rule, in words.
fn matches(rule: &PodFailurePolicyRule, pod: &Pod) -> Option<String> {
    let name = |pod: &Pod| {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        format!("{}/{}", text(&pod.metadata.namespace), text(&pod.metadata.name))
    };
    let status = pod.status.as_ref()?;
    if let Some(wanted) = &rule.on_exit_codes {
        let all = status.container_statuses.iter().chain(&status.init_container_statuses).flatten();
        let (container, code) = all
            .filter_map(|one| Some((one, exit_code(one)?)))
            .find(|(one, code)| fits(wanted, one, *code))?;
        return Some(format!(
            "Container {} for pod {} failed with exit code {code}",
            container.name,
            name(pod)
        ));
    }
    let wanted = rule.on_pod_conditions.as_deref().unwrap_or_default();
    let mut conditions = status.conditions.iter().flatten();
    let found = conditions.find(|condition| {
        wanted.iter().any(|pattern| pattern.type_ == condition.type_ && pattern.status == condition.status)
    })?;
    Some(format!("Pod {} has condition {}", name(pod), found.type_))
}

fn exit_code(status: &ContainerStatus) -> Option<i32> {
    Some(status.state.as_ref()?.terminated.as_ref()?.exit_code).filter(|code| *code != 0)
}

fn fits(wanted: &PodFailurePolicyOnExitCodesRequirement, status: &ContainerStatus, code: i32) -> bool {
    let named = wanted.container_name.as_ref().is_none_or(|name| *name == status.name);
    let listed = wanted.values.contains(&code);
    named && if wanted.operator == "NotIn" { !listed } else { listed }
}
