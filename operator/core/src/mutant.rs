//! The deliberately wrong operators. Each breaks one rule, so that the scenarios can be shown to notice. A build
//! without the feature `mutants` cannot choose one. Never reads the environment: the shell does.

use std::str::FromStr;

/// One broken rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mutant {
    /// Gives a second permit to an incarnation whose disk is lost.
    SecondPermit,
    /// On a lost disk removes a healthy voter first.
    RemovesHealthyFirst,
    /// Never repairs the Service.
    IgnoresService,
    /// Reports Ready without looking at any member.
    ReadyWithoutLooking,
    /// Shrinks by deleting pods before the members are removed from etcd.
    ShrinkPodsFirst,
}

/// The name is none of [`Mutant::ALL`], or this build has no mutants.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum UnknownMutant {
    /// The build refuses all mutants.
    #[error("this build has no mutants: it was made without the feature `mutants`")]
    NotBuilt,
    /// The name is not known.
    #[error("no mutant is called {0:?}; known are {known}", known = Mutant::ALL.map(Mutant::name).join(", "))]
    Unknown(String),
}

impl Mutant {
    /// Every mutant, in the order of their names in the documentation.
    pub const ALL: [Mutant; 5] = [
        Mutant::SecondPermit,
        Mutant::RemovesHealthyFirst,
        Mutant::IgnoresService,
        Mutant::ReadyWithoutLooking,
        Mutant::ShrinkPodsFirst,
    ];

    /// The value of `ETCD_OPERATOR_MUTANT` that chooses it.
    pub fn name(self) -> &'static str {
        match self {
            Mutant::SecondPermit => "second-permit",
            Mutant::RemovesHealthyFirst => "removes-healthy-first",
            Mutant::IgnoresService => "ignores-service",
            Mutant::ReadyWithoutLooking => "ready-without-looking",
            Mutant::ShrinkPodsFirst => "shrink-pods-first",
        }
    }
}

impl FromStr for Mutant {
    type Err = UnknownMutant;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !cfg!(feature = "mutants") {
            return Err(UnknownMutant::NotBuilt);
        }
        Mutant::ALL
            .into_iter()
            .find(|mutant| mutant.name() == text)
            .ok_or_else(|| UnknownMutant::Unknown(text.to_owned()))
    }
}
