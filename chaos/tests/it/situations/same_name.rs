//! One name, twice: a cluster is deleted and applied again, and what the earlier one left is still there.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::ResourceExt as _;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

use super::ground::Ground;
use super::observing::{ensure, throughout};
use super::subject::Subject;
use crate::promises::arena::until;

/// Keeps a pod from going, as a node that does not answer does.
const FINALIZER: &str = "situations.test/still-ending";

/// How long nothing may happen before the test believes that nothing will.
const A_WHILE: Duration = Duration::from_secs(8);

/// What an earlier cluster of the name left: its pods by uid, its claims, its ID.
struct Remains {
    members: Vec<String>,
    pods: BTreeMap<String, String>,
    claims: BTreeMap<String, Claim>,
    cluster_id: String,
}

/// What must not change of a retained claim.
#[derive(Debug, PartialEq, Eq)]
struct Claim {
    uid: String,
    annotations: BTreeMap<String, String>,
    is_leaving: bool,
}

async fn claims(ground: &Ground) -> BTreeMap<String, Claim> {
    let claim = |claim: &PersistentVolumeClaim| Claim {
        uid: claim.uid().unwrap_or_default(),
        annotations: claim.annotations().clone(),
        is_leaving: claim.metadata.deletion_timestamp.is_some(),
    };
    let all = ground.all::<PersistentVolumeClaim>().await;
    all.iter().map(|one| (one.name_any(), claim(one))).collect()
}

impl Remains {
    async fn of(cluster: &Subject<'_>) -> Remains {
        let picture = cluster.picture().await;
        Remains {
            members: picture.members().iter().map(|name| (*name).to_owned()).collect(),
            pods: cluster.uids().await,
            claims: claims(cluster.ground).await,
            cluster_id: picture.cluster_id().unwrap().to_owned(),
        }
    }

    /// Whether the new object has left all of it alone and forms nothing.
    async fn are_left_alone(&self, new: &Subject<'_>) -> Result<(), String> {
        let now = claims(new.ground).await;
        ensure(now == self.claims, || format!("claims were {:?} and are {now:?}", self.claims))?;
        let picture = new.picture().await;
        let taken: Vec<&str> = picture.members();
        let is_ours = |name: &&str| self.members.iter().any(|old| old == name);
        ensure(!taken.iter().any(is_ours), || format!("its status lists members of the old: {taken:?}"))?;
        ensure(picture.cluster_id().is_none(), || format!("it has an ID: {:?}", picture.cluster_id()))?;
        ensure(!picture.is("Available"), || "it calls itself Available".to_owned())?;
        let pods = new.ground.all::<Pod>().await;
        let strange = pods.iter().find(|pod| self.pods.get(&pod.name_any()) != pod.uid().as_ref());
        ensure(strange.is_none(), || format!("it started {:?}", strange.map(|pod| pod.name_any())))?;
        self.are_not_served(new).await
    }

    /// Whether no Service of the new object leads to a pod of the old.
    async fn are_not_served(&self, new: &Subject<'_>) -> Result<(), String> {
        let owner = new.picture().await.0.uid();
        let is_new =
            |service: &Service| service.owner_references().iter().any(|one| Some(&one.uid) == owner.as_ref());
        let services: Vec<Option<String>> =
            new.ground.all::<Service>().await.iter().filter(|one| is_new(one)).map(|one| one.uid()).collect();
        for slice in new.ground.all::<EndpointSlice>().await {
            if !slice.owner_references().iter().any(|one| services.contains(&Some(one.uid.clone()))) {
                continue;
            }
            let targets = slice.endpoints.iter().filter_map(|one| one.target_ref.as_ref()?.uid.as_ref());
            for target in targets {
                ensure(!self.pods.values().any(|uid| uid == target), || {
                    format!("{} leads to pod {target} of the old cluster", slice.name_any())
                })?;
            }
        }
        Ok(())
    }
}

