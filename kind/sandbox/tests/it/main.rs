//! The sandbox's integration tests, one binary so that it links once.

mod apiserver;
mod controllers;
mod kubectl;
