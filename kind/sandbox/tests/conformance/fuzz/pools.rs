//! What random operations are made of: for each kind a valid object, the least an apply sends, and pieces to lay over them.
//!
//! Pure data. A piece may be invalid: refusals are compared too.

use serde_json::{Value, json};

/// Ways to list.
pub(crate) const LISTS: [&str; 4] = [
    "labelSelector=x=1",
    "labelSelector=x!=1&fieldSelector=metadata.name!=kube-root-ca.crt",
    "fieldSelector=metadata.name=a",
    "labelSelector=x&limit=1",
];

/// The pieces of one kind.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    pub(crate) resource: &'static str,
    /// A valid object but for its name.
    pub(crate) base: Value,
    /// What an apply must send.
    pub(crate) least: Value,
    pub(crate) fragments: Vec<Value>,
    pub(crate) json_patches: Vec<Value>,
    pub(crate) statuses: Vec<Value>,
    pub(crate) strategic: bool,
    pub(crate) scale: bool,
}

/// Pieces for every kind.
fn common() -> Vec<Value> {
    vec![
        json!({"metadata": {"labels": {"x": "1"}}}),
        json!({"metadata": {"labels": {"x": "2", "w": "1"}}}),
        json!({"metadata": {"labels": {"x": null}}}),
        json!({"metadata": {"labels": null}}),
        json!({"metadata": {"annotations": {"n": "m"}}}),
        json!({"metadata": {"annotations": {"n": null, "o": "p"}}}),
        json!({"metadata": {"finalizers": ["x.test/one"]}}),
        json!({"metadata": {"finalizers": ["x.test/one", "x.test/two"]}}),
        json!({"metadata": {"finalizers": null}}),
    ]
}

fn common_json_patches() -> Vec<Value> {
    vec![
        json!([{"op": "remove", "path": "/metadata/finalizers"}]),
        json!([{"op": "add", "path": "/metadata/labels", "value": {"x": "1"}}]),
        json!([{"op": "test", "path": "/metadata/name", "value": "a"}, {"op": "add", "path": "/metadata/annotations", "value": {"t": "u"}}]),
        json!([{"op": "replace", "path": "/metadata/labels/x", "value": "3"}]),
    ]
}

fn pool(resource: &'static str, base: Value, least: Value, own: Vec<Value>) -> Pool {
    let mut fragments = own;
    fragments.extend(common());
    Pool {
        resource,
        base,
        least,
        fragments,
        json_patches: common_json_patches(),
        statuses: Vec::new(),
        strategic: true,
        scale: false,
    }
}

/// All pools.
pub(crate) fn all() -> Vec<Pool> {
    vec![
        config_maps(),
        widgets(),
        stateful_sets(),
        services(),
        budgets(),
        leases(),
        pods(),
        secrets(),
        claims(),
    ]
}

fn config_maps() -> Pool {
    let own = vec![
        json!({"data": {"k": "v"}}),
        json!({"data": {"k": "w", "l": "v"}}),
        json!({"data": {"k": null}}),
        json!({"data": {"m": ""}}),
        json!({"data": null}),
        json!({"binaryData": {"b": "YQ=="}}),
    ];
    let mut pool =
        pool("configmaps", json!({"metadata": {}, "data": {"k": "v"}}), json!({"metadata": {}}), own);
    pool.json_patches.push(json!([{"op": "add", "path": "/data/j", "value": "1"}]));
    pool.json_patches.push(json!([{"op": "remove", "path": "/data/k"}]));
    pool
}

fn secrets() -> Pool {
    let own = vec![
        json!({"data": {"k": "dg=="}}),
        json!({"data": {"k": null, "l": "dw=="}}),
        json!({"stringData": {"k": "plain"}}),
        json!({"type": "x.test/y"}),
    ];
    pool("secrets", json!({"metadata": {}, "data": {"k": "dg=="}}), json!({"metadata": {}}), own)
}

