//! Holds about Kubernetes objects: names that others have, volumes that may hold data, writes that were refused. Never decides.

use std::fmt;

use super::HoldReason;
use crate::cluster::plan::Kind;
use crate::names::{AuthorityKind, MemberName};

/// What is not done to an object, and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ObjectHold {
    /// A volume holds data, and nothing proves that it is a removed member's of this cluster.
    VolumeConflict {
        /// The claim.
        claim: String,
        /// What is known.
        message: String,
    },
    /// An object that was not made for this cluster has a name that the cluster needs. It is left as it is.
    NameTaken {
        /// Its kind.
        kind: Kind,
        /// The name.
        name: String,
    },
    /// Volumes of an earlier cluster of this name are there, and nobody has said that an empty one is wanted beside them.
    RetainedVolumes {
        /// The claims.
        claims: Vec<String>,
    },
    /// An authority that members trust is not what it was, and nothing is made in its place.
    AuthorityLost {
        /// Its Secret.
        secret: String,
        /// What is known.
        message: String,
    },
    /// A certificate is needed that nobody can sign.
    CertificateNotMade {
        /// Its Secret.
        secret: String,
        /// Why it is needed.
        message: String,
    },
    /// The API server refused a write: the rest goes on without it.
    Refused {
        /// What was to be written.
        what: String,
        /// What the API server said.
        message: String,
    },
    /// A change was made, and somebody undoes it each time: an admission webhook, or another controller.
    Overridden {
        /// The change.
        what: String,
    },
}

impl ObjectHold {
    pub(super) fn reason(&self) -> HoldReason {
        match self {
            ObjectHold::VolumeConflict { .. } => HoldReason::VolumeConflict,
            ObjectHold::NameTaken { .. } => HoldReason::NameTaken,
            ObjectHold::RetainedVolumes { .. } => HoldReason::RetainedVolumes,
            ObjectHold::AuthorityLost { .. } => HoldReason::AuthorityLost,
            ObjectHold::CertificateNotMade { .. } => HoldReason::CertificateNotMade,
            ObjectHold::Refused { .. } => HoldReason::Refused,
            ObjectHold::Overridden { .. } => HoldReason::Overridden,
        }
    }

    pub(super) fn about(&self) -> Option<String> {
        match self {
            ObjectHold::VolumeConflict { claim, .. } => Some(claim.clone()),
            ObjectHold::NameTaken { kind, name } => Some(format!("{} {name}", kind.as_str())),
            ObjectHold::RetainedVolumes { .. } => None,
            ObjectHold::AuthorityLost { secret, .. } | ObjectHold::CertificateNotMade { secret, .. } => {
                Some(secret.clone())
            }
            ObjectHold::Refused { what, .. } | ObjectHold::Overridden { what } => Some(what.clone()),
        }
    }

    /// A volume that is kept for a person to look at takes nothing from a cluster that is as specified.
    pub(super) fn keeps_from_ready(&self) -> bool {
        match self {
            ObjectHold::VolumeConflict { .. } => false,
            ObjectHold::NameTaken { .. }
            | ObjectHold::RetainedVolumes { .. }
            | ObjectHold::AuthorityLost { .. }
            | ObjectHold::CertificateNotMade { .. }
            | ObjectHold::Refused { .. }
            | ObjectHold::Overridden { .. } => true,
        }
    }
}

impl fmt::Display for ObjectHold {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ObjectHold::VolumeConflict { claim, message } => {
                write!(formatter, "volume {claim} is neither used nor deleted: {message}")
            }
            ObjectHold::NameTaken { kind, name } => write!(
                formatter,
                "{} {name} was not made for this cluster and is left as it is; rename or delete it",
                kind.as_str()
            ),
            ObjectHold::RetainedVolumes { claims } => write!(
                formatter,
                "volumes of an earlier cluster of this name are there ({}); no cluster is formed until they are gone, or \
                 spec.bootstrap.retainedVolumes is set to Leave for a cluster beside them",
                claims.join(", ")
            ),
            ObjectHold::AuthorityLost { secret, message } => write!(
                formatter,
                "the authority in Secret {secret} cannot be used: {message}; members run on, and no certificate is renewed until the \
                 Secret is put back, or the authorities are rotated by the annotation etcd.operators.rs/rotate-authorities"
            ),
            ObjectHold::CertificateNotMade { secret, message } => {
                write!(formatter, "a certificate in Secret {secret} is needed: {message}")
            }
            ObjectHold::Refused { what, message } => write!(formatter, "{what} was refused: {message}"),
            ObjectHold::Overridden { what } => write!(
                formatter,
                "{what}: something, such as an admission webhook or another controller, undoes this each time; make it leave the \
                 object alone"
            ),
        }
    }
}

/// What the user should know, though nothing is held back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Notice {
    /// The volume of a removed member is kept until as many members vote as are wanted.
    VolumeKept {
        /// The claim.
        claim: String,
    },
    /// An unused claim of another cluster object has a name like this cluster's. It is passed over.
    OthersClaim {
        /// The claim.
        claim: String,
    },
    /// An authority is on the way to its successor.
    AuthorityRotates {
        /// Which.
        kind: AuthorityKind,
        /// How far it is.
        message: String,
    },
    /// A member's certificate was made anew, and it has not been seen to show it.
    CertificateNotShown {
        /// The member.
        member: MemberName,
    },
    /// TLS is on the way on or off, and applications have time to follow.
    BothServed {
        /// How long.
        message: String,
    },
    /// Volumes of an earlier cluster of this name are there, and the spec asks for an empty cluster beside them.
    BesideRetainedVolumes {
        /// The claims.
        claims: Vec<String>,
    },
}

impl Notice {
    pub(super) fn reason(&self) -> HoldReason {
        match self {
            Notice::VolumeKept { .. } => HoldReason::VolumeKept,
            Notice::OthersClaim { .. } => HoldReason::OthersClaim,
            Notice::AuthorityRotates { .. } => HoldReason::AuthorityRotates,
            Notice::CertificateNotShown { .. } => HoldReason::CertificateNotShown,
            Notice::BothServed { .. } => HoldReason::BothServed,
            Notice::BesideRetainedVolumes { .. } => HoldReason::BesideRetainedVolumes,
        }
    }

    pub(super) fn about(&self) -> Option<String> {
        match self {
            Notice::VolumeKept { claim } | Notice::OthersClaim { claim } => Some(claim.clone()),
            Notice::AuthorityRotates { kind, .. } => Some(kind.as_str().to_owned()),
            Notice::CertificateNotShown { member } => Some(member.to_string()),
            Notice::BothServed { .. } | Notice::BesideRetainedVolumes { .. } => None,
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::VolumeKept { claim } => write!(
                formatter,
                "volume {claim} of a removed member is kept until as many members vote as are wanted"
            ),
            Notice::OthersClaim { claim } => {
                write!(formatter, "claim {claim} was made for another cluster object and is passed over")
            }
            Notice::AuthorityRotates { kind, message } => {
                write!(formatter, "the authority of {} is rotated: {message}", kind.as_str())
            }
            Notice::CertificateNotShown { member } => write!(
                formatter,
                "{member} does not show its new certificate yet; the next member's is renewed once it does"
            ),
            Notice::BothServed { message } => {
                write!(formatter, "TLS and plain text are both served: {message}")
            }
            Notice::BesideRetainedVolumes { claims } => write!(
                formatter,
                "volumes of an earlier cluster of this name are left as they are: {}",
                claims.join(", ")
            ),
        }
    }
}
