//! Reasons that users read, each with its explanation beside it, so that none can be without. What is explained here is also the
//! page `operator/docs/reasons.md`. Never decides.

/// Who ends what a reason tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EndedBy {
    /// It ends by itself.
    Itself,
    /// A person has to act.
    Person,
    /// There is nothing to end: it only tells.
    Nobody,
}

/// What a user should know of a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The word for it, in CamelCase.
    pub word: &'static str,
    /// Who ends it.
    pub ended_by: EndedBy,
    /// What it means, in a clause of Markdown.
    pub meaning: &'static str,
    /// What to do, in clauses of Markdown.
    pub remedy: &'static str,
}

/// Makes an enum of reasons from a table of them: `Word, who ends it, "meaning", "remedy";`.
macro_rules! explained {
    ($(#[$about:meta])* $name:ident { $($reason:ident, $ended_by:ident, $meaning:literal, $remedy:literal;)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name {
            $(#[doc = $meaning] $reason,)*
        }

        impl $name {
            /// All of them, in the order in which they are explained.
            pub const ALL: &'static [$name] = &[$($name::$reason,)*];

            /// The word for it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $($name::$reason => stringify!($reason),)*
                }
            }

            /// What a user should know of it.
            pub fn explanation(self) -> $crate::explained::Explanation {
                match self {
                    $($name::$reason => $crate::explained::Explanation {
                        word: stringify!($reason),
                        ended_by: $crate::explained::EndedBy::$ended_by,
                        meaning: $meaning,
                        remedy: $remedy,
                    },)*
                }
            }
        }
    };
}

pub(crate) use explained;

/// One reason a row, those of `ended_by` only, as a table of Markdown.
pub fn table(explanations: impl IntoIterator<Item = Explanation>, ended_by: EndedBy) -> String {
    let row =
        |reason: Explanation| format!("| `{}` | {} | {} |\n", reason.word, reason.meaning, reason.remedy);
    let chosen = explanations.into_iter().filter(|reason| reason.ended_by == ended_by);
    "| Reason | Meaning | What to do |\n|---|---|---|\n".to_owned() + &chosen.map(row).collect::<String>()
}
