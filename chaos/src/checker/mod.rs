//! The judge: a pure function from a recorded run to a judgement.
