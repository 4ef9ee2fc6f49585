//! What the operator would do and does not, with a type for each reason. A hold is a result like an action is: it
//! reaches the user in the status, in a condition and in an Event. What kind of hold it is follows from its type. Never decides.

mod object;
mod quorum;
mod reason;
mod spec;
mod wait;

use std::fmt;

pub use object::{Notice, ObjectHold};
pub use quorum::QuorumHold;
pub use reason::HoldReason;
pub use spec::SpecHold;
pub use wait::Wait;

use crate::names::MemberName;

/// One thing that is held back, and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hold {
    /// It ends by itself, as members start and catch up and as pods and volumes go.
    Wait(Wait),
    /// The spec, or what it asks for, wants a person.
    Spec(SpecHold),
    /// The quorum, or a member, wants a person.
    Quorum(QuorumHold),
    /// An object wants a person.
    Object(ObjectHold),
    /// Nothing that the spec asks for is held back; the user should know it all the same.
    Notice(Notice),
}

impl Hold {
    /// Why, in the word that conditions, `.status.holds` and Events share.
    pub fn reason(&self) -> HoldReason {
        match self {
            Hold::Wait(wait) => wait.reason(),
            Hold::Spec(hold) => hold.reason(),
            Hold::Quorum(hold) => hold.reason(),
            Hold::Object(hold) => hold.reason(),
            Hold::Notice(notice) => notice.reason(),
        }
    }

    /// The member or object that it is about, unless it is the cluster. With the reason it says which fact a hold tells of,
    /// while its message may go on changing.
    pub fn about(&self) -> Option<String> {
        match self {
            Hold::Wait(wait) => wait.about(),
            Hold::Spec(hold) => hold.about(),
            Hold::Quorum(hold) => hold.about(),
            Hold::Object(hold) => hold.about(),
            Hold::Notice(notice) => notice.about(),
        }
    }

    /// Whether the cluster is not as its spec says for as long as this is held.
    pub fn keeps_from_ready(&self) -> bool {
        match self {
            Hold::Wait(_) | Hold::Spec(_) | Hold::Quorum(_) => true,
            Hold::Object(hold) => hold.keeps_from_ready(),
            Hold::Notice(_) => false,
        }
    }

    /// Whether somebody should look: it does not end by itself.
    pub fn wants_a_person(&self) -> bool {
        match self {
            Hold::Wait(_) | Hold::Notice(_) => false,
            Hold::Spec(_) | Hold::Quorum(_) | Hold::Object(_) => true,
        }
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Hold::Wait(wait) => wait.fmt(formatter),
            Hold::Spec(hold) => hold.fmt(formatter),
            Hold::Quorum(hold) => hold.fmt(formatter),
            Hold::Object(hold) => hold.fmt(formatter),
            Hold::Notice(notice) => notice.fmt(formatter),
        }
    }
}

fn list(members: &[MemberName]) -> String {
    members.iter().map(MemberName::as_str).collect::<Vec<_>>().join(", ")
}
