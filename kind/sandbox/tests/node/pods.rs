//! The life of pods: containers, volumes, probes, restarts, their end.

use crate::harness::{Fixture, Test, eventually};
use crate::tests;
use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::{ContainerState, Event, PersistentVolume, PersistentVolumeClaim, Pod};
use kube::Api;
use kube::api::{DeleteParams, ListParams, LogParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        a_pod_runs_and_its_output_is_its_log,
        many_short_containers_at_once_are_all_seen_to_end,
        a_failed_init_container_is_started_again_and_holds_back_the_rest,
        a_container_that_keeps_ending_waits_for_its_back_off,
        an_annotation_reaches_the_downward_volume_of_a_running_pod,
        a_container_runs_as_the_user_and_with_the_capabilities_it_asks_for,
        an_unknown_image_keeps_the_container_waiting_with_a_reason,
        a_claim_keeps_its_data_for_the_next_pod_and_loses_it_with_the_volume,
        a_pod_that_ignores_sigterm_is_killed_after_its_grace_period,
        hooks_run_after_the_start_and_before_the_end,
        a_sidecar_serves_from_before_the_start_until_after_the_end,
        a_readiness_probe_decides_whether_a_pod_is_ready,
        a_failed_liveness_probe_restarts_the_container,
        an_ephemeral_container_joins_its_target,
        a_pod_without_its_claim_is_not_scheduled,
    ]
}

/// A pod with one container of the tool.
fn pod(name: &str, arguments: Value) -> Value {
    json!({
        "metadata": {"name": name},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [
            {"name": "main", "image": "tool:v1", "args": arguments}
        ]},
    })
}

async fn create(fixture: &Fixture, pod: Value) -> anyhow::Result<Api<Pod>> {
    let pods: Api<Pod> = Api::namespaced(fixture.client.clone(), "default");
    pods.create(&PostParams::default(), &serde_json::from_value(pod)?).await.context("creating the pod")?;
    Ok(pods)
}

async fn until(pods: &Api<Pod>, name: &str, what: &str, holds: impl Fn(&Pod) -> bool) -> anyhow::Result<Pod> {
    eventually(what, async || {
        let pod = pods.get(name).await?;
        if holds(&pod) {
            return Ok(Some(pod));
        }
        anyhow::bail!("status is {}", serde_json::to_string(&pod.status)?)
    })
    .await
}

fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|one| one.type_ == "Ready" && one.status == "True")
}

/// Restarts and state of the first container.
fn container(pod: &Pod) -> (i32, ContainerState) {
    let status = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref()?.first().cloned());
    let status = status.unwrap_or_default();
    (status.restart_count, status.state.unwrap_or_default())
}

async fn a_pod_runs_and_its_output_is_its_log() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let mut once = pod("hello", json!(["print", "hello", "3"]));
    once["spec"]["restartPolicy"] = "Never".into();
    let pods = create(&fixture, once).await?;
    let ended = until(&pods, "hello", "the pod to fail", |pod| phase(pod) == "Failed").await?;
    let code = container(&ended).1.terminated.map(|terminated| terminated.exit_code);
    ensure!(code == Some(3), "the exit code is {code:?}");
    let log = pods.logs("hello", &LogParams { follow: true, ..LogParams::default() }).await?;
    ensure!(log == "hello\n", "the log is {log:?}");
    fixture.stop().await
}

async fn many_short_containers_at_once_are_all_seen_to_end() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let names: Vec<String> = (0..12).map(|number| format!("short-{number}")).collect();
    for name in &names {
        let mut short = pod(name, json!(["print", "main", "0"]));
        short["spec"]["restartPolicy"] = "Never".into();
        short["spec"]["initContainers"] =
            json!([{"name": "first", "image": "tool:v1", "args": ["print", "first", "0"]}]);
        create(&fixture, short).await?;
    }
    let pods: Api<Pod> = Api::namespaced(fixture.client.clone(), "default");
    for name in &names {
        let ended = until(&pods, name, "the pod to succeed", |pod| phase(pod) == "Succeeded").await?;
        let first = ended.status.and_then(|status| status.init_container_statuses).unwrap_or_default();
        ensure!(first[0].restart_count == 0, "{name}: the init container was started again");
    }
    fixture.stop().await
}

