//! The sandbox as a whole: real pods in real namespaces. Needs root. The program starts itself again as the sandbox's
//! processes and, inside containers, as the tool that pods of these tests run.

mod harness;
mod lifetime;
mod network;
mod pods;
mod sessions;
mod tool;

fn main() {
    sandbox::run_if_reexecuted();
    tool::run_if_in_container();
    lifetime::run_if_caller();
    let filters: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if std::env::args().any(|argument| argument == "--list") {
        return;
    }
    let all = [pods::tests(), network::tests(), sessions::tests(), lifetime::tests()].concat();
    let tests = harness::matching(&all, &filters);
    if tests.is_empty() && !filters.is_empty() {
        // The filter is meant for tests of another crate of the workspace. Without a filter, no test is no success.
        println!("0 tests matched the filter");
        return;
    }
    if !nix::unistd::geteuid().is_root() {
        eprintln!("these tests make namespaces and mounts: run them as root");
        std::process::exit(1);
    }
    std::process::exit(harness::run(&tests));
}
