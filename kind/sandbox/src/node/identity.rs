//! As whom a container runs: the pod's and the container's security contexts put together. Pure.

use super::container::spec::Identity;
use crate::ImageSource;
use crate::sys::capability::CapabilitySet;
use k8s_openapi::api::core::v1::{Container, PodSpec};

/// The security contexts of one container, resolved.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Security {
    pub(crate) identity: Identity,
    pub(crate) read_only_root: bool,
    pub(crate) privileged: bool,
}

/// Resolves the security contexts.
///
/// # Errors
/// The kubelet's message for a container that must not be started (`CreateContainerConfigError`).
pub(crate) fn security(
    pod: &PodSpec,
    container: &Container,
    image: &ImageSource,
) -> Result<Security, String> {
    let of_pod = pod.security_context.clone().unwrap_or_default();
    let own = container.security_context.clone().unwrap_or_default();
    let user =
        own.run_as_user.or(of_pod.run_as_user).map_or(Ok(image.user.unwrap_or(0)), number("runAsUser"))?;
    let group = own.run_as_group.or(of_pod.run_as_group).map_or(Ok(0), number("runAsGroup"))?;
    if own.run_as_non_root.or(of_pod.run_as_non_root).unwrap_or(false) && user == 0 {
        return Err(if own.run_as_user.or(of_pod.run_as_user).is_some() {
            "container's runAsUser breaks non-root policy".into()
        } else {
            "container has runAsNonRoot and image will run as root".into()
        });
    }
    let privileged = own.privileged.unwrap_or(false);
    let wanted = own.capabilities.unwrap_or_default();
    let capabilities = if privileged {
        CapabilitySet::ALL
    } else {
        CapabilitySet::of_container(&wanted.add.unwrap_or_default(), &wanted.drop.unwrap_or_default())
            .map_err(|name| format!("unknown capability {name:?}"))?
    };
    let mut supplementary_groups = of_pod
        .supplemental_groups
        .unwrap_or_default()
        .into_iter()
        .chain(of_pod.fs_group)
        .map(number("a supplementary group"))
        .collect::<Result<Vec<u32>, String>>()?;
    supplementary_groups.push(group);
    supplementary_groups.sort_unstable();
    supplementary_groups.dedup();
    Ok(Security {
        identity: Identity {
            user,
            group,
            supplementary_groups,
            capabilities,
            no_new_privileges: own.allow_privilege_escalation == Some(false),
        },
        read_only_root: own.read_only_root_filesystem.unwrap_or(false),
        privileged,
    })
}

fn number(what: &'static str) -> impl Fn(i64) -> Result<u32, String> {
    move |value| u32::try_from(value).map_err(|_| format!("{what} {value} is out of range"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn resolve(pod: serde_json::Value, container: serde_json::Value) -> Result<Security, String> {
        let pod: PodSpec = serde_json::from_value(json!({"containers": [], "securityContext": pod})).unwrap();
        let container: Container =
            serde_json::from_value(json!({"name": "c", "securityContext": container})).unwrap();
        security(&pod, &container, &ImageSource::default())
    }

    #[test]
    fn the_containers_user_wins_over_the_pods() {
        let security = resolve(json!({"runAsUser": 1, "fsGroup": 7}), json!({"runAsUser": 2})).unwrap();
        assert_eq!(security.identity.user, 2);
        assert_eq!(security.identity.supplementary_groups, [0, 7]);
    }

    #[test]
    fn root_is_refused_where_root_is_forbidden() {
        assert!(
            resolve(json!({"runAsNonRoot": true}), json!({})).unwrap_err().contains("image will run as root")
        );
        assert!(resolve(json!({"runAsNonRoot": true}), json!({"runAsUser": 65532})).is_ok());
    }
}