async fn a_failed_init_container_is_started_again_and_holds_back_the_rest() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let mut waiting = pod("waiting", json!(["sleep"]));
    waiting["spec"]["volumes"] = json!([{"name": "shared", "emptyDir": {}}]);
    // The first run finds nothing and fails; its trace lets the second succeed.
    waiting["spec"]["initContainers"] = json!([{
        "name": "first", "image": "tool:v1", "args": ["second-time", "/shared/seen"],
        "volumeMounts": [{"name": "shared", "mountPath": "/shared"}],
    }]);
    let pods = create(&fixture, waiting).await?;
    let running = until(&pods, "waiting", "the pod to run", is_ready).await?;
    let first = running.status.and_then(|status| status.init_container_statuses).unwrap_or_default();
    ensure!(first[0].restart_count == 1, "the init container was restarted {} times", first[0].restart_count);
    fixture.stop().await
}

async fn a_container_that_keeps_ending_waits_for_its_back_off() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let pods = create(&fixture, pod("ends", json!(["print", "again", "1"]))).await?;
    let waiting = until(&pods, "ends", "a back-off", |pod| {
        container(pod).1.waiting.is_some_and(|waiting| waiting.reason.as_deref() == Some("CrashLoopBackOff"))
    })
    .await?;
    ensure!(container(&waiting).0 == 1, "the first restart is immediate, the second waits");
    let message = container(&waiting).1.waiting.and_then(|waiting| waiting.message).unwrap_or_default();
    ensure!(
        message.starts_with("back-off 10s restarting failed container=main pod=ends_default("),
        "{message}"
    );
    let previous = pods.logs("ends", &LogParams { previous: true, ..LogParams::default() }).await?;
    ensure!(previous == "again\n", "the previous log is {previous:?}");
    fixture.stop().await
}

async fn an_annotation_reaches_the_downward_volume_of_a_running_pod() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let mut told = pod("told", json!(["serve", "8080"]));
    told["spec"]["volumes"] = json!([{"name": "info", "downwardAPI": {"items": [
        {"path": "annotations", "fieldRef": {"fieldPath": "metadata.annotations"}}
    ]}}]);
    told["spec"]["containers"][0]["volumeMounts"] = json!([{"name": "info", "mountPath": "/info"}]);
    let pods = create(&fixture, told).await?;
    until(&pods, "told", "the pod to run", is_ready).await?;
    let begin = Instant::now();
    let patch = Patch::Merge(json!({"metadata": {"annotations": {"permit": "granted"}}}));
    pods.patch("told", &PatchParams::default(), &patch).await?;
    eventually("the annotation in the file", async || {
        let text = fixture.ask("told", 8080, "file/info/annotations").await?;
        Ok((text == "permit=\"granted\"").then_some(()))
    })
    .await?;
    ensure!(begin.elapsed() < Duration::from_secs(2), "it took {:?}", begin.elapsed());
    fixture.stop().await
}

