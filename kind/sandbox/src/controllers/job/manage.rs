//! Which pods a Job makes and which it deletes. Pure.

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::api::batch::v1::JobCondition;
use k8s_openapi::api::core::v1::{Container, EnvVar, EnvVarSource, ObjectFieldSelector, Pod};
use kube::ResourceExt;

use super::{INDEX, View, add_finalizer, without_finalizer};
use crate::controllers::pods::pod_from_template;
use crate::controllers::replicaset::surplus;
use crate::controllers::write::{NAME, Outcome, REFUSAL, Write};

const INDEX_VARIABLE: &str = "JOB_COMPLETION_INDEX";
/// Kubernetes makes and deletes no more pods at once.
const MOST_AT_ONCE: usize = 500;
/// A generated name has room for so much before its five random characters.
const LONGEST_PREFIX: usize = 58;

impl View<'_> {
    /// The pods to make and to delete now.
    pub(super) fn change_pods(&self, verdict: Option<&JobCondition>, outcome: &mut Outcome) -> Vec<Write> {
        let active = self.active();
        if verdict.is_some() {
            // They keep their finalizer, so that they are counted.
            return active.iter().map(|pod| self.delete(pod)).collect();
        }
        if self.job.metadata.deletion_timestamp.is_some() {
            return Vec::new();
        }
        let wanted = self.wanted(active.len());
        let doomed = self.superfluous(&active, wanted);
        if !doomed.is_empty() {
            let delete = |pod: Arc<Pod>| without_finalizer(&pod).into_iter().chain([self.delete(&pod)]);
            return doomed.into_iter().take(MOST_AT_ONCE).flat_map(delete).collect();
        }
        let leaving = if self.replaces_only_failed() { self.terminating().count() } else { 0 };
        let missing = wanted.saturating_sub(leaving + active.len()).min(MOST_AT_ONCE);
        match self.wait_until().filter(|_| missing > 0) {
            Some(time) => {
                outcome.look_again_at(time);
                Vec::new()
            }
            None => self.create(missing),
        }
    }

    /// How many pods should be active.
    fn wanted(&self, active: usize) -> usize {
        if self.is_suspended() {
            return 0;
        }
        let parallelism = usize::try_from(self.spec.parallelism.unwrap_or(1)).unwrap_or(0);
        let succeeded = self.succeeded();
        match self.completions() {
            // Any success means that the work is done; those at work may finish.
            None if succeeded > 0 => active,
            None => parallelism,
            Some(completions) => completions.saturating_sub(succeeded).min(parallelism),
        }
    }

    /// Active pods that are too many: those without a valid index, second ones of an index, then what is left over.
    fn superfluous(&self, active: &[Arc<Pod>], wanted: usize) -> Vec<Arc<Pod>> {
        let mut doomed: Vec<Arc<Pod>> = Vec::new();
        let mut left: Vec<Arc<Pod>> = Vec::new();
        let mut seen = BTreeSet::new();
        for pod in active {
            let stays = !self.is_indexed() || self.index(pod).is_some_and(|index| seen.insert(index));
            if stays { left.push(pod.clone()) } else { doomed.push(pod.clone()) }
        }
        let too_many = active.len().saturating_sub(wanted).saturating_sub(doomed.len());
        let keep = left.len().saturating_sub(too_many);
        let more: Vec<String> = surplus(&left, keep).into_iter().map(ResourceExt::name_any).collect();
        doomed.extend(left.into_iter().filter(|pod| more.contains(&pod.name_any())));
        doomed
    }

    fn delete(&self, pod: &Pod) -> Write {
        Write::delete(pod).announce(self.job, "SuccessfulDelete", format!("Deleted pod: {}", pod.name_any()))
    }

    fn create(&self, count: usize) -> Vec<Write> {
        let pods: Vec<Pod> = if self.is_indexed() {
            self.pending_indexes().take(count).map(|index| self.indexed_pod(index)).collect()
        } else {
            (0..count).map(|_| self.pod()).collect()
        };
        let message = || format!("Created pod: {NAME}");
        let refused = || format!("Error creating: {REFUSAL}");
        let create = |pod| {
            Write::create(pod).announce(self.job, "SuccessfulCreate", message()).complain(
                self.job,
                "FailedCreate",
                refused(),
            )
        };
        pods.iter().map(create).collect()
    }

    /// The completions for which there is neither a success nor a pod at work, smallest first.
    fn pending_indexes(&self) -> impl Iterator<Item = usize> {
        let mut taken = self.succeeded_indexes();
        taken.extend(self.active().iter().filter_map(|pod| self.index(pod)));
        if self.replaces_only_failed() {
            taken.extend(self.terminating().filter_map(|pod| self.index(pod)));
        }
        (0..self.completions().unwrap_or(0)).filter(move |index| !taken.contains(*index))
    }

    fn pod(&self) -> Pod {
        let mut pod = pod_from_template(&self.spec.template, self.job);
        add_finalizer(&mut pod.metadata);
        pod.metadata.generate_name = Some(format!("{}-", self.job.name_any()));
        pod
    }

    fn indexed_pod(&self, index: usize) -> Pod {
        let mut pod = self.pod();
        let job = self.job.name_any();
        let end = format!("-{index}-");
        let room = LONGEST_PREFIX.saturating_sub(end.len());
        pod.metadata.generate_name = Some(format!("{}{end}", job.chars().take(room).collect::<String>()));
        pod.metadata.annotations.get_or_insert_default().insert(INDEX.to_owned(), index.to_string());
        pod.metadata.labels.get_or_insert_default().insert(INDEX.to_owned(), index.to_string());
        let spec = pod.spec.get_or_insert_default();
        spec.hostname = Some(format!("{job}-{index}"));
        spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()).for_each(tell_index);
        pod
    }
}

/// Gives the container the variable that tells its index, unless it has one.
fn tell_index(container: &mut Container) {
    let variables = container.env.get_or_insert_default();
    if variables.iter().any(|variable| variable.name == INDEX_VARIABLE) {
        return;
    }
    let field_ref =
        ObjectFieldSelector { field_path: format!("metadata.labels['{INDEX}']"), ..Default::default() };
    let value_from = EnvVarSource { field_ref: Some(field_ref), ..EnvVarSource::default() };
    variables.push(EnvVar {
        name: INDEX_VARIABLE.to_owned(),
        value_from: Some(value_from),
        ..EnvVar::default()
    });
}
