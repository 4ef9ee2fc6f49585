//! The `etcd-operator` binary: reads its arguments and hands over. It decides nothing.

use clap::Parser;
use etcd_operator::args::{Arguments, Command};
use etcd_operator::backup::commands;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.command.unwrap_or_else(Command::default_run) {
        Command::Run(run) => etcd_operator::run::run(run),
        Command::Gate { configuration } => etcd_operator::gate::run(&configuration),
        Command::InstallGate { destination } => etcd_operator::gate::install(&destination),
        Command::Crd => etcd_operator::manifest::print_resource_types(),
        Command::Manifest { namespace, image } => etcd_operator::manifest::print_install(namespace, image),
        Command::Backup(arguments) => commands::backup(&arguments),
        Command::List(arguments) => commands::list_backups(&arguments),
        Command::Delete(arguments) => commands::delete(&arguments),
        Command::Verify(arguments) => commands::verify(&arguments),
        Command::Restore(arguments) => commands::restore_backup(&arguments),
        Command::Mutants => etcd_operator::run::print_mutants(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("etcd-operator: {error:#}");
            ExitCode::FAILURE
        }
    }
}
