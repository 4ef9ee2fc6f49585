//! How a sandbox begins and ends: nothing outlives it, whichever of its processes is killed.

use crate::harness::Test;
use crate::tests;

pub fn tests() -> Vec<Test> {
    tests![]
}