fn widgets() -> Pool {
    let own = vec![
        json!({"spec": {"mode": "slow"}}),
        json!({"spec": {"mode": null, "replicas": 3}}),
        json!({"spec": {"low": 5, "high": 3}}),
        json!({"spec": {"low": 1, "high": 7}}),
        json!({"spec": {"low": null}}),
        json!({"spec": {"name": "other"}}),
        json!({"spec": {"tags": ["p", "q"]}}),
        json!({"spec": {"tags": ["q", "r"]}}),
        json!({"spec": {"tags": null}}),
        json!({"spec": {"steps": ["one"]}}),
        json!({"spec": {"steps": ["one", "two", "three", "four"]}}),
        json!({"spec": {"pair": {"left": "l"}}}),
        json!({"spec": {"pair": {"right": "r"}}}),
        json!({"spec": {"parts": [{"id": "p", "note": "here"}]}}),
        json!({"spec": {"parts": [{"id": "q"}, {"id": "p", "zone": "b", "weight": 7}]}}),
        json!({"spec": {"parts": []}}),
        json!({"spec": {"labels": {"e": "f"}}}),
        json!({"spec": {"labels": {"e": null, "g": "h"}}}),
        json!({"spec": {"free": {"deep": {"er": [1, 2]}}}}),
        json!({"spec": {"free": {"deep": null, "other": true}}}),
        json!({"spec": {"amount": 5}}),
        json!({"spec": {"amount": "5%"}}),
        json!({"spec": {"nullable": null}}),
        json!({"spec": {"enabled": false}}),
        json!({"spec": {"unknown": 1}}),
        json!({"spec": {"replicas": 11}}),
    ];
    let mut pool = pool(
        "widgets",
        json!({"metadata": {}, "spec": {"name": "abc"}}),
        json!({"metadata": {}, "spec": {"name": "abc"}}),
        own,
    );
    pool.strategic = false;
    pool.scale = true;
    pool.json_patches.push(json!([{"op": "add", "path": "/spec/tags", "value": ["s"]}]));
    pool.json_patches.push(json!([{"op": "remove", "path": "/spec/parts/0"}]));
    pool.statuses = vec![
        json!({"phase": "New"}),
        json!({"phase": "Ready", "replicas": 2}),
        json!({"conditions": [{"type": "A", "status": "True"}]}),
        json!({"conditions": [{"type": "B", "status": "False", "message": "no"}]}),
        json!({"phase": "Nonsense"}),
    ];
    pool
}

fn claims() -> Pool {
    let own = vec![
        json!({"spec": {"resources": {"requests": {"storage": "2Gi"}}}}),
        json!({"spec": {"resources": {"limits": {"storage": "3Gi"}}}}),
        json!({"spec": {"accessModes": ["ReadOnlyMany"]}}),
        json!({"spec": {"accessModes": []}}),
        json!({"spec": {"volumeName": "v"}}),
        json!({"spec": {"storageClassName": "other"}}),
        json!({"spec": {"volumeMode": "Filesystem"}}),
        json!({"spec": {"selector": {"matchLabels": {"a": "b"}}}}),
    ];
    let base = json!({"metadata": {}, "spec": {
        "accessModes": ["ReadWriteOnce"], "storageClassName": "none", "resources": {"requests": {"storage": "1Gi"}},
    }});
    let mut pool = pool("persistentvolumeclaims", base.clone(), base, own);
    pool.statuses = vec![
        json!({"phase": "Bound", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]}),
        json!({"phase": "Lost"}),
        json!({"conditions": [{"type": "Resizing", "status": "True"}]}),
    ];
    pool
}

fn containers(list: Value) -> Value {
    json!({"spec": {"template": {"spec": {"containers": list}}}})
}

