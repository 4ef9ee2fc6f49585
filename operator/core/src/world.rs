//! The observation, arranged by member.
