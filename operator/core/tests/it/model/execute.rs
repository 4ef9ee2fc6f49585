//! Carries out actions as the shell would, with their preconditions, and panics where one breaks a rule that must hold
//! whatever the plan was made from.

use etcd_operator_core::cluster::observed::ListedMember;
use etcd_operator_core::cluster::plan::{
    Action, Delete, Evict, Kind, Object, Patch, PatchOperation, PlannedOn, SetbackKind, Target,
};
use etcd_operator_core::cluster::render::quantity;
use etcd_operator_core::names::{ANNOTATION_PERMIT_ISSUED, CLUSTER_UID, MemberId, MemberName};
use etcd_operator_core::quorum::quorum;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Model;
use super::etcd::EtcdMember;

impl Model {
    /// Carries out one action.
    pub(crate) fn execute(&mut self, action: &Action) -> Result<(), SetbackKind> {
        self.refuse_what_is_not_valid(action)?;
        let had_quorum = self.has_quorum();
        let voters_before = self.voters();
        let result = self.carry_out(action).map_err(|_| SetbackKind::Overtaken);
        let is_single = voters_before == 1;
        if self.is_strict && had_quorum && !is_single {
            assert!(self.has_quorum(), "the operator itself took the quorum: {action}");
        }
        result
    }

    /// What an API server refuses: whatever its quotas and webhooks do, and templates whose requests are above their limits.
    fn refuse_what_is_not_valid(&self, action: &Action) -> Result<(), SetbackKind> {
        let kind = match action {
            Action::Create(object) => object.kind(),
            Action::Patch(patch) => patch.target.kind,
            _ => return Ok(()),
        };
        if self.refused_kinds.contains(&kind) {
            return Err(SetbackKind::Refused(format!("admission denied the {}", kind.as_str())));
        }
        let text = match action {
            Action::Create(object) => format!("{object:?}"),
            Action::Patch(patch) => serde_json::to_string(&patch.operations).expect("plain data"),
            _ => String::new(),
        };
        if let Action::Patch(patch) = action
            && kind == Kind::PersistentVolumeClaim
        {
            self.refuse_to_resize(patch)?;
        }
        if kind == Kind::StatefulSet && text.contains(super::REFUSED_AMOUNT) {
            return Err(SetbackKind::Refused(
                "spec.template.spec.containers[0].resources is invalid".to_owned(),
            ));
        }
        Ok(())
    }

    /// Volumes never shrink, and those of some classes never grow.
    fn refuse_to_resize(&self, patch: &Patch) -> Result<(), SetbackKind> {
        let wanted = patch.operations.iter().find_map(|operation| match operation {
            PatchOperation::Add { path, value } if path == "/spec/resources/requests/storage" => {
                value.as_str()
            }
            PatchOperation::Add { .. } | PatchOperation::Test { .. } | PatchOperation::Remove { .. } => None,
        });
        let (Some(wanted), Some(live)) = (wanted, self.claims.get(&patch.target.name)) else { return Ok(()) };
        let spec = live.spec.as_ref().expect("a spec");
        let present =
            &spec.resources.as_ref().and_then(|all| all.requests.as_ref()).expect("a size")["storage"];
        assert!(quantity::is_above(wanted, &present.0), "{} would shrink to {wanted}", patch.target.name);
        if spec.storage_class_name.as_deref() == Some(super::FIXED_CLASS) {
            return Err(SetbackKind::Refused(
                "the storageclass that provisions the pvc must support resize".to_owned(),
            ));
        }
        Ok(())
    }

    /// Whatever is changed or deleted was made for this cluster object: the operator touches nobody else's.
    fn refuse_to_touch_others(&self, target: &Target) {
        let name = &target.name;
        let metadata = match target.kind {
            Kind::StatefulSet => self.stateful_sets.get(name).map(|live| &live.metadata),
            Kind::Service => self.services.get(name).map(|live| &live.metadata),
            Kind::PodDisruptionBudget => self.budgets.get(name).map(|live| &live.metadata),
            Kind::EtcdBackup | Kind::Secret => None,
            Kind::Job => self.jobs.get(name).map(|live| &live.metadata),
            Kind::PersistentVolumeClaim => self.claims.get(name).map(|live| &live.metadata),
            Kind::Pod => self.pods.get(name).map(|live| &live.metadata),
        };
        let Some(metadata) = metadata else { return };
        let ours = self.cluster.metadata.uid.as_deref();
        let owner = metadata.owner_references.iter().flatten().find(|owner| owner.kind == "EtcdCluster");
        let label = metadata.labels.as_ref().and_then(|labels| labels.get(CLUSTER_UID));
        let annotation = metadata.annotations.as_ref().and_then(|all| all.get(CLUSTER_UID));
        let recorded = owner.map(|owner| owner.uid.as_str()).or(label.or(annotation).map(String::as_str));
        let is_corrupted = annotation.is_some_and(|uid| uid == "another");
        assert!(
            recorded.is_none_or(|uid| Some(uid) == ours) || is_corrupted || !self.is_strict,
            "{} {name} was made for another object",
            target.kind.as_str()
        );
        let is_nobodys = owner.is_none() && matches!(target.kind, Kind::Service | Kind::PodDisruptionBudget);
        assert!(!is_nobodys || label.is_some() || !self.is_strict, "{name} was not made for this cluster");
    }