async fn set_finalizers(ground: &Ground, pods: &BTreeMap<String, String>, finalizers: &[&str]) {
    let patch = Patch::Merge(json!({ "metadata": { "finalizers": finalizers } }));
    for name in pods.keys() {
        ground.api::<Pod>().patch(name, &PatchParams::default(), &patch).await.unwrap();
    }
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
async fn a_cluster_applied_again_while_old_pods_end_takes_nothing_and_forms_empty_once_bootstrap_says_new() {
    let ground = Ground::open("anew").await;
    let old = Subject::create(&ground, "demo", json!({})).await;
    old.is_ready(3).await;
    old.put("old", "data").await;
    let remains = Remains::of(&old).await;
    set_finalizers(&ground, &remains.pods, &[FINALIZER]).await;
    old.delete().await;
    let new = Subject::create(&ground, "demo", json!({})).await;

    new.holds("RetainedVolumes").await;
    new.says("a condition says so too", |picture| picture.has_reason("RetainedVolumes")).await;
    throughout("the old pods still end", A_WHILE, async || remains.are_left_alone(&new).await).await;
    set_finalizers(&ground, &remains.pods, &[]).await;
    until("the old pods are gone", async || Ok(ground.all::<Pod>().await.is_empty().then_some(()))).await;
    throughout("the old volumes are still there", A_WHILE, async || {
        ensure(new.picture().await.hold("RetainedVolumes").is_some(), || "nothing holds it".to_owned())?;
        remains.are_left_alone(&new).await
    })
    .await;

    adopting_is_refused(&new, &remains).await;
    new.change(json!({ "bootstrap": { "retainedVolumes": "Leave" } })).await.unwrap();
    let formed = new.is_ready(3).await;
    assert_ne!(formed.cluster_id(), Some(remains.cluster_id.as_str()), "it is another etcd cluster");
    new.every_member_has(3, "old", "").await;
    remains.are_not_served(&new).await.unwrap();
    let now = claims(&ground).await;
    let kept: BTreeMap<&String, &Claim> =
        now.iter().filter(|(name, _)| remains.claims.contains_key(*name)).collect();
    assert_eq!(kept, remains.claims.iter().collect(), "the retained claims are as they were");
    assert_eq!(now.len(), 6, "each new member has a claim of its own: {now:?}");
}

/// By a rule at the API server, or by a hold; either says what it refuses.
async fn adopting_is_refused(new: &Subject<'_>, remains: &Remains) {
    match new.change(json!({ "bootstrap": { "retainedVolumes": "Adopt" } })).await {
        Err(kube::Error::Api(status)) => {
            assert_eq!(status.code, 422, "{}", status.message);
            assert!(status.message.contains("adopt"), "{}", status.message);
        }
        Err(error) => panic!("{error}"),
        Ok(_) => {
            new.says("a hold says why adopting is refused", |picture| {
                let holds = picture.0.data.pointer("/status/holds").map(ToString::to_string);
                holds.is_some_and(|holds| holds.contains("adopt"))
            })
            .await;
            throughout("adopting was asked for", A_WHILE, async || remains.are_left_alone(new).await).await;
        }
    }
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "longer than ci/test may take; see the module's documentation"]
async fn what_a_deletion_without_its_dependents_left_running_is_neither_taken_nor_disturbed() {
    let ground = Ground::open("orphaned").await;
    let old = Subject::create(&ground, "demo", json!({})).await;
    old.is_ready(3).await;
    old.put("old", "data").await;
    let remains = Remains::of(&old).await;
    let orphan = DeleteParams {
        propagation_policy: Some(kube::api::PropagationPolicy::Orphan),
        ..DeleteParams::default()
    };
    old.api().delete("demo", &orphan).await.unwrap();
    let new = Subject::create(&ground, "demo", json!({})).await;
    new.holds("RetainedVolumes").await;
    throughout("the old cluster runs on", A_WHILE, async || {
        remains.are_left_alone(&new).await?;
        let now = new.uids().await;
        ensure(now == remains.pods, || format!("the old pods were {:?} and are {now:?}", remains.pods))
    })
    .await;
    old.every_member_has(3, "old", "data").await;
}
