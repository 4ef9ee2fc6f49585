//! Pod garbage collection: pods whose node is gone, and pods that were deleted before they ever had one. Pure.
//! Rules: <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-garbage-collection>. The real
//! controller waits 40 s before it believes that a node is gone; here the node lives in the same process tree, so its
//! absence from the API is the fact itself.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use super::pods::is_terminating;
use super::snapshot::Snapshot;
use super::write::{Outcome, Write};

/// Deletes the pods that nobody will ever end.
pub(crate) fn reconcile(snapshot: &Snapshot, _now: Timestamp) -> Outcome {
    let is_orphan = |pod: &&std::sync::Arc<Pod>| match node_of(pod) {
        Some(node) => snapshot.nodes.get("", node).is_none(),
        None => is_terminating(pod),
    };
    let writes = snapshot.pods.iter().filter(is_orphan).map(|pod| Write::delete_at_once(&**pod)).collect();
    Outcome { writes, ..Outcome::default() }
}

fn node_of(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref().filter(|node| !node.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::testing::{
        World, at, from_json, lines, pod_owned_by, ready, stateful_set, terminating,
    };
    use serde_json::json;

    #[test]
    fn pods_of_absent_nodes_and_leaving_pods_without_node_are_deleted_at_once() {
        let set = stateful_set("web", 1);
        let mut world = World::default();
        world.add(from_json::<k8s_openapi::api::core::v1::Node>(
            json!({"metadata": {"name": "node", "uid": "n"}}),
        ));
        let mut lost = ready(pod_owned_by(&set, "web-lost"), at(1));
        lost.spec.as_mut().unwrap().node_name = Some("gone".into());
        world.add(lost);
        world.add(ready(pod_owned_by(&set, "web-fine"), at(1)));
        world.add(terminating(ready(pod_owned_by(&set, "web-stopping"), at(1))));
        world.add(terminating(pod_owned_by(&set, "web-unbound")));
        world.add(pod_owned_by(&set, "web-waiting"));
        let outcome = reconcile(&world.snapshot, at(5));
        assert_eq!(lines(&outcome.writes), ["delete Pod web-lost grace 0", "delete Pod web-unbound grace 0"]);
    }
}