    fn voters(&self) -> usize {
        self.etcd.iter().flat_map(|etcd| &etcd.members).filter(|member| !member.listed.is_learner).count()
    }

    fn carry_out(&mut self, action: &Action) -> Result<(), String> {
        match action {
            Action::RecordBootstrap { record, resource_version } => {
                if self.cluster.metadata.resource_version.as_ref() != Some(resource_version) {
                    return Err("conflict".to_owned());
                }
                self.cluster.status.get_or_insert_default().bootstrap = Some(record.clone());
                self.bump_cluster();
                Ok(())
            }
            Action::Create(object) => self.create(object),
            Action::Patch(patch) => self.patch(patch),
            Action::Delete(delete) => self.delete(delete),
            Action::Evict(evict) => self.evict(evict),
            Action::AddLearner { peer_url, planned_on, .. } => self.add_learner(peer_url, planned_on),
            Action::PromoteMember { id, planned_on, .. } => self.promote(*id, planned_on),
            Action::WriteSecret(write) => self.write_secret(write),
            Action::UpdatePeerUrl { id, peer_url, planned_on, .. } => {
                self.check_plan(planned_on)?;
                self.update_peer_url(*id, peer_url)
            }
            Action::RemoveMember { id, planned_on, .. } => self.remove_member(*id, planned_on),
            Action::MoveLeader { to_id, .. } => {
                self.etcd.as_mut().ok_or("no etcd")?.leader = Some(*to_id);
                Ok(())
            }
            Action::Downgrade(request) => self.downgrade(*request),
            Action::DisarmAlarm { member_id, alarm } => {
                self.refuse_to_disarm_what_is_true(*alarm);
                self.etcd.as_mut().ok_or("no etcd")?.alarms.retain(|alarm| alarm.member_id != *member_id);
                Ok(())
            }
        }
    }

    fn new_metadata(&mut self, metadata: &ObjectMeta) -> ObjectMeta {
        ObjectMeta {
            uid: Some(format!("uid-{}", self.next())),
            resource_version: Some(self.next().to_string()),
            generation: Some(1),
            creation_timestamp: Some(Time(self.now)),
            ..metadata.clone()
        }
    }

    fn create(&mut self, object: &Object) -> Result<(), String> {
        let name = object.name().to_owned();
        let exists = match object {
            Object::StatefulSet(_) => self.stateful_sets.contains_key(&name),
            Object::Claim(_) => self.claims.contains_key(&name),
            Object::Service(_) => self.services.contains_key(&name),
            Object::DisruptionBudget(_) => self.budgets.contains_key(&name),
            Object::Backup(_) => self.backups.contains_key(&name),
            Object::Job(_) => self.jobs.contains_key(&name),
        };
        if exists {
            return Err(format!("{name} exists"));
        }
        match object.clone() {
            Object::StatefulSet(mut new) => {
                new.metadata = self.new_metadata(&new.metadata);
                self.stateful_sets.insert(name, new);
            }
            Object::Claim(mut new) => {
                new.metadata = self.new_metadata(&new.metadata);
                new.spec.get_or_insert_default().volume_name = Some(format!("volume-of-{name}"));
                self.claims.insert(name, new);
            }
            Object::Service(mut new) => {
                new.metadata = self.new_metadata(&new.metadata);
                self.services.insert(name, new);
            }
            Object::DisruptionBudget(mut new) => {
                new.metadata = self.new_metadata(&new.metadata);
                self.budgets.insert(name, new);
            }
            Object::Backup(mut new) => {
                new.metadata = self.new_metadata(&new.metadata);
                self.backups.insert(name, new);
            }
            Object::Job(mut new) => {
                new.metadata = self.new_metadata(&new.metadata);
                self.jobs.insert(name, new);
            }
        }
        Ok(())
    }

