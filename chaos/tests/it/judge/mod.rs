//! The judging side from outside: recorded runs in, judgements and reports out. No cluster, no clock.

mod asked;
mod corpus;
mod model;
mod properties;
mod record;
mod reports;
mod schedules;
mod tampered;
