//! Image names in the two forms that loaders want: as people write them and with everything spelled out. Never looks one up.

use std::fmt;
use std::str::FromStr;

/// The registry and folder that a short name means, as all container engines have it.
const DEFAULT_REGISTRY: &str = "docker.io";
const DEFAULT_FOLDER: &str = "library";
/// The tag that a name without one means.
const DEFAULT_TAG: &str = "latest";

/// A name with a tag, such as `etcd-operator:v0.1.0` or `quay.io/coreos/etcd:v3.6.16`. A digest is refused: it follows from
/// the content.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImageName {
    repository: String,
    tag: String,
}

impl ImageName {
    /// As people and Kubernetes manifests write it: `etcd-operator:v0.1.0`.
    #[must_use]
    pub fn familiar(&self) -> String {
        format!("{}:{}", self.repository, self.tag)
    }

    /// With registry and folder, as containerd stores it: `docker.io/library/etcd-operator:v0.1.0`.
    #[must_use]
    pub fn canonical(&self) -> String {
        let (first, rest) = self.repository.split_once('/').unwrap_or_default();
        let names_a_registry = first.contains(['.', ':']) || first == "localhost";
        match (names_a_registry, rest.is_empty()) {
            (true, _) => self.familiar(),
            (false, false) => format!("{DEFAULT_REGISTRY}/{}", self.familiar()),
            (false, true) => format!("{DEFAULT_REGISTRY}/{DEFAULT_FOLDER}/{}", self.familiar()),
        }
    }

    /// The part after the colon.
    #[must_use]
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// A file name that tells images apart: `etcd-operator-v0.1.0.tar`.
    #[must_use]
    pub fn file_name(&self) -> String {
        let last = self.repository.rsplit('/').next().unwrap_or(&self.repository);
        format!("{last}-{}.tar", self.tag)
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.familiar())
    }
}

impl FromStr for ImageName {
    type Err = String;

    /// The characters are those of the distribution specification's names and tags; upper case is refused in a repository.
    fn from_str(text: &str) -> Result<ImageName, String> {
        let last_slash = text.rfind('/').map_or(0, |at| at + 1);
        let (repository, tag) = match text[last_slash..].find(':') {
            Some(colon) => (&text[..last_slash + colon], &text[last_slash + colon + 1..]),
            None => (text, DEFAULT_TAG),
        };
        let in_repository = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-/:".contains(c);
        let in_tag = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let whole = repository.split('/').all(|part| !part.is_empty());
        let fine =
            whole && repository.chars().all(in_repository) && !tag.is_empty() && tag.chars().all(in_tag);
        if !fine || tag.len() > 128 {
            return Err(format!(
                "{text:?} is no image name: it is REPOSITORY:TAG, such as etcd-operator:v0.1.0"
            ));
        }
        Ok(ImageName { repository: repository.to_owned(), tag: tag.to_owned() })
    }
}