    fn patch(&mut self, patch: &Patch) -> Result<(), String> {
        self.refuse_to_touch_others(&patch.target);
        self.refuse_to_change_too_early(patch);
        let version = self.next().to_string();
        let name = &patch.target.name;
        let operations = &patch.operations;
        let spec_before = self.stateful_sets.get(name).and_then(|live| live.spec.clone());
        match patch.target.kind {
            Kind::StatefulSet => apply(self.stateful_sets.get_mut(name), operations, &version)?,
            Kind::PersistentVolumeClaim => apply(self.claims.get_mut(name), operations, &version)?,
            Kind::Pod => apply(self.pods.get_mut(name), operations, &version)?,
            Kind::Service => apply(self.services.get_mut(name), operations, &version)?,
            Kind::PodDisruptionBudget => apply(self.budgets.get_mut(name), operations, &version)?,
            Kind::EtcdBackup | Kind::Job | Kind::Secret => {
                panic!("the operator never changes a {:?}", patch.target)
            }
        }
        if patch.target.kind == Kind::StatefulSet {
            if self.webhook_adds_variables {
                self.set_variable(name);
            }
            let live = self.stateful_sets.get_mut(name).expect("it was patched");
            let more = i64::from(live.spec != spec_before);
            live.metadata.generation = live.metadata.generation.map(|generation| generation + more);
        }
        self.count_permits(patch);
        Ok(())
    }

    fn count_permits(&mut self, patch: &Patch) {
        let suffix = ANNOTATION_PERMIT_ISSUED.replace('/', "~1");
        for operation in &patch.operations {
            if let PatchOperation::Add { path, value } = operation
                && path.ends_with(&suffix)
            {
                let issued: etcd_operator_core::cluster::observed::IssuedPermit =
                    serde_json::from_str(value.as_str().expect("a text")).expect("a record");
                let permits = self.permits.entry(patch.target.name.clone()).or_default();
                permits.insert(issued.id.to_string());
                let count = permits.len();
                assert!(count == 1 || !self.is_strict, "{count} permits for {}", patch.target.name);
            }
        }
    }

    /// The budget is asked; then the pod goes as by any deletion.
    fn evict(&mut self, evict: &Evict) -> Result<(), String> {
        let voters = self.voters();
        let needed = if voters <= 1 { 0 } else { quorum(voters) };
        let healthy = self
            .etcd
            .iter()
            .flat_map(|etcd| &etcd.members)
            .filter(|member| !member.listed.is_learner && self.runs(&member.listed))
            .count();
        if healthy.saturating_sub(1) < needed {
            return Err("Cannot evict pod as it would violate the pod's disruption budget.".to_owned());
        }
        self.refuse_to_restart_the_leader(evict);
        let (target, because) = (evict.target.clone(), evict.because.clone());
        self.delete(&Delete { target, resource_version: None, grace_period_seconds: None, because })
    }

    fn delete(&mut self, delete: &Delete) -> Result<(), String> {
        self.refuse_to_touch_others(&delete.target);
        self.refuse_to_lose_memory(&delete.target);
        let name = &delete.target.name;
        let uid = Some(&delete.target.uid);
        match delete.target.kind {
            Kind::StatefulSet => {
                let live = self.stateful_sets.get(name).ok_or("not found")?;
                if live.metadata.uid.as_ref() != uid {
                    return Err("another object".to_owned());
                }
                self.stateful_sets.remove(name);
            }
            Kind::Pod => {
                let live = self.pods.get(name).ok_or("not found")?;
                if live.metadata.uid.as_ref() != uid {
                    return Err("another object".to_owned());
                }
                self.remove_pod(&name.clone());
            }
            Kind::PersistentVolumeClaim => {
                self.refuse_to_lose_data(name);
                let now = self.now;
                let live = self.claims.get_mut(name).ok_or("not found")?;
                if live.metadata.uid.as_ref() != uid {
                    return Err("another object".to_owned());
                }
                live.metadata.deletion_timestamp = Some(Time(now));
            }
            Kind::Job => {
                let live = self.jobs.get(name).ok_or("not found")?;
                if live.metadata.uid.as_ref() != uid {
                    return Err("another object".to_owned());
                }
                self.jobs.remove(name);
            }
            Kind::Service | Kind::PodDisruptionBudget | Kind::EtcdBackup | Kind::Secret => {
                panic!("the operator never deletes a {:?}", delete.target)
            }
        }
        Ok(())
    }

    fn refuse_to_lose_data(&self, claim: &str) {
        let cluster = self.identity();
        let member = MemberName::of_claim(&cluster, claim).expect("only members' claims are deleted");
        let is_listed = self
            .etcd
            .iter()
            .flat_map(|etcd| &etcd.members)
            .any(|one| self.member_of(&one.listed.peer_urls[0]).as_ref() == Some(&member));
        let has_formed = self.etcd.as_ref().is_some_and(|etcd| etcd.has_formed);
        assert!(!(is_listed && has_formed && self.is_strict), "volume of member {member} would be deleted");
    }

    fn check_plan(&self, planned_on: &PlannedOn) -> Result<(), String> {
        let etcd = self.etcd.as_ref().ok_or("no etcd")?;
        let mut members: Vec<MemberId> = etcd.members.iter().map(|member| member.listed.id).collect();
        members.sort();
        let is_same = etcd.cluster_id == planned_on.cluster_id && members == planned_on.members;
        if is_same && self.has_quorum() { Ok(()) } else { Err("the member list has changed".to_owned()) }
    }

