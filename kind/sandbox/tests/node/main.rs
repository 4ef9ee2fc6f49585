//! The sandbox as a whole: real pods in real namespaces. Needs root. The program starts itself again as the sandbox's
//! processes and, inside containers, as the tool that pods of these tests run.

mod harness;
mod lifetime;
mod network;
mod pods;
mod tool;

use harness::Test;

fn main() {
    sandbox::run_if_reexecuted();
    tool::run_if_in_container();
    lifetime::run_if_caller();
    let filters: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if std::env::args().any(|argument| argument == "--list") {
        return;
    }
    if !nix::unistd::geteuid().is_root() {
        eprintln!("these tests make namespaces and mounts: run them as root");
        std::process::exit(1);
    }
    let tests: Vec<Test> = [pods::tests(), network::tests(), lifetime::tests()].concat();
    std::process::exit(harness::run(&tests, &filters));
}