async fn a_container_runs_as_the_user_and_with_the_capabilities_it_asks_for() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let mut plain = pod("plain", json!(["serve", "8080"]));
    plain["spec"]["securityContext"] =
        json!({"runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532, "runAsNonRoot": true});
    plain["spec"]["containers"][0]["securityContext"] = json!({
        "readOnlyRootFilesystem": true, "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}
    });
    plain["spec"]["volumes"] = json!([{"name": "scratch", "emptyDir": {}}]);
    plain["spec"]["containers"][0]["volumeMounts"] = json!([{"name": "scratch", "mountPath": "/scratch"}]);
    let pods = create(&fixture, plain).await?;
    until(&pods, "plain", "the pod to run", is_ready).await?;
    let identity = fixture.ask("plain", 8080, "identity").await?;
    for line in ["Uid:\t65532\t65532", "Gid:\t65532\t65532", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1"] {
        ensure!(identity.contains(line), "{line} is missing in\n{identity}");
    }
    ensure!(fixture.ask("plain", 8080, "processes").await? == "1", "a container sees its own processes only");
    fixture.ask("plain", 8080, "write/scratch/file").await.context("writing to the volume")?;
    ensure!(fixture.ask("plain", 8080, "write/file").await.is_err(), "the root is read-only");
    fixture.stop().await
}

async fn an_unknown_image_keeps_the_container_waiting_with_a_reason() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let mut unknown = pod("unknown", json!([]));
    unknown["spec"]["containers"][0]["image"] = "nowhere:v9".into();
    let pods = create(&fixture, unknown).await?;
    until(&pods, "unknown", "ErrImagePull", |pod| {
        container(pod).1.waiting.is_some_and(|waiting| waiting.reason.as_deref() == Some("ErrImagePull"))
    })
    .await?;
    let events: Api<Event> = Api::namespaced(fixture.client.clone(), "default");
    eventually("an Event", async || {
        let events = events.list(&ListParams::default()).await?;
        let told = |event: &Event| event.message.as_deref().is_some_and(|text| text.contains("nowhere:v9"));
        Ok(events.iter().any(told).then_some(()))
    })
    .await?;
    fixture.stop().await
}

fn claim(name: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}
    }})
}

fn pod_with_claim(name: &str, claim: &str) -> Value {
    let mut pod = pod(name, json!(["serve", "8080"]));
    pod["spec"]["volumes"] = json!([{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]);
    pod["spec"]["containers"][0]["volumeMounts"] = json!([{"name": "data", "mountPath": "/data"}]);
    pod
}

async fn a_claim_keeps_its_data_for_the_next_pod_and_loses_it_with_the_volume() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(fixture.client.clone(), "default");
    claims.create(&PostParams::default(), &serde_json::from_value(claim("data"))?).await?;
    let pods = create(&fixture, pod_with_claim("one", "data")).await?;
    until(&pods, "one", "the first pod", is_ready).await?;
    fixture.ask("one", 8080, "write/data/kept").await?;
    pods.delete("one", &DeleteParams::default()).await?;
    create(&fixture, pod_with_claim("two", "data")).await?;
    until(&pods, "two", "the second pod", is_ready).await?;
    ensure!(fixture.ask("two", 8080, "file/data/kept").await? == "written", "the data is kept");
    let volumes: Api<PersistentVolume> = Api::all(fixture.client.clone());
    let volume = volumes.list(&ListParams::default()).await?.items.remove(0);
    let directory = fixture.state.join("volumes").join(volume.metadata.name.unwrap_or_default());
    ensure!(directory.join("kept").is_file(), "{} holds the data", directory.display());
    claims.delete("data", &DeleteParams::default()).await?;
    pods.delete("two", &DeleteParams::default()).await?;
    eventually("the directory to go", async || Ok((!directory.exists()).then_some(()))).await?;
    fixture.stop().await
}

async fn a_pod_that_ignores_sigterm_is_killed_after_its_grace_period() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let mut stubborn = pod("stubborn", json!(["sleep"]));
    stubborn["spec"]["terminationGracePeriodSeconds"] = 2.into();
    let pods = create(&fixture, stubborn).await?;
    until(&pods, "stubborn", "the pod to run", is_ready).await?;
    let begin = Instant::now();
    pods.delete("stubborn", &DeleteParams::default()).await?;
    ensure!(
        pods.get("stubborn").await?.metadata.deletion_timestamp.is_some(),
        "it is still there, being deleted"
    );
    eventually("the pod to go", async || Ok(pods.get_opt("stubborn").await?.is_none().then_some(()))).await?;
    ensure!((2.0..4.0).contains(&begin.elapsed().as_secs_f64()), "it took {:?}", begin.elapsed());
    eventually("its directory to go", async || {
        Ok(std::fs::read_dir(fixture.state.join("pods"))?.next().is_none().then_some(()))
    })
    .await?;
    fixture.stop().await
}

