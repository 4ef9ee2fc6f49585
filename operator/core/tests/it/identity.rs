//! A name is no identity: no two clusters' objects can have one name, and formed clusters keep what their members published.

use std::collections::BTreeMap;

use etcd_operator_core::names::{
    ClusterIdentity, LABEL_CLUSTER, LABEL_INSTANCE, LONGEST_CLUSTER_NAME, MemberName, Naming, Role, Scheme,
};
use proptest::prelude::*;

fn cluster(name: &str, uid: &str) -> ClusterIdentity {
    ClusterIdentity {
        name: name.to_owned(),
        namespace: "test".to_owned(),
        uid: uid.to_owned(),
        naming: Naming::ByUid,
    }
}

fn member(cluster: &ClusterIdentity) -> MemberName {
    MemberName::parse(cluster, &format!("{}-abcde", cluster.name)).expect("a member's name")
}

#[test]
fn the_peers_service_of_one_cluster_is_no_other_clusters_client_service() {
    for length in 1..=LONGEST_CLUSTER_NAME {
        let peers = cluster(&"a".repeat(length), "uid").peers_service();
        assert!(peers.len() > LONGEST_CLUSTER_NAME, "{peers} could be the name of a cluster");
        assert!(peers.len() <= 63, "{peers} is too long for a Service");
    }
}

#[test]
fn two_objects_of_one_name_share_neither_peers_service_nor_selector() {
    let (one, other) = (cluster("demo", "one"), cluster("demo", "other"));
    assert_ne!(one.peers_service(), other.peers_service());
    assert_ne!(one.selector(), other.selector());
}

#[test]
fn pods_bear_what_the_clusters_services_select_by_either_naming() {
    for naming in Naming::ALL {
        let cluster = cluster("demo", "uid").with_naming(naming);
        let labels = cluster.pod_labels(&member(&cluster), Role::Voter);
        assert!(
            cluster.selector().iter().all(|(key, value)| labels.get(key) == Some(value)),
            "{naming:?}: {labels:?}"
        );
    }
}

/// Argo CD and others take an object for their own by `app.kubernetes.io/instance`, and prune those of them that no manifest
/// describes. A claim has no owner, so nothing would tell them otherwise.
#[test]
fn a_claim_bears_no_label_by_which_gitops_tools_would_prune_it() {
    for naming in Naming::ALL {
        let cluster = cluster("demo", "uid").with_naming(naming);
        let labels = cluster.member_claim_labels(&member(&cluster));
        let known: BTreeMap<&str, bool> = [
            (LABEL_INSTANCE, false),
            ("argocd.argoproj.io/instance", false),
            ("app.kubernetes.io/part-of", false),
            ("kustomize.toolkit.fluxcd.io/name", false),
            ("helm.toolkit.fluxcd.io/name", false),
            (LABEL_CLUSTER, true),
        ]
        .into();
        for (label, is_expected) in known {
            assert_eq!(labels.contains_key(label), is_expected, "{label}");
        }
    }
}

#[test]
fn the_naming_shows_in_the_peer_url_that_a_member_published() {
    let cluster = cluster("demo", "uid");
    let member = member(&cluster);
    for naming in Naming::ALL {
        let url = cluster.with_naming(naming).peer_url(Scheme::Http, &member);
        assert_eq!(cluster.member_of_peer_url(&url), Some((member.clone(), naming)));
        let by_tls = url.replace("http://", "https://").replace(":2380", ":2382");
        assert_eq!(
            cluster.member_of_peer_url(&by_tls),
            Some((member.clone(), naming)),
            "by TLS it is no stranger"
        );
        let by_neither = url.replace("http://", "https://");
        assert_eq!(cluster.member_of_peer_url(&by_neither), None, "each scheme has a port of its own");
    }
    let other = self::cluster("demo", "another").peer_url(Scheme::Http, &member);
    assert_eq!(cluster.member_of_peer_url(&other), None, "another object's member is a stranger");
}

proptest! {
    #[test]
    fn no_two_clusters_come_to_the_same_service(one in "[a-z]([-a-z0-9]{0,44}[a-z0-9])?", other in "[a-z]([-a-z0-9]{0,44}[a-z0-9])?") {
        prop_assume!(one != other);
        let services = |name: &str| {
            let cluster = cluster(name, &format!("uid of {name}"));
            [cluster.client_service(), cluster.peers_service()]
        };
        prop_assert!(services(&one).iter().all(|service| !services(&other).contains(service)));
    }
}
