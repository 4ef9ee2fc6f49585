//! Clusters that end badly: the parent or the caller is killed in the middle of a start, or after it. Nothing may be left, and
//! the next start must work.

use std::collections::BTreeSet;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::place::Place;
use crate::support::host::host;

#[test]
#[ignore = "needs containerd, runc and the builds of `ci/images bare`; `ci/test bare` runs it"]
fn a_bare_cluster_that_is_killed_at_any_time_is_cleared_by_down_and_the_next_up_works() {
    let place = Place::new("killed");
    let before = host();

    // The parent: the start is an error, and clears up itself.
    let (mut starting, _said) = place.begin_up("starting etcd");
    kill(place.parent(), Signal::SIGKILL).unwrap();
    assert_eq!(starting.wait().unwrap().code(), Some(2), "a start that was killed is an error");
    place.assert_gone();

    // The caller: the next start finds its cluster ending.
    let (mut starting, _said) = place.begin_up("starting controllers");
    starting.kill().unwrap();
    starting.wait().unwrap();

    // Both: nobody is left to clear up but `down`.
    let (mut starting, _said) = place.begin_up("importing images");
    kill(Pid::from_raw(starting.id().try_into().unwrap()), Signal::SIGKILL).unwrap();
    kill(place.parent(), Signal::SIGKILL).unwrap();
    starting.wait().unwrap();
    place.down_without_a_trace();

    place.up();
    assert_eq!(
        place.control_groups().iter().filter_map(|path| path.file_name()).collect::<BTreeSet<_>>().len(),
        1
    );
    kill(place.parent(), Signal::SIGKILL).unwrap();
    place.down_without_a_trace();
    host().assert_is(&before);
}