async fn hooks_run_after_the_start_and_before_the_end() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let mut hooked = pod("hooked", json!(["serve", "8080"]));
    hooked["spec"]["terminationGracePeriodSeconds"] = 20.into();
    hooked["spec"]["volumes"] = json!([{"name": "work", "emptyDir": {}}]);
    let main = &mut hooked["spec"]["containers"][0];
    main["volumeMounts"] = json!([{"name": "work", "mountPath": "/work"}]);
    main["lifecycle"] = json!({
        "postStart": {"exec": {"command": ["/tool", "touch", "/work/started"]}},
        "preStop": {"httpGet": {"port": 8080, "path": "/exit/7"}},
    });
    let pods = create(&fixture, hooked).await?;
    eventually("the hook after the start", async || {
        Ok(fixture.ask("hooked", 8080, "file/work/started").await.ok().filter(|text| text == "touched"))
    })
    .await?;
    // Whoever watches sees the last state of the container, which its hook decided: SIGTERM would have given 143.
    let version = pods.list(&ListParams::default()).await?.metadata.resource_version.unwrap_or_default();
    pods.delete("hooked", &DeleteParams::default()).await?;
    let mut events = std::pin::pin!(pods.watch(&kube::api::WatchParams::default(), &version).await?);
    let mut codes = Vec::new();
    while let Some(event) = futures::TryStreamExt::try_next(&mut events).await? {
        match event {
            kube::api::WatchEvent::Modified(pod) => {
                codes.extend(container(&pod).1.terminated.map(|terminated| terminated.exit_code));
            }
            kube::api::WatchEvent::Deleted(_) => break,
            _ => {}
        }
    }
    ensure!(codes.first() == Some(&7), "the exit codes seen are {codes:?}");
    let mut failing = pod("failing", json!(["sleep"]));
    failing["spec"]["containers"][0]["lifecycle"] =
        json!({"postStart": {"exec": {"command": ["/tool", "print", "no", "1"]}}});
    let pods = create(&fixture, failing).await?;
    until(&pods, "failing", "the container to be started again", |pod| container(pod).0 > 0).await?;
    fixture.stop().await
}

async fn a_sidecar_serves_from_before_the_start_until_after_the_end() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let mut accompanied = pod("accompanied", json!(["print", "done", "0"]));
    accompanied["spec"]["restartPolicy"] = "Never".into();
    accompanied["spec"]["initContainers"] = json!([
        {"name": "side", "image": "tool:v1", "args": ["serve", "8080"], "restartPolicy": "Always",
            "startupProbe": {"httpGet": {"port": 8080}, "periodSeconds": 1}},
        {"name": "once", "image": "tool:v1", "args": ["get", "127.0.0.1:8080/"]},
    ]);
    let pods = create(&fixture, accompanied).await?;
    let ended = until(&pods, "accompanied", "the pod to succeed", |pod| phase(pod) == "Succeeded").await?;
    let status = ended.status.context("the pod has a status")?;
    let side = status.init_container_statuses.unwrap_or_default().remove(0);
    let code = side.state.and_then(|state| state.terminated).map(|terminated| terminated.exit_code);
    // As the first process of its container it does not hear SIGTERM, so its grace period passes.
    ensure!((side.restart_count, code) == (0, Some(137)), "the sidecar ended with {code:?}");
    fixture.stop().await
}

async fn a_readiness_probe_decides_whether_a_pod_is_ready() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let mut probed = pod("probed", json!(["serve", "8080"]));
    probed["spec"]["containers"][0]["readinessProbe"] =
        json!({"httpGet": {"path": "/file/ready", "port": 8080}, "periodSeconds": 1, "failureThreshold": 1});
    let pods = create(&fixture, probed).await?;
    let running = until(&pods, "probed", "the pod to run", |pod| phase(pod) == "Running").await?;
    ensure!(!is_ready(&running), "it is not ready before its probe says so");
    eventually("the file that the probe reads", async || {
        fixture.ask("probed", 8080, "write/ready").await.map(Some)
    })
    .await?;
    until(&pods, "probed", "the pod to be ready", is_ready).await?;
    fixture.stop().await
}

