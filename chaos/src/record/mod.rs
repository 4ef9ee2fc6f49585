//! What the harness writes down about a run. Plain data and its reader.