fn stateful_sets() -> Pool {
    let main = |more: Value| {
        let mut container = json!({"name": "main", "image": "example.test/main:1"});
        json_patch::merge(&mut container, &more);
        container
    };
    let own = vec![
        json!({"spec": {"replicas": 2}}),
        json!({"spec": {"replicas": 0}}),
        json!({"spec": {"replicas": null}}),
        json!({"spec": {"serviceName": "other"}}),
        json!({"spec": {"updateStrategy": {"type": "OnDelete", "rollingUpdate": null}}}),
        json!({"spec": {"minReadySeconds": 5}}),
        json!({"spec": {"template": {"metadata": {"annotations": {"t": "1"}}}}}),
        json!({"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 5}}}}),
        json!({"spec": {"template": {"spec": {"volumes": [{"name": "v", "emptyDir": {}}]}}}}),
        json!({"spec": {"template": {"spec": {"volumes": null}}}}),
        json!({"spec": {"template": {"spec": {"tolerations": [{"key": "k", "operator": "Exists"}]}}}}),
        json!({"spec": {"template": {"spec": {"nodeSelector": {"a": "b"}}}}}),
        containers(json!([main(json!({"image": "example.test/main:2"}))])),
        containers(json!([main(json!({"env": [{"name": "A", "value": "1"}]}))])),
        containers(json!([main(json!({"env": [{"name": "B", "value": "2"}, {"name": "A", "value": "3"}]}))])),
        containers(json!([main(json!({"ports": [{"containerPort": 80}]}))])),
        containers(json!([main(json!({"resources": {"requests": {"cpu": "100m"}}}))])),
        containers(json!([main(json!({"args": ["one", "two"]}))])),
        containers(json!([main(json!({"readinessProbe": {"httpGet": {"path": "/readyz", "port": 80}}}))])),
        containers(json!([{"name": "side", "image": "example.test/side:1"}, main(json!({}))])),
        containers(json!([])),
        json!({"spec": {"selector": {"matchLabels": {"app": "b"}}}}),
        json!({"spec": {"podManagementPolicy": "Parallel"}}),
    ];
    let template = json!({"metadata": {"labels": {"app": "a"}}, "spec": {"schedulerName": "none", "containers": [main(json!({}))]}});
    let base = json!({"metadata": {}, "spec": {"serviceName": "a", "selector": {"matchLabels": {"app": "a"}}, "template": template}});
    let mut pool = pool("statefulsets", base.clone(), base, own);
    pool.scale = true;
    pool.json_patches.push(json!([{"op": "replace", "path": "/spec/replicas", "value": 3}]));
    pool.json_patches.push(json!([{"op": "add", "path": "/spec/template/spec/containers/0/env", "value": [{"name": "J", "value": "1"}]}]));
    pool.statuses = vec![
        json!({"replicas": 1}),
        json!({"replicas": 2, "readyReplicas": 1, "observedGeneration": 1}),
        json!({"replicas": 0, "readyReplicas": 0, "currentRevision": ""}),
    ];
    pool
}

fn services() -> Pool {
    let own = vec![
        json!({"spec": {"selector": {"app": "b"}}}),
        json!({"spec": {"selector": {"app": null, "more": "1"}}}),
        json!({"spec": {"ports": [{"name": "a", "port": 81}]}}),
        json!({"spec": {"ports": [{"name": "a", "port": 80}, {"name": "b", "port": 82, "targetPort": "named"}]}}),
        json!({"spec": {"ports": [{"port": 80}, {"port": 81}]}}),
        json!({"spec": {"publishNotReadyAddresses": true}}),
        json!({"spec": {"publishNotReadyAddresses": false}}),
        json!({"spec": {"sessionAffinity": "None"}}),
    ];
    let base = json!({"metadata": {}, "spec": {"clusterIP": "None", "selector": {"app": "a"}, "ports": [{"name": "a", "port": 80}]}});
    pool("services", base, json!({"metadata": {}}), own)
}

fn budgets() -> Pool {
    let own = vec![
        json!({"spec": {"minAvailable": 2}}),
        json!({"spec": {"minAvailable": "50%"}}),
        json!({"spec": {"minAvailable": null, "maxUnavailable": 1}}),
        json!({"spec": {"maxUnavailable": 1}}),
        json!({"spec": {"selector": {"matchLabels": {"app": "b"}}}}),
        json!({"spec": {"unhealthyPodEvictionPolicy": "AlwaysAllow"}}),
    ];
    let base =
        json!({"metadata": {}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "a"}}}});
    let mut pool = pool("poddisruptionbudgets", base, json!({"metadata": {}}), own);
    pool.statuses = vec![
        json!({"disruptionsAllowed": 1, "currentHealthy": 2, "desiredHealthy": 1, "expectedPods": 2}),
        json!({"observedGeneration": 1, "disruptionsAllowed": 0}),
    ];
    pool
}

fn leases() -> Pool {
    let own = vec![
        json!({"spec": {"holderIdentity": "two", "leaseTransitions": 1}}),
        json!({"spec": {"holderIdentity": null}}),
        json!({"spec": {"holderIdentity": ""}}),
        json!({"spec": {"leaseDurationSeconds": 30}}),
        json!({"spec": {"leaseDurationSeconds": 0}}),
        json!({"spec": {"leaseTransitions": 2}}),
    ];
    let base = json!({"metadata": {}, "spec": {"holderIdentity": "one", "leaseDurationSeconds": 15}});
    pool("leases", base, json!({"metadata": {}}), own)
}

fn pods() -> Pool {
    let own = vec![
        json!({"spec": {"containers": [{"name": "main", "image": "example.test/main:2"}]}}),
        json!({"spec": {"containers": [{"name": "main", "image": "example.test/main:1", "command": ["x"]}]}}),
        json!({"spec": {"nodeName": "node-b"}}),
        json!({"spec": {"activeDeadlineSeconds": 10}}),
        json!({"spec": {"terminationGracePeriodSeconds": 5}}),
        json!({"spec": {"restartPolicy": "Never"}}),
    ];
    let spec = json!({"schedulerName": "none", "automountServiceAccountToken": false, "containers": [{"name": "main", "image": "example.test/main:1"}]});
    let base = json!({"metadata": {}, "spec": spec});
    let mut pool = pool("pods", base.clone(), base, own);
    pool.statuses = vec![
        json!({"phase": "Running"}),
        json!({"phase": "Succeeded"}),
        json!({"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}),
        json!({"podIP": "10.244.0.7", "podIPs": [{"ip": "10.244.0.7"}]}),
    ];
    pool
}