async fn a_failed_liveness_probe_restarts_the_container() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let mut probed = pod("probed", json!(["serve", "8080"]));
    probed["spec"]["containers"][0]["livenessProbe"] =
        json!({"exec": {"command": ["/tool", "print", "x", "1"]}, "periodSeconds": 1, "failureThreshold": 1});
    let pods = create(&fixture, probed).await?;
    probed_as_somebody_else(&fixture).await?;
    until(&pods, "probed", "a restart", |pod| container(pod).0 == 1).await?;
    fixture.stop().await
}

/// A command in a container of another user must not take anything of the host.
async fn probed_as_somebody_else(fixture: &Fixture) -> anyhow::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let mut other = pod("other", json!(["sleep"]));
    other["spec"]["securityContext"] = json!({"runAsUser": 65532});
    other["spec"]["containers"][0]["readinessProbe"] =
        json!({"exec": {"command": ["/tool", "print", "x", "0"]}});
    let pods = create(fixture, other).await?;
    until(&pods, "other", "a command to succeed", is_ready).await?;
    ensure!(std::fs::metadata("/dev/null")?.uid() == 0, "/dev/null of the host has another owner");
    Ok(())
}

async fn an_ephemeral_container_joins_its_target() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let mut target = pod("target", json!(["serve", "8080"]));
    target["spec"]["securityContext"] = json!({"runAsUser": 65532});
    let pods = create(&fixture, target).await?;
    until(&pods, "target", "the pod to run", is_ready).await?;
    let patch = Patch::Strategic(json!({"spec": {"ephemeralContainers": [{
        "name": "look", "image": "tool:v1", "targetContainerName": "main", "args": ["serve", "9090"],
        "securityContext": {"runAsUser": 0, "capabilities": {"add": ["NET_ADMIN", "SYS_PTRACE"]}},
    }]}}));
    pods.patch_ephemeral_containers("target", &PatchParams::default(), &patch).await?;
    until(&pods, "target", "the ephemeral container to run", |pod| {
        let status = pod
            .status
            .as_ref()
            .and_then(|status| status.ephemeral_container_statuses.as_ref()?.first().cloned());
        status.and_then(|status| status.state?.running).is_some()
    })
    .await?;
    let processes =
        eventually("an answer", async || fixture.ask("target", 9090, "processes").await.map(Some)).await?;
    ensure!(processes.starts_with("1 "), "it sees the target's first process and its own: {processes}");
    let identity = fixture.ask("target", 9090, "identity").await?;
    ensure!(identity.contains("Uid:\t0\t0") && identity.contains("CapEff:\t00000000a80c35fb"), "{identity}");
    // They share the network: what listens in one is reached from the other.
    ensure!(
        fixture.ask("target", 9090, "get/127.0.0.1:8080/processes").await?.starts_with('1'),
        "one network"
    );
    let _ = fixture.ask("target", 9090, "exit/5").await;
    until(&pods, "target", "the exit of the ephemeral container", |pod| {
        let status = pod
            .status
            .as_ref()
            .and_then(|status| status.ephemeral_container_statuses.as_ref()?.first().cloned());
        status.and_then(|status| status.state?.terminated).is_some_and(|ended| ended.exit_code == 5)
    })
    .await?;
    fixture.stop().await
}

async fn a_pod_without_its_claim_is_not_scheduled() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let pods = create(&fixture, pod_with_claim("homeless", "missing")).await?;
    until(&pods, "homeless", "the reason", |pod| {
        let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
        conditions
            .into_iter()
            .any(|one| one.type_ == "PodScheduled" && one.reason.as_deref() == Some("Unschedulable"))
    })
    .await?;
    fixture.stop().await
}