    pub(super) fn add_learner(&mut self, peer_url: &str, planned_on: &PlannedOn) -> Result<(), String> {
        self.check_plan(planned_on)?;
        self.add_unstarted(peer_url);
        Ok(())
    }

    /// What a member looks like that was added and has never started.
    pub(super) fn add_unstarted(&mut self, peer_url: &str) {
        let id = MemberId(0xb000 + self.next());
        let listed = ListedMember {
            id,
            name: String::new(),
            peer_urls: vec![peer_url.to_owned()],
            client_urls: Vec::new(),
            is_learner: true,
        };
        let etcd = self.etcd.as_mut().expect("a member is added to something");
        assert!(etcd.members.iter().all(|member| !member.listed.is_learner), "etcd allows one learner");
        etcd.members.push(EtcdMember { listed, applied: 0, oldest_entry: None, data: super::data::RIGHT });
    }

    fn promote(&mut self, id: MemberId, planned_on: &PlannedOn) -> Result<(), String> {
        self.check_plan(planned_on)?;
        let etcd = self.etcd.as_mut().ok_or("no etcd")?;
        let index = etcd.index;
        let member = etcd.members.iter_mut().find(|member| member.listed.id == id).ok_or("no such member")?;
        assert!(member.applied * 10 >= index * 9, "etcd would refuse this learner");
        member.listed.is_learner = false;
        Ok(())
    }

    fn remove_member(&mut self, id: MemberId, planned_on: &PlannedOn) -> Result<(), String> {
        self.check_plan(planned_on)?;
        let etcd = self.etcd.as_ref().ok_or("no etcd")?;
        let rest: Vec<&EtcdMember> =
            etcd.members.iter().filter(|one| !one.listed.is_learner && one.listed.id != id).collect();
        let healthy = rest.iter().filter(|member| self.runs(&member.listed)).count();
        self.refuse_to_go_below_the_size(id, rest.len());
        self.refuse_to_remove_right_data(id);
        if healthy < quorum(rest.len()) {
            assert!(!self.is_strict, "the rest could not bear this removal");
            return Err("etcdserver: unhealthy cluster".to_owned());
        }
        self.etcd.as_mut().ok_or("no etcd")?.members.retain(|member| member.listed.id != id);
        Ok(())
    }
}

impl Model {
    /// Whoever runs and votes goes only once enough others vote; a corrupt one has no vote that counts.
    fn refuse_to_go_below_the_size(&self, id: MemberId, remaining: usize) {
        let etcd = self.etcd.as_ref().expect("a member is removed from something");
        let is_corrupt = etcd.members.iter().any(|one| one.listed.id == id && one.data != super::data::RIGHT);
        let serves = etcd
            .members
            .iter()
            .any(|one| one.listed.id == id && !one.listed.is_learner && self.runs(&one.listed));
        let wanted = usize::try_from(self.cluster.spec.size).unwrap_or(0);
        assert!(
            !serves || is_corrupt || remaining >= wanted || !self.is_strict,
            "a voter that serves would go, and {remaining} of {wanted} would be left"
        );
    }
}

/// Applies a JSON patch. Paths lead through objects only.
fn apply<T: Serialize + DeserializeOwned>(
    live: Option<&mut T>,
    operations: &[PatchOperation],
    resource_version: &str,
) -> Result<(), String> {
    let live = live.ok_or("not found")?;
    let mut value = serde_json::to_value(&*live).expect("plain data");
    for operation in operations {
        match operation {
            PatchOperation::Test { path, value: expected } => {
                if value.pointer(path) != Some(expected) {
                    return Err(format!("conflict at {path}"));
                }
            }
            PatchOperation::Add { path, value: new } => {
                let (parent, key) = parent(&mut value, path)?;
                parent[key] = new.clone();
            }
            PatchOperation::Remove { path } => {
                let (parent, key) = parent(&mut value, path)?;
                let fields = parent.as_object_mut().ok_or("not an object")?;
                fields.remove(&key).ok_or(format!("nothing at {path}"))?;
            }
        }
    }
    value["metadata"]["resourceVersion"] = Value::String(resource_version.to_owned());
    *live = serde_json::from_value(value).expect("a patched object is still one");
    Ok(())
}

fn parent<'v>(value: &'v mut Value, path: &str) -> Result<(&'v mut Value, String), String> {
    let (parent, key) = path.rsplit_once('/').expect("a JSON pointer");
    let key = key.replace("~1", "/").replace("~0", "~");
    Ok((value.pointer_mut(parent).ok_or(format!("nothing at {parent}"))?, key))
}
