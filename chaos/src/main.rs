//! The `chaos` binary: reads arguments, calls the library, turns the outcome into an exit code. Nothing else.

mod cli;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    // Roles of local clusters enter namespaces and fork: that must happen before any thread exists.
    sandbox::run_if_reexecuted();
    chaos::cluster::bare::run_if_reexecuted();
    let arguments = cli::Arguments::parse();
    cli::carry_out(arguments)
}
