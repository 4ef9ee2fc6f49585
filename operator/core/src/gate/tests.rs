//! The gate's decision, row by row and in every combination of its inputs.
