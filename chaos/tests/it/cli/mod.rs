//! The `chaos` binary as a person or a script meets it: what it says, how it exits, and that nothing is left.

mod cluster_up;
mod command_line;
mod environment;
mod files;
mod interrupt;
mod kind;
mod place;
mod records;
