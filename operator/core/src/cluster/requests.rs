//! What users ask for once, by an annotation of the cluster object: to restart all members, to replace one, to move the leadership, to rotate
//! authorities. What
//! has been carried out is acknowledged in the status, and not done again while the annotation says the same. Never acts.

use std::collections::BTreeMap;

use crate::api::EtcdCluster;
use crate::names::{
    ANNOTATION_CLIENTS_READY, ANNOTATION_MOVE_LEADER, ANNOTATION_REPLACE, ANNOTATION_RESTART,
    ANNOTATION_ROTATE, MemberName,
};

/// What is asked for, and has not been acknowledged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// All members restart in turn. The word tells one request from the next.
    pub restart: Option<String>,
    /// This member is replaced, once another one votes.
    pub replace: Option<String>,
    /// This member leads.
    pub move_leader: Option<String>,
    /// The authorities are rotated. The word tells one request from the next.
    pub rotate_authorities: Option<String>,
    /// What applications are ready for. What was said before that was waited for says nothing of it.
    pub clients_ready: Option<ClientsReady>,
}

/// What applications are ready for, when TLS is switched or the clients' authority rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientsReady {
    /// They trust the next authority.
    NewAuthority,
    /// They show certificates of the new authority.
    NewCertificates,
    /// All of them speak TLS.
    Tls,
    /// All of them speak plain text.
    PlainText,
}

impl ClientsReady {
    /// All of them.
    pub const ALL: [ClientsReady; 4] = [
        ClientsReady::NewAuthority,
        ClientsReady::NewCertificates,
        ClientsReady::Tls,
        ClientsReady::PlainText,
    ];

    /// The annotation's value.
    pub fn as_str(self) -> &'static str {
        match self {
            ClientsReady::NewAuthority => "new-authority",
            ClientsReady::NewCertificates => "new-certificates",
            ClientsReady::Tls => "tls",
            ClientsReady::PlainText => "plain-text",
        }
    }

    /// The first word of an annotation; whatever follows tells one time from the next.
    pub fn parse(text: &str) -> Option<ClientsReady> {
        let word = text.split_whitespace().next()?;
        ClientsReady::ALL.into_iter().find(|ready| ready.as_str() == word)
    }
}

impl Requests {
    /// Reads the annotations.
    pub fn read(cluster: &EtcdCluster) -> Requests {
        let acknowledged =
            cluster.status.as_ref().map(|status| status.acknowledged.clone()).unwrap_or_default();
        let asked = |key: &str, acknowledged: Option<String>| {
            annotation(cluster.metadata.annotations.as_ref(), key)
                .filter(|asked| Some(asked) != acknowledged.as_ref())
        };
        Requests {
            restart: asked(ANNOTATION_RESTART, acknowledged.restart),
            replace: asked(ANNOTATION_REPLACE, acknowledged.replace),
            move_leader: asked(ANNOTATION_MOVE_LEADER, acknowledged.move_leader),
            rotate_authorities: asked(ANNOTATION_ROTATE, acknowledged.rotate_authorities),
            clients_ready: asked(ANNOTATION_CLIENTS_READY, acknowledged.clients_ready)
                .and_then(|text| ClientsReady::parse(&text)),
        }
    }

    /// Whether this member is to be replaced.
    pub fn replaces(&self, member: &MemberName) -> bool {
        self.replace.as_deref() == Some(member.as_str())
    }

    /// Whether this member is to lead.
    pub fn moves_leader_to(&self, member: &MemberName) -> bool {
        self.move_leader.as_deref() == Some(member.as_str())
    }
}

/// The annotation, if it says anything.
pub(crate) fn annotation(annotations: Option<&BTreeMap<String, String>>, key: &str) -> Option<String> {
    annotations.and_then(|all| all.get(key)).filter(|text| !text.is_empty()).cloned()
}
