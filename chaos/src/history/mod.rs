//! What load and probe pods write down, as JSON lines. Plain data: nothing here writes a file.
